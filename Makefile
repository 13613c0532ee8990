# Everything is built with the go command from what go.mod and tools/go.mod pin.
# `make build` and `make test` need no git; `make check` needs a git checkout.

# What a release holds.
RELEASED := ./host/cmd/baton-host ./host/cmd/baton-host-explore ./host/cmd/baton-host-aws ./fullstory/cmd/baton-fullstory ./scim/cmd/baton-scim

BINARIES := $(RELEASED) ./sandbox/cmd/baton-sandbox

# Separate modules. Those of connectors are built by tests as their authors
# would build them: with what the main module pins, and nothing else.
CONNECTORS := host/cmd/baton-host/testdata/baton-workspace host/cmd/baton-host/testdata/baton-workspace-plugin
# What holds deploy/ against the libraries of those who will read it.
DEPLOY := deploy/check
MODULES := . tools $(CONNECTORS) $(DEPLOY)

# The version that the binaries report. Outside a checkout with commits: dev.
VERSION ?= $(shell test -e .git && git describe --tags --always --dirty 2>/dev/null || echo dev)

# Without cgo, as a release is built: no C compiler is needed, and a test binary, which with cgo
# is linked by it, links in less time. The race detector needs cgo.
export CGO_ENABLED := 0

TOOLS := build/tools
PROTO_TOOLS := $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the binaries into bin/
	@mkdir -p bin
	go build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/ $(BINARIES)

# A process that is built with the race detector sleeps a second at its end, unless it is
# set not to: with so many packages that is half a minute.
RACE := CGO_ENABLED=1 GORACE=atexit_sleep_ms=0

# Without symbol table and DWARF, each of the 60 test binaries links in half the time: panics
# and the race detector's reports have their lines all the same.
LINK := -ldflags='-s -w'

# The heaps of tests are small: collected less often, tests of whole syncs take a fifth less time,
# and the largest test process has 2 GiB.
GARBAGE := GOGC=400

# The directory that tests write to. ext4 puts the files below each directory in it into another
# part of the disk: in one part, it would look at all that was removed within minutes before it
# makes a file, which takes a millisecond. It is the same directory each time: go test caches no
# result of a test whose environment changes.
SCRATCH = TMPDIR="$${TMPDIR:-/tmp}/baton-host-$$(id -u)" && export TMPDIR && mkdir -p -m 711 "$$TMPDIR" && \
	{ chattr +T "$$TMPDIR" 2>&- || true; }

# Packages that are tested at the same time: two for each core, since many wait for
# processes and back-offs most of the time.
PACKAGES := $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))

# The packages whose tests take longest: they begin first, and the others fill the gaps.
SLOW := ./host ./host/internal/supervise ./host/cmd/baton-host ./host/internal/syncrun ./host/internal/aggregate ./scim

# The packages with large tables, of which short runs and the race detector have a sample:
# `make whole` runs every case. See sandbox/raced.
WHOLE := ./host ./host/internal/syncrun ./host/internal/aggregate ./scim ./plugin/plugintest

.PHONY: test
test: ## go vet, and every test that takes no minutes; samples of large tables
	go vet ./...
	@set -e; for module in $(CONNECTORS) $(DEPLOY); do (set -x; go -C $$module vet ./...); done
	@# What go test vets, go vet has vetted.
	@$(SCRATCH) && set -x && $(GARBAGE) go test -short $(LINK) -vet=off -p $(PACKAGES) -timeout 40m $(SLOW) ./...
	$(MAKE) --no-print-directory deploy-check

.PHONY: race
race: ## the packages of the product with the race detector, with which a sync takes five times as long
	@# Tests of commands start programs that are built without it.
	@$(SCRATCH) && set -x && $(RACE) go test -race -short $(LINK) -vet=off -p $(PACKAGES) -timeout 40m $(filter-out ./host/cmd/%,$(SLOW)) \
		$$(go list ./host/... ./plugin/... ./scim/... ./internal/... | grep -v /cmd/)

