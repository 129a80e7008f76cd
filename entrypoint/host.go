package entrypoint

import "runtime"

// Host is what the kernel that would run the program can run besides native
// programs.
type Host struct {
	// Arch is the machine in Go's terms, "amd64"; "" for this one.
	Arch string
	// Handlers are the registered binfmt_misc handlers, in the kernel's order.
	// It is called at most once a judgement, and only for a file that is neither
	// a script nor native. known is false if they cannot be listed.
	Handlers func() (handlers []Handler, known bool)
	// Try asks the kernel whether it would run an ELF file with this header. It
	// is called for the 32-bit programs of a 64-bit machine, and for foreign
	// ones if Handlers cannot tell. nil says that there are none.
	Try func(header []byte) bool

	handlers []Handler
	read     bool // handlers
	known    bool
}

// ThisHost is the running kernel.
func ThisHost() *Host {
	return &Host{Handlers: readHandlers, Try: tryHeader}
}

func (h *Host) arch() string {
	if h.Arch != "" {
		return h.Arch
	}
	return runtime.GOARCH
}

// native reports whether the kernel's own ELF loader takes the file.
func (h *Host) native(f *elfHeader) bool {
	switch h.arch() {
	case "amd64":
		return f.machine == emX8664 && f.wide
	case "arm64":
		return f.machine == emAARCH64 && f.wide
	case "riscv64":
		return f.machine == emRISCV && f.wide
	case "loong64":
		return f.machine == emLoongArch && f.wide
	case "s390x":
		return f.machine == emS390 && f.wide
	case "ppc64", "ppc64le":
		return f.machine == emPPC64 && f.wide
	case "386":
		return f.machine == em386
	case "arm":
		return f.machine == emARM
	}
	return true // a machine that is not known here: let the kernel decide
}

// compat reports whether the file is for the 32-bit mode that the machine may
// have.
func (h *Host) compat(f *elfHeader) bool {
	switch h.arch() {
	case "amd64":
		return f.machine == em386 || f.machine == emX8664
	case "arm64":
		return f.machine == emARM || f.machine == emAARCH64
	case "riscv64":
		return f.machine == emRISCV
	case "s390x":
		return f.machine == emS390
	case "ppc64":
		return f.machine == emPPC
	}
	return false
}

func (h *Host) tries(header []byte) bool { return h.Try != nil && h.Try(header) }
