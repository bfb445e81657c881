#!/usr/bin/env bash
# How each suite runs: tests/suites.sh SUITE prints its ok, not ok and skip lines. tests/run.sh counts them.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/../scripts/lib.sh"
source scripts/check.sh

shopt -s nullglob

suite=$1
export STAGE=$ROOT/target/stage FAULTS_STAGE=$ROOT/target/faults-stage
export FAULTS_LIB=$FAULTS_STAGE/lib WORK=$ROOT/target/test/$suite
unset MAKEFLAGS MAKELEVEL LD_LIBRARY_PATH PKG_CONFIG_PATH
mkdir -p "$WORK"

asan=(-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
program_seconds=600

# cpp_program LABEL STAGE SOURCE FLAGS...: one test program, built against a prefix as a user would, and run there.
# A program that dies, hangs or reports nothing is a failed test of its own.
cpp_program() {
    local stage=$2 source=$3 name out status=0
    name=$(basename "${source%.*}")$1
    shift 3
    local exe=$WORK/${name// /} log=$WORK/${name// /}.log
    # shellcheck disable=SC2046 # pkg-config prints words
    if ! out=$("$CXX" -std=c++17 -O1 -g -Wall -Wextra -Wpedantic -Werror -pthread "$@" -Itests/support "$source" -o "$exe" \
        $(PKG_CONFIG_PATH=$stage/lib/pkgconfig pkg-config --cflags --libs ostler) -Wl,-rpath,"$stage/lib" 2>&1); then
        not_ok "$name" 'does not compile'
        echo "$out"
        return
    fi
    timeout --kill-after=5 $program_seconds "$exe" >"$log" 2>&1 </dev/null || status=$?
    sed -E "s#^(ok|not ok|skip) #&$name/#" "$log"
    if [ $status -eq 124 ] || [ $status -eq 137 ]; then
        not_ok "$name" "did not end within $program_seconds seconds"
    elif [ $status -gt 128 ]; then
        not_ok "$name" "died of signal $(kill -l $((status - 128)))"
    elif [ $status -ne 0 ] && ! grep -q '^not ok ' "$log"; then
        not_ok "$name" "ended with status $status: $(tail -n 3 "$log")"
    elif ! grep -qE '^(ok|not ok|skip) ' "$log"; then
        not_ok "$name" 'reported no test'
    fi
}

# `test a::b ... ok` becomes `ok a::b`. The sums that cargo prints must agree, so that no line can be lost on the way.
from_cargo() {
    awk -v prefix="$1" '
        { print "  " $0 }
        match($0, /^test .* \.\.\. (ok|FAILED|ignored)/) {
            name = substr($0, 6, RLENGTH - 5)
            outcome = name; sub(/.* \.\.\. /, "", outcome)
            sub(/ \.\.\. [a-zA-Z]+$/, "", name)
            why = substr($0, RLENGTH + 1); sub(/^, /, "", why)
            seen++
            if (outcome == "ok") print "ok " prefix name
            else if (outcome == "FAILED") print "not ok " prefix name ": see the log"
            else print "skip " prefix name ": " (why == "" ? "ignored without a reason" : why)
        }
        /^test result: / { counted += $4 + $6 + $8 }
        END { if (seen != counted) { print "not ok " prefix "count: cargo counts " counted " tests and " seen " were seen" } }'
}

# explained LABEL OUTPUT: a run ended with an error, and either a failed test in its output says why or this does.
explained() { grep -q '^not ok ' "$2" || not_ok "$1" 'ended with an error and no failed test to explain it'; }

cargo_tests() { # LABEL ARGUMENTS...
    local label=$1 out=$WORK/$1.out
    shift
    cargo test --no-fail-fast --package ostler-rlib "$@" 2>&1 | from_cargo "$label/" | tee "$out" || explained "$label" "$out"
}

suite_rust() {
    cargo_tests plain
    cargo_tests faults --features faults
}

# The programs in C run twice: as they are, and with the sanitizers watching what the library does to their memory.
suite_c() {
    tests/c/run.sh || failures=$((failures + 1))
    CFLAGS=${asan[*]} WORK=$WORK/asan tests/c/run.sh | sed -E 's#^(ok|not ok|skip) #&asan/#' || failures=$((failures + 1))
}

suite_cpp() {
    local source
    for source in tests/cpp/*.cpp; do
        if [ "$source" = tests/cpp/faults.cpp ]; then
            cpp_program '' "$FAULTS_STAGE" "$source"
        else
            cpp_program '' "$STAGE" "$source"
            cpp_program ' (asan)' "$STAGE" "$source" "${asan[@]}"
            cpp_program ' (c++20)' "$STAGE" "$source" -std=c++20
        fi
    done
}

# Why a Go test failed or was skipped is what it logged last.
from_go() {
    awk -v prefix="$1" '
        { print "  " $0 }
        /^=== / { test = $3 }
        /^ +[^ ]+\.go:[0-9]+: / { why = $0; sub(/^ +[^ ]+: /, "", why); said[test] = why }
        match($0, /^ *--- (PASS|FAIL|SKIP): /) {
            name = substr($0, RLENGTH + 1); sub(/ \([0-9.]+s\)$/, "", name)
            if ($2 == "PASS:") print "ok " prefix name
            else if ($2 == "FAIL:") print "not ok " prefix name ": " (name in said ? said[name] : "see the log")
            else print "skip " prefix name ": " (name in said ? said[name] : "no reason given")
        }'
}

go_tests() { # LABEL STAGE ARGUMENTS...
    local label=$1 stage=$2 out=$WORK/$1.out
    shift 2
    PKG_CONFIG_PATH=$stage/lib/pkgconfig LD_LIBRARY_PATH=$stage/lib CGO_ENABLED=1 \
        go test -count=1 -v -timeout 15m "$@" ./... 2>&1 | from_go "$label/" | tee "$out" || explained "$label" "$out"
}

go_is_formatted() { local files; files=$(gofmt -l . 2>&1); [ -z "$files" ] || { echo "gofmt would change: $files"; return 1; }; }
go_is_vetted() { PKG_CONFIG_PATH=$1/lib/pkgconfig CGO_ENABLED=1 go vet "${@:2}" ./...; }

suite_go() {
    cd bindings/go || exit 1
    check gofmt go_is_formatted
    check vet go_is_vetted "$STAGE"
    check 'vet (faults)' go_is_vetted "$FAULTS_STAGE" -tags faults
    GODEBUG=cgocheck=1 go_tests race "$STAGE" -race
    GOEXPERIMENT=cgocheck2 go_tests cgocheck2 "$STAGE"
    GODEBUG=cgocheck=1 go_tests faults "$FAULTS_STAGE" -tags faults -race
}

case $suite in
    rust | c | cpp | go) "suite_$suite" ;;
    *) exec "tests/$suite/run.sh" ;;
esac
finish
