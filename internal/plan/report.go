package plan

import (
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// A report is one message from the stage, sent by write(2), which every
// sensible seccomp filter allows: six 32-bit words, then one word a candidate
// (Tried, a negated errno, or 0 when its turn did not come), then the first
// bytes of a file or a message of the kernel.
const (
	ReportOp    = 0  // address of the failed op, 0 for a milestone
	ReportErrno = 4  // its errno, or the milestone
	ReportValue = 8  // of the milestone
	ReportHead  = 12 // length of the file's head that follows, or Unreadable
	ReportSize  = 16 // that file's length in bytes, 64 bits
	ReportWords = 24 // the candidates' results begin here
)

// HeadSize is how much of a file a report carries at most.
const HeadSize = 4096

// HomeSize is the most that HOME=FOLDER and its NUL may take.
const HomeSize = 4096

// Unreadable in place of a head's length says that the file may be executed
// but not read.
const Unreadable = -1

// MaxReport is the size of the largest report of a plan with n candidates.
func MaxReport(n int) int { return ReportWords + 4*n + HeadSize }

// Tried is the result of a candidate that may be executed.
const Tried = 1

// Milestone is what a stage reports when nothing has failed.
type Milestone uint32

const (
	Forked       Milestone = 1 + iota // value: pid of the process that goes on
	WantMaps                          // waits for its user namespace's mappings
	WantHooks                         // waits for the prestart and createRuntime hooks
	WantWord                          // waits to be judged; the head is the entry point's
	Probed                            // value: errno of the check asked for; the head is that file's
	WantCopyUp                        // value: the directory to copy, head length: the tmpfs to copy it to, as descriptors of the stage
	WantTarget                        // value: a descriptor of the stage; head length: which of Plan.Targets to make below it
	WantDevices                       // waits for network devices in its network namespace
	WantMode                          // value: the mode of a file; waits for its permissions in four octal digits
	WantHome                          // waits for the text HOME=FOLDER
	WantListener                      // value: the seccomp listener, a descriptor of the stage
	WantCgroup                        // waits to be put into its cgroup
	WantIDMap                         // value: a detached mount, a descriptor of the stage; head length: which of the mounts, whose ids to map
)

// Go is the message that lets a waiting stage go on. Any longer one is a path
// to check, NUL-terminated.
const Go = "g"

type report struct {
	words stage.Arg // the fixed words and the results
	head  stage.Arg // HeadSize bytes behind them
	fixed int       // length of what is before the head
}

// makeReport lays out the report.
func (c *compiler) makeReport() {
	fixed := ReportWords + 4*len(c.paths)
	words := c.Buffer(fixed + HeadSize)
	c.report = report{words, words.Plus(fixed), fixed}
}

// result is where the outcome of candidate i is kept.
func (c *compiler) result(i int) stage.Cell {
	return stage.CellAt(c.report.words, ReportWords+4*i)
}

func (c *compiler) reportWord(off int) stage.Cell { return stage.CellAt(c.report.words, off) }

// send reports the words as they are, with the head or without.
func (c *compiler) send(head bool) stage.Op {
	n := c.report.fixed
	if head {
		n += HeadSize
	}
	return c.Do("report", unix.SYS_WRITE, stage.Imm(c.in.FDs.Sync), c.report.words, stage.Imm(n))
}

// milestone reports m. The value is left as it is.
func (c *compiler) milestone(m Milestone) {
	c.Set(c.reportWord(ReportOp), stage.Imm(0))
	c.Set(c.reportWord(ReportErrno), stage.Imm(int(m)))
	c.send(m == WantWord || m == Probed)
}

// await waits for the runtime's word to go on; a runtime that is gone ends
// the stage.
func (c *compiler) await() {
	n := c.Cell()
	c.Do("wait for the runtime", unix.SYS_READ, stage.Imm(c.in.FDs.Sync), c.report.head, stage.Imm(1)).To(n)
	c.Require("the runtime is gone", n.Val(), -1, 1, unix.EPIPE)
}

// failure is the handler that an op without an Else goes to: it reports the
// op and its errno, answers questions, and ends.
func (c *compiler) failure() {
	c.Place(stage.Failure)
	c.About("", -1, "")
	c.Set(c.reportWord(ReportOp), c.FailedOp())
	c.Set(c.reportWord(ReportErrno), c.FailedErrno())
	c.Set(c.reportWord(ReportHead), stage.Imm(0))
	if c.fsfd != 0 {
		// The filesystem context has a sentence about what it refused.
		silent := c.NewLabel()
		c.Do("read message", unix.SYS_READ, c.fsfd.Val(), c.report.head, stage.Imm(HeadSize)).To(c.reportWord(ReportHead)).Else(silent)
		c.Place(silent)
	}
	end := c.NewLabel()
	c.send(c.fsfd != 0).Else(end)
	c.answer(end, end)
	c.Place(end)
	c.exit(125)
}

// exit ends the process. Should a seccomp filter forbid even that, a bad
// address does.
func (c *compiler) exit(status int) {
	crash := c.NewLabel()
	c.Do("exit", unix.SYS_EXIT_GROUP, stage.Imm(status)).Else(crash)
	c.Place(crash)
	c.Crash()
}

// answer waits for the runtime's word and answers its questions: a path is
// checked as this process and its first bytes are reported. Go leads to goOn,
// the runtime's end to gone.
func (c *compiler) answer(goOn, gone stage.Label) {
	loop, end, probe, bad := c.NewLabel(), c.NewLabel(), c.NewLabel(), c.NewLabel()
	path, n, verdict := c.report.head, c.Cell(), c.reportWord(ReportValue)
	c.Place(loop)
	c.Do("wait for the runtime", unix.SYS_READ, stage.Imm(c.in.FDs.Sync), path, stage.Imm(HeadSize)).To(n).Else(gone)
	c.If(n.Val(), -1, 1, end)
	c.Goto(goOn)
	c.Place(end)
	c.If(n.Val(), -1, 0, probe)
	c.Goto(gone)
	c.Place(probe)
	c.check(path, verdict, bad)
	c.readHead(path)
	c.Place(bad)
	c.milestone(Probed)
	c.Goto(loop)
}