.PHONY: whole
whole: ## the large tables of which make test has samples, whole
	@$(SCRATCH) && set -x && $(GARBAGE) go test $(LINK) -vet=off -p $(PACKAGES) -timeout 20m $(WHOLE)

# What takes long is in files with the build tag "long", in tests named TestLong: whole
# sweeps, of which `make test` takes samples, and the tests that kill and soak.
# The packages that have some: to link the tests of all others takes minutes.
LONG_PACKAGES = $(sort $(dir $(shell grep -rlE '^func TestLong' --include='*_test.go' --exclude-dir=node_modules --exclude-dir=build .)))

.PHONY: long
long: ## the tests that take long: whole sweeps, many kills; with the race detector
	@$(SCRATCH) && set -x && $(RACE) go test -race $(LINK) -tags long -run '^TestLong' -timeout 60m $(LONG_PACKAGES)

# Prerequisites run from left to right: what would make later ones fail comes first.
.PHONY: check
check: tidy-check generate-check lint lambda cross-windows-amd64 test race whole fuzz-briefly long ## what CI runs: lint, generated files, tidy modules, the hosted form, Windows, all tests

.PHONY: lint
lint: $(TOOLS)/gofumpt $(TOOLS)/buf $(TOOLS)/golangci-lint ## gofumpt, buf lint, golangci-lint and the order of imports
	@diff=$$($(TOOLS)/gofumpt -d .) && test -z "$$diff" || \
		{ echo "$$diff"; echo "lint: these files are not formatted. Run: make fmt" >&2; exit 1; }
	@$(TOOLS)/buf lint || \
		{ echo "lint: fix the .proto files named above, then run: make proto" >&2; exit 1; }
	@$(TOOLS)/golangci-lint run ./... || \
		{ echo "lint: fix the findings above, then run: make lint" >&2; exit 1; }
	@go test ./docs/gen || \
		{ echo "lint: an import breaks the order of docs/gen/order.go; the sentences above name it, and what to do" >&2; exit 1; }
	@set -e; for module in $(CONNECTORS) $(DEPLOY); do (cd $$module && $(CURDIR)/$(TOOLS)/golangci-lint run ./...) || \
		{ echo "lint: fix the findings in $$module, then run: make lint" >&2; exit 1; }; done

# C1 hosts a connector in the form that the SDK's build tag turns on.
.PHONY: lambda
lambda: ## go vet the connectors in the form that C1 hosts
	go vet -tags baton_lambda_support ./fullstory/cmd/baton-fullstory ./scim/cmd/baton-scim

# Every system that a release is for, but the usual one of those who build it.
CROSS := $(addprefix cross-,linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64)

.PHONY: cross
cross: $(CROSS) ## build what is released for every other system, and vet what differs; minutes the first time
	GOOS=windows go vet ./plugin/... ./host/internal/supervise/... ./host/internal/proc/... ./host/internal/pin/... ./host/internal/files/... ./host/internal/secret/... ./host/internal/config/... ./host/internal/registry/...
	GOOS=darwin go vet ./plugin/... ./host/internal/supervise/... ./host/internal/proc/... ./host/internal/pin/... ./host/internal/files/... ./host/internal/secret/... ./host/internal/config/... ./host/internal/registry/...

.PHONY: $(CROSS)
$(CROSS): cross-%: # into build/cross/
	@mkdir -p build/cross/$*
	GOOS=$(firstword $(subst -, ,$*)) GOARCH=$(lastword $(subst -, ,$*)) \
		go build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o build/cross/$*/ $(RELEASED)

.PHONY: deploy-check
deploy-check: ## hold deploy/ against the types of Kubernetes, BuildKit's parser and the user guide
	go -C $(DEPLOY) test ./...

.PHONY: fmt
fmt: $(TOOLS)/gofumpt ## format the Go code
	$(TOOLS)/gofumpt -w .

