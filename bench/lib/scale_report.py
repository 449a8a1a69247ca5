# SPDX-License-Identifier: Apache-2.0
"""The Markdown of bench/scale."""
import json

from lib.report import count, ratio, where_and_when


def goals(result):
    """(what, measured, goal, whether it is met)."""
    hot, hammered = result["hot"], result["hammered"]
    yield (
        f"Redis commands per request, {hot['keys']} keys of {count(hot['rate'] / hot['keys'])}"
        " requests/s each, 4 nodes",
        f"{hot['calls_per_request']:.4f} (the sim: {hot['sim_calls_per_request']:.4f})",
        "≤ 0.02",
        hot["calls_per_request"] <= 0.02,
    )
    yield (
        f"the same, one key hammered while spent, {count(hammered['rate'])} requests/s",
        f"{hammered['calls_per_request']:.4f} (the sim: {hammered['sim_calls_per_request']:.4f})",
        "≤ 0.01",
        hammered["calls_per_request"] <= 0.01,
    )
    for s in result["share"]:
        yield (
            f"budget admitted under saturation, {s['nodes']} nodes, W = {s['window_s']} s",
            f"{100 * s['share']:.2f} % (the sim: {100 * s['sim_share']:.2f} %)",
            "≥ 99 %",
            s["share"] >= 0.99,
        )
        yield (
            f"limits passed in it, by `weir verify` (worst window of {s['capacity']})",
            f"{s['over']} ({s['worst']})",
            "0",
            s["over"] == 0,
        )
    s = result["settlements"]
    yield (
        "tokens that stand when all is settled, through any node; after one window",
        f"{s['stands']} of {s['wanted']}; {s['left']}",
        "those used; 0",
        s["stands"] == s["wanted"] and s["left"] == 0,
    )
    lease, alone = (result["nodes"][mode]["times"] for mode in ("lease", "embedded"))
    yield (
        "CPU per request at 8 nodes against 1, hot keys, over the same of stores that share nothing",
        f"{ratio(lease)} / {ratio(alone)} = {ratio(lease / alone)}",
        "≤ 1.03 ×",
        lease <= 1.03 * alone,
    )
    row = result["nginx"]["weir-redis"]
    yield (
        "CPU per request against nginx `return 200`, 10 k keys (with Redis's)",
        f"{ratio(row['x_nginx_cpu'])} ({ratio(row['x_nginx_cpu_with_redis'])})",
        "≤ 1.1 × (1.4 ×)",
        row["x_nginx_cpu"] <= 1.1 and row["x_nginx_cpu_with_redis"] <= 1.4,
    )
    cold = result["cold"]
    yield (
        f"first request of a key, beyond one round trip ({cold['round_trip_us']:.0f} µs)",
        f"{cold['beyond_us']:.0f} µs",
        "≤ 50 µs",
        cold["beyond_us"] <= 50,
    )
    yield (
        "the script's CPU in Redis, 130 entries in the window",
        f"{result['script']['us_per_call']:.1f} µs",
        "",
        True,
    )


def cost_table(result):
    cost = result["cost"]
    lines = [
        f"{count(cost['rate'])} chat completions/s of Zipf keys on all nodes together, none denied;"
        " each reserves 1 000 output tokens and settles about 50:",
        "",
        "| keys | mode | nodes | CPU s per M requests | of Redis | Redis commands per request"
        " | the sim says | µs per command |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for c in cost["cells"]:
        us = "" if c["script_us_per_call"] is None else f"{c['script_us_per_call']:.1f}"
        lines.append(
            f"| {count(c['keys'])} | {c['mode']} | {c['nodes']} | {c['node_s_per_million']:.1f}"
            f" | {c['redis_s_per_million']:.1f} | {c['calls_per_request']:.4f}"
            f" | {c['sim_calls_per_request']:.4f} | {us} |"
        )
    return lines


def table(folder):
    record = json.loads((folder / "scale.json").read_text())
    lines = ["| figure | measured | goal | |", "|---|---|---|---|"]
    for what, measured, goal, met in goals(record["result"]):
        mark = "" if goal == "" else "met" if met else "**missed**"
        lines.append(f"| {what} | {measured} | {goal} | {mark} |")
    lines += ["", *cost_table(record["result"]), "", where_and_when(record)]
    return "\n".join(lines) + "\n"
