# SPDX-License-Identifier: Apache-2.0
"""The Markdown of bench/proxy."""
import json

from lib.report import count, ratio, where_and_when

TITLES = {
    "direct": "the upstream itself",
    "nginx": "nginx, `proxy_pass`",
    "weir": "**weir**, a limit of requests, tokens estimated",
    "weir-tokens": "**weir**, limits of input and output tokens, counted exactly",
    "portkey": "Portkey's gateway (npm)",
}


def weir_rows(part):
    return {name: row for name, row in part["rows"].items() if name.startswith("weir")}


def short(name):
    return {"weir": "tokens estimated", "weir-tokens": "tokens counted"}[name]


def goals(result):
    """(what, measured, goal, whether it is met)."""
    for name, row in weir_rows(result["requests"]).items() if "requests" in result else ():
        times = row["x_nginx_cpu"]
        what = f"CPU per proxied request, {short(name)}, × nginx"
        yield what, ratio(times), "≤ 2.5 ×", times <= 2.5
        if "x_portkey_rps" in row:
            times = row["x_portkey_rps"]
            what = f"requests/s, {short(name)}, × Portkey's gateway"
            yield what, f"{times:.1f} ×", "≥ 20 ×", times >= 20
    for name, row in weir_rows(result["latency"]).items() if "latency" in result else ():
        p50, p99 = row["added_p50_us"], row["added_p99_us"]
        yield (
            f"latency added at {count(result['latency']['rate'])} requests/s, {short(name)},"
            " p50 / p99",
            f"{p50:.0f} / {p99:.0f} µs",
            "≤ 100 / 1000 µs",
            p50 <= 100 and p99 <= 1000,
        )
    for name, row in weir_rows(result["chunks"]).items() if "chunks" in result else ():
        times = row["x_nginx_cpu"]
        what = f"CPU per chunk of a stream, {short(name)}, × nginx"
        yield what, ratio(times), "≤ 2 ×", times <= 2
    if "streams" in result:
        s = result["streams"]
        each_kb = (s["rss_kb"] - s["before_kb"]) / s["streams"]
        mib = (s["before_kb"] + each_kb * s["wanted"]) / 1024
        what = f"memory with {count(s['wanted'])} open streams"
        if s["streams"] < s["wanted"]:
            what += f" (as {s['streams']} had it: a process may have {s['files_max']} files)"
        yield what, f"{mib:.0f} MiB ({each_kb:.1f} KiB each)", "≤ 1 GiB", mib <= 1024


def requests_table(part):
    lines = [
        f"A 300-byte POST chat completion, {part['connections']} connections, one core for the"
        " proxy, the other for the load and the upstream:",
        "",
        "| proxy | CPU µs per request | × nginx | requests/s | p50 / p99 µs |",
        "|---|---|---|---|---|",
    ]
    for name, row in part["rows"].items():
        lines.append(
            f"| {TITLES[name]} | {row['cpu_us']:.1f} | {ratio(row['x_nginx_cpu'])}"
            f" | {count(row['rps'])} | {row['p50_us']:.0f} / {row['p99_us']:.0f} |"
        )
    return lines


def latency_table(part):
    lines = [
        f"The same at {count(part['rate'])} requests/s, open loop:",
        "",
        "| proxy | p50 µs | p99 µs | added p50 | added p99 |",
        "|---|---|---|---|---|",
    ]
    for name, row in part["rows"].items():
        added = "|  |  |"
        if name != "direct":
            added = f"| {row['added_p50_us']:.0f} | {row['added_p99_us']:.0f} |"
        lines.append(f"| {TITLES[name]} | {row['p50_us']:.0f} | {row['p99_us']:.0f} {added}")
    return lines


def chunks_table(part):
    lines = [
        f"Streams of {part['tokens']} tokens, {part['pace']} a second, about {part['streams']} at a"
        " time; each token comes in a piece of its own (nginx: `proxy_buffering off`):",
        "",
        "| proxy | CPU µs per chunk | × nginx | chunks/s |",
        "|---|---|---|---|",
    ]
    for name, row in part["rows"].items():
        lines.append(
            f"| {TITLES[name]} | {row['cpu_us']:.2f} | {ratio(row['x_nginx_cpu'])}"
            f" | {count(row['chunks_per_s'])} |"
        )
    return lines


def table(folder):
    record = json.loads((folder / "proxy.json").read_text())
    result = record["result"]
    lines = ["| figure | measured | goal | |", "|---|---|---|---|"]
    for what, measured, goal, met in goals(result):
        lines.append(f"| {what} | {measured} | {goal} | {'met' if met else '**missed**'} |")
    tables = {"requests": requests_table, "latency": latency_table, "chunks": chunks_table}
    for name, make in tables.items():
        if name in result:
            lines += ["", *make(result[name])]
    lines += ["", where_and_when(record)]
    load, nice = result["load_average"], result["nice"]
    lines[-1] += f" Other work on the machine: a load average of {load:.1f} when the run began"
    lines[-1] += f"; the run itself had nice {nice}." if nice > 0 else "."
    return "\n".join(lines) + "\n"
