#!/usr/bin/env bash
# install-packages.sh COMMAND=PACKAGE...: installs the Debian packages of commands that are missing. Does nothing when all are there.
# A COMMAND with a slash is a file; one that begins with "pkg-config:" is a library of that name.
set -euo pipefail

missing=()
for pair in "$@"; do
    command=${pair%%=*}
    case $command in
        pkg-config:*) pkg-config --exists "${command#*:}" 2> /dev/null ;;
        */*) [ -e "$command" ] ;;
        *) command -v "$command" > /dev/null ;;
    esac || missing+=("${pair#*=}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get > /dev/null; then
    echo "These packages are needed, which this script can install on Debian and its kin only: ${missing[*]}" >&2
    exit 1
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo > /dev/null; then
        echo "These packages are needed. Install them as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    root=(sudo)
fi
echo "installing ${missing[*]}"
# Another installation may be under way.
apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" > /dev/null

# The packages of servers start them. Nobody asked for these here but the tests, which start their own.
if [ -d /run/systemd/system ]; then
    for service in transmission-daemon opentracker danted; do
        case " ${missing[*]} " in
            *" $service "* | *"dante-server"*) "${root[@]}" systemctl disable --quiet --now "$service" ;;
        esac
    done
fi
