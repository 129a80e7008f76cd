package spec

import (
	"strings"
	"testing"
)

// TestCapitals: runc's decoder takes a name in other capitals for the same, and
// so does this one, except where names are free or both are there.
func TestCapitals(t *testing.T) {
	s, err := Decode(`{"ociVersion":"1.0.0","Root":{"Path":"rootfs"},"annotations":{"CPU":"mine"},
		"linux":{"sysctl":{"Path":"x"},"resources":{"CPU":{"Cpus":"0","MEMS":"1"},"hugepageLimits":[{"pagesize":"2MB","limit":1}],"UNKNOWN":{"CPU":{"Cpus":"7"}}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Linux.Resources
	if s.Root.Path != "rootfs" || r.CPU == nil || r.CPU.Cpus != "0" || r.CPU.Mems != "1" || r.HugepageLimits[0].PageSize != "2MB" {
		t.Errorf("root %+v, cpu %+v, huge pages %+v", s.Root, r.CPU, r.HugepageLimits)
	}
	if s.Annotations["CPU"] != "mine" || len(s.Linux.Sysctl) != 1 {
		t.Errorf("annotations %v, sysctl %v", s.Annotations, s.Linux.Sysctl)
	}
	_, err = Decode(`{"linux":{"RESOURCES":{"Memory":{"Limit":"x"}}}}`)
	if err == nil || !strings.HasPrefix(err.Error(), "linux.resources.memory.limit: ") {
		t.Errorf("a wrong value: %v", err)
	}
	if u, err := DecodeResources(`{"CPU":{"Shares":7}}`); err != nil || u.CPU == nil || *u.CPU.Shares != 7 {
		t.Errorf("an update: %+v, %v", u, err)
	}
	// Deep in what nobody wants, the time is no power of the depth.
	deep := strings.Repeat(`{"ROOT":`, 60) + "1" + strings.Repeat("}", 60)
	if _, err := Decode(`{"VM":` + deep + `}`); err != nil {
		t.Error(err)
	}
}
