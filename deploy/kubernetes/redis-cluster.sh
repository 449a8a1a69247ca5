#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# redis-cluster.sh REPLICAS HOST[:PORT]...: makes a Redis Cluster of these servers, with so many replicas
# for each primary. When they are one already, tells each where the others are: all may have got other
# addresses at once. May be run at any time, and ends well only when each reaches all.
set -eu
replicas=$1
shift

port() {
    case $1 in
    *:*) echo "${1##*:}" ;;
    *) echo 6379 ;;
    esac
}

# Redis itself takes no names.
address() {
    getent ahostsv4 "${1%%:*}" | { read -r ip _ && echo "$ip"; }
}

ask() {
    to=$1
    shift
    redis-cli -h "${to%%:*}" -p "$(port "$to")" "$@" | tr -d '\r'
}

# Tries the command for at most a minute.
within_a_minute() {
    tries=120
    until "$@"; do
        tries=$((tries - 1))
        if [ "$tries" = 0 ]; then
            echo "redis-cluster: waited in vain: $*" >&2
            exit 1
        fi
        sleep 0.5
    done
}

answers() {
    address "$1" >/dev/null && [ "$(ask "$1" ping 2>/dev/null)" = PONG ]
}

knows_nobody() {
    ask "$1" cluster info | grep -q '^cluster_known_nodes:1$'
}

# reaches_all N SERVER: N servers, itself among them, which have all slots. If not, it is told where
# they are.
reaches_all() {
    if [ "$(ask "$2" cluster nodes | grep -c ' connected')" = "$1" ] &&
        ask "$2" cluster info | grep -q '^cluster_slots_ok:16384$'; then
        return 0
    fi
    for other in $at; do
        ask "$2" cluster meet "${other%:*}" "${other##*:}" >/dev/null
    done
    return 1
}

new=yes
at=
for server in "$@"; do
    within_a_minute answers "$server"
    at="$at $(address "$server"):$(port "$server")"
    knows_nobody "$server" || new=no
done
if [ "$new" = yes ]; then
    # shellcheck disable=SC2086 # one word for each server
    redis-cli --cluster create $at --cluster-replicas "$replicas" --cluster-yes
fi
for server in "$@"; do
    within_a_minute reaches_all $# "$server"
done
echo "redis-cluster: $# servers are one cluster"
