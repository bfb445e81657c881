#!/usr/bin/env bash
# Lays the files of the library out: scripts/install.sh FROM PREFIX LIBDIR DESTDIR
# FROM is the folder where cargo left libostler.so and libostler.a.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

[ $# -eq 4 ] || fail "scripts/install.sh wants FROM PREFIX LIBDIR DESTDIR"
from=$1 prefix=$2 libdir=$3 destdir=$4
for path in "$prefix" "$libdir"; do
    [[ $path == /* ]] || fail "PREFIX and LIBDIR are absolute paths, and \"$path\" is not"
done
[[ $libdir == "$prefix"/* ]] || fail "LIBDIR \"$libdir\" is not below PREFIX \"$prefix\""

version=$(version)
major=${version%%.*}
static_libraries=$(sed -n 's/^Libs.private: //p' bindings/pkgconfig/ostler.pc.in)

# Up from DIRECTORY to the prefix: the package files name everything from where they lie, so the tree can be moved.
up_from() { realpath -sm --relative-to "$1" "$prefix"; }

fill() {
    sed -e "s|@VERSION@|$version|g" -e "s|@MAJOR@|$major|g" -e "s|@LIBDIR@|${libdir#"$prefix"/}|g" \
        -e "s|@STATIC_LIBRARIES@|${static_libraries//-l/}|g" -e "s|@UP@|$(up_from "$(dirname "$2")")|g" "$1"
}

# -C leaves a file that has not changed alone, time stamp and all.
lay() { install -C -D -m 644 "$1" "$destdir$2"; }
lay_filled() { fill "$1" "$2" | install -D -m 644 /dev/stdin "$destdir$2"; }
link() { ln -sfn "$1" "$destdir$2"; }

lay include/ostler.h "$prefix/include/ostler.h"
lay include/ostler_inline.h "$prefix/include/ostler_inline.h"
lay bindings/cpp/ostler.hpp "$prefix/include/ostler.hpp"
for header in bindings/cpp/ostler/*.hpp; do
    lay "$header" "$prefix/include/ostler/${header##*/}"
done

lay "$from/libostler.so" "$libdir/libostler.so.$version"
link "libostler.so.$version" "$libdir/libostler.so.$major"
link "libostler.so.$major" "$libdir/libostler.so"
lay "$from/libostler.a" "$libdir/libostler.a"

lay_filled bindings/pkgconfig/ostler.pc.in "$libdir/pkgconfig/ostler.pc"
for file in ostlerConfig.cmake ostlerConfigVersion.cmake; do
    lay_filled "bindings/cmake/$file.in" "$libdir/cmake/ostler/$file"
done

say "installed Ostler $version in $destdir$prefix"
