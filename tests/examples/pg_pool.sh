#!/usr/bin/env bash
# Runs examples/pg_pool.cpp against a PostgreSQL of its own, which is restarted and ends connections meanwhile.
source "$(dirname "$0")/../../scripts/lib.sh"
source scripts/check.sh

stage=${STAGE:-$ROOT/target/stage}
work=${WORK:-$ROOT/target/test/examples}
mkdir -p "$work"
export PKG_CONFIG_PATH=$stage/lib/pkgconfig
# What libpq would take from the environment is of another server.
unset "${!PG@}"

if ! pkg-config --exists libpq; then
    skip pg_pool.cpp 'libpq-dev is not installed'
    finish
fi
# shellcheck disable=SC2046 # pkg-config prints words
if ! why=$("$CXX" -std=c++17 -O1 -Wall -Wextra -Wpedantic -Werror examples/pg_pool.cpp $(pkg-config --cflags --libs ostler libpq) \
    -pthread -Wl,-rpath,"$stage/lib" -o "$work/pg_pool" 2>&1); then
    not_ok pg_pool.cpp "does not compile: $why"
    finish
fi

# refuses STATUS WORDS ARGUMENTS...: it ends with STATUS, and one line that contains WORDS.
refuses() {
    local wanted=$1 words=$2 out status=0
    shift 2
    out=$(timeout 60 "$work/pg_pool" "$@" 2>&1) || status=$?
    [ $status -eq "$wanted" ] || { echo "status $status, not $wanted: $out"; return 1; }
    grep -qF -- "$words" <<<"$out" || { echo "no \"$words\" in: $out"; return 1; }
    [ "$(wc -l <<<"$out")" -eq 1 ] || { echo "more than a line: $out"; return 1; }
}
check 'pg_pool: no conninfo' refuses 2 usage:
check 'pg_pool: an option that is not there' refuses 2 usage: dbname=postgres --sise 4
check 'pg_pool: a pool of nothing' refuses 2 usage: dbname=postgres --size 0
check 'pg_pool: no server' refuses 1 'No such file or directory' "host=$work/nowhere"

# Debian keeps the binaries of the server out of the PATH, below the number of its version.
initdb=$({ find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null || true; } | sort -V | tail -n 1)
bin=$(dirname "${initdb:-$(command -v initdb || true)}")
if [ ! -x "$bin/initdb" ] || [ ! -x "$bin/pg_ctl" ] || [ ! -x "$bin/psql" ]; then
    skip 'pg_pool and a server' 'postgresql is not installed'
    finish
fi
# The server refuses to run as root.
as_server=()
if [ "$(id -u)" -eq 0 ]; then
    if ! id postgres >/dev/null 2>&1; then
        skip 'pg_pool and a server' 'this is root, and there is no user postgres'
        finish
    fi
    as_server=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi

# Where that user may go, and short, because it becomes the name of a socket.
home=$(mktemp -d /tmp/ostler-pg.XXXXXX)
# That user may not go where this shell stands.
run_as_server() { (cd "$home" && timeout 120 "${as_server[@]}" "$@" >>"$home/commands.log" 2>&1 </dev/null); }
server() { run_as_server "$bin/pg_ctl" -D "$home/data" -l "$home/server.log" -w -t 60 "$@"; }
clean_up() {
    for pid in $(jobs -p); do kill -KILL "$pid" 2>/dev/null || true; done
    [ ! -e "$home/data/postmaster.pid" ] || server -m immediate stop || true
    rm -rf "$home"
}
trap clean_up EXIT
trap 'exit 143' HUP INT TERM

