package cgroup

import "ostia/internal/spec"

func (t *tree) filterDevices([]spec.DeviceRule) error { return nil }
