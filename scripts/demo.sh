#!/usr/bin/env bash
# Builds examples/ocr.c as a user would, against the staged library, and lets it read the pages of the repository.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

stage=$ROOT/target/stage
mkdir -p target/demo
# shellcheck disable=SC2046 # pkg-config prints words
PKG_CONFIG_PATH=$stage/lib/pkgconfig "$CC" -std=c11 -O2 -Wall -Wextra examples/ocr.c examples/ocr/*.c -o target/demo/ocr \
    $(PKG_CONFIG_PATH=$stage/lib/pkgconfig pkg-config --cflags --libs ostler tesseract lept) -Wl,-rpath,"$stage/lib"
exec target/demo/ocr examples/pages
