#!/usr/bin/env bash
# ThreadSanitizer over the C programs.
#
# The standard library's own code is not instrumented: that needs its source, which a toolchain need not have. What it
# synchronises inside itself is then invisible, and would be reported. suppressions.tsan lists where, each with its reason; what is
# left are reports about our code, our dependencies, and the std code that is generic and so compiled with ours.
source "$(dirname "$0")/common.sh"

library thread
export TSAN_OPTIONS="halt_on_error=0:second_deadlock_stack=1:suppressions=$ROOT/tests/sanitizers/suppressions.tsan"
for source in $(sources); do
    program "$source" thread tsan
    clean "$PROGRAM"
done
program "$ROOT/tests/sanitizers/planted.c" thread tsan
planted 'ThreadSanitizer: data race' "$PROGRAM" race
clean "$PROGRAM" nothing
finish tsan
