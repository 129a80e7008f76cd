package entrypoints

import "strings"

// Engine is a reader of a runtime's error message that makes an exit status of
// it.
type Engine struct {
	Name   string
	Status func(message string) int
}

// Engines are the readers whose rules the runtime's words must satisfy. Each
// rule is restated from the engine's source.
func Engines() []Engine {
	return []Engine{
		{"podman run", podmanRun},
		{"podman exec", podmanExec},
		{"dockerd", dockerd},
		{"docker run", dockerRun},
	}
}

func anyOf(message string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(message, w) {
			return true
		}
	}
	return false
}

// podmanError is getOCIRuntimeError of podman's libpod: 126 for its
// ErrOCIRuntimePermissionDenied, 127 for its ErrOCIRuntimeNotFound, else 0.
func podmanError(message string) int {
	message = strings.ToLower(message)
	switch {
	case anyOf(message, "permission denied", "operation not permitted"):
		return 126
	case anyOf(message, "executable file not found in", "no such file or directory", "open executable"):
		return 127
	}
	return 0
}

func podmanRun(message string) int {
	if s := podmanError(message); s != 0 {
		return s
	}
	if anyOf(message, "not found", "no such file") {
		return 127
	}
	return 126
}

func podmanExec(message string) int {
	if s := podmanError(message); s != 0 {
		return s
	}
	return 255
}

// dockerd is translateContainerdStartErr of moby's daemon. Its tests follow one
// another, so that the last that holds decides, but for a directory.
func dockerd(message string) int {
	message = strings.ToLower(message)
	status := 128
	if anyOf(message, "executable file not found", "no such file or directory", "system cannot find the file specified") {
		status = 127
	}
	if anyOf(message, "permission denied") {
		status = 126
	}
	if anyOf(message, "is a directory") {
		return 126
	}
	if anyOf(message, "not a directory") {
		status = 127
	}
	return status
}

// dockerRun is toStatusError of docker's command line.
func dockerRun(message string) int {
	switch {
	case anyOf(message, "executable file not found", "no such file or directory", "system cannot find the file specified"):
		return 127
	case anyOf(message, "permission denied", "is a directory"):
		return 126
	}
	return 125
}
