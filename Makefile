# libelementum_torrent. `make` alone tells what there is.

CARGO  ?= cargo
PYTHON ?= python3
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
# The ABI's number: the soname's, 0 until version 1.0 (build.rs).
ABI     := 0
TARGET  := $(or $(CARGO_TARGET_DIR),target)
HEADER  := include/elementum_torrent.h

ifeq ($(shell uname -s),Darwin)
  BUILT    := libelementum_torrent.dylib
  REAL     := libelementum_torrent.$(VERSION).dylib
  SONAME   := libelementum_torrent.$(ABI).dylib
  # What a program that links the static library must link besides.
  PRIVATE  := -framework Security -framework CoreFoundation -framework SystemConfiguration -liconv -lm
else
  BUILT    := libelementum_torrent.so
  REAL     := libelementum_torrent.so.$(VERSION)
  SONAME   := libelementum_torrent.so.$(ABI)
  PRIVATE  := -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
endif

.DEFAULT_GOAL := help
.PHONY: help build header deps peers stage service test test-rust test-simulation test-clients test-go test-page test-install test-asan test-valgrind test-tsan test-loom test-native soak \
        lint lint-go deny check run run-c bench bench-stream bench-peers install uninstall clean

help: ## this list
	@echo "libelementum_torrent $(VERSION)"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'
	@echo "Variables: PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) TORRENT=magnet-or-file (run, run-c) ARGS=options (run) BENCH=options (bench) SEED=number (soak)"

# Programs ask for the library by its soname.
NAME_IT := ln -sf $(BUILT) $(TARGET)/release/$(SONAME)

build: ## the shared and the static library, release profile
	$(CARGO) build --release
	$(NAME_IT)

header: ## writes include/elementum_torrent.h anew from the source
	ET_UPDATE_HEADER=1 $(CARGO) test --test header

deps: ## what the tests need: Debian packages, and libtorrent in .venv
	@tests/peers/install.sh
	@PYTHON="$(PYTHON)" tests/peers/venv.sh

peers: ## the clients of the tests that are built here: librqbit, the plain seeder
	$(CARGO) build -p elementum-bench --features rqbit --bin rqbit-peer --bin plain-seeder

test: test-rust test-native test-go ## the tests: unit, simulation, real clients, C programs, sanitizers, Go, the page

