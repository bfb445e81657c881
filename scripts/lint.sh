#!/usr/bin/env bash
# Everything that can be judged without running the code. Goes through all of it before it fails.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

failed=()
lint() { # NAME COMMAND...
    say "$1"
    "${@:2}" || failed+=("$1")
}

lock_fits() { cargo metadata --locked --format-version 1 --quiet >/dev/null; }

# The Go package meets the C headers through pkg-config; where nothing is staged the sources themselves will do.
stage_headers() {
    mkdir -p target/lint
    printf 'Name: ostler\nDescription: headers of the tree\nVersion: %s\nCflags: -I%s\nLibs: -lostler\n' \
        "$(version)" "$ROOT/include" >target/lint/ostler.pc
}
go_vet() { stage_headers && (cd bindings/go && PKG_CONFIG_PATH=$ROOT/target/lint CGO_ENABLED=1 go vet "$@" ./...); }
go_format() { local files; files=$(gofmt -l bindings/go examples benches 2>&1); [ -z "$files" ] || { echo "gofmt would change: $files"; return 1; }; }

shell_scripts() { find . \( -path ./target -o -path ./.toolchain \) -prune -o \( -name '*.sh' -o -path ./.ci/run \) -print; }
shell_lint() { shell_scripts | xargs shellcheck --severity=warning --external-sources --source-path="$ROOT"; }

lint 'Cargo.lock fits Cargo.toml' lock_fits
lint 'rustfmt' cargo fmt --all --check
lint 'rustfmt, peers of the benchmark' cargo fmt --manifest-path benches/peers/Cargo.toml --check
lint 'clippy' cargo clippy --quiet --workspace --all-targets --all-features --locked -- -D warnings
lint 'gofmt' go_format
lint 'go vet' go_vet
lint 'go vet, fault tests' go_vet -tags faults
lint 'include/ostler.h is fresh' cargo run --quiet --package ostler-header -- --check
if command -v shellcheck >/dev/null; then lint 'shellcheck' shell_lint; else say 'shellcheck: skipped, it is not installed'; fi

[ ${#failed[@]} -eq 0 ] || fail "lint found fault with: $(printf '%s; ' "${failed[@]}" | sed 's/; $//')"
say 'lint: nothing found'
