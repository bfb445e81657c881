# shellcheck shell=bash
# What the scripts of this tree share: where they stand, how they speak, which tools they accept.
# Sourced, never run.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

export LC_ALL=C.UTF-8
export CARGO_TARGET_DIR=$ROOT/target
export GOTOOLCHAIN=local
export CC=${CC:-gcc} CXX=${CXX:-g++}

# Where rustup puts cargo, for shells that did not read its profile.
[ -d "${HOME:-/root}/.cargo/bin" ] && PATH=$PATH:${HOME:-/root}/.cargo/bin

say() { printf '== %s\n' "$*"; }
fail() { printf 'ostler: %s\n' "$*" >&2; exit 1; }

# at_least WANTED FOUND: compares dotted version numbers.
at_least() { printf '%s\n%s\n' "$1" "$2" | sort -V -C; }

version() { sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1; }

rust_wanted() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1; }
rust_found() { cargo --version 2>/dev/null | cut -d ' ' -f 2; }
rust_is_new_enough() { local found; found=$(rust_found) && [ -n "$found" ] && at_least "$(rust_wanted)" "$found"; }

go_wanted() { sed -n 's/^go \([0-9.]*\)$/\1/p' bindings/go/go.mod; }
go_found() { go version 2>/dev/null | sed 's/^go version go\([0-9.]*\).*/\1/'; }
go_is_new_enough() { local found; found=$(go_found) && [ -n "$found" ] && at_least "$(go_wanted)" "$found"; }

# A Go of the machine that is new enough comes first; otherwise the one that setup keeps in this tree.
own_go=$ROOT/.toolchain/go/bin
if ! go_is_new_enough && [ -x "$own_go/go" ]; then
    PATH=$own_go:$PATH
fi
export PATH
