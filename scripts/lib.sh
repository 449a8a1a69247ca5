# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts share: sourced, never run. The sourcing script has set -euo pipefail.

# Debian keeps servers in /usr/sbin, which is not on every user's PATH.
PATH=$PATH:/usr/sbin:/sbin
pids=()

say() {
    echo "$(basename "$0"): $*" >&2
}

die() {
    say "$*"
    exit 1
}

# build_preset PRESET [TARGET]: configures and builds; quiet unless something is built or fails. The
# target token_data is weir and its token data.
build_preset() {
    cmake --preset "$1" >/dev/null
    cmake --build --preset "$1" --target "${2:-all}" >&2
}

# Everything in pids ends with the script, however the script ends.
stop_all() {
    local i
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill -TERM "${pids[i]}" 2>/dev/null && wait "${pids[i]}" 2>/dev/null || true
    done
    pids=()
}

on_exit_stop_all() {
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap stop_all EXIT
}

is_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

need_free_port() {
    if is_taken "$1"; then
        die "port $1 is taken: something else listens on 127.0.0.1:$1"
    fi
}

# wait_for PID NAME COMMAND...: until the command succeeds; fails at once when the process ends.
wait_for() {
    local pid=$1 name=$2 tries
    shift 2
    for ((tries = 0; tries < 200; tries++)); do
        kill -0 "$pid" 2>/dev/null || die "$name ended at its start"
        if "$@" >/dev/null 2>&1; then
            return
        fi
        sleep 0.05
    done
    die "$name did not answer within 10 s"
}

answers() {
    curl -fsS -m 1 "$1"
}

# tap_count REPORT NAME: a number at the end of a report of Node's test runner.
tap_count() {
    sed -n "s/^# $2 \([0-9]*\)$/\1/p" "$1" | tail -n 1
}

# run_node_tests PRESET FILE...: on that build; adds to passed, failed and skipped. A test, or a whole
# file, that waits for ever must fail with its name, where Node can do that (from 20.11 on).
# node_files_at_once: how many files run side by side where Node can do that (from 20.10 on), one unless
# told.
run_node_tests() {
    local weir=$PWD/build/$1/src/weir report status=0 bad each=()
    shift
    if node --help | grep -q -- --test-timeout; then
        each=(--test-timeout="${node_timeout_ms:-120000}")
    fi
    if node --help | grep -q -- --test-concurrency; then
        each+=(--test-concurrency="${node_files_at_once:-1}")
    fi
    report=$(mktemp)
    WEIR_BIN=$weir timeout -k 10 900 node --test "${each[@]}" \
        --test-reporter="${node_reporter:-spec}" --test-reporter-destination=stdout \
        --test-reporter=tap --test-reporter-destination="$report" "$@" || status=$?
    [ -n "$(tap_count "$report" pass)" ] || die "Node's test runner left no report"
    bad=$(($(tap_count "$report" fail) + $(tap_count "$report" cancelled)))
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + $(tap_count "$report" pass)))
    failed=$((failed + bad))
    skipped=$((skipped + $(tap_count "$report" skipped) + $(tap_count "$report" todo)))
    rm -f "$report"
}

# The last line of whatever runs tests: passed, failed, skipped.
print_counts() {
    if [ "$3" -gt 0 ]; then
        echo "$1 passed, $2 failed, $3 skipped"
    else
        echo "$1 passed, $2 failed"
    fi
}
