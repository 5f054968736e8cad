#!/usr/bin/env bash
# Installs the clients and tools that the tests run and that come as Debian packages. Does nothing when all are there.
set -euo pipefail

declare -A packages=(
    [transmission-daemon]=transmission-daemon [aria2c]=aria2 [opentracker]=opentracker
    [valgrind]=valgrind [pkg-config]=pkg-config
)
missing=()
for command in "${!packages[@]}"; do
    command -v "$command" > /dev/null || missing+=("${packages[$command]}")
done
# Debian splits the module that makes virtual environments off its Python.
"${PYTHON:-python3}" -c 'import venv, ensurepip' 2> /dev/null || missing+=(python3-venv)
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get > /dev/null; then
    echo "The tests need these programs, which this script can install on Debian and its kin only: ${missing[*]}" >&2
    exit 1
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo > /dev/null; then
        echo "The tests need these packages. Install them as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    root=(sudo)
fi
echo "installing ${missing[*]}"
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null

# The packages of servers start them. Nobody asked for these here but the tests, which start their own.
if [ -d /run/systemd/system ]; then
    for service in transmission-daemon opentracker; do
        case " ${missing[*]} " in
            *" $service "*) "${root[@]}" systemctl disable --quiet --now "$service" ;;
        esac
    done
fi
