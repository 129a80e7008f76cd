package host

import (
	"os"
	"slices"
	"strings"

	"ostia/internal/file"
	"ostia/internal/program"

	"golang.org/x/sys/unix"
)

// kvmGetAPIVersion is KVM_GET_API_VERSION (linux/kvm.h), which has answered 12
// since Linux 2.6.22.
const kvmGetAPIVersion = 0xae00

// fitKrun is the first libkrun that hands on the exit status of the guest's
// program in every case.
const fitKrun = "1.12.0"

func (e *examination) vm() {
	e.topic = "vm"
	fd, err := unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case err == unix.EACCES || err == unix.EPERM:
		e.add("KVM", Absent, "/dev/kvm is not permitted", "microVMs cannot be used: add the user to the group kvm")
	case err != nil:
		e.add("KVM", Absent, "/dev/kvm: "+err.Error(), "microVMs cannot be used: load the module kvm_intel or kvm_amd, and switch virtualization on in the firmware")
	default:
		version, err := unix.IoctlRetInt(fd, kvmGetAPIVersion)
		unix.Close(fd)
		if err == nil && version == 12 {
			e.add("KVM", OK, "/dev/kvm", "")
		} else {
			e.add("KVM", Absent, "/dev/kvm does not speak version 12", "microVMs cannot be used: it is no KVM: make it anew (mknod /dev/kvm c 10 232)")
		}
	}
	e.krun("")
}

// krun looks for libkrun below a root folder.
func (e *examination) krun(root string) {
	for _, path := range libraries(root, "libkrun.so.") {
		version := path[strings.LastIndex(path, ".so.")+len(".so."):]
		switch {
		case !strings.Contains(version, "."): // the interface's name, a link
		case compareVersions(version, fitKrun) < 0:
			e.add("libkrun", Absent, path, "unfit: before "+fitKrun+" it loses exit statuses: update it, or let no engine use it (ostia does not)")
		default:
			e.add("libkrun", OK, path, "")
		}
	}
}

// libraries finds files of shared libraries by the beginning of their names.
func libraries(root, prefix string) (found []string) {
	var dirs []string
	for _, dir := range [...]string{root + "/usr/lib", root + "/usr/local/lib"} {
		dirs = append(dirs, dir+"64", dir)
		for _, name := range entries(dir) {
			if strings.HasSuffix(name, "-linux-gnu") {
				dirs = append(dirs, dir+"/"+name)
			}
		}
	}
	for _, dir := range dirs {
		for _, name := range entries(dir) {
			if strings.HasPrefix(name, prefix) {
				found = append(found, dir+"/"+name)
			}
		}
	}
	return found
}

// entries are the names in a folder, sorted; none if it cannot be read.
func entries(dir string) []string {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	names, err := file.Names(fd)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	return names
}

func (e *examination) checkpoint(u *User) {
	e.topic = "checkpoint"
	const useless = "checkpoint and restore cannot be used: "
	path, err := program.Find("criu")
	if err != nil {
		e.add("CRIU", Absent, "not installed", useless+"apt install criu, or what else your distribution has")
		return
	}
	said, failed := criu(path, "--version")
	if failed != "" {
		e.add("CRIU", Absent, path+failed, useless+"install criu again")
		return
	}
	found := path + " " + said
	if u.UID != 0 {
		e.add("CRIU", Absent, found, useless+"they need root")
		return
	}
	if _, failed = criu(path, "check"); failed != "" {
		e.add("CRIU", Absent, found+" check"+failed, useless+"it does not work on this kernel: a newer CRIU may")
		return
	}
	e.add("CRIU", OK, found, "")
}

// criu runs CRIU and returns what it said, or how it failed.
func criu(path, argument string) (said, failed string) {
	limit := 10
	p := program.Program{Path: path, Args: []string{"criu", argument}, Env: os.Environ(), Timeout: &limit}
	said, status, err := p.Run()
	// The last of its complaints; the first are about what it can do without.
	said = strings.TrimSpace(said)
	said = said[strings.LastIndexByte(said, '\n')+1:]
	switch {
	case err != nil:
		failed = " " + err.Error()
	case status != 0:
		failed = " " + program.Ended(status, said)
	}
	return said, failed
}
