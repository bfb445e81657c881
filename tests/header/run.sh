#!/usr/bin/env bash
# The headers as a compiler and as a reader meet them.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh

strict=(-fsyntax-only -Wall -Wextra -Wpedantic -Werror)

# compiles COMPILER LANGUAGE STANDARD HEADER: alone, and then once more in the same file.
compiles() {
    printf '#include "%s"\n#include "%s"\n' "${4#bindings/cpp/}" "${4#bindings/cpp/}" |
        "$1" "${strict[@]}" -x "$2" "-std=$3" -Iinclude -Ibindings/cpp -
}

check 'ostler.h is what cbindgen makes of src/abi' cargo run --quiet --package ostler-header -- --check

for compiler in gcc clang; do
    command -v $compiler >/dev/null || { skip "compiles under $compiler" "$compiler is not installed"; continue; }
    for header in ostler.h ostler_inline.h; do
        for standard in c11 c17; do
            check "$header alone and twice, $compiler, $standard" compiles $compiler c $standard $header
        done
    done
    for header in ostler.h ostler_inline.h ostler.hpp bindings/cpp/ostler/*.hpp; do
        for standard in c++17 c++20; do
            check "${header#bindings/cpp/} alone and twice, $compiler, $standard" compiles $compiler c++ $standard $header
        done
    done
done

check 'every function of ostler.h is described in full' python3 -B tests/header/lint.py include/ostler.h
python3 -B tests/header/lint_test.py || failures=$((failures + 1))
finish
