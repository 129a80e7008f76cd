package state

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestReports: reports are few and small, the last ones stay, and none is a
// container.
func TestReports(t *testing.T) {
	root := t.TempDir() + "/made/with/it"
	for i := range 3 * maxReports {
		id := "c" + strconv.Itoa(i)
		if err := Report(root, id, []byte("report of "+id)); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(time.Duration(i-1000) * time.Minute) // times of files are coarse
		if err := os.Chtimes(root+"/"+reportsDir+"/"+id, old, old); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadDir(root + "/" + reportsDir)
	if err != nil || len(kept) > maxReports || len(kept) < maxReports/2 {
		t.Errorf("%d reports, %v", len(kept), err)
	}
	last := "c" + strconv.Itoa(3*maxReports-1)
	if text, err := ReadReport(root, last); err != nil || text != "report of "+last {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := ReadReport(root, "c0"); err != ErrNotExist {
		t.Errorf("the oldest: %v", err)
	}
	if err := Report(root, last, []byte(strings.Repeat("x", maxReport+1))); err == nil {
		t.Error("a report of any size is kept")
	}
	if text, _ := ReadReport(root, last); text != "report of "+last {
		t.Errorf("%q after one that was refused", text)
	}
	if ids, err := List(root); err != nil || len(ids) != 0 {
		t.Errorf("containers %q, %v", ids, err)
	}
}

// TestReportOfContainer: a container's own report goes with it.
func TestReportOfContainer(t *testing.T) {
	root := t.TempDir()
	d, err := Create(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.ReadReport(); err != ErrNotExist {
		t.Error(err)
	}
	for _, text := range []string{"one", "two"} {
		if err := d.Report([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := d.ReadReport(); err != nil || got != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) != 0 {
		t.Errorf("%v left, %v", left, err)
	}
}
