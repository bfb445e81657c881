#!/usr/bin/env bash
# Hosts that misbehave, or come and go in odd ways.
suite=hosts
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh
source tests/c/programs.sh

build_and_run inside "$stage" tests/hosts/inside.c
build_and_run fork "$stage" tests/hosts/fork.c
build_and_run threads "$stage" tests/hosts/threads.c
build_and_run structs "$stage" tests/hosts/structs.c

# Not linked with the library: dlopen alone brings it in.
if why=$("$CC" -std=c11 -O1 -g -Wall -Wextra -Wpedantic -Werror -Itests/support -I"$stage/include" tests/hosts/dlopen.c \
    -o "$work/dlopen" -pthread -ldl 2>&1); then
    OSTLER_LIBRARY=$stage/lib/libostler.so.0 run dlopen "$work/dlopen"
else
    not_ok dlopen "does not compile: $why"
fi

# A plugin that takes memory and is unloaded before anybody asks who took it.
if why=$("$CC" -std=c11 -O1 -g -Wall -Wextra -Wpedantic -Werror -I"$stage/include" -shared -fPIC tests/hosts/plugin.c \
    -o "$work/plugin.so" -L"$stage/lib" -lostler 2>&1); then
    PLUGIN=$work/plugin.so build_and_run unloaded "$stage" tests/hosts/unloaded.c
else
    not_ok unloaded "the plugin does not compile: $why"
fi

ends_well() { # HOW: a hundred times, each a little later than the one before
    local i
    for i in $(seq 100); do
        timeout 120 "$work/exit_busy" $((i * 20000)) "$1" || { echo "run $i ended with status $?"; return 1; }
    done
}
if why=$(build exit_busy "$stage" tests/hosts/exit_busy.c 2>&1); then
    check 'a program returns from main with busy workers, 100 times' ends_well return
    check 'a program calls exit with busy workers, 100 times' ends_well exit
else
    not_ok exit_busy "does not compile: $why"
fi

says_nothing() {
    local out
    out=$("$work/never" 2>&1) && [ -z "$out" ]
}
if why=$(build never "$stage" tests/hosts/never.c 2>&1); then
    check 'a program that never calls has no thread, no handler and no output' says_nothing
else
    not_ok never "does not compile: $why"
fi

works_to_the_end() {
    local out
    out=$(timeout 120 "$work/static_object" 2>&1) || { echo "status $?: $out"; return 1; }
    [ "$out" = $'allocated in a static destructor\nran in a static destructor' ] || { echo "$out"; return 1; }
}
# shellcheck disable=SC2086 # CFLAGS is words
if why=$("$CXX" -std=c++17 -O1 -g -Wall -Wextra -Wpedantic -Werror ${CFLAGS-} -I"$stage/include" tests/hosts/static_object.cpp \
    -o "$work/static_object" -L"$stage/lib" -Wl,-rpath,"$stage/lib" -lostler -pthread 2>&1); then
    check 'static C++ objects call from their destructors' works_to_the_end
else
    not_ok static_object "does not compile: $why"
fi
finish
