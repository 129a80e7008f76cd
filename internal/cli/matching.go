package cli

import (
	"errors"
	"strings"

	"ostia/internal/container"
)

var regexFlag = flag{name: "regex", short: 'r', kind: boolean, help: "CONTAINER is a POSIX extended regular expression for ids; grep(1) matches it"}

// eachMatching does something to every container whose id the regular
// expression matches, and goes on when one fails. None is no error.
//
// The match is crun's: regcomp(3) with REG_EXTENDED, anywhere in the id.
// grep -E is that, and costs nothing where it is not used: linking regexp
// would cost every start of ostia 60 to 80 µs.
func eachMatching(r *container.Runtime, expression string, do func(id string) error) error {
	all, unread := r.List()
	matching, err := outputOf("grep", []string{"-E", "-e", expression}, idLines(all))
	var failed *programError
	if errors.As(err, &failed) && failed.status.ExitStatus() == 1 {
		return unread // grep found nothing
	}
	if err != nil {
		return err
	}
	var errs []error
	if unread != nil {
		errs = append(errs, unread)
	}
	for id := range strings.Lines(matching) {
		if err := do(strings.TrimSuffix(id, "\n")); err != nil {
			errs = append(errs, err)
		}
	}
	return container.Join(errs)
}