.PHONY: proto
proto: $(PROTO_TOOLS) ## generate the Go code of the .proto files
	$(TOOLS)/buf build
	find proto -name '*.pb.go' -delete
	$(TOOLS)/buf generate

.PHONY: generate
generate: proto ## generate everything: make proto, then go generate
	go generate ./...

.PHONY: generate-check
generate-check: $(PROTO_TOOLS)
	@MAKE='$(MAKE)' .ci/check-generated

.PHONY: tidy
tidy: ## go mod tidy, for every module
	@set -e; for module in $(MODULES); do (set -x; go -C $$module mod tidy); done

.PHONY: tidy-check
tidy-check:
	@set -e; for module in $(MODULES); do go -C $$module mod tidy -diff || \
		{ echo "tidy-check: go.mod or go.sum of $$module is not tidy. Run: make tidy" >&2; exit 1; }; done

.PHONY: demo
demo: build ## two SCIM services, two plugins, one sync file, one upload
	./sandbox/demo.sh

# BENCH=quick makes it short. More flags of the benchmark: BENCHFLAGS='-only 8x0 -v'.
ifeq ($(BENCH),quick)
BENCHKIND := -quick
else ifeq ($(BENCHFLAGS),)
BENCHKIND := -write docs/measurements.md
endif

.PHONY: bench
bench: build ## the product beside a plain connector, into docs/measurements.md; Linux, ten minutes; BENCH=quick: three
	@mkdir -p build/bench
	go build -trimpath -buildvcs=false -o build/bench/bench-baseline ./bench/baseline
	go build -trimpath -buildvcs=false -o build/bench/bench-scim ./bench/scimserver
	go build -trimpath -buildvcs=false -o build/bench/baton-directory ./bench/directory
	go build -trimpath -buildvcs=false -o build/bench/bench ./bench/cmd/bench
	build/bench/bench -product bin -tools build/bench $(BENCHKIND) $(BENCHFLAGS)

.PHONY: microbench
microbench: ## the Go benchmarks, with allocations
	go test -run '^$$' -bench . -benchmem ./scim ./host/internal/aggregate ./host/internal/rename ./plugin/...

# How long each fuzz target runs.
FUZZTIME ?= 10m
FUZZTARGETS := scim:FuzzPage scim:FuzzUser scim:FuzzMembers scim:FuzzAttributes scim:FuzzErrorBody scim:FuzzPageToken scim:FuzzPlainValues scim:FuzzPlainUsers \
	host/internal/rename:FuzzNames host/internal/config:FuzzLoad plugin/redact:FuzzBlank host/internal/syncfile/sdkfast:FuzzCodec_DecodesAsGRPCDoes host/internal/syncfile/sdkfast:FuzzCodec_DecodesGrantsAsGRPCDoes

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME; what it finds goes to testdata/fuzz
	@set -e; for target in $(FUZZTARGETS); do \
		go test ./$${target%:*} -run '^$$' -fuzz "^$${target#*:}\$$" -fuzztime $(FUZZTIME); \
	done

.PHONY: fuzz-briefly
fuzz-briefly:
	$(MAKE) --no-print-directory fuzz FUZZTIME=2s

.PHONY: kill
kill: ## a plugin killed in each of 100 syncs, 150 hosts killed; make long does fewer, with the race detector
	go test -count 1 -v -tags long -run 'TestLongKill_|TestLongProcess_EndsWithAKilledHost|TestLongFailover_OfProcesses' ./host/cmd/baton-host ./host/internal/supervise ./host

.PHONY: vuln
vuln: $(TOOLS)/govulncheck ## look for known vulnerabilities in what is built; needs the network
	@$(TOOLS)/govulncheck ./... || \
		{ echo "vuln: upgrade what is named above, or, if it could not be looked up, try again with https://vuln.go.dev in reach" >&2; exit 1; }

