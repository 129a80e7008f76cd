package vm

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Twenty boots in a row: not one hangs or loses its status.
func TestBoots(t *testing.T) {
	full(t)
	dir := bundle(t, "exit 7", nil)
	for i := range 20 {
		r := ostia(t, "", "run", "--bundle", dir, fmt.Sprintf("%s-%d", name(t), i))
		r.want(t, 7, "")
		t.Logf("boot %d: %v", i+1, r.took)
	}
}

// Five machines at once have each their own output and status.
func TestFiveAtOnce(t *testing.T) {
	full(t)
	var all sync.WaitGroup
	for i := range 5 {
		dir := bundle(t, fmt.Sprintf("echo machine %d; sleep 2; exit %d", i, 10+i), func(c object) {
			annotate(c, "krun.ram_mib", "128")
			annotate(c, "org.ostia.vm.boot_seconds", "580") // five share one emulated processor
		})
		id := fmt.Sprintf("%s-%d", name(t), i)
		all.Go(func() {
			ostiaWithin(t, 10*time.Minute, "", "run", "--bundle", dir, id).want(t, 10+i, fmt.Sprintf("machine %d\n", i))
			nothingLeft(t, id)
		})
	}
	all.Wait()
}
