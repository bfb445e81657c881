#!/usr/bin/env bash
# Builds each example as its own comment says, against the staged library, and runs it; and gives the demo bad input.
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh

stage=${STAGE:-$ROOT/target/stage}
work=${WORK:-$ROOT/target/test/examples}
mkdir -p "$work"
export PKG_CONFIG_PATH=$stage/lib/pkgconfig

flags() { pkg-config --cflags --libs "$@"; }

# says WANTED COMMAND...: it succeeds, and one of its lines is WANTED.
says() {
    local wanted=$1 out
    shift
    out=$(timeout 120 "$@" 2>&1) || { echo "status $?: $out"; return 1; }
    grep -qxF -- "$wanted" <<<"$out" || { echo "no line \"$wanted\" in: $out"; return 1; }
}

is_short() { # FILE LINES
    [ "$(wc -l <"$1")" -lt "$2" ] || { echo "$1 has $(wc -l <"$1") lines"; return 1; }
}

warnings=(-Wall -Wextra -Wpedantic -Werror)
for example in examples/quickstart.c examples/quickstart.cpp examples/quickstart/main.go; do
    check "$example has fewer than 80 lines" is_short "$example" 80
done
check 'examples/go_pool/main.go has fewer than 100 lines' is_short examples/go_pool/main.go 100
check 'examples/pg_pool.cpp has fewer than 200 lines' is_short examples/pg_pool.cpp 200

# shellcheck disable=SC2046 # pkg-config prints words
if why=$("$CC" -std=c11 "${warnings[@]}" examples/quickstart.c $(flags ostler) -Wl,-rpath,"$stage/lib" -o "$work/quickstart-c" 2>&1); then
    check quickstart.c says 'a warm worker says 42' "$work/quickstart-c"
else
    not_ok quickstart.c "does not compile: $why"
fi
for example in buffers lazy; do
    # shellcheck disable=SC2046
    if why=$("$CC" -std=c11 "${warnings[@]}" "examples/$example.c" $(flags ostler) -Wl,-rpath,"$stage/lib" -o "$work/$example" 2>&1); then
        case $example in
        buffers) check buffers.c says OSTLER_E_STALE_BUFFER "$work/buffers" ;;
        lazy) check lazy.c says 'it was dropped' "$work/lazy" ;;
        esac
    else
        not_ok "$example.c" "does not compile: $why"
    fi
done
# shellcheck disable=SC2046
if why=$("$CC" -std=c11 "${warnings[@]}" examples/heap.c $(flags ostler) -Wl,-rpath,"$stage/lib" -o "$work/heap" 2>&1); then
    check heap.c says 'moved together, and chunks given back' "$work/heap"
else
    not_ok heap.c "does not compile: $why"
fi
# shellcheck disable=SC2046 # pkg-config prints words
if why=$("$CC" -std=c11 "${warnings[@]}" examples/slab.c $(flags ostler) -Wl,-rpath,"$stage/lib" -o "$work/slab" 2>&1); then
    check slab.c says '1000 messages in one slot, sum 500500' "$work/slab"
else
    not_ok slab.c "does not compile: $why"
fi
says_all() { # LINES COMMAND...: it succeeds, and that is all that it prints
    local wanted=$1 out
    shift
    out=$(timeout 120 "$@" 2>&1) || { echo "status $?: $out"; return 1; }
    same "$wanted" "$out"
}
declare -A told=(
    [deferred]='the sum is 499999500000
taken twice: OSTLER_E_STALE_CELL'
    [templates]='built 1 time, copied 3 times; the other boards are untouched
the first rank is rnbqkbnr
OSTLER_E_BUILD_FAILED: the template could not be built: nobody here knows the rules'
)
for example in deferred templates; do
    # shellcheck disable=SC2046
    if why=$("$CC" -std=c11 "${warnings[@]}" "examples/$example.c" $(flags ostler) -pthread -Wl,-rpath,"$stage/lib" -o "$work/$example" 2>&1); then
        check "$example.c" says_all "${told[$example]}" "$work/$example"
    else
        not_ok "$example.c" "does not compile: $why"
    fi
done
leaks_are_told() {
    local out
    out=$("$work/tracing") || { echo "status $?: $out"; return 1; }
    grep -q '^2097152 bytes in 1 mapping of arena "pages"' <<<"$out" && grep -q '^        at cache_pages ' <<<"$out" &&
        ! grep -q scratch <<<"$out" && grep -q '^still there at shutdown: .*"forgotten".* < forget_something ' <<<"$out" ||
        { echo "$out"; return 1; }
}
# shellcheck disable=SC2046
if why=$("$CC" -std=c11 -g "${warnings[@]}" examples/tracing.c $(flags ostler) -Wl,-rpath,"$stage/lib" -o "$work/tracing" 2>&1); then
    check tracing.c leaks_are_told
else
    not_ok tracing.c "does not compile: $why"
fi
# shellcheck disable=SC2046
if why=$("$CC" -std=c11 "${warnings[@]}" examples/arena.c $(flags ostler) -Wl,-rpath,"$stage/lib" -o "$work/arena" 2>&1); then
    check arena.c says 'the grey is dry' "$work/arena"
else
    not_ok arena.c "does not compile: $why"
fi
# shellcheck disable=SC2046
if why=$("$CC" -std=c11 "${warnings[@]}" examples/segment.c $(flags ostler) -Wl,-rpath,"$stage/lib" -o "$work/segment" 2>&1); then
    check segment.c says 'in the stable: Brandy' "$work/segment"
else
    not_ok segment.c "does not compile: $why"
