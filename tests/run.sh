#!/usr/bin/env bash
# Runs the test suites and adds up what they say.
#   tests/run.sh          all of them, in order
#   tests/run.sh c go     only these
# A suite prints a line for each test: `ok NAME`, `not ok NAME: why` or `skip NAME: reason`. It fails as well when it
# ends with an error that no such line explains, when it outlives its time, and when it ran no test at all.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/../scripts/lib.sh"
# Whatever goes wrong on the way, the last line has to come.
set +e

all=(rust header elf boundary c conformance hosts poison faults cpp go examples install numa)
# Only against what hangs: on a busy machine a suite takes several times as long as on an idle one.
seconds_of() { case $1 in rust) echo 3600 ;; *) echo 1800 ;; esac; }

passed=0 failed=0 skipped=0

# total SUITE PASSED FAILED SKIPPED
total() {
    printf '%s: %d passed, %d failed, %d skipped\n' "$@"
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
}

# What a suite that went wrong said besides its results, so that the log of a CI run is enough to understand it.
show_end_of() { grep -avE '^(ok|not ok|skip) ' "$1" | tail -n 40 | sed 's/^/    | /'; }

build() {
    local log=target/test/build.log
    say "building the library and its fault-injecting twin (log: $log)"
    timeout --kill-after=10 3600 scripts/build.sh release faults >"$log" 2>&1 && return
    echo "not ok build: the library does not build"
    show_end_of "$log"
    total build 0 1 0
    finish
}

run_suite() {
    local suite=$1 log=target/test/$1.log limit status=0 ok not_ok skip
    limit=$(seconds_of "$suite")
    rm -rf "target/test/$suite"
    mkdir -p "target/test/$suite"
    say "$suite (log: $log)"
    timeout --kill-after=10 "$limit" tests/suites.sh "$suite" >"$log" 2>&1 </dev/null || status=$?

    ok=$(grep -ac '^ok ' "$log")
    not_ok=$(grep -ac '^not ok ' "$log")
    skip=$(grep -ac '^skip ' "$log")
    grep -aE '^(not ok|skip) ' "$log"

    local trouble=''
    if [ $status -eq 124 ] || [ $status -eq 137 ]; then
        trouble="did not end within $limit seconds"
    elif [ $status -ne 0 ] && [ "$not_ok" -eq 0 ]; then
        trouble="ended with status $status and no failed test to explain it"
    elif [ $((ok + not_ok + skip)) -eq 0 ]; then
        trouble='ran no test'
    fi
    if [ -n "$trouble" ]; then
        not_ok=$((not_ok + 1))
        echo "not ok $suite: $trouble"
    fi
    [ "$not_ok" -eq 0 ] || show_end_of "$log"
    total "$suite" "$ok" "$not_ok" "$skip"
}

finish() {
    local summary="$passed passed, $failed failed"
    [ $skipped -eq 0 ] || summary+=", $skipped skipped"
    printf '\n%s\n' "$summary"
    exit $((failed > 0 || passed == 0))
}

for suite in "$@"; do
    [[ " ${all[*]} " == *" $suite "* ]] || fail "there is no suite \"$suite\"; the suites are: ${all[*]}"
done
suites=("$@")
[ $# -gt 0 ] || suites=("${all[@]}")

mkdir -p target/test
# Only these two do without the built library.
[[ " ${suites[*]}" =~ ^(' rust'|' header')+$ ]] || build
for suite in "${suites[@]}"; do
    run_suite "$suite"
done
finish
