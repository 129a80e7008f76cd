package seccomp

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"ostia/internal/spec"
)

type oracle struct {
	in  *bufio.Writer
	out io.Reader
	scr map[string]int32
}

var tokens = map[string]uint32{"SCMP_ARCH_X86_64": 0xc000003e, "SCMP_ARCH_X32": 0x4000003e, "SCMP_ARCH_X86": 0x40000003, "SCMP_ARCH_AARCH64": 0xc00000b7, "SCMP_ARCH_ARM": 0x40000028, "SCMP_ARCH_S390X": 0x80000016}

func (o *oracle) nr(name, arch string) int32 {
	if v, ok := o.scr[name+arch]; ok {
		return v
	}
	fmt.Fprintf(o.in, "N %s %d\n", name, tokens[arch])
	o.in.Flush()
	var v int32
	binary.Read(o.out, binary.LittleEndian, &v)
	o.scr[name+arch] = v
	return v
}

func (o *oracle) compile(s *spec.Seccomp, opt int) ([]byte, uint32) {
	def := value(s.DefaultAction, s.DefaultErrnoRet)
	fmt.Fprintf(o.in, "P %d %d\n", def, opt)
	for _, a := range s.Architectures {
		if tokens[a] != 0 && a != "SCMP_ARCH_S390X" && a != "SCMP_ARCH_AARCH64" && a != "SCMP_ARCH_ARM" {
			fmt.Fprintf(o.in, "A %d\n", tokens[a])
		}
	}
	ops := map[string]int{"SCMP_CMP_NE": 1, "SCMP_CMP_LT": 2, "SCMP_CMP_LE": 3, "SCMP_CMP_EQ": 4, "SCMP_CMP_GE": 5, "SCMP_CMP_GT": 6, "SCMP_CMP_MASKED_EQ": 7}
	for _, r := range s.Syscalls {
		v := value(r.Action, r.ErrnoRet)
		if v == def {
			continue
		}
		var cnt [6]int
		multi := false
		for _, a := range r.Args {
			cnt[a.Index]++
			multi = multi || cnt[a.Index] > 1
		}
		for _, n := range r.Names {
			one := func(args []spec.SeccompArg) {
				fmt.Fprintf(o.in, "R %d %s %d", v, n, len(args))
				for _, a := range args {
					fmt.Fprintf(o.in, " %d %d %d %d", a.Index, ops[a.Op], a.Value, a.ValueTwo)
				}
				fmt.Fprintln(o.in)
			}
			if multi {
				for i := range r.Args {
					one(r.Args[i : i+1])
				}
			} else {
				one(r.Args)
			}
		}
	}
	fmt.Fprintln(o.in, "E")
	o.in.Flush()
	var n uint32
	binary.Read(o.out, binary.LittleEndian, &n)
	if n&0x80000000 != 0 {
		return nil, n & 0x7fffffff
	}
	b := make([]byte, n)
	io.ReadFull(o.out, b)
	return b, 0
}