# Two at a time: the one's tests wait for clients and timers while the other's compute, or are compiled. The output of each stays together
# where make can do that.
TWO    := $(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
RUST_TESTS := $(filter-out simulation,$(notdir $(basename $(wildcard tests/*.rs))) $(notdir $(patsubst %/main.rs,%,$(wildcard tests/*/main.rs))))

test-rust: deps peers ## the part of them that needs no special build
	$(CARGO) test --no-run
	$(TWO) test-simulation test-clients
	$(CARGO) test --doc
	$(CARGO) test -p elementum-bench

# It keeps its own time: however slowly it gets on, its figures are the same.
test-simulation: ## whole swarms on virtual time
	nice $(CARGO) test --test simulation

test-clients: deps peers ## unit tests, and those with real clients
	$(CARGO) test --lib $(addprefix --test ,$(RUST_TESTS))

test-native: build ## the C programs: installed, and under the sanitizers
	$(TWO) test-valgrind test-install test-asan test-tsan test-loom

# What the Go package is built with here: an installation of its own, which no user's is mistaken for.
STAGE  := $(abspath $(TARGET))/stage
GO     ?= go
# Checks what is given to C, too.
GO_CHECKED := GOEXPERIMENT=cgocheck2
GO_ENV := PKG_CONFIG_PATH="$(STAGE)/lib/pkgconfig" LD_LIBRARY_PATH="$(STAGE)/lib"

stage:
	@tests/install-packages.sh pkg-config=pkg-config
	@$(MAKE) --no-print-directory install PREFIX="$(STAGE)" DESTDIR= > /dev/null

# Go does not look whether the static library is another one; it does see that a flag is.
service: stage
	cd go-binding && $(GO_ENV) $(GO) build -tags elementum_static -ldflags "-X main.library=$$(cksum < "$(STAGE)/lib/libelementum_torrent.a" | tr ' ' -)" \
		-o "$(abspath $(TARGET))/elementum-stream" ./cmd/elementum-stream

test-go: stage service test-page ## the Go package and the service: race detector, forced garbage collection, no cgo
	cd go-binding && CGO_ENABLED=0 $(GO) vet ./...
	cd go-binding && $(GO_ENV) $(GO_CHECKED) $(GO) test -count=1 -race -tags elementum_leakcheck ./...
	cd go-binding && $(GO_ENV) $(GO_CHECKED) GOGC=1 $(GO) test -count=1 -race -tags elementum_leakcheck .

soak: stage ## ten minutes of adds, streams, seeks, outages and floods at the service, under the race detector; SEED repeats a run
	cd go-binding && $(GO_ENV) ELEMENTUM_SOAK=long ELEMENTUM_SOAK_SEED="$(SEED)" $(GO) test -count=1 -race -timeout 30m -v -run TestSoak ./cmd/elementum-stream

test-page: service ## the page in headless Chromium; pictures in target/page
	tests/install-packages.sh chromium=chromium /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf=fonts-dejavu-core
	mkdir -p $(TARGET)/page
	cd go-binding/e2e && ELEMENTUM_STREAM="$(abspath $(TARGET))/elementum-stream" SCREENSHOTS="$(abspath $(TARGET))/page" $(GO) test -count=1 .

test-install: build ## installs into a temporary directory, links C programs with it, shared and static
	tests/install/run.sh

test-asan: ## C programs with AddressSanitizer and LeakSanitizer
	tests/sanitizers/asan.sh

test-valgrind: deps ## C programs under valgrind
	tests/sanitizers/valgrind.sh

test-tsan: ## C programs with ThreadSanitizer
	tests/sanitizers/tsan.sh

test-loom: ## every order of the lock-free parts' steps
	$(CARGO) test --lib --features loom loom_

lint: ## rustfmt and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --features elementum-bench/engine --all-targets -- -D warnings

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

lint-go: stage ## gofmt, go vet and staticcheck, warnings are errors
	@test -z "$$(gofmt -l go-binding benches/go)" || { gofmt -l go-binding benches/go; echo "gofmt these" >&2; exit 1; }
	cd go-binding && $(GO_ENV) $(GO) vet ./... && $(GO_ENV) $(GO) run $(STATICCHECK) ./...
	cd go-binding/e2e && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./...

CARGO_DENY := 0.20.2
DENY       := $(abspath $(TARGET))/tools/bin/cargo-deny

# Unoptimised, since it runs for a second.
$(DENY)-$(CARGO_DENY):
	CARGO_TARGET_DIR="$(abspath $(TARGET))/tools/build" $(CARGO) install cargo-deny --version $(CARGO_DENY) --locked --profile dev --root "$(abspath $(TARGET))/tools" --force
	rm -rf "$(abspath $(TARGET))/tools/build"
	cp $(DENY) $@

deny: $(DENY)-$(CARGO_DENY) ## licences, bans, duplicates of the crates; advisories where their database can be had
	$< check licenses bans sources
	@if $< fetch db > /dev/null 2>&1; then $< check advisories; else echo "advisories: not checked, their database cannot be had here"; fi

check: lint lint-go deny test ## lint and test

run: service ## the streaming service with a demo torrent from loopback, or TORRENT
	$(TARGET)/elementum-stream $(if $(TORRENT),"$(TORRENT)",-demo) $(ARGS)

# One build of both, not of `build` and then the example: that has other features of the dependencies.
run-c: ## the C example: plays a demo torrent from loopback, or TORRENT
	$(CARGO) build --release --lib --example demo_seeder
	$(NAME_IT)
	examples/run.sh "$(TORRENT)"

# Those that the benchmarks measure. One that cannot be installed is named at the end of the table, with the reason; the others are measured.
bench-peers:
	@benches/peers/install.sh "$(PYTHON)"

bench: stage bench-peers ## ours beside libtorrent, librqbit and anacrolix: downloads, HTTP, crossing into C, wake-ups, about 15 minutes; results in target/bench/results.json
	$(CARGO) build --release -p elementum-bench --features rqbit,engine
	$(TARGET)/release/bench $(BENCH)

bench-stream: stage bench-peers ## start, seeks, playing, uTP and encryption through a link emulator, beside libtorrent and librqbit, about 50 minutes; the same file
	tests/install-packages.sh unshare=util-linux ip=iproute2
	$(CARGO) build --release -p elementum-bench --features rqbit,engine
	benches/own-network.sh $(TARGET)/release/bench --stream $(BENCH)

install: build ## the libraries, the header, the pkg-config file, under DESTDIR and PREFIX
	install -d "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(INCLUDEDIR)"
	install -m 755 $(TARGET)/release/$(BUILT) "$(DESTDIR)$(LIBDIR)/$(REAL)"
	ln -sf $(REAL) "$(DESTDIR)$(LIBDIR)/$(SONAME)"
	ln -sf $(SONAME) "$(DESTDIR)$(LIBDIR)/$(BUILT)"
	install -m 644 $(TARGET)/release/libelementum_torrent.a "$(DESTDIR)$(LIBDIR)/libelementum_torrent.a"
	install -m 644 $(HEADER) "$(DESTDIR)$(INCLUDEDIR)/elementum_torrent.h"
	for name in elementum_torrent elementum_torrent-static; do \
	    sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	        -e 's|@PRIVATE@|$(PRIVATE)|' $$name.pc.in > "$(DESTDIR)$(LIBDIR)/pkgconfig/$$name.pc" || exit 1; \
	done

uninstall: ## removes what install put there
	rm -f "$(DESTDIR)$(LIBDIR)/$(REAL)" "$(DESTDIR)$(LIBDIR)/$(SONAME)" "$(DESTDIR)$(LIBDIR)/$(BUILT)" \
	    "$(DESTDIR)$(LIBDIR)/libelementum_torrent.a" "$(DESTDIR)$(INCLUDEDIR)/elementum_torrent.h" \
	    "$(DESTDIR)$(LIBDIR)/pkgconfig/elementum_torrent.pc" "$(DESTDIR)$(LIBDIR)/pkgconfig/elementum_torrent-static.pc"

clean: ## removes everything built, and .venv
	$(CARGO) clean
	rm -rf .venv
