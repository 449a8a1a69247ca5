# SPDX-License-Identifier: Apache-2.0
"""Results on disk, and the Markdown table made from them."""
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess

from lib.proc import BENCH, tool

PARTS = ("http", "pipelined", "core", "memory", "demo")  # of bench/run
TITLES = {
    "nginx": "nginx, `return 200`",
    "weir": "**weir**, embedded store",
    "weir-denied": "**weir**, every request denied (429)",
    "haproxy": "HAProxy, stick-table limiter (requests only)",
    "weir-redis": "**weir**, Redis store, lease mode",
    "fastapi": "FastAPI + Redis, three sorted sets",
}


def output(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    text = (done.stdout + done.stderr).strip()
    return text.splitlines()[0] if text else ""


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
    }


def versions():
    return {
        "nginx": output([tool("nginx"), "-v"]),
        "haproxy": output([tool("haproxy"), "-v"]),
        "redis": output([tool("redis-server"), "--version"]),
        "wrk": output([tool("wrk"), "--version"]),
        "fastapi": output(["dpkg-query", "-W", "python3-fastapi"]),
        "uvicorn": output(["dpkg-query", "-W", "python3-uvicorn"]),
    }


def save(folder, part, command, result):
    """One part's result with where, when and how it was measured."""
    record = {
        "part": part,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command,
        "commit": output(["git", "-C", str(BENCH), "describe", "--always", "--dirty"]),
        "machine": machine(),
        "versions": versions(),
        "result": result,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part}.json").write_text(json.dumps(record, indent=1) + "\n")


def ratio(value):
    return f"{value:.2f} ×"


def count(value):
    """1234567 as 1.23 M, 12345 as 12.3 k."""
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def cost(row):
    text = f"{row['cpu_us']:.2f}"
    return f"{text} + {row['redis_cpu_us']:.2f} Redis" if "redis_cpu_us" in row else text


def times_nginx(row):
    text = ratio(row["x_nginx_cpu"])
    if "x_nginx_cpu_with_redis" in row:
        text += f" ({ratio(row['x_nginx_cpu_with_redis'])} with Redis)"
    return text


def http_table(result):
    lines = []
    for connections in (50, 500):
        part = result[f"c{connections}"]
        lines += [
            f"A 300-byte POST chat completion, {connections} connections, one core for the server:",
            "",
            "| server | CPU µs per request | × nginx | requests/s | p50 / p99 µs |",
            "|---|---|---|---|---|",
        ]
        for name, row in part["rows"].items():
            lines.append(
                f"| {TITLES[name]} | {cost(row)} | {times_nginx(row)} | {count(row['rps'])}"
                f" | {row['p50_us']:.0f} / {row['p99_us']:.0f} |"
            )
        lines.append("")
    return lines


def figures(parts):
    """(what, measured, goal) for everything that is one number."""
    rows = []
    http = parts.get("http", {}).get("c50", {}).get("rows", {})
    if "weir" in http:
        rows.append(("CPU per request, × nginx", ratio(http["weir"]["x_nginx_cpu"]), "≤ 1.1"))
        if "x_fastapi_rps" in http["weir"]:
            times = f"{http['weir']['x_fastapi_rps']:.1f} ×"
            rows.append(("requests/s, × the FastAPI node", times, "≥ 20"))
    for name, row in parts.get("pipelined", {}).get("rows", {}).items():
        what = {
            "weir": "`acquire`, 16 pipelined: decisions/s (per CPU second of the server)",
            "nginx": "nginx `return 200`, 16 pipelined: answers/s (per CPU second)",
        }[name]
        goal = "≥ 0.6 M" if name == "weir" else ""
        rows.append((what, f"{count(row['rps'])} ({count(row['per_core_s'])})", goal))
    core = parts.get("core")
    if core:
        hot, some = core["hot"], core["random"]
        rows.append(
            ("in process, hot key", f"{count(hot['per_s'])}/s ({hot['ns']:.1f} ns)", "≥ 40 M/s")
        )
        what = f"in process, {count(some['keys'])} keys at random"
        rows.append((what, f"{some['ns']:.0f} ns", "≤ 250 ns"))
    memory = parts.get("memory")
    for requests, goal in ((6, "≤ 25 MB"), (60, "≤ 80 MB")) if memory else ():
        row = memory[f"requests_{requests}"]
        what = f"memory, {count(memory['keys'])} keys × {requests} requests"
        for form, title in (("embedded", "embedded"), ("redis", "Redis")):
            rows.append((f"{what}, {title}", megabytes(row[f"{form}_bytes"]), goal))
        rows.append((f"{what}, sorted sets", megabytes(row["sorted_sets_bytes"]), ""))
    demo = parts.get("demo")
    if demo:
        ms = demo["latency_ms"]
        rows.append(
            (
                f"{demo['nodes']} nodes behind HAProxy, {demo['rate']} requests/s:"
                " mean / p95 / p99 ms",
                f"{ms['mean']:.2f} / {ms['p95']:.2f} / {ms['p99']:.2f}",
                "mean < 0.5, p99 < 2",
            )
        )
    return rows


def megabytes(value):
    return f"{value / 1e6:.1f} MB"


METHOD = (
    "Medians of alternated runs; ratios are to the same round's nginx."
    " Method: [bench/README.md](bench/README.md)."
)


def where(record):
    machine = record["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}"


def when(record):
    return f"{record['date']}, `{record['command']}` at {record['commit']}"


def where_and_when(record):
    return f"{where(record)}, {when(record)}. {METHOD}"


def footer(records):
    """The same of parts that were perhaps measured at different times: a line for each machine."""
    machines = {}
    for part, record in records.items():
        machines.setdefault(where(record), {}).setdefault(when(record), []).append(part)
    for machine, runs in machines.items():
        told = "; ".join(f"{', '.join(parts)}: {run}" for run, parts in runs.items())
        yield f"{machine}. {told}. {METHOD}"


def table(folder):
    """The Markdown for whatever results of bench/run the folder holds."""
    files = {part: folder / f"{part}.json" for part in PARTS}
    records = {p: json.loads(f.read_text()) for p, f in files.items() if f.exists()}
    parts = {name: record["result"] for name, record in records.items()}
    lines = http_table(parts["http"]) if "http" in parts else []
    lines += ["| figure | measured | goal |", "|---|---|---|"]
    lines += [f"| {what} | {measured} | {goal} |" for what, measured, goal in figures(parts)]
    return "\n".join([*lines, "", *footer(records)]) + "\n"


def put_into_readme(text, name):
    """Between the two marks of that name in the README, if it has them."""
    begin_mark, end_mark = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    readme = BENCH.parent / "README.md"
    if not readme.exists():
        return
    old = readme.read_text()
    head, begin, rest = old.partition(begin_mark)
    _, end, tail = rest.partition(end_mark)
    if begin and end:
        readme.write_text(f"{head}{begin_mark}\n{text}{end_mark}{tail}")
