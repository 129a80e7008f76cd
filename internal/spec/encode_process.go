package spec

import "ostia/internal/json"

// Encode is the process object as a config.json has it, without what concerns
// the host alone: security labels, scheduling and CPUs.
func (p *Process) Encode() []byte {
	e := json.NewEncoder("")
	e.Object(func() {
		e.Key("terminal").Bool(p.Terminal)
		e.Key("user").Object(func() { p.User.encode(e) })
		e.Key("args").Strings(p.Args)
		e.Key("env").Strings(p.Env)
		e.Key("cwd").String(p.Cwd)
		if c := p.Capabilities; c != nil {
			e.Key("capabilities").Object(func() { c.encode(e) })
		}
		e.Key("rlimits").Array(func() {
			for _, r := range p.Rlimits {
				e.Object(func() {
					e.Key("type").String(RlimitName(r.Type))
					e.Key("soft").Uint(r.Soft)
					e.Key("hard").Uint(r.Hard)
				})
			}
		})
		e.Key("noNewPrivileges").Bool(p.NoNewPrivileges)
		if p.OOMScoreAdj != nil {
			e.Key("oomScoreAdj").Int(int64(*p.OOMScoreAdj))
		}
	})
	return e.Bytes()
}

func (u *User) encode(e *json.Encoder) {
	e.Key("uid").Uint(uint64(u.UID))
	e.Key("gid").Uint(uint64(u.GID))
	if u.Umask != nil {
		e.Key("umask").Uint(uint64(*u.Umask))
	}
	e.Key("additionalGids").Array(func() {
		for _, g := range u.AdditionalGids {
			e.Uint(uint64(g))
		}
	})
}

func (c *Capabilities) encode(e *json.Encoder) {
	for _, set := range [...]struct {
		name string
		bits uint64
	}{{"bounding", c.Bounding}, {"effective", c.Effective}, {"inheritable", c.Inheritable}, {"permitted", c.Permitted}, {"ambient", c.Ambient}} {
		e.Key(set.name).Array(func() {
			for bit := 0; CapabilityName(bit) != ""; bit++ {
				if set.bits>>bit&1 != 0 {
					e.String(CapabilityName(bit))
				}
			}
		})
	}
}
