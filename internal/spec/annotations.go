package spec

import "strconv"

// The annotations that change what ostia does, by the names that crun gave
// them (docs/annotations.md).
const (
	annotationHookStdout    = "run.oci.hooks.stdout"
	annotationHookStderr    = "run.oci.hooks.stderr"
	annotationKeepGroups    = "run.oci.keep_original_groups"
	annotationMountContext  = "run.oci.mount_context_type"
	annotationPidfdReceiver = "run.oci.pidfd_receiver"
	annotationFailUnknown   = "run.oci.seccomp_fail_unknown_syscall"
	annotationReceiver      = "run.oci.seccomp.receiver"
)

// Those of the systemd cgroup driver.
const (
	AnnotationSubgroup = "run.oci.systemd.subgroup"
	AnnotationProperty = "org.systemd.property." // and the property's name
)

// Those of ostia's own.
const (
	annotationLandlockRead    = "org.ostia.landlock.read-only"
	annotationLandlockWrite   = "org.ostia.landlock.read-write"
	annotationLandlockExecute = "org.ostia.landlock.execute"
)

// UnsafeAnnotations are all of these: an engine that takes annotations from
// somebody it does not trust must not pass them on
// (features.md#unsafe-annotations-in-configjson).
func UnsafeAnnotations() []string {
	return []string{annotationLandlockExecute, annotationLandlockRead, annotationLandlockWrite, AnnotationProperty, annotationHookStderr, annotationHookStdout, annotationKeepGroups, annotationMountContext, annotationPidfdReceiver,
		annotationReceiver, annotationFailUnknown, AnnotationSubgroup}
}

// Extensions are what annotations ask for beyond the specification.
type Extensions struct {
	HookStdout, HookStderr string // files that hooks append to, on the host; "" for none
	KeepGroups             bool   // the caller's supplementary groups stay
	MountContext           string // the mount option of linux.mountLabel (selinux(8)); "" is context
	PidfdReceiver          string // AF_UNIX socket that gets a pidfd of the first process
	Landlock               []LandlockRule
}

// extend reads the annotations into Extensions and returns what is wrong with
// them. A switch is on unless it is "0", as with crun.
func (s *Spec) extend() (p problems) {
	if len(s.Annotations) == 0 {
		return nil
	}
	x := &s.Extensions
	for _, name := range UnsafeAnnotations() {
		value, ok := s.Annotations[name]
		if !ok {
			continue
		}
		path := func() string {
			if value == "" || value[0] != '/' {
				p.refuse("annotations."+name, strconv.Quote(value)+" is not an absolute path")
			}
			return value
		}
		switch name {
		case annotationLandlockExecute:
			p = append(p, s.landlock(name, LandlockExecute, value)...)
		case annotationLandlockRead:
			p = append(p, s.landlock(name, LandlockRead, value)...)
		case annotationLandlockWrite:
			p = append(p, s.landlock(name, LandlockWrite, value)...)
		case annotationHookStdout:
			x.HookStdout = path()
		case annotationHookStderr:
			x.HookStderr = path()
		case annotationKeepGroups:
			x.KeepGroups = value != "0"
		case annotationMountContext:
			switch value {
			case "context", "fscontext", "defcontext", "rootcontext":
				x.MountContext = value
			default:
				p.refuse("annotations."+name, strconv.Quote(value)+" is not context, fscontext, defcontext or rootcontext")
			}
		case annotationPidfdReceiver:
			x.PidfdReceiver = path()
		case annotationFailUnknown:
			if s.Linux.Seccomp != nil {
				s.Linux.Seccomp.FailUnknown = value != "0"
			}
		case annotationReceiver:
			if receiver := path(); s.Linux.Seccomp != nil && s.Linux.Seccomp.ListenerPath == "" {
				s.Linux.Seccomp.ListenerPath = receiver
			}
		}
	}
	return p
}
