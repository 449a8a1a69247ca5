# SPDX-License-Identifier: Apache-2.0
"""One to eight nodes on one Redis: what a request costs, and what leases must reach."""
import contextlib
import http.client
import json
import math
import random
import statistics
import subprocess
import time

from lib import web
from lib.cluster import PREFIX, RESERVED, USED, NO_LIMIT
from lib.cluster import cluster, load, measure, median_of, request, script_calls, send, simulate
from lib.proc import BenchError, redis_call

TRIES = 5
SIM_S = 10  # of virtual time: what comes before leases are sized right counts for little
UNLIMITED = ", ".join(f"{m}: {NO_LIMIT}/min" for m in ("requests", "input_tokens", "output_tokens"))


def per_request(sim):
    return round(sim["calls_per_request"], 4)


def sim_options(nodes, mode, keys, rate, seconds):
    return {
        "nodes": nodes,
        "mode": mode,
        "keys": keys,
        "rate": rate,
        "duration": seconds,
        "rtt": 300,
        "input": 30,
        "output": RESERVED,
        "used": f"1-{2 * USED}",
        "hold": 0,
    }


def bench_cost(processes, build, redis, settings, say):
    """Nothing is denied: the same load on 1, 2, 4, 8 nodes, in turn, round after round."""
    cells, rate, seconds = [], settings["rate"], settings["cost_s"]
    for keys in settings["keys"]:
        for mode in ("lease", "exact"):
            runs = {n: [] for n in settings["nodes"]}
            for _ in range(settings["rounds"]):
                for nodes, own in runs.items():
                    with cluster(
                        processes, build, redis, nodes=nodes, mode=mode, keys=keys, limits=UNLIMITED
                    ) as c:
                        own.append(measure(c, rate, seconds, keys))
            for nodes, own in runs.items():
                cell = {"keys": keys, "mode": mode, "nodes": nodes, **median_of(own)}
                sim = simulate(
                    build, limits=UNLIMITED, **sim_options(nodes, mode, keys, rate, SIM_S)
                )
                cell["sim_calls_per_request"] = per_request(sim)
                say(f"  {cell}")
                cells.append(cell)
    return {"rate": rate, "seconds": seconds, "cells": cells}


def goal_hot(processes, build, redis, settings):
    """Four hot keys, four nodes."""
    keys, rate, seconds = 4, settings["hot_rate"], settings["goal_s"]
    with cluster(
        processes, build, redis, nodes=4, mode="lease", keys=keys, limits=UNLIMITED
    ) as c:
        result = measure(c, rate, seconds, keys, zipf=0)
    sim = simulate(
        build, limits=UNLIMITED, zipf=0, **sim_options(4, "lease", keys, rate, SIM_S)
    )
    return {"keys": keys, "rate": rate, **result, "sim_calls_per_request": per_request(sim)}


def goal_nodes(processes, build, redis, settings):
    """The same hot keys on one node and on eight; and with embedded stores, which share nothing:
    what eight processes on one core cost more by themselves."""
    runs = {}
    for _ in range(settings["rounds"]):
        for mode in ("lease", "embedded"):
            for nodes in (1, 8):
                own = redis if mode == "lease" else None
                with cluster(
                    processes, build, own, nodes=nodes, mode="lease", keys=4, limits=UNLIMITED
                ) as c:
                    figures = measure(c, settings["hot_rate"], settings["cost_s"], 4, zipf=0)
                runs.setdefault((mode, nodes), []).append(figures["node_s_per_million"])
    return {
        mode: {
            "one": statistics.median(runs[mode, 1]),
            "eight": statistics.median(runs[mode, 8]),
            "times": round(
                statistics.median(b / a for a, b in zip(runs[mode, 1], runs[mode, 8])), 3
            ),
        }
        for mode in ("lease", "embedded")
    }


def goal_hammered(processes, build, redis, settings):
    """One key that is spent, four nodes."""
    limits, rate, seconds = "requests: 100/min", settings["hot_rate"], settings["goal_s"]
    with cluster(processes, build, redis, nodes=4, mode="lease", keys=1, limits=limits) as c:
        result = measure(c, rate, seconds, 1)
    sim = simulate(build, limits=limits, **sim_options(4, "lease", 1, rate, SIM_S))
    return {"rate": rate, **result, "sim_calls_per_request": per_request(sim)}


