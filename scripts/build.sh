#!/usr/bin/env bash
# Builds the library and lays it out in a prefix below target/: scripts/build.sh [--if-possible] release|faults...
#   release   what users get                     -> target/stage
#   faults    with the seam for injected faults  -> target/faults-stage
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# Under `sudo make install`, and where there is no cargo, what the user has built before is what gets installed.
if [ "${1-}" = --if-possible ]; then
    shift
    if [ -n "${SUDO_USER-}" ] || ! rust_is_new_enough; then
        [ -e target/release/libostler.so ] && [ -e target/release/libostler.a ] && exit 0
    fi
    if ! rust_is_new_enough; then
        fail "nothing is built yet and there is no cargo $(rust_wanted) or newer here. Run make setup, then
    cargo build --release
as the user who has cargo, and make install again."
    fi
fi

for build in "$@"; do
    case $build in
        release)
            cargo build --quiet --package ostler --release
            scripts/install.sh target/release "$ROOT/target/stage" "$ROOT/target/stage/lib" '' >/dev/null
            ;;
        faults)
            cargo build --quiet --package ostler --profile faults --features faults
            scripts/install.sh target/faults "$ROOT/target/faults-stage" "$ROOT/target/faults-stage/lib" '' >/dev/null
            ;;
        *) fail "there is no build \"$build\"; the builds are release and faults" ;;
    esac
done
