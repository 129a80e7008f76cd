// Go reads the cgroup's CPU limit at every start and again every second. The
// commands live for milliseconds on one thread, and would pay for it.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command ostia runs OCI containers: `ostia --help`.
package main

import (
	"os"

	"ostia/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args, nil)) }