func TestOracle(t *testing.T) {
	cmd := exec.Command("/tmp/sec/oracle")
	w, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &oracle{bufio.NewWriter(w), bufio.NewReader(out), map[string]int32{}}
	// tables
	if os.Getenv("TABLES") != "" {
		for i := range calls {
			for _, a := range []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"} {
				v := o.nr(calls[i].name, a)
				if v == -1 {
					continue
				}
				n, ok := numberOf(calls[i].name, a)
				if a == "SCMP_ARCH_X32" && ok {
					n |= 1 << 30
				}
				if ok != (v >= 0) || ok && int32(n) != v {
					t.Logf("%s %s: ours %v %v, libseccomp %d", calls[i].name, a, n, ok, v)
				}
			}
		}
	}
	N := 2000
	if v, err := strconv.Atoi(os.Getenv("N")); err == nil {
		N = v
	}
	libwrong, bad, same, ref, lref, orefonly := 0, 0, 0, 0, 0, 0
	start, _ := strconv.Atoi(os.Getenv("START"))
	for seed := start; seed < start+N; seed++ {
		r := random{rand.New(rand.NewPCG(uint64(seed), 7))}
		s := r.profile()
		for i := range s.Syscalls { // drop what libseccomp doesn't know
			var names []string
			for _, n := range s.Syscalls[i].Names {
				if o.nr(n, "SCMP_ARCH_X86_64") != -1 {
					if n != "map_shadow_stack" && !slices.Contains(names, n) { names = append(names, n) }
				}
			}
			s.Syscalls[i].Names = names
		}
		f, err := Compile(s, "amd64")
		opt := 1
		if len(s.Syscalls) > 3 { opt = 2 }
		b, e := o.compile(s, opt)
		if err != nil || e != 0 {
			if err != nil && e != 0 {
				ref++
			} else if err != nil {
				orefonly++
				if orefonly < 5 {
					t.Logf("seed %d: only ours refuses: %v", seed, err)
				}
			} else {
				lref++
				if lref < 5 {
					t.Logf("seed %d: only libseccomp refuses: %d %+v", seed, e, s)
				}
			}
			continue
		}
		for range 300 {
			c := r.call(s)
			x, err := interpret(f.Program, c)
			if err != nil {
				t.Fatal(err)
			}
			y, err := interpret(b, c)
			if err != nil {
				t.Fatalf("lib: %v", err)
			}
			if x == 0x00050000|38 {
				same++
				continue
			}
			if x != y && !slices.Contains(outcomes(s, "amd64", c), y) {
				libwrong++
				break
			}
			if x != y {
				bad++
				if bad < 12 {
					t.Errorf("seed %d %v: ours %#x libseccomp %#x default %s %v, plain %#x", seed, c, x, y, s.DefaultAction, s.Architectures, outcomes(s, "amd64", c))
					for i, r := range s.Syscalls {
						for _, n := range r.Names {
							for _, a := range []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86"} {
								nr, ok := numberOf(n, a)
								if ok && nr == c.nr&^(1<<30) {
									t.Logf("   %d %s %s -> %s %v %+v", i, a, n, r.Action, value(r.Action, r.ErrnoRet), r.Args)
								}
							}
						}
					}
				}
				break
			}
			same++
		}
	}
	t.Logf("libseccomp wrong %d same %d, differing profiles %d, both refuse %d, only libseccomp %d, only ours %d", libwrong, same, bad, ref, lref, orefonly)
}

func TestOracleDocker(t *testing.T) {
	cmd := exec.Command("/tmp/sec/oracle")
	w, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &oracle{bufio.NewWriter(w), bufio.NewReader(out), map[string]int32{}}
	s := docker(t)
	f, _ := Compile(s, "amd64")
	b, e := o.compile(s, 2)
	if e != 0 {
		t.Fatal(e)
	}
	r := random{rand.New(rand.NewPCG(5, 7))}
	n, enosys := 0, 0
	diff := map[string]int{}
	for _, arch := range []uint32{0xc000003e, 0x40000003, 0xc00000b7} {
		for _, bit := range []uint32{0, 1 << 30} {
			for nr := uint32(0); nr < 600; nr++ {
				for range 200 {
					c := r.call(s)
					c.arch, c.nr = arch, nr|bit
					x, _ := interpret(f.Program, c)
					y, _ := interpret(b, c)
					n++
					if x != y {
						if x == 0x50000|38 && nr > 450 {
							enosys++
							continue
						}
						diff[fmt.Sprintf("arch %#x nr %#x ours %#x lib %#x", arch, c.nr, x, y)]++
					}
				}
			}
		}
	}
	t.Logf("%d calls, %d enosys instead, lib %d instructions", n, enosys, len(b)/8)
	for k, v := range diff {
		t.Log(k, v)
	}
}
