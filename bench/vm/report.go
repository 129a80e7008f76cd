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

// result is one measurement, of ostia and another or of ostia alone.
type result struct {
	Part        string    `json:"part"`
	Measurement string    `json:"measurement"`
	Unit        string    `json:"unit"`
	Ostia       float64   `json:"ostia"`          // median
	Peer        float64   `json:"peer,omitempty"` // median of QEMU's, or of who is named
	Ratio       float64   `json:"ratio,omitempty"`
	Goal        string    `json:"goal,omitempty"`
	Runs        []float64 `json:"runs,omitempty"`     // ostia's, in their order
	PeerRuns    []float64 `json:"peerRuns,omitempty"` // the other's
}

// report is all that is known.
type report struct {
	Conditions string   `json:"conditions"`
	Ostia      command  `json:"ostia"`
	QEMU       command  `json:"qemu"`
	Manual     command  `json:"qemuAsItsManualHasIt"`
	VirtioFSD  command  `json:"virtiofsd"`
	Krun       *command `json:"krun,omitempty"`
	Cloud      *command `json:"cloudHypervisor,omitempty"`
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
	if r.Ostia, err = version(f.ostia, f.runArgs(f.ostia, "ID")); err != nil {
		return nil, err
	}
	if r.QEMU, err = version(qemu, f.qemuArgs(isQEMU, "DIR")); err != nil {
		return nil, err
	}
	if r.Manual, err = version(qemu, f.qemuArgs(isManual, "DIR")); err != nil {
		return nil, err
	}
	if r.VirtioFSD, err = version(virtiofsd, f.fsArgs("DIR")); err != nil {
		return nil, err
	}
	if f.krun != "" {
		c, err := version(f.krun, f.runArgs(f.krun, "ID"))
		if err != nil {
			return nil, err
		}
		r.Krun = &c
	}
	if f.cloud != "" {
		c, err := version(f.cloud, f.cloudArgs("DIR"))
		if err != nil {
			return nil, err
		}
		r.Cloud = &c
	}
	return r, nil
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
	fmt.Fprintf(t, "\n\tostia\tthe other\tratio\tgoal\n")
	for _, m := range r.Results {
		q, ratio := "", ""
		if m.Peer != 0 {
			q = fmt.Sprintf("%.4g", m.Peer)
		}
		if m.Ratio != 0 {
			ratio = fmt.Sprintf("%.2f", m.Ratio)
		}
		fmt.Fprintf(t, "%s, %s\t%.4g\t%s\t%s\t%s\n", m.Measurement, m.Unit, m.Ostia, q, ratio, m.Goal)
	}
	t.Flush()
	fmt.Fprintf(w, "\n%s\n", r.Conditions)
	for _, c := range []*command{&r.Ostia, &r.QEMU, &r.Manual, &r.VirtioFSD, r.Krun, r.Cloud} {
		if c != nil {
			fmt.Fprintf(w, "%s: %s\n", c.Version, c.Line)
		}
	}
}

// compare is a result of rounds in turn.
func compare(measurement, unit, goal string, ostia, peer []float64) result {
	r := result{Measurement: measurement, Unit: unit, Goal: goal, Ostia: median(ostia), Runs: ostia, PeerRuns: peer}
	if len(peer) > 0 {
		r.Peer = median(peer)
		r.Ratio = r.Ostia / r.Peer
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
