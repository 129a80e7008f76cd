# The verbs of a day. `make` builds; `make demo` and `make test` are all that a fresh machine needs.

GO      ?= go
PREFIX  ?= /usr/local
RUNTIME ?= $(CURDIR)/ostia
# What comes from Debian's packages and must outlive a clone.
export OSTIA_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ostia
export BUSYBOX     ?= $(OSTIA_CACHE)/busybox-static/bin/busybox
export CGO_ENABLED  = 0
export RUNTIME

# A start of the Go 1.26 runtime is about 0.1 ms shorter without its new garbage collector; measure again with every release.
# The commit is what `docker info` shows.
BUILD = GOEXPERIMENT=nogreenteagc $(GO) build -trimpath $(OVERLAY) -ldflags "-s -w -X ostia/internal/cli.commit=$(COMMIT) $(GODEBUG_DEFAULT)"
# What is replaced of that Go version says why in toolchain/; another version is left as it is. A start then takes no stack of its first
# allocations for a profile that nobody reads, 4 % of an exec; //go:debug does not know that setting.
ifneq ($(filter go1.26 go1.26.% go1.26-% go1.26rc%,$(shell $(GO) env GOVERSION)),)
OVERLAY = -overlay build/overlay.json
GODEBUG_DEFAULT = -X runtime.godebugDefault=updatemaxprocs=0,profstackdepth=0
endif
COMMIT := $(shell git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null)

# Tests on real containers, each a binary that runs in its own folder: here, with a private cgroup2 here, in the guest.
# Machines want a host with KVM: test-vm has one.
BEHAVIOUR = $(filter-out test/vm test/build,$(patsubst %/,%,$(dir $(wildcard test/*_test.go test/*/*_test.go))))
behaviour = $(filter-out test/engines,$(sort $(BEHAVIOUR)))

.PHONY: all demo test unit cross behaviour guest engines engines-smoke test-vm test-vm-full test-vm-deps demo-vm bench bench-all bench-vm fuzz lint install deb clean

all: build/overlay.json
	@$(BUILD) -o ostia ./cmd/ostia
	@$(BUILD) -o ostia-vmm ./cmd/ostia-vmm
	@$(BUILD) -o ostia-kernel ./cmd/ostia-kernel
	@$(BUILD) -o ostia-criu ./cmd/ostia-criu

build/overlay.json: FORCE
ifdef OVERLAY
	@mkdir -p $(@D)
	@GOOS= GOARCH= $(GO) run toolchain/overlay.go "$$($(GO) env GOROOT)" $(@D)
endif

demo: all
	@test/deps demo
	@demo/run $(CURDIR)/ostia

test: all
	@test/deps test
	@$(MAKE) --no-print-directory cross unit fuzz FUZZTIME=3s
	@$(MAKE) --no-print-directory behaviour guest guest-systemd engines-smoke test-vm
	@echo "test: everything passed"

# The other architectures that ostia promises must compile, tests too.
cross:
	@for arch in amd64 arm64 riscv64; do echo "cross: $$arch"; GOARCH=$$arch $(GO) vet ./... || exit 1; done

unit:
	@echo "unit: every package without a container"
	@$(GO) test $$($(GO) list ./... | grep -v '^ostia/test')
	@$(GO) test -run 'TestArchitecture' ./test
	@echo "unit: two builds are one, and the Debian package"
	@$(GO) test -count=1 ./test/build

build/%.test: FORCE
	@mkdir -p $(@D)
	@$(GO) test -c -o $@ ./$*
FORCE:

