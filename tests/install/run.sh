#!/usr/bin/env bash
# The library as a user installs it and builds against it, out of tree, with nothing but the installed prefix.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh

work=${WORK:-$ROOT/target/test/install}
version=$(version)
major=${version%%.*}
prefix=$work/prefix
rm -rf "$work"
mkdir -p "$work"
cp tests/install/consumer.* tests/install/CMakeLists.txt "$work"

strict=(-Wall -Wextra -Wpedantic -Werror)

# Only what a user's shell has: nothing of this build may leak into the consumer's.
out_of_tree() { (cd "$work" && env -i PATH="$PATH" HOME="$work" LC_ALL=C.UTF-8 "$@"); }
make_install() { env -u MAKEFLAGS -u MAKELEVEL make --silent install DESTDIR= "$@"; }
package() { out_of_tree PKG_CONFIG_PATH="$1/pkgconfig" pkg-config "${@:2}" ostler; }

# prints_version LIBDIR PROGRAM, shared_only/static_only: what the program asks the loader for.
prints_version() { same "$version" "$(out_of_tree LD_LIBRARY_PATH="$1" "$2")"; }
needs_library() { readelf -d "$1" | grep -qF "[libostler.so.$major]" || { readelf -d "$1" | grep NEEDED; return 1; }; }
needs_no_library() { ! readelf -d "$1" | grep -F '[libostler'; }

expected_files() { # LIBDIR, relative to the prefix
    sort <<FILES
include/ostler.h
include/ostler.hpp
$(cd bindings/cpp && printf 'include/%s\n' ostler/*.hpp)
include/ostler_inline.h
$1/libostler.a
$1/libostler.so
$1/libostler.so.$major
$1/libostler.so.$version
$1/cmake/ostler/ostlerConfig.cmake
$1/cmake/ostler/ostlerConfigVersion.cmake
$1/pkgconfig/ostler.pc
FILES
}
lies_in() { same "$(expected_files "$2")" "$(cd "$1" && find . ! -type d -printf '%P\n' | sort)"; }
links_are_relative() {
    same "libostler.so.$major" "$(readlink "$1/libostler.so")" && same "libostler.so.$version" "$(readlink "$1/libostler.so.$major")"
}
names_no_build_path() { ! grep -rnF -e "$ROOT" -e "$work" -e '@' "$1/pkgconfig" "$1/cmake"; }

c_shared() { # LIBDIR PROGRAM
    # shellcheck disable=SC2046 # pkg-config prints words
    out_of_tree "$CC" -std=c11 "${strict[@]}" consumer.c -o "$2" $(package "$1" --cflags --libs) &&
        needs_library "$work/$2" && prints_version "$1" "./$2"
}
# Where both libraries lie in one folder, -l:libostler.a is how one asks the linker for the static one.
c_static() {
    # shellcheck disable=SC2046
    out_of_tree "$CC" -std=c11 "${strict[@]}" consumer.c -o "$2" \
        $(package "$1" --static --cflags --libs | sed 's/-lostler/-l:libostler.a/') &&
        needs_no_library "$work/$2" && prints_version /nonexistent "./$2"
}
# A packager may leave the shared library out; then the plain words of pkg-config --static have to do.
c_static_alone() {
    # shellcheck disable=SC2046
    cp -r "$prefix" "$work/static-only" && rm "$work"/static-only/lib/libostler.so* &&
        out_of_tree "$CC" -std=c11 "${strict[@]}" consumer.c -o c-static-alone \
            $(package "$work/static-only/lib" --static --cflags --libs) &&
        prints_version /nonexistent ./c-static-alone
}

cmake_builds() { # PREFIX WANTED_VERSION BUILD
    out_of_tree cmake -S . -B "$3" -DCMAKE_PREFIX_PATH="$1" -DWANTED_VERSION="$2" -DCMAKE_CXX_COMPILER="$CXX" \
        -DCMAKE_CXX_FLAGS="${strict[*]}" && out_of_tree cmake --build "$3"
}
cmake_shared() { needs_library "$work/$2/shared" && prints_version "$1" "$2/shared"; }
cmake_static() { needs_no_library "$work/$2/static" && prints_version /nonexistent "$2/static"; }
cmake_refuses() { ! out_of_tree cmake -S . -B refused -DCMAKE_PREFIX_PATH="$prefix" -DWANTED_VERSION="$1"; }

check 'make install PREFIX' make_install PREFIX="$prefix" LIBDIR="$prefix/lib"
check 'prefix/files' lies_in "$prefix" lib
check 'prefix/links of the shared library' links_are_relative "$prefix/lib"
check 'prefix/package files name no build path' names_no_build_path "$prefix/lib"
check 'prefix/pkg-config knows the version' same "$version" "$(package "$prefix/lib" --modversion)"
check 'prefix/C program, pkg-config, shared' c_shared "$prefix/lib" c-shared
check 'prefix/C program, pkg-config, static' c_static "$prefix/lib" c-static
check 'prefix/C program, pkg-config, static library alone' c_static_alone
check 'prefix/C++ project, CMake' cmake_builds "$prefix" "${version%.*}" cmake-build
check 'prefix/C++ program, CMake, shared' cmake_shared "$prefix/lib" cmake-build
check 'prefix/C++ program, CMake, static' cmake_static "$prefix/lib" cmake-build
check 'prefix/CMake refuses a later major version' cmake_refuses "$((major + 1)).0"
check 'prefix/CMake refuses a later minor version' cmake_refuses "$major.999"

check 'make install again changes nothing' make_install PREFIX="$prefix" LIBDIR="$prefix/lib"

mv "$prefix" "$work/moved"
check 'moved/C program, pkg-config' c_shared "$work/moved/lib" c-moved
check 'moved/C++ project, CMake' cmake_builds "$work/moved" "$version" cmake-moved
check 'moved/C++ program, CMake' cmake_shared "$work/moved/lib" cmake-moved

multiarch=lib/x86_64-linux-gnu
check 'make install DESTDIR PREFIX LIBDIR' make_install DESTDIR="$work/dest" PREFIX=/usr LIBDIR=/usr/$multiarch
check 'staged/files' lies_in "$work/dest/usr" $multiarch
check 'staged/nothing outside the prefix' same usr "$(ls "$work/dest")"
check 'staged/package files name no build path' names_no_build_path "$work/dest/usr/$multiarch"
check 'staged/C program, pkg-config' c_shared "$work/dest/usr/$multiarch" c-staged
check 'staged/C++ project, CMake' cmake_builds "$work/dest/usr" "$version" cmake-staged

relative_is_refused() { ! make_install PREFIX=here LIBDIR=here/lib; }
check 'a relative PREFIX is refused' relative_is_refused

cargo_c_gives_the_same() {
    local prefix=$work/cargo-c
    cargo cinstall --package ostler --release --prefix /usr --libdir /usr/lib --destdir "$prefix" \
        --target-dir "$ROOT/target/cargo-c" &&
        same "$(expected_files lib | grep -v /cmake/)" "$(cd "$prefix/usr" && find . ! -type d -printf '%P\n' | sort)" &&
        same "libostler.so.$major" "$(readelf -d "$prefix/usr/lib/libostler.so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')" &&
        same "$version" "$(package "$prefix/usr/lib" --modversion)"
}
if cargo cinstall --version >/dev/null 2>&1; then
    check 'cargo cinstall gives the same' cargo_c_gives_the_same
else
    skip 'cargo cinstall gives the same' 'cargo-c is not installed (cargo install cargo-c)'
fi
finish
