#!/usr/bin/env bash
# Installs the clients and tools that the tests run and that come as Debian packages.
set -euo pipefail
packages=(ip=iproute2 microsocks=microsocks tinyproxy=tinyproxy-bin /usr/sbin/danted=dante-server transmission-daemon=transmission-daemon aria2c=aria2 qbittorrent-nox=qbittorrent-nox opentracker=opentracker valgrind=valgrind pkg-config=pkg-config)
# Debian splits the module that makes virtual environments off its Python.
"${PYTHON:-python3}" -c 'import venv, ensurepip' 2> /dev/null || packages+=(/no/such/file=python3-venv)
exec "$(dirname "$0")/../install-packages.sh" "${packages[@]}"
