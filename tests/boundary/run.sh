#!/usr/bin/env bash
# Attacks every function of the installed header: natively, under AddressSanitizer, and under valgrind.
suite=boundary
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh
source tests/c/programs.sh

header=$stage/include/ostler.h
sources=(tests/boundary/attack.c tests/boundary/attempt.c tests/boundary/world.c "$work/functions.c")

if ! why=$(python3 -B tests/boundary/generate.py "$header" 2>&1 >"$work/functions.c"); then
    not_ok 'every function can be attacked' "$why"
    finish
fi
pass 'every function can be attacked'

build_and_run native "$stage" -Itests/boundary "${sources[@]}"

if why=$(build sanitized "$stage" -fsanitize=address,undefined -fno-sanitize-recover=all -Itests/boundary "${sources[@]}" 2>&1); then
    run sanitized "$work/sanitized"
else
    skip sanitized "the compiler has no AddressSanitizer: $(tail -n 1 <<<"$why")"
fi

if ! command -v valgrind >/dev/null; then
    skip valgrind 'valgrind is not installed'
else
    run valgrind valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
        --suppressions=tests/support/valgrind.supp "$work/native"
fi
finish
