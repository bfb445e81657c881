# shellcheck shell=bash
# How tests written in shell report. Sourced, never run; a script that sources it ends with `finish`.

failures=0

pass() { printf 'ok %s\n' "$1"; }
skip() { printf 'skip %s: %s\n' "$1" "$2"; }

# not_ok NAME WHY: every line of WHY ends up on the one line of the result.
not_ok() {
    printf 'not ok %s: %s\n' "$1" "$(tr '\n' ';' <<<"$2" | sed 's/;*$//; s/;/; /g')"
    failures=$((failures + 1))
}

# check NAME COMMAND...: passes when the command does; what it printed is the reason when it does not.
# (The shell ignores `set -e` inside COMMAND, so a function given here joins its steps with &&.)
check() {
    local name=$1 why
    shift
    if why=$("$@" 2>&1); then pass "$name"; else not_ok "$name" "${why:-$* failed without a word}"; fi
}

# same WANTED FOUND: two texts are equal, line by line.
same() {
    [ "$1" = "$2" ] || { diff <(echo "$1") <(echo "$2") | sed -n 's/^</missing/p; s/^>/unexpected/p'; return 1; }
}

finish() { exit $((failures > 0)); }
