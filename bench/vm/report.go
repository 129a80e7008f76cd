package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// result is one measurement, of both or of ostia alone.
type result struct {
	Part        string    `json:"part"`
	Measurement string    `json:"measurement"`
	Unit        string    `json:"unit"`
	Ostia       float64   `json:"ostia"`          // median
	QEMU        float64   `json:"qemu,omitempty"` // median
	Ratio       float64   `json:"ratio,omitempty"`
	Goal        string    `json:"goal,omitempty"`
	Runs        []float64 `json:"runs,omitempty"`     // ostia's, in their order
	QEMURuns    []float64 `json:"qemuRuns,omitempty"` // QEMU's
}

// report is all that is known.
type report struct {
	Conditions string   `json:"conditions"`
	Ostia      command  `json:"ostia"`
	QEMU       command  `json:"qemu"`
	Manual     command  `json:"qemuAsItsManualHasIt"`
	VirtioFSD  command  `json:"virtiofsd"`
	Results    []result `json:"results"`
}

// command is what was run, and how.
type command struct {
	Version string `json:"version"`
	Line    string `json:"line"`
}

// report begins with what an earlier one says of the same conditions.
func (f *field) report(before string) (*report, error) {
	r := &report{}
	if text, err := os.ReadFile(before); before != "" && err == nil && len(text) > 0 {
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("%s: %w", before, err)
		}
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	r.Conditions = fmt.Sprintf("nested KVM (SVM) in QEMU without KVM: an emulated processor, one thread; Linux %s on both levels", unix.ByteSliceToString(u.Release[:]))
	var err error
	if r.Ostia, err = version(f.ostia, f.ostiaArgs("ID")); err != nil {
		return nil, err
	}
	if r.QEMU, err = version(qemu, f.qemuArgs(isQEMU, "DIR")); err != nil {
		return nil, err
	}
	if r.Manual, err = version(qemu, f.qemuArgs(isManual, "DIR")); err != nil {
		return nil, err
	}
	r.VirtioFSD, err = version(virtiofsd, f.fsArgs("DIR"))
	return r, err
}

// take replaces what is known of a part.
func (r *report) take(part string, results []result) {
	r.Results = slices.DeleteFunc(r.Results, func(old result) bool { return old.Part == part })
	for i := range results {
		results[i].Part = part
	}
	r.Results = append(r.Results, results...)
}

func (r *report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func (r *report) table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\n\tostia\tQEMU\tratio\tgoal\n")
	for _, m := range r.Results {
		q, ratio := "", ""
		if m.QEMU != 0 {
			q = fmt.Sprintf("%.4g", m.QEMU)
		}
		if m.Ratio != 0 {
			ratio = fmt.Sprintf("%.2f", m.Ratio)
		}
		fmt.Fprintf(t, "%s, %s\t%.4g\t%s\t%s\t%s\n", m.Measurement, m.Unit, m.Ostia, q, ratio, m.Goal)
	}
	t.Flush()
	fmt.Fprintf(w, "\n%s\n", r.Conditions)
	for _, c := range []command{r.Ostia, r.QEMU, r.Manual, r.VirtioFSD} {
		fmt.Fprintf(w, "%s: %s\n", c.Version, c.Line)
	}
}

// compare is a result of rounds in turn.
func compare(measurement, unit, goal string, ostia, qemu []float64) result {
	r := result{Measurement: measurement, Unit: unit, Goal: goal, Ostia: median(ostia), Runs: ostia, QEMURuns: qemu}
	if len(qemu) > 0 {
		r.QEMU = median(qemu)
		r.Ratio = r.Ostia / r.QEMU
	}
	return r
}

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
