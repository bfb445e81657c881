# shellcheck shell=bash
# How test programs in C are built and run. Sourced after scripts/lib.sh and scripts/check.sh, never run.
#   STAGE          a staged install of the library that users get; FAULTS_STAGE: of the one with the seam for faults
#   WORK           where programs and their outputs go
#   CC, CFLAGS     the compiler, and what it is told in addition

# shellcheck disable=SC2034 # for the scripts that source this
stage=${STAGE:-$ROOT/target/stage}
# shellcheck disable=SC2034
faults_stage=${FAULTS_STAGE:-$ROOT/target/faults-stage}
work=${WORK:-$ROOT/target/test/$suite}
mkdir -p "$work"

# build PROGRAM PREFIX ARGUMENTS...: compiles and links a program with the library that is staged in PREFIX.
build() {
    local program=$1 prefix=$2
    shift 2
    # shellcheck disable=SC2086 # CFLAGS is words
    "$CC" -std=c11 -O1 -g -Wall -Wextra -Wpedantic -Werror ${CFLAGS-} -Itests/support -Itests/c -I"$prefix/include" \
        "$@" -o "$work/$program" -L"$prefix/lib" -Wl,-rpath,"$prefix/lib" -lostler -pthread -ldl
}

# run NAME COMMAND...: passes the lines of a test program on, with NAME before the name of each test. A program that
# ends badly without a line of its own about it is a failure as well.
run() {
    local name=$1 status=0
    shift
    "$@" >"$work/$name.out" 2>"$work/$name.err" || status=$?
    sed -E "s#^(ok|not ok|skip) #&$name/#" "$work/$name.out"
    if grep -q '^not ok ' "$work/$name.out"; then
        failures=$((failures + 1))
        grep '^# ' "$work/$name.err" >&2 || true
    elif [ $status -ne 0 ]; then
        not_ok "$name" "ended with status $status: $(tail -n 12 "$work/$name.err")"
    elif ! grep -q . "$work/$name.out"; then
        not_ok "$name" 'printed no line'
    fi
}

# build_and_run NAME PREFIX ARGUMENTS...
build_and_run() {
    local name=$1 why
    shift
    if why=$(build "$name" "$@" 2>&1); then
        run "$name" "$work/$name"
    else
        not_ok "$name" "does not compile: $why"
    fi
}
