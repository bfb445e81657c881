#!/usr/bin/env bash
# Programs that misuse an arena's memory, each of which AddressSanitizer and valgrind must report.
suite=poison
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh
source tests/c/programs.sh

misuses='overrun underrun rewind cursor back alone reset region lent'

# reports WORDS COMMAND...: it ends badly, and says why with WORDS.
reports() {
    local words=$1 out status=0
    shift
    out=$("$@" 2>&1) || status=$?
    [ $status -ne 0 ] && [ $status -ne 3 ] || { echo "status $status: $out"; return 1; }
    grep -qE -- "$words" <<<"$out" || { echo "no \"$words\" in: $out"; return 1; }
}

says_nothing() {
    local out
    out=$("$@" 2>&1) || { echo "status $?: $out"; return 1; }
    [ -z "$out" ] || { echo "it says: $out"; return 1; }
}

asan=(-fsanitize=address -fno-omit-frame-pointer)
if why=$(build misuse-asan "$stage" "${asan[@]}" tests/poison/misuse.c 2>&1 &&
    build leak-asan "$stage" "${asan[@]}" tests/poison/leak.c 2>&1); then
    check 'asan/nothing' says_nothing "$work/misuse-asan" nothing
    for misuse in $misuses; do
        check "asan/$misuse" reports 'use-after-poison' "$work/misuse-asan" "$misuse"
    done
    check 'asan/a pointer in an arena is no leak' says_nothing "$work/leak-asan"
    check 'asan/without the arena it is one' reports 'LeakSanitizer: detected memory leaks' "$work/leak-asan" leak
else
    skip asan "the compiler has no AddressSanitizer: $(tail -n 1 <<<"$why")"
fi

if ! command -v valgrind >/dev/null; then
    skip valgrind 'valgrind is not installed'
elif why=$(build misuse "$stage" tests/poison/misuse.c 2>&1); then
    watched=(valgrind --quiet --error-exitcode=99 --suppressions=tests/support/valgrind.supp "$work/misuse")
    check 'valgrind/nothing' says_nothing "${watched[@]}" nothing
    for misuse in $misuses; do
        check "valgrind/$misuse" reports 'Invalid (read|write) of size 1' "${watched[@]}" "$misuse"
    done
else
    not_ok misuse "does not compile: $why"
fi
finish