start() {
    if [ ${#as_server[@]} -gt 0 ]; then chown postgres "$home" || return 1; fi
    run_as_server "$bin/initdb" -D "$home/data" -A trust -U ostler -E UTF8 --locale=C --no-sync &&
        cat >>"$home/data/postgresql.conf" <<END && server start && return
listen_addresses = ''
unix_socket_directories = '$home'
fsync = off
shared_buffers = 16MB
END
    tail -n 5 "$home"/*log
    return 1
}
check 'pg_pool: a server of its own' start
[ $failures -eq 0 ] || finish

conninfo="host=$home user=ostler dbname=postgres"
size=4

ask() { timeout 20 "$bin/psql" -XAtq -d "$conninfo application_name=test" -c "$1" 2>/dev/null; }
pids() { ask "SELECT pid FROM pg_stat_activity WHERE application_name = 'pg_pool' ORDER BY pid"; }
is_connected() { [ -n "$(pids)" ]; }
is_gone() { local left; left=$(pids) && [ -z "$left" ]; }
has_replaced() { local now; now=$(pids) && [ -n "$now" ] && [ -z "$(comm -12 <(sort <<<"$1") <(sort <<<"$now"))" ]; }
is_running() { kill -0 "$example" 2>/dev/null; }

# eventually WHAT COMMAND...: it comes true within a time that only a failure uses up.
eventually() {
    local what=$1 i
    shift
    for ((i = 0; i < 600; i++)); do
        ! "$@" || return 0
        sleep 0.1
    done
    echo "never $what"
    return 1
}

works_undisturbed() {
    local out
    out=$(timeout 100 "$work/pg_pool" "$conninfo" --threads 8 --seconds 1 --size $size --lifetime 1 2>&1) || { echo "status $?: $out"; return 1; }
    grep -qE '^[1-9][0-9]* queries succeeded, .*; 0 failed$' <<<"$out" && grep -q ' and 0 broken;' <<<"$out" ||
        { echo "$out"; return 1; }
}
check 'pg_pool: nothing fails or breaks while all is well' works_undisturbed

# The server takes a moment to see that a connection was closed, so only what stays is too many; what there was at any
# moment the example counts by itself.
watch() {
    local looks=0 most=0 too_many=0 now
    while is_running; do
        if now=$(pids | wc -l) && [ "$now" -gt 0 ]; then
            looks=$((looks + 1))
            [ "$now" -le $most ] || most=$now
            if [ "$now" -gt $size ]; then too_many=$((too_many + 1)); else too_many=0; fi
            [ $too_many -lt 10 ] || { echo "$now connections of at most $size, ten looks in a row" >"$home/watched"; return; }
        fi
        sleep 0.05
    done
    echo "fine after $looks looks, at most $most at once" >"$home/watched"
}

"$work/pg_pool" "$conninfo" --threads 8 --seconds 3600 --size $size --lifetime 1 >"$home/report" 2>&1 </dev/null &
example=$!
watch &
watcher=$!

replaces_the_old() {
    local before
    eventually 'did it connect' is_connected && before=$(pids) && eventually 'were the first ones gone' has_replaced "$before"
}
check 'pg_pool: connections that grew old are replaced' replaces_the_old

terminate() { ask "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_pool'" >/dev/null; }
outlives() { # DISTURBANCE...
    local before
    before=$(pids) && "$@" && eventually 'did it connect again' has_replaced "$before" && { is_running || { echo 'it ended'; return 1; }; }
}
for round in 1 2 3; do
    check "pg_pool: outlives that its connections are ended, $round" outlives terminate
done
check 'pg_pool: outlives a fast restart of the server' outlives server -m fast restart
check 'pg_pool: outlives an immediate one' outlives server -m immediate restart
# Long enough for the breaker to open.
is_away_for_a_while() { server -m fast stop && sleep 1 && server start; }
check 'pg_pool: outlives that the server is away for a while' outlives is_away_for_a_while

ends_well() {
    local status=0
    kill -TERM "$example" && eventually 'did it end' not is_running || return 1
    wait "$example" || status=$?
    [ $status -eq 0 ] || { echo "status $status: $(cat "$home/report")"; return 1; }
}
not() { ! "$@"; }
# Not by check, which runs in a subshell: only the shell that started a program can wait for it.
if ends_well >"$home/ending" 2>&1; then pass 'pg_pool: ends well'; else not_ok 'pg_pool: ends well' "$(cat "$home/ending")"; fi
wait $watcher
cat "$home/report" "$home/watched"

reports() { grep -qE "$1" "$home/report" || { cat "$home/report"; return 1; }; }
counts_each_failure() {
    local failed named
    failed=$(sed -n 's/.*; \([0-9]*\) failed$/\1/p' "$home/report")
    # Nothing but what a server that goes away can bring about.
    named=$(grep -E '^    [0-9]+ x (OSTLER_E_(CREATE_FAILED|TIMEOUT)|connection lost|SQLSTATE 57P0[123]), such as: .' "$home/report" |
        awk '{ sum += $1 } END { print sum + 0 }')
    [ "$failed" -gt 0 ] && [ "$named" -eq "$failed" ] || { echo "$named of $failed failures have a reason"; cat "$home/report"; return 1; }
}
check 'pg_pool: queries succeed after the last failure' reports '^[0-9]+ queries succeeded, [1-9][0-9]* of them since'
check 'pg_pool: every failure is counted and has a reason' counts_each_failure
check 'pg_pool: every thread ends with a success' reports '^8 of 8 threads'
check "pg_pool: at most $size connections at once, none left" reports " [1-$size] at once at most, 0 left\$"
check "pg_pool: the server saw no more than $size connections" grep '^fine after [1-9]' "$home/watched"
check 'pg_pool: the server has no connection left' eventually 'were all gone' is_gone
finish