behaviour: $(behaviour:%=build/%.test)
	@for dir in $(behaviour); do \
		echo "behaviour: $$dir on this machine"; \
		(cd $$dir && $(CURDIR)/build/$$dir.test -test.timeout 20m) || exit 1; \
		[ "$$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] || continue; \
		echo "behaviour: $$dir on this machine with a private cgroup2"; \
		(cd $$dir && $(CURDIR)/test/private-cgroup2 $(CURDIR)/build/$$dir.test -test.timeout 20m) || exit 1; \
	done
	@echo "behaviour: test on this machine as on Linux 5.14"
	@cd test && LIKE_KERNEL=5.14 ../build/test.test -test.timeout 20m -test.run 'TestLikeKernel|TestEntryPoints|TestBehaviour/(exec|hooks|kill|lifecycle|mounts-.*|process|rootfs|run-status|seccomp|terminal|userns)$$'

# Two guests at once, of one thread each (test/guest says why), with a share of the tests that takes about as long as the others'.
guest: $(behaviour:%=build/%.test)
	@$(GO) build -o build/guest ./test/guest
	@echo "guest: cgroup v2 guests, two at a time (emulated, about ten times slower)"
	@$(MAKE) --no-print-directory -j2 --output-sync=target guest-a-l guest-m-z guest-repeated guest-v1 guest-newest
in_guest = build/guest -t 45m $(1) -- sh -c 'cd test && exec "$$@"' sh ../build/test.test -test.timeout 40m $(2) </dev/null
.PHONY: guest-a-l guest-m-z guest-repeated guest-v1 guest-newest
guest-a-l guest-m-z:
	@$(call in_guest,,-test.run 'TestBehaviour/^[$(@:guest-%=%)]')
	@echo "$@: scenarios by their first letters"
guest-repeated:
	@$(call in_guest,,-test.skip '^TestBehaviour$$')
	@echo "$@: entry points, races, killed runtimes, reliability"
guest-v1:
	@$(call in_guest,-append "lsm=selinux guest_cgroup=legacy",-test.run 'TestBehaviour/^(selinux|resources-v1|mounts-cgroup|update|events|pause|lifecycle|without-clone3|entrypoint-rules)$$')
	@echo "$@: SELinux in place of AppArmor, cgroup v1 with joint hierarchies in place of v2"
guest-newest:
	@test/deps newest
	@$(call in_guest,-newest,-test.run 'TestBehaviour/^(apparmor|cgroups|checkpoint.*|delete|devices|exec|hooks|lifecycle|masked|mounts.*|namespaces.*|process|rootfs.*|run-status|security.*|terminal.*|userns)$$')
	@echo "guest-newest: mounts, namespaces and checkpoints on the newest kernel that Debian has a package of"

# A thousand containers, and the same for killed runtimes and a host that has run out of things: about 4 minutes.
.PHONY: test-reliability
test-reliability: all build/test.test
	@test/deps demo
	@cd test && ../build/test.test -test.timeout 20m -test.run TestReliability -thousand -test.v

# The systemd cgroup driver, as root and as a user with a manager of its own, and on cgroup v1: legacy and hybrid.
.PHONY: guest-systemd
guest-systemd: all build/test.test
	@$(GO) build -o build/guest ./test/guest
	@echo "guest-systemd: test in a guest that systemd has booted"
	@for v1 in "" "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1" systemd.unified_cgroup_hierarchy=0; do \
		build/guest -systemd -t 15m -append "$$v1" -- sh -c 'cd test && exec $(CURDIR)/build/test.test -test.timeout 12m -test.run TestSystemd' </dev/null || exit 1; done

# The fork in assembly and the core scripts on arm64's kernel, emulated: about two minutes of a CPU.
.PHONY: guest-arm64
arm64_scripts ?= exec lifecycle run-status process hooks kill
guest-arm64: build/overlay.json
	@test/deps arm64
	@$(GO) build -o build/guest ./test/guest
	@mkdir -p build/arm64
	@GOARCH=arm64 $(BUILD) -o build/arm64/ostia ./cmd/ostia
	@GOARCH=arm64 $(GO) test -c -o build/arm64/launch.test ./internal/launch
	@GOARCH=arm64 $(GO) test -c -o build/arm64/test.test ./test
	@echo "guest-arm64: internal/launch and $(arm64_scripts) in a cgroup v2 guest with arm64's kernel (emulated)"
	@RUNTIME=$(CURDIR)/build/arm64/ostia BUSYBOX=$(OSTIA_CACHE)/arm64/busybox-static/bin/busybox build/guest -arch arm64 -t 20m -- \
		sh -c 'uname -a; build/arm64/launch.test -test.v && cd test && for s; do echo "$$s:" && ../build/arm64/test.test -test.run TestBehaviour -scripts $$s || exit 1; done' \
		sh $(arm64_scripts) </dev/null

# Debian's podman, Docker and containerd with ostia as their runtime, here and in the guest; and a taste of it for `make test`.
engines = $(CURDIR)/build/test/engines.test -test.timeout 75m -test.skip TestMachines
# ENGINES="-test.run TestPodman -scripts pause" names some of it.
.PHONY: engines-deps engines-host engines-guest
engines:
	@$(MAKE) --no-print-directory engines-host
	@$(MAKE) --no-print-directory engines-guest
engines-deps: all build/test/engines.test build/crictl
	@test/deps test
	@test/deps engines
engines-host: engines-deps
	@echo "engines: podman, Docker and containerd on this machine"
	@cd test/engines && $(engines) $(ENGINES)
engines-guest: engines-deps
	@$(GO) build -o build/guest ./test/guest
	@echo "engines: the same in a cgroup v2 guest (emulated, about ten times slower)"
	@cd test/engines && ../../build/guest -m 4096 -t 80m -- $(engines) $(ENGINES) </dev/null

# The kubelet's side of the CRI, for containerd. Debian has no package of it.
build/crictl:
	@echo "engines: building $@, some minutes, once"
	@GOBIN=$(CURDIR)/build $(GO) install sigs.k8s.io/cri-tools/cmd/crictl@v1.37.0

# What the CRI's own conformance tests say of containerd with ostia. RUNTIME=/usr/bin/runc compares.
.PHONY: critest
critest: all build/test/engines.test build/critest
	@test/deps test
	@test/deps engines
	@test/deps critest
	@echo "critest: containerd on this machine, two minutes"
	@cd test/engines && $(engines) -test.run 'TestSuite$$' -critest $(CURDIR)/build/critest $(ENGINES)

build/critest:
	@echo "critest: building $@, some minutes, once"
	@rm -rf build/cri-tools && mkdir -p build/cri-tools
	@cd build/cri-tools && $(GO) mod init build && $(GO) get -t sigs.k8s.io/cri-tools/cmd/critest@v1.37.0 && \
		$(GO) test -c -o ../critest sigs.k8s.io/cri-tools/cmd/critest

engines-smoke: all build/test/engines.test
	@test/deps engines
	@echo "engines: a taste of podman, Docker and containerd"
	@cd test/engines && $(engines) -test.short

# Real virtual machines, in the guest with nested KVM: a sample for `make test`, and everything.
test-vm: VM ?= -test.short -test.timeout 20m
test-vm: vm_time = 25m
test-vm: vm_entrypoints = run$$/cases/^(a_directory|mode_0000,_root|missing|a_missing_interpreter|a_program_as_uid_1000|granted_by_an_access_control_list)$$
test-vm: vm-here
	@echo "$@: machines in a guest with nested KVM (emulated)"
	@$(call in_vm,$(vm_tests) && $(vm_table))
# Everything, in two guests at once.
test-vm-full: vm-here test-vm-deps build/test/engines.test build/crictl
	@echo "$@: machines in two guests with nested KVM (emulated)"
	@$(MAKE) --no-print-directory -j2 --output-sync=target vm-tests vm-table
.PHONY: vm-here vm-tests vm-table
# One processor: QEMU runs two on one thread (test/guest says why).
in_vm = build/guest -c 1 -m 3072 -nested -t $(vm_time) -- sh -c 'test/vm/setup && $(1)' </dev/null
vm_tests = (cd test/vm && ../../build/test/vm.test $(VM))
vm_table = (cd test && RUNTIME=$(CURDIR)/build/krun ../build/test.test -test.timeout 85m -every-way -test.run "TestEntryPoints/$(vm_entrypoints)")
vm_engines = (cd test/engines && ../../build/test/engines.test -test.timeout 60m -test.run TestMachines)
vm-tests vm-table: vm_time = 90m
vm-tests: VM ?= -test.timeout 80m
vm-tests:
	@$(call in_vm,$(vm_tests))
	@echo "$@: boots, devices, ends, networks, file systems, terminals"
vm-table: vm_entrypoints = .
vm-table:
	@$(call in_vm,$(vm_engines) && $(vm_table))
	@echo "$@: podman, Docker and containerd with machines, and every entry point in every way"
vm-here: all build/test/vm.test build/test.test
	@$(GO) build -o build/guest ./test/guest
	@ln -sf ../ostia build/krun
	@echo "vm: with the KVM of this machine, or without"
	@cd test/vm && ../../build/test/vm.test -test.run TestKVM
test-vm-deps:
	@test/deps test
	@test/deps vm
	@test/deps engines

# One machine, here if KVM runs it, else in the guest with nested KVM.
demo-vm: all
	@test/deps demo
	@demo/vm $(CURDIR)/ostia || { test/deps test && $(GO) build -o build/guest ./test/guest && \
		echo "demo-vm: not here: in an emulated host" && \
		build/guest -c 1 -m 3072 -nested -- sh -c 'test/vm/setup && exec demo/vm $(CURDIR)/ostia' </dev/null; }

bench: all
	@test/deps demo
	@$(GO) build -o build/bench ./bench
	@build/bench -ostia $(RUNTIME) $(BENCH)

# The same, with the smallest memory limit from the guest, whose cgroup v2 has a memory controller.
bench-all: all
	@test/deps test
	@$(GO) build -o build/guest ./test/guest
	@$(GO) build -o build/bench ./bench
	@build/guest -t 15m -- sh -c 'TMPDIR=/tmp build/bench -ostia $(RUNTIME) -only "memory limit" -out /tmp >&2 && cat /tmp/latest.json' </dev/null >build/limit.json
	@build/bench -ostia $(RUNTIME) -with build/limit.json $(BENCH)

# The same for machines, beside QEMU's microvm with virtiofsd: BENCH="-only boot -n 3" measures a part of it and keeps the rest of bench/vm.json.
bench-vm: all test-vm-deps
	@$(GO) build -o build/guest ./test/guest
	@$(GO) build -o build/bench-vm ./bench/vm
	@build/guest -c 1 -m 3072 -nested -t 60m -- sh -c 'test/vm/setup && modprobe vhost_vsock && build/bench-vm -before bench/vm.json $(BENCH)' </dev/null >build/vm.json && mv build/vm.json bench/vm.json

# Every fuzz target for FUZZTIME, its corpus included. The end of that time, which Go itself now and then takes for a failure
# (go.dev/issue/75804), is none: what is found names its input.
FUZZTIME ?= 60s
fuzz:
	@for pkg in $$($(GO) list ./...); do \
		dir=$$($(GO) list -f '{{.Dir}}' $$pkg); \
		for f in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go 2>/dev/null); do \
			echo "fuzz: $$pkg $$f for $(FUZZTIME)"; \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg >build/fuzz.log 2>&1 || \
				{ grep -q '^    context deadline exceeded$$' build/fuzz.log && ! grep -qE 'Failing input|hung|panic' build/fuzz.log; } || \
				{ cat build/fuzz.log; exit 1; }; \
		done; \
	done

# A linter's findings change with its version: pinned, built once.
LINT = build/golangci-lint-v2.15.0
$(LINT):
	@echo "lint: building $(LINT), about two minutes, once"
	@GOBIN=$(CURDIR)/build $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	@mv build/golangci-lint $@

lint: $(LINT)
	@test -z "$$(gofmt -l . | tee -a /dev/stderr)"
	@$(LINT) run ./...

install: all
	@install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin ostia ostia-vmm ostia-kernel ostia-criu
	@install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 docs/man/*.1
	@install -D -m 644 completions/ostia.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ostia
	@install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions completions/_ostia
	@install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d completions/ostia.fish

# Needs only dpkg-deb.
DEB ?= build/ostia.deb
deb: all
	@packaging/deb $(DEB)

clean:
	rm -rf ostia ostia-vmm ostia-kernel ostia-criu build
