#!/usr/bin/env bash
# What happens when the system, a callback or the library itself fails; against the build with the seam for failures.
suite=faults
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh
source tests/c/programs.sh

for source in tests/faults/*.c; do
    build_and_run "$(basename "$source" .c)" "$faults_stage" "$source"
done
finish
