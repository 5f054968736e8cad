#!/usr/bin/env bash
# install.sh PYTHON: installs whom and what the benchmarks measure and measure with: libtorrent from PyPI in .venv, valgrind for its counts,
# swig and Debian's libtorrent for what crossing into C costs, and the modules of anacrolix's client. librqbit comes with the build.
#
# It ends well also where some of them cannot be had: it says so in capitals, and the benchmark tells it again beside the figures.
set -uo pipefail
cd "$(dirname "$0")/../.."
python=${1:-python3}

missing=()
# try NAME COMMAND...
try() {
    local name=$1
    shift
    "$@" || missing+=("$name")
}

packages=(valgrind=valgrind strip=binutils)
# Debian splits the module that makes virtual environments off its Python.
"$python" -c 'import venv, ensurepip' 2> /dev/null || packages+=(/no/such/file=python3-venv)
try "valgrind or Python's venv" tests/install-packages.sh "${packages[@]}"
try "libtorrent (.venv)" env PYTHON="$python" tests/peers/venv.sh
try "swig and libtorrent's headers" go-binding/bench/install.sh
try "the modules of anacrolix/torrent" env -C benches/go/anacrolix go mod download

for name in "${missing[@]}"; do
    echo "NOT INSTALLED, AND SO NOT MEASURED: $name" >&2
done
exit 0
