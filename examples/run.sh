#!/usr/bin/env bash
# run.sh [TORRENT]: builds stream.c with the release library and plays a torrent: the one that is named (file or magnet, from the
# real network), or a generated one from a second session of ours on loopback.
set -euo pipefail
cd "$(dirname "$0")/.."

release=${CARGO_TARGET_DIR:-target}/release
program=$release/stream
"${CC:-cc}" -std=c11 -O2 -Wall -Wextra examples/stream.c -Iinclude -L"$release" -lelementum_torrent -o "$program"
export LD_LIBRARY_PATH=$release${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

if [ -n "${1:-}" ]; then
    exec "$program" "$1"
fi
work=$(mktemp -d)
mkfifo "$work/input"
# The seeder lives as long as its input is open, which is as long as this script.
"$release/examples/demo_seeder" "$work" 100 20000000 < "$work/input" > "$work/output" &
exec 3> "$work/input"
trap 'exec 3>&-; wait; rm -rf "$work"' EXIT
for _ in {1..600}; do
    grep -q '^port ' "$work/output" && break
    sleep 0.05
done
echo "streaming 100 MiB from a second session on loopback that gives 20 MB/s"
"$program" -q -l 127.0.0.1:0 "$work/demo.torrent" "127.0.0.1:$(sed -n 's/^port //p' "$work/output")"
