package container

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"ostia/internal/file"
	"ostia/internal/json"
	"ostia/internal/spec"
)

// Problem is one thing of a bundle that is wrong.
type Problem struct {
	Pointer string // the member of config.json; may be empty
	Line    int    // of config.json, 0 where it is not known
	Reason  string
	Advice  string // the way out, where the reason does not say it; may be empty
	Warning bool   // the bundle would run, but hardly as it was meant
}

// Check returns every problem of a bundle on this host: what Create would
// refuse, and members of the configuration that nothing acts on. It makes
// nothing. The error is about a bundle that cannot be read.
func (r *Runtime) Check(bundle, config string) ([]Problem, error) {
	c := &check{creation: creation{r: r, o: &CreateOptions{ID: "check", Bundle: bundle, Config: config}}}
	path, err := c.readText()
	if err != nil {
		return nil, failed("config", path, err)
	}
	s, errs := spec.Problems(c.config)
	for _, err := range errs {
		c.add(err)
	}
	for _, err := range spec.Unknown(c.config) {
		c.add(err)
		c.list[len(c.list)-1].Warning = true
	}
	if s != nil {
		c.spec = s
		c.host()
	}
	return c.list, nil
}

// check is a check under way.
type check struct {
	creation
	list []Problem
}

// readText reads the configuration and returns its path.
func (c *creation) readText() (path string, err error) {
	wd, err := os.Getwd()
	if err != nil {
		return ".", err
	}
	c.bundle = absolute(wd, c.o.Bundle)
	path = c.bundle + "/config.json"
	if c.o.Config != "" {
		path = absolute(wd, c.o.Config)
	}
	if c.config, err = file.Read(path); err != nil {
		return path, c.explainMissing(err)
	}
	return path, nil
}

// add is a problem that an error is, with the advice that explain would give.
func (c *check) add(err error) {
	p := Problem{Reason: err.Error()}
	var text *json.Error
	var config *spec.Error
	switch {
	case errors.As(err, &text):
		p.Pointer, p.Line, p.Reason = text.Pointer, text.Line, text.Reason
	case errors.As(err, &config):
		p.Pointer, _, _ = strings.Cut(config.Pointer, " ")
		p.Reason = config.Err.Error()
		if _, subject, ok := strings.Cut(config.Pointer, " "); ok {
			p.Reason = subject + ": " + p.Reason
		}
	}
	if p.Advice = advice(err, p.Pointer); p.Advice == adviceCheck {
		p.Advice = ""
	}
	for i := range c.list {
		if c.list[i].Pointer == p.Pointer && c.list[i].Reason == p.Reason {
			return
		}
	}
	c.list = append(c.list, p)
}

// refuse is a problem about a member; err may be nil.
func (c *check) refuse(pointer string, err error) {
	if err != nil {
		c.add(&spec.Error{Pointer: pointer, Err: err})
	}
}

func element(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }
