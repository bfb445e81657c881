#!/usr/bin/env bash
# What each noun promises, asked from C.
suite=c
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh
source tests/c/programs.sh

# Every status that the header defines, for the test of their names.
sed -nE 's/^#define (OSTLER_(OK|E_[A-Z_]+)) .*/STATUS(\1)/p' "$stage/include/ostler.h" >"$work/statuses.inc"

for source in tests/c/*.c; do
    build_and_run "$(basename "$source" .c)" "$stage" -I"$work" "$source"
done
# The same with inline calls of another layout than the library's.
build_and_run cursor_of_another_layout "$stage" -DANOTHER_LAYOUT tests/c/cursor.c
mkdir -p "$work/next"
sed 's/magazine->\(floor\|ceiling\)/magazine->next_\1/g' "$stage/include/ostler_inline.h" >"$work/next/ostler_inline.h"
build_and_run magazine_of_another_layout "$stage" -I"$work" -DANOTHER_LAYOUT tests/c/magazine.c
finish
