package timeline

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The picture's measures, in pixels.
const (
	width      = 1280
	labels     = 330 // the width of the names, left
	durations  = 70  // and of the times, right
	lane       = 26
	row        = 18
	top        = 70
	chartWidth = width - labels - durations
)

// colours are ten that can be told apart and carry dark text.
var colours = [...]string{"#8ecae6", "#ffb703", "#a7c957", "#f4a6b7", "#cdb4db", "#90dbf4", "#f6bd60", "#b5e48c", "#e5989b", "#b8c0ff"}

// drawing is a picture under way.
type drawing struct {
	b        strings.Builder
	from, to float64
	y        float64
}

// SVG draws the trace: the runtime's phases, and below them what the stage did
// for each member of the configuration, on one axis.
func (t *Trace) SVG(title string) string {
	d := &drawing{}
	d.from, d.to = t.bounds()
	groups := t.groups()
	lanes := 2 + min(len(t.Boot), 1)
	height := top + lanes*lane + 24 + row*len(groups) + 30
	d.put(`<svg xmlns="http://www.w3.org/2000/svg" width="`, strconv.Itoa(width), `" height="`, strconv.Itoa(height), `" viewBox="0 0 `,
		strconv.Itoa(width), " ", strconv.Itoa(height), `" font-family="system-ui, DejaVu Sans, sans-serif" font-size="12" fill="#1b1f24">`+"\n")
	d.put(`<rect width="100%" height="100%" fill="#ffffff"/>` + "\n")
	d.text(16, 28, "start", "font-size=\"16\" font-weight=\"bold\"", title+": "+duration(d.to-d.from))
	d.axis(float64(height) - 24)
	d.y = top
	d.lane("ostia", t.Phases)
	d.lane("stage", t.Ops)
	if len(t.Boot) > 0 {
		d.lane("machine", t.Boot)
	}
	d.y += 24
	for i := range groups {
		d.group(&groups[i], colours[i%len(colours)])
	}
	d.put("</svg>\n")
	return d.b.String()
}

// HTML is a page with the picture and the stage's longest system calls.
func (t *Trace) HTML(title string) string {
	d := &drawing{}
	d.put("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>", escape(title), "</title>\n",
		"<style>body{margin:0;font-family:system-ui,DejaVu Sans,sans-serif;font-size:13px;color:#1b1f24;background:#fff}",
		"svg{max-width:100%;height:auto}table{margin:8px 16px 32px;border-collapse:collapse}",
		"td,th{padding:2px 12px;text-align:left;border-bottom:1px solid #e5e7eb}td:first-child{text-align:right;font-variant-numeric:tabular-nums}</style>\n",
		t.SVG(title), "<table>\n<tr><th>time<th>the stage's longest system calls\n")
	ops := slices.Clone(t.Ops)
	slices.SortStableFunc(ops, func(a, b Span) int { return cmp.Compare(b.End-b.Start, a.End-a.Start) })
	for _, op := range ops[:min(25, len(ops))] {
		d.put("<tr><td>", duration(op.End-op.Start), "<td>", escape(op.Name), "\n")
	}
	d.put("</table>\n</html>\n")
	return d.b.String()
}

func (d *drawing) put(parts ...string) {
	for _, s := range parts {
		d.b.WriteString(s)
	}
}

// x is where a time is in the picture.
func (d *drawing) x(at float64) float64 {
	return labels + (at-d.from)/(d.to-d.from)*chartWidth
}

// axis draws the times from above to bottom.
func (d *drawing) axis(bottom float64) {
	step := math.Pow(10, math.Floor(math.Log10(d.to-d.from)))
	for _, part := range [...]float64{0.1, 0.2, 0.5} {
		if (d.to-d.from)/(step*part) <= 10 {
			step *= part
			break
		}
	}
	for i := 0.0; i*step <= d.to-d.from; i++ {
		x := d.x(d.from + i*step)
		d.put(`<line x1="`, pixels(x), `" y1="54" x2="`, pixels(x), `" y2="`, pixels(bottom), `" stroke="#e5e7eb"/>`+"\n")
		d.text(x, 48, "middle", `fill="#57606a"`, duration(i*step))
	}
}

// lane draws spans that follow each other in one row.
func (d *drawing) lane(name string, spans []Span) {
	d.text(labels-10, d.y+17, "end", `font-weight="bold"`, name)
	for i, s := range spans {
		d.bar(s, d.y+2, lane-4, colours[i%len(colours)], true)
	}
	d.y += lane
}

// group draws a row: what it was for, when, and how long.
func (d *drawing) group(g *group, colour string) {
	d.text(labels-10, d.y+13, "end", "", shorten(g.Name, 46))
	for _, op := range g.ops {
		d.bar(op, d.y+2, row-4, colour, false)
	}
	d.text(width-10, d.y+13, "end", `fill="#57606a"`, duration(g.End-g.Start))
	d.y += row
}

// bar draws a span, with its name on it if there is room and in its tooltip.
func (d *drawing) bar(s Span, y, height float64, colour string, named bool) {
	x := d.x(s.Start)
	w := max(d.x(s.End)-x, 1)
	d.put(`<rect x="`, pixels(x), `" y="`, pixels(y), `" width="`, pixels(w), `" height="`, pixels(height), `" fill="`, colour, `"><title>`,
		escape(s.Name), ", ", duration(s.End-s.Start), " at ", duration(s.Start-d.from), "</title></rect>\n")
	const letter = 7.5
	if named && w > letter*float64(len(s.Name))+4 {
		d.text(x+w/2, y+height/2+4, "middle", `pointer-events="none"`, s.Name)
	}
}

func (d *drawing) text(x, y float64, anchor, attributes, text string) {
	d.put(`<text x="`, pixels(x), `" y="`, pixels(y), `" text-anchor="`, anchor, `" `, attributes, ">", escape(text), "</text>\n")
}

func pixels(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// duration is a time with three digits.
func duration(us float64) string {
	v, unit := us, " µs"
	switch {
	case us >= 999_500:
		v, unit = us/1e6, " s"
	case us >= 999.5:
		v, unit = us/1e3, " ms"
	}
	digits := 0
	switch {
	case v >= 100 || v == math.Trunc(v):
	case v >= 10:
		digits = 1
	default:
		digits = 2
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + unit
}

// shorten leaves out the middle of a long name.
func shorten(s string, limit int) string {
	r := []rune(s)
	if len(r) <= limit {
		return s
	}
	return string(r[:limit/2]) + "…" + string(r[len(r)-limit/2+1:])
}

// escape makes text of anything: a name may hold what the image's author chose.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '"':
			b.WriteString("&quot;")
		case r < ' ' || r == 0x7f || r == 0xfffe || r == 0xffff:
			b.WriteRune('\uFFFD')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
