// Command ostia-kernel makes what machines boot from, of an installed kernel:
// `ostia-vmm prepare` starts it when a kernel is used for the first time. People
// do not call it.
package main

import (
	"fmt"
	"os"

	"ostia/internal/vm/image"
	"ostia/internal/vm/kernel"
)

func main() { os.Exit(run(os.Args)) }

// run takes three arguments: the kernel, the agent's program and the folder to
// make the files in.
func run(args []string) int {
	if len(args) != 4 {
		fmt.Fprintln(os.Stderr, "ostia-kernel: is started by ostia-vmm alone: see ostia --help")
		return 2
	}
	k, err := kernel.Find(args[1])
	if err == nil {
		if err = image.Make(args[3], k, args[2]); err != nil {
			err = fmt.Errorf("guest kernel %s: %w", k.Path, err)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