def verify(build, path, limits):
    """The audit of a record; raises where a limit was passed."""
    command = [build / "src" / "weir", "verify", "--json", "--limits", limits, path]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode > 1:
        raise BenchError(f"weir verify failed: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def share(processes, build, redis, nodes, window_s, windows, rate, keys=3):
    """Keys that ask for three times what they may: what is admitted of it, and the audit. Each
    window may hold C, and a run of two and a half windows sees three of them full."""
    seconds = window_s * windows
    capacity = int(rate / keys * window_s / 3)
    limits = f"requests: {capacity}/{window_s}s"
    record = processes.dir / "record.jsonl"
    with cluster(processes, build, redis, nodes=nodes, mode="lease", keys=keys, limits=limits) as c:
        report = load(c, rate, seconds, keys, zipf=0, record=record)
        failures = c.metric("weir_store_errors_total")
    audit = verify(build, record, limits)
    allowed = keys * capacity * math.ceil(windows)
    sim = simulate(
        build, limits=limits, zipf=0, **sim_options(nodes, "lease", keys, rate, math.ceil(seconds))
    )
    return {
        "nodes": nodes,
        "window_s": window_s,
        "seconds": seconds,
        "capacity": capacity,
        "admitted": report["allowed"],
        "may": allowed,
        "share": round(report["allowed"] / allowed, 4),
        "over": audit["over"],
        "store_failures": int(failures),
        "worst": max(w["worst"]["sum"] for w in audit["windows"]),
        "sim_share": round(sim["allowed"] / allowed, 4),
    }


def used_tokens(c, keys, window_s):
    """What stands of all keys in windows of this length, as the first node's store says."""
    total = 0
    for i in range(1, keys + 1):
        status, text = request(c.ports[0], "GET", "/v1/usage", key=f"{PREFIX}{i}")
        if status != 200:
            raise BenchError(f"/v1/usage answered {status}: {text[:200]}")
        limits = json.loads(text)["limits"]
        total += sum(x["used"] for x in limits if x["window_s"] == window_s)
    return total


def until_equal(get, wanted, timeout_s):
    """Asks until it is so; what it was in the end, and after how long."""
    begin = time.monotonic()
    while (got := get()) != wanted and time.monotonic() < begin + timeout_s:
        time.sleep(0.1)
    return got, round(time.monotonic() - begin, 2)


def settlements(processes, build, redis, count, window_s, keys=20):
    """Acquire at one node, settle at another: what stands is what was used, and in the end
    nothing."""
    limits = f"output_tokens: [1M/{window_s}s, 1M/h]"
    rand, open_reservations, granted = random.Random(1), [], 0
    with contextlib.ExitStack() as stack:
        c = stack.enter_context(
            cluster(processes, build, redis, nodes=4, mode="lease", keys=keys, limits=limits)
        )
        ways = [
            stack.enter_context(
                contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10))
            )
            for port in c.ports
        ]
        redis_call(redis[1], "CONFIG RESETSTAT")

        def settle(reservation):
            body = {"reservation": reservation, "input_tokens": 0, "output_tokens": USED}
            for _ in range(TRIES):  # a machine that stalls: it may be tried again, through any node
                status, text = send(rand.choice(ways), "POST", "/weir/v1/settle", body)
                if status == 200:
                    return
                time.sleep(0.1)
            raise BenchError(f"settle answered {status}: {text[:200]}")

        for _ in range(count):
            key = f"id:k{1 + min(rand.randrange(keys), rand.randrange(keys))}"
            body = {"key": key, "input_tokens": 0, "output_tokens": RESERVED}
            status, text = send(rand.choice(ways), "POST", "/weir/v1/acquire", body)
            if status == 200:
                granted += 1
                open_reservations.append(json.loads(text)["reservation"])
            if len(open_reservations) > 50:
                settle(open_reservations.pop(rand.randrange(len(open_reservations))))
        for reservation in open_reservations:
            settle(reservation)
        calls, _ = script_calls(redis)
        stands, after_s = until_equal(lambda: used_tokens(c, keys, 3600), granted * USED, 5)
        left, free_s = until_equal(lambda: used_tokens(c, keys, window_s), 0, 2 * window_s)
    return {
        "granted": granted,
        "calls_per_request": round(calls / count, 3),
        "stands": stands,
        "wanted": granted * USED,
        "settled_after_s": after_s,
        "left": left,
        "free_after_s": free_s,
    }


