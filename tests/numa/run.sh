#!/usr/bin/env bash
# Memory on a machine with four nodes, which is a virtual one: where pages are, and what happens when a node, its pool of
# huge pages or a control group runs short.
suite=numa
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh
source tests/c/programs.sh
source tests/numa/machine.sh

# On two idle cores it takes about a minute and a half; on busy ones several times as long.
boot_seconds=600

if ! why=$(machine_is_to_be_had); then
    skip 'a machine with four nodes' "$why"
    finish
fi

programs=()
for source in tests/numa/*.c; do
    name=$(basename "$source" .c)
    if why=$(build "$name" "$stage" -Itests/numa "$source" 2>&1); then
        programs+=("$work/$name")
    else
        not_ok "$name" "does not compile: $why"
    fi
done

make_disk "$work/disk" "${programs[@]}"
# A machine in software can die while it boots, when this one is busy: its clock stands still for too long.
for _ in 1 2; do
    run_machine $boot_seconds "$work/disk.gz" >"$work/console" || echo "QEMU ended with an error"
    ! grep -q '^begin ' "$work/console" || break
done
# A line of a test carries the name of its program; what a program says besides goes to the log as it is.
awk '
    /^begin / { program = $2 }
    /^(ok|not ok|skip) / { sub(/^(ok|not ok|skip) /, "&" program "/") }
    { print }' "$work/console"
grep -q '^not ok ' "$work/console" && failures=$((failures + 1))

for program in "${programs[@]}"; do
    name=$(basename "$program")
    status=$(sed -n "s/^end $name //p" "$work/console")
    if [ -z "$status" ]; then
        not_ok "$name" "did not end within $boot_seconds seconds, or the machine did not: $(tail -n 3 "$work/console")"
    elif [ "$status" -ne 0 ] && ! sed -n "/^begin $name\$/,/^end $name /p" "$work/console" | grep -q '^not ok '; then
        not_ok "$name" "ended with status $status"
    fi
done
finish
