#!/usr/bin/env bash
# What happens when the system, a callback or the library itself fails; against the build with the seam for failures.
suite=faults
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh
source tests/c/programs.sh

build_and_run faults "$faults_stage" tests/faults/faults.c
finish
