// Command image writes to stdout the image of a program that uses every kind
// of op. It is built and run for each architecture by the tests, since an
// image holds the interpreter of the binary that makes it.
package main

import (
	"os"

	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

func main() {
	p := stage.New()
	imm := stage.Imm
	say := func(s string) { p.Do("say", unix.SYS_WRITE, imm(1), p.Str(s), imm(len(s))) }

	// A result in a cell, used as an argument: dup stdout, write to the copy.
	fd := p.Cell()
	p.Do("dup", unix.SYS_DUP, imm(1)).To(fd)
	p.Do("say", unix.SYS_WRITE, fd.Val(), p.Str("cell\n"), imm(5))

	// A result inside a structure, by its address: an iovec's length.
	iov := p.U64(0, 0)
	text := p.Str("iovec\n")
	p.Ptr(iov, 0, text)
	p.Set(stage.CellAt(iov, 8), imm(6))
	p.Do("say", unix.SYS_WRITEV, imm(1), iov, imm(1))

	// Negative immediates are sign-extended; an errno may be ignored.
	p.Do("bad descriptor", unix.SYS_WRITE, imm(-1), text, imm(1)).Ignore(unix.EBADF)
	say("ignored\n")

	// A failure jumps, and its errno is in the record.
	failed, errno := p.NewLabel(), p.Cell()
	p.Do("bad descriptor", unix.SYS_WRITE, imm(99), text, imm(1)).To(errno).Else(failed)
	say("wrong: not failed\n")
	p.Place(failed)
	kept := p.Cell()
	p.Set(kept, p.FailedErrno())
	p.Require("EBADF in the record", kept.Val(), -1, int(unix.EBADF), unix.EPROTO)
	p.Require("-EBADF in the cell", errno.Val(), -1, -int(unix.EBADF), unix.EPROTO)
	say("else\n")

	// if, goto, masks.
	other, end := p.NewLabel(), p.NewLabel()
	p.If(imm(0xff), 0x0f, 0x0f, other)
	say("then\n")
	p.Goto(end)
	p.Place(other)
	say("wrong: else\n")
	p.Place(end)

	// A loop: read what a pipe holds, byte by byte, until the last.
	pipe := p.U32(0, 0)
	p.Do("pipe", unix.SYS_PIPE2, pipe, imm(unix.O_CLOEXEC))
	p.Do("fill", unix.SYS_WRITE, stage.CellAt(pipe, 4).Val(), p.Str("abc"), imm(3))
	p.Do("close", unix.SYS_CLOSE, stage.CellAt(pipe, 4).Val())
	buf, n, loop, out := p.Buffer(1), p.Cell(), p.NewLabel(), p.NewLabel()
	p.Place(loop)
	p.Do("read", unix.SYS_READ, stage.CellAt(pipe, 0).Val(), buf, imm(1)).To(n)
	p.If(n.Val(), -1, 1, out)
	p.Do("say", unix.SYS_WRITE, imm(1), buf, imm(1))
	p.Goto(loop)
	p.Place(out)
	say("\n")

	// Six arguments: an anonymous page through mmap, by address.
	page := p.Cell()
	p.Do("mmap", unix.SYS_MMAP, imm(0x10000000), imm(4096), imm(unix.PROT_READ|unix.PROT_WRITE),
		imm(unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED), imm(-1), imm(0)).To(page)
	p.Require("mmap's result", page.Val(), -1, 0x10000000, unix.EPROTO)

	// A child, an array of strings, a status: what a hook is made of.
	pid, status, child, parent := p.Cell(), p.Cell(), p.NewLabel(), p.NewLabel()
	zero := imm(0)
	p.Do("fork", unix.SYS_CLONE, imm(int(unix.SIGCHLD)), zero, zero, zero, zero).To(pid)
	p.If(pid.Val(), -1, 0, parent)
	p.Goto(child)
	p.Place(child)
	say("child\n")
	p.Do("exit", unix.SYS_EXIT_GROUP, imm(3))
	p.Place(parent)
	p.Do("reap", unix.SYS_WAIT4, pid.Val(), status.Addr(), zero, zero)
	p.Require("its status", status.Val(), 0xff00, 3<<8, unix.EPROTO)

	// EAGAIN is met by another try while there are any left: a read of a socket
	// that waits a millisecond, while a child writes after twenty.
	pair := p.U32(0, 0)
	p.Do("socketpair", unix.SYS_SOCKETPAIR, imm(unix.AF_UNIX), imm(unix.SOCK_STREAM), zero, pair)
	p.Do("timeout", unix.SYS_SETSOCKOPT, stage.CellAt(pair, 0).Val(), imm(unix.SOL_SOCKET), imm(unix.SO_RCVTIMEO), p.U64(0, 1000), imm(16))
	writer, reader := p.NewLabel(), p.NewLabel()
	p.Do("fork", unix.SYS_CLONE, imm(int(unix.SIGCHLD)), zero, zero, zero, zero).To(pid)
	p.If(pid.Val(), -1, 0, reader)
	p.Goto(writer)
	p.Place(writer)
	p.Do("sleep", unix.SYS_NANOSLEEP, p.U64(0, 20_000_000), zero)
	p.Do("write", unix.SYS_WRITE, stage.CellAt(pair, 4).Val(), p.Str("again\n"), imm(6))
	p.Do("exit", unix.SYS_EXIT_GROUP, zero)
	p.Place(reader)
	word := p.Buffer(6)
	p.Do("read", unix.SYS_READ, stage.CellAt(pair, 0).Val(), word, imm(6)).Again()
	p.Do("say", unix.SYS_WRITE, imm(1), word, imm(6))
	p.Do("reap", unix.SYS_WAIT4, pid.Val(), zero, zero, zero)
	enough := p.NewLabel()
	p.Do("read", unix.SYS_READ, stage.CellAt(pair, 0).Val(), word, imm(6)).Again().Else(enough)
	say("wrong: read\n")
	p.Place(enough)
	p.Set(kept, p.FailedErrno())
	p.Require("EAGAIN at last", kept.Val(), -1, int(unix.EAGAIN), unix.EPROTO)
	say("enough\n")

	// The failure handler, reached by a failed requirement, tells which op it
	// was and ends with the errno.
	p.Require("deliberate", imm(1), -1, 2, unix.EXDEV)
	say("wrong: required\n")
	p.Place(stage.Failure)
	code := p.Cell()
	p.Set(code, p.FailedErrno())
	say("failed\n")
	vec := p.Vec([]string{"/proc/self/exe", "second", ""})
	p.Do("no such program", unix.SYS_EXECVE, p.Str("/nonexistent"), vec, vec).Ignore(unix.ENOENT)
	p.Do("exit", unix.SYS_EXIT_GROUP, code.Val())

	os.Stdout.Write(p.Image())
}
