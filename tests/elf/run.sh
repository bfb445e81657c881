#!/usr/bin/env bash
# What the linker, the loader and a packager see of the libraries that users get.
#   tests/elf/run.sh            the tests
#   tests/elf/run.sh --accept   write tests/exports.txt and tests/elf/ostler.abi anew, to be reviewed and committed
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh

stage=${STAGE:-$ROOT/target/stage}
work=${WORK:-$ROOT/target/test/elf}
shared=$stage/lib/libostler.so
static=$stage/lib/libostler.a
mkdir -p "$work"

# The newest glibc that the shared library may ask for: Debian 12, Ubuntu 22.04 and RHEL 9 have it.
newest_glibc=2.34

# Besides the dynamic loader itself, which takes part wherever thread-local storage does.
needed='libc.so.6
libgcc_s.so.1
libhwloc.so.15
libm.so.6'

exports() { nm -D --defined-only --format=posix "$shared" | cut -d ' ' -f 1 | sort; }
dynamic() { readelf -Wd "$shared"; }
segment() { readelf -Wl "$shared" | awk -v type="$1" '$1 == type'; }

# The C view of the ABI: a library of empty functions with the signatures of the header, compiled with debug
# information, tells libabigail every type, layout and constant that a caller was compiled with.
abi_of_header() {
    python3 tests/header/declarations.py --definitions include/ostler.h >"$work/abi.c" &&
        (cd "$work" && "$CC" -std=c11 -g -w -shared -fPIC -I"$ROOT/include" -Wl,-soname,libostler.so.0 abi.c -o libabi.so) &&
        abidw --no-comp-dir-path --no-corpus-path --no-show-locs --drop-undefined-syms "$work/libabi.so" --out-file "$1"
}

if [ "${1-}" = --accept ]; then
    exports >tests/exports.txt
    abi_of_header tests/elf/ostler.abi
    say "wrote tests/exports.txt and tests/elf/ostler.abi"
    exit
fi

only_our_names() { ! exports | grep -v '^ostler_[a-z]'; }
exports_are_listed() { same "$(cat tests/exports.txt)" "$(exports)"; }
exports_are_declared() { same "$(python3 tests/header/declarations.py --names include/ostler.h | sort)" "$(exports)"; }
no_fault_seam() { ! nm "$shared" "$static" 2>/dev/null | grep -i 'ostler_faults_'; }

soname() { same libostler.so.0 "$(dynamic | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')"; }
flag() { dynamic | grep -E "\(FLAGS(_1)?\)" | grep -qw "$1" || { dynamic | grep FLAGS; return 1; }; }
no_flag() { ! dynamic | grep -E "\(FLAGS(_1)?\)" | grep -w "$1"; }
relro() { [ -n "$(segment GNU_RELRO)" ]; }
stack_is_data() { segment GNU_STACK | grep -q ' RW ' || { segment GNU_STACK; return 1; }; }
no_writable_code() { ! segment LOAD | grep RWE; }
no_entry() { ! dynamic | grep -E "\(($1)\)"; }
needed_list() { same "$needed" "$(dynamic | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^ld-linux' | sort)"; }

glibc_bound() {
    local newest
    newest=$(readelf -WV "$shared" | grep -o 'GLIBC_2[0-9.]*' | sed 's/GLIBC_//' | sort -V | tail -n 1)
    at_least "$newest" "$newest_glibc" || { echo "it wants GLIBC_$newest, newer than $newest_glibc"; return 1; }
}

# Fat link-time optimisation merges the whole program, Rust's standard library included, into one unit of code. Each
# object file leaves its name in the symbol table of what it is linked into, so with it there is one such name, ours,
# and without it there are those of std, core, alloc and every crate besides. (The compiler's own start files and
# arithmetic helpers never take part.)
one_unit_of() { # NAMES
    [ -n "$1" ] || { echo 'no symbol table is left to judge from'; return 1; }
    [[ $1 =~ ^ostler\.[^[:space:]]+$ ]] || { echo 'separate units of code:' "$(sed 's/\..*//' <<<"$1" | sort -u | paste -sd ' ')"; return 1; }
}
shared_is_one_unit() { one_unit_of "$(readelf -Ws "$shared" | awk '$4 == "FILE" { print $8 }' | grep -Ev '^(crtstuff\.c|compiler_builtins\.)')"; }
static_is_one_unit() { one_unit_of "$(ar t "$static" | grep '\.rcgu\.o$' | grep -v '^compiler_builtins')"; }

