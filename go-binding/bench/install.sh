#!/usr/bin/env bash
# Installs what the comparison with SWIG needs: swig, and libtorrent 2.0 with its headers. The Go package needs neither.
set -euo pipefail
exec "$(dirname "$0")/../../tests/install-packages.sh" swig=swig g++=g++ pkg-config=pkg-config \
    pkg-config:libtorrent-rasterbar=libtorrent-rasterbar-dev