fi
# shellcheck disable=SC2046
if why=$("$CC" -std=c11 "${warnings[@]}" examples/governor.c $(flags ostler) -Wl,-rpath,"$stage/lib" -o "$work/governor" 2>&1); then
    check governor.c says '8 MiB came back, and 24 entries are left' "$work/governor"
else
    not_ok governor.c "does not compile: $why"
fi
# shellcheck disable=SC2046
if why=$("$CXX" -std=c++17 "${warnings[@]}" examples/quickstart.cpp $(flags ostler) -Wl,-rpath,"$stage/lib" -o "$work/quickstart-cpp" 2>&1); then
    check quickstart.cpp says '4 times ten is 40' "$work/quickstart-cpp"
else
    not_ok quickstart.cpp "does not compile: $why"
fi
# tells WORDS COMMAND...: it succeeds, and WORDS are in what it prints.
tells() {
    local wanted=$1 out
    shift
    out=$(timeout 120 "$@" 2>&1) || { echo "status $?: $out"; return 1; }
    grep -qF -- "$wanted" <<<"$out" || { echo "no \"$wanted\" in: $out"; return 1; }
}
# shellcheck disable=SC2046
if why=$("$CC" -std=c11 "${warnings[@]}" examples/huge_pages.c $(flags ostler) -Wl,-rpath,"$stage/lib" -o "$work/huge_pages" 2>&1); then
    check huge_pages.c tells '% of it in huge pages' "$work/huge_pages"
else
    not_ok huge_pages.c "does not compile: $why"
fi
for example in quickstart go_pool; do
    if ! command -v go >/dev/null; then
        skip "$example/main.go" 'go is not installed'
    elif why=$(cd "examples/$example" && CGO_ENABLED=1 go build -o "$work/$example-go" . 2>&1); then
        check "$example/main.go" env LD_LIBRARY_PATH="$stage/lib" timeout 120 "$work/$example-go"
    else
        not_ok "$example/main.go" "does not build: $why"
    fi
done

tests/examples/pg_pool.sh || failures=$((failures + 1))

# The demo, and what it does with input that it cannot use.
if ! pkg-config --exists tesseract lept; then
    skip ocr 'libtesseract-dev or libleptonica-dev is not installed'
    finish
fi
# shellcheck disable=SC2046
if ! why=$("$CC" -std=c11 -O2 "${warnings[@]}" examples/ocr.c examples/ocr/*.c $(flags ostler tesseract lept) -Wl,-rpath,"$stage/lib" \
    -o "$work/ocr" 2>&1); then
    not_ok ocr.c "does not compile: $why"
    finish
fi

# refuses WORDS ARGUMENTS...: exit status 2, and one sentence that contains WORDS.
refuses() {
    local words=$1 out status=0
    shift
    out=$(timeout 60 "$work/ocr" "$@" 2>&1) || status=$?
    [ $status -eq 2 ] || { echo "status $status, not 2: $out"; return 1; }
    grep -qF -- "$words" <<<"$out" || { echo "no \"$words\" in: $out"; return 1; }
    [ "$(wc -l <<<"$out")" -eq 1 ] || { echo "more than a sentence: $out"; return 1; }
}

pages=$work/pages
rm -rf "$pages" "$work/empty"
mkdir -p "$pages" "$work/empty"
cp examples/pages/page-0[12].png examples/pages/page-0[12].txt "$pages"

check 'ocr: an empty folder' refuses "$work/empty" "$work/empty"
check 'ocr: a folder that is not there' refuses "$work/nowhere" "$work/nowhere"
check 'ocr: no folder at all' refuses 'name one folder'
check 'ocr: a negative number of workers' refuses '--workers is "-1"' --workers -1 "$pages"
check 'ocr: no worker' refuses '--workers is "0"' --workers 0 "$pages"
check 'ocr: an option that is not there' refuses '--fast' --fast "$pages"
check 'ocr: a language that is not installed' refuses 'xyz' --language xyz "$pages"

reads_good_pages() {
    local out
    out=$(timeout 120 "$work/ocr" --rounds 1 "$pages" 2>&1) || { echo "status $?: $out"; return 1; }
    grep -q '^2 of 2 pages were read; 9[5-9]' <<<"$out" || { echo "$out"; return 1; }
    # After the repair no less is in huge pages than there was at first, unless it says why.
    awk '/^as it is/ { before = $4 } /^repaired/ { after = $2; seen = 1 } /^not all of it: limit/ { why = 1 }
        END { exit !(seen && (why || after + 0 >= before + 0)) }' \
        <<<"$out" || { echo "$out"; return 1; }
}
check 'ocr: two good pages' reads_good_pages

head -c 3000 examples/pages/page-03.png >"$pages/cut.png"
echo 'no image at all' >"$pages/text.png"
: >"$pages/nothing.png"
ln -s /nowhere/at/all.png "$pages/dangling.png"

# Each bad file is named with its reason, and the good pages are read all the same.
fails_bad_pages_alone() {
    local out status=0 bad
    out=$(timeout 120 "$work/ocr" --rounds 1 "$pages" 2>&1) || status=$?
    [ $status -ne 0 ] && [ $status -lt 126 ] || { echo "status $status: $out"; return 1; }
    grep -q '^2 of 6 pages were read' <<<"$out" || { echo "$out"; return 1; }
    for bad in cut.png text.png nothing.png dangling.png; do
        grep -q "$bad: ." <<<"$out" || { echo "$bad is not named with a reason: $out"; return 1; }
    done
}
check 'ocr: an unreadable image fails alone' fails_bad_pages_alone
finish
