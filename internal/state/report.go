package state

import (
	"cmp"
	"slices"
	"strconv"

	"ostia/internal/file"

	"golang.org/x/sys/unix"
)

// reportFile, in a container's folder, says what of it went wrong.
const reportFile = "report.json"

// reportsDir keeps the reports of containers that have no folder: their create
// failed, or their run is over. It begins with a dot, as no id does.
const reportsDir = ".failed"

// Bounds of what is kept in reportsDir. A report over the size is not kept, and
// when there are too many, the older half goes.
const (
	maxReport  = 32 << 10
	maxReports = 64
)

// Report keeps what went wrong with the container.
func (d *Dir) Report(text []byte) error {
	if len(text) > maxReport {
		return unix.EFBIG
	}
	const next = reportFile + ".new"
	if err := d.create(next, text); err != nil {
		return err
	}
	return unix.Renameat(d.fd, next, d.fd, reportFile)
}

// ReadReport returns the report of a container, ErrNotExist if there is none.
func (d *Dir) ReadReport() (string, error) {
	text, err := d.read(reportFile)
	if err == unix.ENOENT {
		err = ErrNotExist
	}
	return text, err
}

// Report keeps what went wrong with a container that has no folder.
func Report(root, id string, text []byte) error {
	if len(text) > maxReport {
		return unix.EFBIG
	}
	path := root + "/" + reportsDir
	if err := unix.Mkdir(path, 0o700); err == unix.ENOENT {
		if err := makeRoot(path); err != nil {
			return err
		}
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	d := &Dir{fd: fd, root: root, id: reportsDir}
	defer d.Close()
	if err := d.forgetOld(); err != nil {
		return err
	}
	next := "." + strconv.Itoa(unix.Getpid())
	if err := d.create(next, text); err != nil {
		_ = unix.Unlinkat(d.fd, next, 0)
		return err
	}
	return unix.Renameat(d.fd, next, d.fd, id)
}

// forgetOld makes room for one more report.
func (d *Dir) forgetOld() error {
	names, err := file.Names(d.fd)
	if err != nil || len(names) < maxReports {
		return err
	}
	times := make(map[string]int64, len(names))
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
			times[name] = st.Mtim.Nano()
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(times[a], times[b]) })
	for _, name := range names[:len(names)-maxReports/2] {
		if err := unix.Unlinkat(d.fd, name, 0); err != nil && err != unix.ENOENT {
			return err
		}
	}
	return nil
}

// ReadReport returns the report of a container that has no folder,
// ErrNotExist if there is none.
func ReadReport(root, id string) (string, error) {
	text, err := file.Read(root + "/" + reportsDir + "/" + id)
	if err == unix.ENOENT {
		err = ErrNotExist
	}
	return text, err
}
