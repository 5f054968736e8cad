#!/usr/bin/env bash
# Installs into a temporary directory, as a user and as a packager (DESTDIR), builds a C program with what pkg-config says,
# shared and static, runs both, and uninstalls.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CC=${CC:-cc}
passed=0
ok() {
    echo "ok  $1"
    passed=$((passed + 1))
}
# Each check says its name by failing aloud: `set -e` ends the script at the first one that is not so.
export PKG_CONFIG_PATH=$work/usr/lib/pkgconfig

make --no-print-directory install PREFIX="$work/usr" > "$work/log" || { cat "$work/log"; exit 1; }
[ "$(pkg-config --modversion elementum_torrent)" = "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)" ]
ok "pkg-config knows the version"

read -ra flags <<< "$(pkg-config --cflags --libs elementum_torrent)"
"$CC" -std=c11 -Wall -Wextra -Werror tests/install/program.c "${flags[@]}" -o "$work/shared"
LD_LIBRARY_PATH=$work/usr/lib "$work/shared"
ok "a program runs with the shared library"

if [ "$(uname -s)" = Linux ]; then
    # Not piped into grep -q: it would leave at the first match, and the broken pipe count as a failure.
    needed=$(objdump -p "$work/shared" | awk '/NEEDED/ { print $2 }')
    [[ $needed == *libelementum_torrent.so.0* ]]
    ok "the program asks for libelementum_torrent.so.0"
fi

mkdir "$work/static"
cp "$work/usr/lib/libelementum_torrent.a" "$work/static"
read -ra flags <<< "$(pkg-config --cflags --libs --static elementum_torrent)"
# The directory in front holds the archive only, so the linker has no choice.
"$CC" -std=c11 -Wall -Wextra -Werror tests/install/program.c -L"$work/static" "${flags[@]}" -o "$work/alone"
"$work/alone"
ok "a program runs with the static library alone"

make --no-print-directory install PREFIX=/usr DESTDIR="$work/stage" > "$work/log"
diff <(cd "$work/usr" && find . | sort) <(cd "$work/stage/usr" && find . | sort)
grep -qx 'prefix=/usr' "$work/stage/usr/lib/pkgconfig/elementum_torrent.pc"
ok "DESTDIR stages the same files, and its name is not in them"

make --no-print-directory uninstall PREFIX="$work/usr" > "$work/log"
[ -z "$(find "$work/usr" -type f -o -type l)" ]
ok "uninstall leaves nothing"
echo "install: $passed passed, 0 failed"
