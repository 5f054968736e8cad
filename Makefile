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
.PHONY: help build header deps peers test test-rust test-install test-asan test-valgrind test-tsan test-loom test-native \
        lint check run bench install uninstall clean

help: ## this list
	@echo "libelementum_torrent $(VERSION)"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'
	@echo "Variables: PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) TORRENT=magnet-or-file (run) BENCH=options (bench)"

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

test: test-rust test-native ## the tests: unit, simulation, real clients, C programs, sanitizers

test-rust: deps peers ## the part of them that needs no special build
	$(CARGO) test
	$(CARGO) test -p elementum-bench

test-native: test-valgrind test-install test-asan test-tsan test-loom ## the C programs: installed, and under the sanitizers

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
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy -p elementum-bench --all-targets -- -D warnings

check: lint test ## lint and test

# One build of both, not of `build` and then the example: that has other features of the dependencies.
run: ## the C example: plays a demo torrent from loopback, or TORRENT
	$(CARGO) build --release --lib --example demo_seeder
	$(NAME_IT)
	examples/run.sh "$(TORRENT)"

bench: deps build ## ours beside libtorrent and librqbit, about 10 minutes; results in target/bench/results.json
	$(CARGO) build --release -p elementum-bench --features rqbit
	$(TARGET)/release/bench $(BENCH)

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

# What the Go package is built with here: an installation of its own, which no user's is mistaken for.
STAGE := $(abspath $(TARGET))/stage
GO_ENV := PKG_CONFIG_PATH="$(STAGE)/lib/pkgconfig" LD_LIBRARY_PATH="$(STAGE)/lib"

stage:
	@$(MAKE) --no-print-directory install PREFIX="$(STAGE)" DESTDIR=

uninstall: ## removes what install put there
	rm -f "$(DESTDIR)$(LIBDIR)/$(REAL)" "$(DESTDIR)$(LIBDIR)/$(SONAME)" "$(DESTDIR)$(LIBDIR)/$(BUILT)" \
	    "$(DESTDIR)$(LIBDIR)/libelementum_torrent.a" "$(DESTDIR)$(INCLUDEDIR)/elementum_torrent.h" \
	    "$(DESTDIR)$(LIBDIR)/pkgconfig/elementum_torrent.pc" "$(DESTDIR)$(LIBDIR)/pkgconfig/elementum_torrent-static.pc"

clean: ## removes everything built, and .venv
	$(CARGO) clean
	rm -rf .venv
