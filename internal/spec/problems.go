package spec

import "ostia/internal/json"

// Problems reads a config.json and returns all that Decode and Validate would
// refuse of it, whatever the host: *json.Error and *Error values. The Spec is
// nil if the text is no JSON, and without the values that were refused
// otherwise.
func Problems(text string) (*Spec, []error) {
	d := newDecoder(text)
	d.Lenient()
	s := decode(d)
	if err := d.End(); err != nil {
		return nil, append(d.Refused(), err)
	}
	all := d.Refused()
	seen := make(map[string]bool)
	for _, err := range all {
		if e, ok := err.(*json.Error); ok {
			seen[e.Pointer] = true
		}
	}
	for _, p := range append(s.extend(), s.problems()...) {
		if !seen[p.Pointer] { // what was passed over is not missing as well
			all = append(all, p)
		}
	}
	return s, all
}