# Code that runs when the library is loaded or unloaded, by name. The compiler's start files and Rust's standard library
# (which notes argc and argv) have one function each; the library adds none.
functions_in() {
    readelf -WS "$shared" | sed 's/^ *\[ *[0-9]*\] *//' | awk -v section="$1" '$1 == section { print $3, $5 }' |
        while read -r address bytes; do
            readelf -Wr "$shared" | awk -v from="$((16#$address))" -v to="$((16#$address + 16#$bytes))" '
                function number(hex,   value, i) {
                    for (i = 1; i <= length(hex); i++) value = value * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
                    return value
                }
                $3 ~ /_RELATIVE$/ && number($1) >= from && number($1) < to { print $4 }'
        done | while read -r target; do
            nm --demangle "$shared" | awk -v target="$target" '{ at = $1; sub(/^0+/, "", at) } at == target { $1 = $2 = ""; print substr($0, 3); exit }'
        done
}
nothing_runs_at_load() { ! functions_in .init_array | grep -Ev '^(frame_dummy|std::sys::args::.*)$'; }
nothing_runs_at_unload() { ! functions_in .fini_array | grep -Ev '^__do_global_dtors_aux$'; }
no_exit_handler() { ! nm -D --undefined-only "$shared" | grep -E ' (atexit|on_exit|__cxa_atexit|signal|sigaction|exit)(@|$)'; }

# The same words in the same order, each once, where it was last: what the linker makes of a list with repeats.
last_of_each() { tr ' ' '\n' | grep . | tac | awk '!seen[$0]++' | tac | paste -sd ' '; }
static_line_of_package() { sed -n 's/^Libs.private: //p' "$stage/lib/pkgconfig/ostler.pc"; }
static_line_of_rustc() {
    local printed
    printed=$(cargo rustc --package ostler --lib --crate-type staticlib -- --print native-static-libs 2>&1) || { echo "$printed"; return 1; }
    sed -n 's/^note: native-static-libs: //p' <<<"$printed" | last_of_each
}
static_line_is_true() { same "$(static_line_of_rustc)" "$(static_line_of_package)"; }
static_line_is_in_readme() {
    same "-lostler $(static_line_of_package)" \
        "$(awk '/Static link line:/ { here = 1 } here && /^-lostler/ { print; exit }' README.md)"
}

abi_is_as_committed() {
    local changes status=0
    abi_of_header "$work/ostler.abi" || return 1
    changes=$(abidiff tests/elf/ostler.abi "$work/ostler.abi") || status=$?
    [ $status -eq 0 ] && return
    echo "$changes"
    [ $((status & 8)) -ne 0 ] && echo 'this breaks programs that are already built'
    [ $((status & 4)) -ne 0 ] && echo 'if the change is meant, run tests/elf/run.sh --accept and commit the result'
    return 1
}

check 'exports/only ostler_ names' only_our_names
check 'exports/equal tests/exports.txt' exports_are_listed
check 'exports/equal the functions of ostler.h' exports_are_declared
check 'exports/no fault seam in the release' no_fault_seam
check 'shared/SONAME' soname
check 'shared/cannot be unloaded (NODELETE)' flag NODELETE
check 'shared/bound when loaded (BIND_NOW)' flag 'NOW'
check 'shared/no static thread-local storage' no_flag STATIC_TLS
check 'shared/relocations are read-only (RELRO)' relro
check 'shared/stack is not executable' stack_is_data
check 'shared/no segment is writable and executable' no_writable_code
check 'shared/code is not relocated (no TEXTREL)' no_entry 'TEXTREL'
check 'shared/no RPATH or RUNPATH' no_entry 'RPATH|RUNPATH'
check 'shared/NEEDED list' needed_list
check "shared/runs with glibc $newest_glibc" glibc_bound
check 'shared/link-time optimisation took place' shared_is_one_unit
check 'static/link-time optimisation took place' static_is_one_unit
check 'shared/nothing of ours runs at load' nothing_runs_at_load
check 'shared/nothing of ours runs at unload' nothing_runs_at_unload
check 'shared/no exit handler, no signal disposition' no_exit_handler
check 'static/ostler.pc names the libraries that rustc names' static_line_is_true
check 'static/README says what ostler.pc says' static_line_is_in_readme
if command -v abidw >/dev/null && command -v abidiff >/dev/null; then
    check 'abi/equal tests/elf/ostler.abi' abi_is_as_committed
else
    skip 'abi/equal tests/elf/ostler.abi' 'abidiff is not installed (package abigail-tools)'
fi
finish
