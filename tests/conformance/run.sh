#!/usr/bin/env bash
# Plays the conformance vectors of the pool through the C header and the C++ wrapper, each also under AddressSanitizer.
# Go plays them in its own suite.
suite=conformance
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh
source tests/c/programs.sh

vectors=(tests/conformance/*.json)
wrong=(tests/conformance/wrong/*.json)
asan=(-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)

# table NAME LANGUAGE FILE...: vectors as tests in C.
table() {
    local name=$1 language=$2
    shift 2
    python3 -B tests/conformance/vectors.py table "$language" "$@" >"$work/$name.inc"
}

# compile NAME LANGUAGE FLAGS...: the player of a language, with the vectors of NAME.
compile() {
    local name=$1 language=$2 table="-DVECTORS=\"$work/$1.inc\""
    shift 2
    if [ "$language" = c ]; then
        build "$name" "$stage" "$table" "$@" tests/conformance/pool.c
    else
        "$CXX" -std=c++17 -O1 -g -Wall -Wextra -Wpedantic -Werror -pthread "$table" "$@" -Itests/support \
            -I"$stage/include" tests/conformance/pool.cpp -o "$work/$name" -L"$stage/lib" -Wl,-rpath,"$stage/lib" \
            -lostler
    fi
}

# play NAME LANGUAGE FLAGS...
play() {
    local name=$1 language=$2 why
    shift
    if why=$(table "$name" "$language" "${vectors[@]}" 2>&1 && compile "$name" "$@" 2>&1); then
        run "$name" "$work/$name"
    else
        not_ok "$name" "does not compile: $why"
    fi
}

# Each vector that expects something wrong must be found, so that a right one says something.
finds_what_is_wrong() {
    local name=wrong_$1 output found
    table "$name" "$1" "${wrong[@]}" && compile "$name" "$1" || return 1
    output=$("$work/$name" 2>&1) && { echo 'no vector failed'; return 1; }
    found=$(grep -c '^not ok ' <<<"$output")
    ! grep -E '^(ok|skip) ' <<<"$output" && [ "$found" -eq "$(grep -c '^TEST' "$work/$name.inc")" ]
}

check 'every rule is shown, or said to be shown elsewhere' \
    python3 -B tests/conformance/vectors.py rules docs/pool.md "${vectors[@]}"
play c c
play c_asan c "${asan[@]}"
play cpp cpp
play cpp_asan cpp "${asan[@]}"
check 'c finds what is wrong' finds_what_is_wrong c
check 'cpp finds what is wrong' finds_what_is_wrong cpp
finish
