# What the sanitizer scripts share. Sourced.
#
# A sanitizer that is off finds nothing, which looks just like a program without faults. So each script also runs
# planted.c, whose faults cross the border into the library, and fails when one of them is not reported.

set -euo pipefail
# The library's package: another one can be named, to try these scripts by themselves.
ROOT=${ET_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
HOST=$(rustc -vV | sed -n 's/^host: //p')
CC=${CC:-cc}
passed=0
failed=0

# library SANITIZER: builds the library with the sanitizer, sets LIBRARY to its directory, OUT to one for programs.
# The compiler ships the sanitizers' runtimes, but the flag is not yet stable: RUSTC_BOOTSTRAP lets a stable compiler take it. The
# standard library has no instrumentation: the second flag admits that. The third has its generic code compiled with ours,
# and so instrumented, even where it has that ready-made. Our code knows of ThreadSanitizer as cfg(tsan).
library() {
    local known=
    OUT=$TARGET/$1
    [ "$1" != thread ] || known=--cfg=tsan
    echo "building the library with -Zsanitizer=$1"
    (cd "$ROOT" && RUSTC_BOOTSTRAP=1 \
        RUSTFLAGS="-Zsanitizer=$1 -Cunsafe-allow-abi-mismatch=sanitizer -Zshare-generics=no $known" \
        cargo build --lib --target "$HOST" --target-dir "$OUT")
    LIBRARY=$OUT/$HOST/debug
    name_it
}

# name_it: programs ask for the library by the name that the dynamic linker knows.
name_it() {
    ln -sf libelementum_torrent.so "$LIBRARY/libelementum_torrent.so.0"
}

# runtime SHORT_NAME: path of the compiler's own runtime, which knows all that its instrumentation calls. cc's may not.
runtime() {
    local found
    found=$(find "$(rustc --print target-libdir)" -name "librustc-*_rt.$1.a" | head -1)
    [ -n "$found" ] || { echo "this Rust toolchain ships no runtime '$1'" >&2; exit 1; }
    echo "$found"
}

# program SOURCE SANITIZER SHORT_NAME: compiles a C program with the sanitizer, against $LIBRARY; sets PROGRAM.
program() {
    PROGRAM=$OUT/$(basename "$1" .c)
    "$CC" -std=c11 -g -O1 -Wall -Wextra -Werror -fno-omit-frame-pointer "-fsanitize=$2" -I"$ROOT/include" -I"$ROOT/tests/c" -c "$1" -o "$PROGRAM.o"
    "$CC" "$PROGRAM.o" -o "$PROGRAM" -Wl,--whole-archive "$(runtime "$3")" -Wl,--no-whole-archive -rdynamic \
        -L"$LIBRARY" -lelementum_torrent -lpthread -ldl -lm -lrt
}

# sources: the C programs that must run without a report. Each takes no arguments and exits with 0. The header's example is one of them, with
# what it is run with around it.
sources() {
    find "$ROOT/tests/c" -name '*.c' | sort
    awk 'FNR == NR && $0 == " * OWNERSHIP" { inside = 0 }
        FNR == NR && inside && sub(/^ \*     /, "") { code = code $0 "\n" }
        FNR == NR && $0 == " * EXAMPLE" { inside = 1 }
        FNR == NR { next }
        $0 == "/* THE EXAMPLE */" { printf "%s", code; next }
        { print }' "$ROOT/include/elementum_torrent.h" "$ROOT/tests/c/around_example.inc" > "$OUT/header_example.c"
    echo "$OUT/header_example.c"
}

# clean COMMAND...: must exit with 0.
clean() {
    local log=$OUT/log
    if LD_LIBRARY_PATH=$LIBRARY "$@" > "$log" 2>&1; then
        echo "ok       $(basename "${*: -1}")"
        passed=$((passed + 1))
    else
        echo "FAILED   $(basename "${*: -1}")"
        told "$log"
        failed=$((failed + 1))
    fi
}

# told LOG: the first report from its beginning on, of each stack the frames next to the fault; and how the program ended.
told() {
    sed -nE '/WARNING|ERROR: |==[0-9]+== [A-Z]/,$p' "$1" | grep -vE '^ *#(1[2-9]|[2-9][0-9]) ' | cut -c1-240 | sed -n 1,60p
    echo '[...]'
    tail -20 "$1"
}

# planted PATTERN COMMAND...: must fail, and the report must match.
planted() {
    local pattern=$1 log=$OUT/log
    shift
    if LD_LIBRARY_PATH=$LIBRARY "$@" > "$log" 2>&1; then
        echo "FAILED   planted ${*: -1}: nothing was reported"
        failed=$((failed + 1))
    elif grep -qE "$pattern" "$log"; then
        echo "ok       planted ${*: -1}: reported"
        passed=$((passed + 1))
    else
        echo "FAILED   planted ${*: -1}: no report like '$pattern'"
        told "$log"
        failed=$((failed + 1))
    fi
}

finish() {
    echo "$1: $passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
