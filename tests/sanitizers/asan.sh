#!/usr/bin/env bash
# AddressSanitizer and LeakSanitizer over the C programs.
source "$(dirname "$0")/common.sh"

library address
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1
for source in $(sources); do
    program "$source" address asan
    clean "$PROGRAM"
done
program "$ROOT/tests/sanitizers/planted.c" address asan
planted 'AddressSanitizer: heap-buffer-overflow' "$PROGRAM" overflow
planted 'AddressSanitizer: heap-use-after-free' "$PROGRAM" use-after-free
planted 'LeakSanitizer: detected memory leaks' "$PROGRAM" leak
clean "$PROGRAM" nothing
finish asan
