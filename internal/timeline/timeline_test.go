package timeline

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

const sample = `{"displayTimeUnit":"ns","traceEvents":[
{"name":"thread_name","ph":"M","pid":1,"tid":1,"args":{"name":"ostia"}},
{"name":"config","ph":"X","pid":1,"tid":1,"ts":0.000,"dur":100.5},
{"name":"stage","ph":"X","pid":1,"tid":1,"ts":100.5,"dur":2000},
{"name":"umask","ph":"X","pid":1,"tid":2,"ts":300,"dur":1},
{"name":"mounts[0] /a<b&\"\u0001: mount","ph":"X","pid":1,"tid":2,"ts":301,"dur":5},
{"name":"mounts[0] /a<b&\"\u0001: open","ph":"X","pid":1,"tid":2,"ts":306,"dur":15},
{"name":"mounts[1] /c: mount","ph":"X","pid":1,"tid":2,"ts":321,"dur":5}
]}`

// wellFormed reads all of an XML document.
func wellFormed(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// TestDraw: every span is in the picture, neighbours about one member are in
// one row, and no name can be markup.
func TestDraw(t *testing.T) {
	trace, err := Read(sample)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, g := range trace.groups() {
		rows = append(rows, g.Name+" "+duration(g.End-g.Start))
	}
	if want := []string{"set-up 1 µs", "mounts[0] /a<b&\"\x01 20 µs", "mounts[1] /c 5 µs"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
	svg := trace.SVG("a <title>")
	if err := wellFormed(svg); err != nil {
		t.Errorf("%v in\n%s", err, svg)
	}
	if n := strings.Count(svg, "<title>"); n != 2+2*4 {
		t.Errorf("%d spans, want each op twice and each phase once", n)
	}
	for _, want := range []string{"mounts[0] /a&lt;b&amp;&quot;\uFFFD", "a &lt;title&gt;: 2.10 ms", "umask, 1 µs at 300 µs"} {
		if !strings.Contains(svg, want) {
			t.Errorf("%s is not in\n%s", want, svg)
		}
	}
	page := trace.HTML("a <title>")
	if !strings.Contains(page, svg[len("<svg"):len("<svg")+100]) || !strings.Contains(page, "<tr><td>15 µs<td>mounts[0]") || strings.Contains(page, "a <title>") {
		t.Error(page)
	}
	if strings.Contains(page, "src=") || strings.Contains(page, "href=") || strings.Contains(page, "<script") {
		t.Error("the page needs something else")
	}
}

func TestDuration(t *testing.T) {
	for us, want := range map[float64]string{0: "0 µs", 0.123: "0.12 µs", 12.34: "12.3 µs", 999: "999 µs", 999.6: "1.00 ms", 23068: "23.1 ms", 5e6: "5 s"} {
		if got := duration(us); got != want {
			t.Errorf("%v: %q, want %q", us, got, want)
		}
	}
}

// FuzzRead: any text is an error or a picture, well-formed and of bounded size.
func FuzzRead(f *testing.F) {
	f.Add(sample)
	f.Add(`{"traceEvents":[{"name":"x","ph":"X","tid":2,"ts":1e300,"dur":-0}]}`)
	f.Add(`{"traceEvents":[{"ph":"X","tid":1,"ts":31536000000000,"dur":0.0000001},{"ph":"X","tid":2,"ts":0}]}`)
	f.Add(`{"traceEvents":[{"ph":"X","tid":1,"ts":31536000000000,"dur":0.0000001}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		trace, err := Read(text)
		if err != nil {
			return
		}
		svg := trace.SVG("x")
		if err := wellFormed(svg); err != nil {
			t.Errorf("%v in %s", err, svg)
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || len(svg) > 20_000+10*len(text)*300 {
			t.Errorf("%d bytes of %d: %s", len(svg), len(text), svg)
		}
	})
}
