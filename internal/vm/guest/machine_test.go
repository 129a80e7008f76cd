package guest

import (
	"reflect"
	"testing"
)

func TestMachineText(t *testing.T) {
	m := Machine{
		Config: `{"process":{"args":["/bin/sh","-c","echo \"x\""]}}`, Terminal: true, Rows: 24, Columns: 80,
		Links: []Link{
			{Name: "eth0", MAC: [6]byte{2, 0, 0xff, 1, 2, 3}, MTU: 1500, Addresses: [][]byte{{1, 2}, {0, 255}}, Routes: [][]byte{{3}}},
			{Name: "eth1", Neighbours: [][]byte{{4, 5, 6}}},
		},
		Sysctls: []Sysctl{{"net/ipv4/ip_forward", "1"}, {"net/core/somaxconn", "100"}},
	}
	for _, m := range []Machine{m, {Config: "{}"}} {
		got, err := ParseMachine(string(m.Text()))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s is %+v, %v", m.Text(), got, err)
		}
	}
	if _, err := ParseMachine(`{"config":{},"links":[{"mac":"x"}]}`); err == nil {
		t.Error("an address that is not hexadecimal is one")
	}
}
