package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

func printTable(w io.Writer, results []result) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	last := ""
	for _, r := range results {
		if r.Measurement != last {
			fmt.Fprintf(t, "\n%s\t%s p10\tmedian\tCPU ms\tfaults\tostia by it\tCPU\n", r.Measurement, r.Unit)
			last = r.Measurement
		}
		fmt.Fprintf(t, "  %s\t%.2f\t%.2f\t%.2f\t%.0f\t%.2f\t%.2f\n", r.Runtime, r.P10, r.Median, r.CPU, r.Faults, r.Ratio, r.CPURatio)
	}
	t.Flush()
}

func writeJSON(path, where string, runtimes []program, results []result) error {
	for i := range runtimes {
		runtimes[i].Path = "" // where a binary lay says nothing to a reader
	}
	b, err := json.MarshalIndent(map[string]any{"conditions": where, "runtimes": runtimes, "results": results}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// readJSON is what writeJSON has written.
func readJSON(path string) (results []result, where string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	var all struct {
		Conditions string
		Results    []result
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return all.Results, all.Conditions, nil
}

// drawing is the table as bars, an SVG: each measurement in the scale of its
// slowest.
func drawing(where string, results []result) []byte {
	const width, label, bar, line, gap = 780, 150, 400, 22, 34
	var rows strings.Builder
	y := 20
	for i := 0; i < len(results); {
		group := results[i:]
		for n := range group {
			if group[n].Measurement != group[0].Measurement {
				group = group[:n]
				break
			}
		}
		i += len(group)
		slowest := 0.0
		for _, r := range group {
			slowest = max(slowest, r.Median)
		}
		fmt.Fprintf(&rows, `<text x="0" y="%d" font-weight="bold">%s</text>`+"\n", y, escape(group[0].Measurement))
		y += 10
		for n, r := range group {
			color := "#9aa5b1"
			if n == 0 {
				color = "#0b7a75"
			}
			note := fmt.Sprintf("%.2f %s", r.P10, r.Unit)
			if n > 0 {
				note += fmt.Sprintf("  (ostia: %.2f of it)", r.Ratio)
			}
			fmt.Fprintf(&rows, `<text x="%d" y="%d" text-anchor="end">%s</text>`, label-8, y+14, escape(r.Runtime))
			fmt.Fprintf(&rows, `<rect x="%d" y="%d" width="%.1f" height="16" fill="%s"/>`, label, y+2, max(1, bar*r.P10/slowest), color)
			fmt.Fprintf(&rows, `<text x="%.1f" y="%d" fill="#444">%s</text>`+"\n", label+max(1, bar*r.P10/slowest)+6, y+14, note)
			y += line
		}
		y += gap - 10
	}
	fmt.Fprintf(&rows, `<text x="0" y="%d" fill="#444">%s; p10</text>`+"\n", y, escape(where))
	y += line
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="-10 0 %d %d" font-family="sans-serif" font-size="13">
<rect x="-10" width="%d" height="%d" fill="white"/>
%s</svg>
`, width, y, width, y, width, y, rows.String())
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
