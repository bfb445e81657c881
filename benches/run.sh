#!/usr/bin/env bash
# Builds the benchmark against the release library and its peers, runs it, and writes target/bench/results.json.
# An argument keeps only the groups whose name contains it: benches/run.sh pool
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/../scripts/lib.sh"

out=target/bench
mkdir -p "$out"
cargo build --quiet --locked --release --manifest-path benches/peers/Cargo.toml --target-dir "$out/peers"
cc -O2 -shared -fPIC -o "$out/libempty.so" benches/empty.c
read -ra peers <<<"$(pkg-config --cflags --libs hwloc apr-1 apr-util-1 tbb protobuf)"
# Only processors with SSE 4.2 can use it.
read -ra dpdk <<<"$(pkg-config --cflags-only-I libdpdk | sed 's/-I/-isystem /g') -include rte_config.h -march=corei7 -lrte_eal -lrte_mempool -lrte_mempool_ring"
c++ -std=c++17 -O2 -Wall -Wextra -Iinclude -o "$out/bench" benches/*.cpp "$out/peers/release/libpeers.a" \
    -L"$out" -lempty -Ltarget/release -lostler "${peers[@]}" "${dpdk[@]}" -ltbbmalloc -ldl -pthread \
    -Wl,-rpath,'$ORIGIN' -Wl,-rpath,'$ORIGIN/../release'
ln -sf libostler.so target/release/libostler.so.0
# A benchmark of huge pages makes the machine's pool larger, and may be interrupted.
pool=/proc/sys/vm/nr_hugepages
pool_before=$(cat "$pool" 2>/dev/null || echo 0)
trap '[ ! -w "$pool" ] || echo "$pool_before" >"$pool"' EXIT
# Room for the thread-local storage of libjemalloc, which is loaded by name.
GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384 "$out/bench" "$out/results.json" "$@"
echo
echo "The same as JSON: $out/results.json"

# The Go package, in a process of its own, when one of its groups is asked for.
groups=
for group in Arena Deferred Pool; do
    [[ ${group,,} == *"${1-}"* ]] && groups+=${groups:+|}Benchmark$group
done
if [ -n "$groups" ]; then
    echo
    export PKG_CONFIG_PATH=$ROOT/target/stage/lib/pkgconfig LD_LIBRARY_PATH=$ROOT/target/stage/lib
    cd benches/go
    CGO_ENABLED=1 go test -bench "$groups|BenchmarkTwoEmptyCalls"
fi
