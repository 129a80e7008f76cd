// Command ostia-criu is ostia with CRIU's protocol linked in. `ostia checkpoint`
// and `ostia restore` execute it in their place; people do not call it.
package main

import (
	"os"

	"ostia/internal/cli"
	"ostia/internal/criu"
)

func main() { os.Exit(cli.Main(os.Args, criu.Perform)) }
