#!/usr/bin/env bash
# valgrind over the C programs, with the library as it is.
source "$(dirname "$0")/common.sh"

OUT=$TARGET/valgrind
mkdir -p "$OUT"
# As the tests have it, so that nothing is built twice.
(cd "$ROOT" && cargo test --no-run --test tree)
LIBRARY=$TARGET/debug/deps
name_it
# Its defaults: what a user sees who runs valgrind over a program of his own.
memcheck=(valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite,possible --error-exitcode=99)
for source in $(sources) "$ROOT/tests/sanitizers/planted.c"; do
    PROGRAM=$OUT/$(basename "$source" .c)
    "$CC" -std=c11 -g -O1 -Wall -Wextra -Werror -I"$ROOT/include" -I"$ROOT/tests/c" "$source" -o "$PROGRAM" -L"$LIBRARY" -lelementum_torrent -lpthread
    case $source in
        */planted.c) ;;
        *) clean "${memcheck[@]}" "$PROGRAM" ;;
    esac
done
planted 'Invalid write' "${memcheck[@]}" "$PROGRAM" overflow
planted 'Invalid read' "${memcheck[@]}" "$PROGRAM" use-after-free
planted 'definitely lost' "${memcheck[@]}" "$PROGRAM" leak
planted 'possibly lost' "${memcheck[@]}" "$PROGRAM" inside
clean "${memcheck[@]}" "$PROGRAM" nothing
finish valgrind
