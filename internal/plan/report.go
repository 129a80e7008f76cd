package plan

import (
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// A report is one message from the stage: six 32-bit words, then one word a
// candidate (the result of checking or executing it: 0 or a negated errno, 1
// when it was not tried), then the first bytes of a file or a message of the
// kernel.
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

// Unreadable in place of a head's length says that the file may be executed
// but not read.
const Unreadable = -1

// MaxReport is the size of the largest report of a plan with n candidates.
func MaxReport(n int) int { return ReportWords + 4*n + HeadSize }

// NotTried is a candidate's result before it is checked.
const NotTried = 1

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
	WantListener                      // value: the seccomp listener, a descriptor of the stage
)

// Go is the message that lets a waiting stage go on. Any longer one is a path
// to check, NUL-terminated.
const Go = "g"

type report struct {
	words   stage.Arg  // the fixed words and the results
	head    stage.Arg  // HeadSize bytes
	headLen stage.Cell // how many of them are meant
	iov     stage.Arg
}

// makeReport lays out the report.
func (c *compiler) makeReport() {
	words := make([]uint32, ReportWords/4+len(c.paths))
	for i := range c.paths {
		words[ReportWords/4+i] = NotTried
	}
	r := &c.report
	r.words = c.U32(words...)
	r.head = c.Buffer(HeadSize)
	r.iov = c.U64(0, uint64(4*len(words)), 0, 0)
	c.Ptr(r.iov, 0, r.words)
	c.Ptr(r.iov, 16, r.head)
	r.headLen = stage.CellAt(r.iov, 24)
}

// result is where the outcome of candidate i is kept.
func (c *compiler) result(i int) stage.Cell {
	return stage.CellAt(c.report.words, ReportWords+4*i)
}

func (c *compiler) reportWord(off int) stage.Cell { return stage.CellAt(c.report.words, off) }

// send reports the words as they are, and the head.
func (c *compiler) send() {
	c.Do("report", unix.SYS_WRITEV, stage.Imm(c.in.FDs.Sync), c.report.iov, stage.Imm(2))
}

// milestone reports m. value 0 is left as it is.
func (c *compiler) milestone(m Milestone) {
	c.Set(c.reportWord(ReportOp), stage.Imm(0))
	c.Set(c.reportWord(ReportErrno), stage.Imm(int(m)))
	c.send()
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
	bare := c.NewLabel()
	if c.fsfd != 0 {
		// The filesystem context has a sentence about what it refused.
		c.Set(c.report.headLen, stage.Imm(0))
		c.Do("read message", unix.SYS_READ, c.fsfd.Val(), c.report.head, stage.Imm(HeadSize)).To(c.report.headLen).Else(bare)
		sent := c.NewLabel()
		c.Goto(sent)
		c.Place(bare)
		c.Set(c.report.headLen, stage.Imm(0))
		c.Place(sent)
	}
	end := c.NewLabel()
	c.Do("report", unix.SYS_WRITEV, stage.Imm(c.in.FDs.Sync), c.report.iov, stage.Imm(2)).Else(end)
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
	c.Set(c.report.headLen, stage.Imm(0))
	c.check(path, verdict, bad)
	c.readHead(path)
	c.Place(bad)
	c.milestone(Probed)
	c.Goto(loop)
}