def mean_us(connection, first, count):
    """Of `count` keys that were not asked for before, each once. A mean: those of parts add up."""
    times = []
    for i in range(first, first + count):
        body = {"key": f"id:k{i}", "input_tokens": 1, "output_tokens": 1}
        begin = time.perf_counter()
        status, _ = send(connection, "POST", "/weir/v1/acquire", body)
        times.append((time.perf_counter() - begin) * 1e6)
        if status != 200:
            raise BenchError(f"acquire answered {status}")
        time.sleep(0.0005)
    return statistics.mean(times)


def cold(processes, build, redis, count):
    """The first request of a key: beyond a decision in process, one round trip and how much."""
    took = {}
    for where in ("embedded", "redis"):
        with cluster(
            processes,
            build,
            redis if where == "redis" else None,
            nodes=1,
            mode="lease",
            keys=count + 100,
            limits=UNLIMITED,
        ) as c, contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", c.ports[0], timeout=10)
        ) as way:
            mean_us(way, 1, 100)
            trips = "weir_store_round_trip_duration_seconds"
            sum_s, n = c.metric(f"{trips}_sum"), c.metric(f"{trips}_count")
            took[where] = mean_us(way, 101, count)
            if where == "redis":
                trip_us = (c.metric(f"{trips}_sum") - sum_s) * 1e6
                trip_us /= max(1, c.metric(f"{trips}_count") - n)
    return {
        "embedded_us": round(took["embedded"], 1),
        "redis_us": round(took["redis"], 1),
        "round_trip_us": round(trip_us, 1),
        "beyond_us": round(took["redis"] - took["embedded"] - trip_us, 1),
    }


def script(processes, build, redis, window_s):
    """The script's CPU on a key whose window is full of entries: one in each of its steps."""
    limits = f"requests: {NO_LIMIT}/{window_s}s, input_tokens: {NO_LIMIT}/{window_s}s"
    limits += f", output_tokens: {NO_LIMIT}/{window_s}s"
    with cluster(processes, build, redis, nodes=1, mode="exact", keys=1, limits=limits) as c:
        load(c, 300, window_s + 1, 1)
        redis_call(redis[1], "CONFIG RESETSTAT")
        load(c, 300, 3, 1)
        calls, us = script_calls(redis)
    return {"us_per_call": round(us / calls, 2), "calls": calls}


def beside_nginx(processes, build, settings, say):
    """The http part of bench/run: nginx, and one node with its store in Redis (mode lease)."""
    servers = [web.STARTS[name](processes, build) for name in ("nginx", "weir-redis")]
    requests = [web.chat_request(i) for i in range(web.KEYS)]
    path = web.write_requests(processes, "chat", requests)
    same = {s.name: path for s in servers}
    runs = web.alternate(
        servers, same, 50, settings["nginx_s"], settings["warm_s"], settings["rounds"], say
    )
    for s in servers:
        processes.stop(s.process)
    return web.summarise(runs)


def bench_scale(processes, build, settings, say):
    redis = processes.redis("redis-scale", 1)
    say("goals:")
    result = {"hot": goal_hot(processes, build, redis, settings)}
    result["nodes"] = goal_nodes(processes, build, redis, settings)
    result["hammered"] = goal_hammered(processes, build, redis, settings)
    result["settlements"] = settlements(
        processes, build, redis, settings["settlements"], settings["settle_window_s"]
    )
    result["cold"] = cold(processes, build, redis, settings["cold"])
    result["script"] = script(processes, build, redis, 5)
    for name, figures in result.items():
        say(f"  {name}: {figures}")
    say("share:")
    result["share"] = []
    for nodes, window_s in settings["shares"]:
        figures = share(processes, build, redis, nodes, window_s, 2.5, settings["share_rate"])
        say(f"  {figures}")
        result["share"].append(figures)
    say("beside nginx:")
    result["nginx"] = beside_nginx(processes, build, settings, say)
    say("cost:")
    result["cost"] = bench_cost(processes, build, redis, settings, say)
    return result