.PHONY: e2e
e2e: typescript browser ## the tests that need Node or Chromium: the plugin in TypeScript, the status page
	$(RACE) go test -race -tags e2e -timeout 30m -parallel 4 -run 'TypeScript|Browser' ./host/cmd/baton-host

.PHONY: browser
browser: ## see to it that there is Chromium, and what the tests load into it
	@.ci/chromium
	npm ci --prefix host/cmd/baton-host/testdata/browser --no-audit --no-fund

.PHONY: screenshots
screenshots: browser ## the status page in every state, wide and on a phone, light and dark, into docs/images
	go test -tags e2e -timeout 15m -run Browser_ShowsThePageInEveryState ./host/cmd/baton-host -screenshots $(CURDIR)/docs/images

.PHONY: recording
recording: build ## the terminal recording of README.md, of a real run, into docs/images
	go run ./docs/recording -out docs/images/tour.svg examples/tours/file.sh

.PHONY: typescript
typescript: ## compile the example in TypeScript; needs Node 20 and npm
	npm ci --prefix examples/typescript --no-audit --no-fund
	npm run --prefix examples/typescript check
	npm run --prefix examples/typescript build

# What is real and takes long to install: servers of others, in the versions that are pinned
# beside the tests that start them. Each part has a target here that installs it, or fails with
# a sentence on what is missing. Their tests have the build tag "real", in tests named TestReal.
REAL := real-scimmy real-vault real-keyring real-seaweedfs
# The packages that have such tests: to build the tests of all others takes minutes.
REAL_PACKAGES = $(sort $(dir $(shell grep -rlE '^//go:build .*\breal\b' --include='*_test.go' --exclude-dir=node_modules ./bench ./fullstory ./host ./plugin ./sandbox ./scim)))

.PHONY: real
real: $(REAL) ## the tests with real servers of others; installs them, needs the network, Node 20 and npm
	go test -tags real -count 1 -timeout 30m -run '^TestReal' -v $(REAL_PACKAGES)

.PHONY: real-scimmy
real-scimmy:
	@.ci/node
	@set -e; for server in scim/testdata/scimmy/*-express-*; do (set -x; npm ci --prefix $$server --no-audit --no-fund); done

# A module of its own, as a server of secrets is no part of what is released. It is not among
# MODULES: it has nothing but a pin, and to tidy it means to fetch all that Vault is tested with.
VAULT := host/internal/secret/vault/testdata/vaultserver

.PHONY: real-vault
real-vault: build/real/vault

build/real/vault: $(VAULT)/go.mod $(VAULT)/go.sum
	@echo 'building Vault from its module; the first time takes ten minutes'
	go -C $(VAULT) build -trimpath -buildvcs=false -ldflags '-s -w' -o $(CURDIR)/$@ github.com/hashicorp/vault
	@touch $@

# The S3 server that the shared state is tried with; another module, as for Vault.
SEAWEEDFS := host/internal/state/testdata/seaweedfs

.PHONY: real-seaweedfs
real-seaweedfs: build/real/weed

build/real/weed: $(SEAWEEDFS)/go.mod $(SEAWEEDFS)/go.sum
	@echo 'building SeaweedFS from its module; the first time takes minutes'
	go -C $(SEAWEEDFS) build -trimpath -buildvcs=false -ldflags '-s -w' -o $(CURDIR)/$@ github.com/seaweedfs/seaweedfs/weed
	@touch $@

.PHONY: real-keyring
real-keyring:
	@.ci/keyring

.PHONY: clean
clean: ## remove what was built and written; the tools in build/tools stay
	rm -rf bin build/tests demo-out coverage.* examples/typescript/dist examples/typescript/src/gen

# A tool is built when it is first needed, and again only when its pins change.
# `go list tool` names the packages of the tool directives in tools/go.mod.
$(TOOLS)/%: tools/go.mod tools/go.sum
	@echo 'building $* from tools/go.mod; the first time takes a while'
	@go -C tools build -buildvcs=false -o ../$@ $$(go -C tools list tool | grep '/$*$$')
	@touch $@
