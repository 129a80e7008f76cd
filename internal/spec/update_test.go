package spec

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestMerge(t *testing.T) {
	for _, c := range []struct{ config, update, want string }{
		{`{"ociVersion":"1.3.0","x":{"y":[1]}}`, `{"pids":{"limit":3}}`,
			`{"ociVersion":"1.3.0","x":{"y":[1]},"linux":{"resources":{"pids":{"limit":3}}}}`},
		{`{"linux":null}`, `{"cpu":{"cpus":"0"}}`, `{"linux":{"resources":{"cpu":{"cpus":"0"}}}}`},
		{`{"linux":{"resources":{"memory":{"limit":1,"swap":2},"pids":{"limit":3}}}}`, `{"memory":{"limit":5,"swap":null}}`,
			`{"linux":{"resources":{"memory":{"limit":5,"swap":2},"pids":{"limit":3}}}}`},
		// Device rules are not an update's business, other members of that name are.
		{`{"linux":{"devices":[{"path":"/dev/x"}],"resources":{"devices":[{"allow":false}]}}}`, `{"devices":[{"allow":true}]}`,
			`{"linux":{"devices":[{"path":"/dev/x"}],"resources":{"devices":[{"allow":false}]}}}`},
		// A list keeps one element for a device, however often it is updated.
		{`{"linux":{"resources":{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":16,"rate":1}]}}}}`,
			`{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":16,"rate":2},{"major":9,"minor":0,"rate":3}]}}`,
			`{"linux":{"resources":{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":16,"rate":2},{"major":9,"minor":0,"rate":3}]}}}}`},
		{`{"linux":{"resources":{"hugepageLimits":[{"pageSize":"2MB","limit":1}]}}}`, `{"hugepageLimits":[{"pageSize":"2MB","limit":7}]}`,
			`{"linux":{"resources":{"hugepageLimits":[{"pageSize":"2MB","limit":7}]}}}`},
	} {
		got, err := Merge(c.config, `{"linux":{"resources":`+c.update+`}}`)
		if err != nil {
			t.Errorf("%s: %v", c.update, err)
			continue
		}
		if !reflect.DeepEqual(value(t, got), value(t, c.want)) {
			t.Errorf("%s\nbecame %s\nwant   %s", c.update, got, c.want)
		}
	}
	if _, err := Merge(`{}`, `{"linux":{"resources":{"hugepageLimits":[7]}}}`); err == nil {
		t.Error("a list of numbers was merged")
	}
}

func value(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// FuzzMerge holds that what is merged is JSON and decodes as the
// update says.
func FuzzMerge(f *testing.F) {
	f.Add(`{"linux":{"resources":{"memory":{"limit":1}}}}`, `{"memory":{"limit":5},"unified":{"a.b":"c"}}`)
	f.Add(`{}`, `{"blockIO":{"weightDevice":[{"major":1,"minor":2,"weight":10}]},"rdma":{"a":{"hcaHandles":3}}}`)
	f.Fuzz(func(t *testing.T, config, update string) {
		want, err := DecodeResources(update)
		if _, bad := Decode(config); err != nil || bad != nil {
			return
		}
		merged, err := Merge(config, `{"linux":{"resources":`+update+`}}`)
		if err != nil {
			return
		}
		got, err := Decode(merged)
		if err != nil {
			t.Fatalf("%s: %v", merged, err)
		}
		if want.Memory != nil && want.Memory.Limit != nil && *got.Linux.Resources.Memory.Limit != *want.Memory.Limit {
			t.Errorf("%s lost memory.limit", merged)
		}
		if want.Pids != nil && want.Pids.Limit != nil && *got.Linux.Resources.Pids.Limit != *want.Pids.Limit {
			t.Errorf("%s lost pids.limit", merged)
		}
	})
}
