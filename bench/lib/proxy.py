# SPDX-License-Identifier: Apache-2.0
"""Proxies before the same upstream: weir, nginx and Portkey's gateway, in turn."""
import json
import os
import pathlib
import resource
import statistics
import subprocess
import time

from lib import web
from lib.cluster import request, run_seconds
from lib.proc import BENCH, LOAD_CORE, BenchError, free_port, pinned, tool

CONNECTIONS = 50
MODEL = "gpt-4o"  # its tokens are counted exactly
UNKNOWN_MODEL = "local-llm"  # its tokens are estimated
LATENCY_RATE = 1000
STREAMS = 10_000
NO_LIMIT = "1000000M/min"
LIMITS = {
    "weir": f"requests: {NO_LIMIT}",
    "weir-tokens": f"requests: {NO_LIMIT}, input_tokens: {NO_LIMIT}, output_tokens: {NO_LIMIT}",
}
MODELS = {"weir": UNKNOWN_MODEL}  # of the others: MODEL
PORTKEY = BENCH / "peers" / "node_modules" / "@portkey-ai" / "gateway"
ROWS = ("nginx", "weir", "weir-tokens", "portkey")


# ---- servers ----


def start_upstream(processes):
    """A constant answer, on the load's core. Returns its port."""
    port = free_port()
    config = web.filled(processes, "upstream.conf", "upstream", port)
    command = [tool("nginx"), "-p", processes.dir, "-c", config]
    process = processes.start("upstream", command, LOAD_CORE)
    web.started(processes, web.Server("upstream", process, port))
    return port


def start_mock(processes, build, *options):
    """weir's model server, on the load's core. Returns its port."""
    port = free_port()
    command = [build / "src" / "weir", "mock", "--listen", f"127.0.0.1:{port}", "--workers", 2]
    process = processes.start(f"mock-{port}", [*command, *options], LOAD_CORE)
    processes.until(process, lambda: web.ask(port, web.get("/v1/models")) == 200)
    return port


def start_nginx(processes, upstream, buffering="on"):
    port = free_port()
    more = {"upstream": upstream, "buffering": buffering}
    config = web.filled(processes, "nginx_proxy.conf", f"nginx-{port}", port, **more)
    command = [tool("nginx"), "-p", processes.dir, "-c", config]
    return web.Server("nginx", processes.start(f"nginx-{port}", command), port)


def weir_config(port, upstream, limits):
    lines = [
        f"listen: 127.0.0.1:{port}",
        "workers: 1",
        "store: embedded",
        f"plans: {{bench: {{limits: {{{limits}}}}}}}",
        f"upstreams: [{{name: model, base_url: 'http://127.0.0.1:{upstream}', api_key: sk-up}}]",
        "http: {max_connections: 100000}",
        "keys:",
    ]
    lines += [
        f"  - {{id: k{i:05d}, secret: {web.key_secret(i)}, plan: bench}}" for i in range(web.KEYS)
    ]
    return "\n".join(lines) + "\n"


def start_weir(processes, build, upstream, name):
    port = free_port()
    config = processes.dir / f"{name}-{port}.yaml"
    config.write_text(weir_config(port, upstream, LIMITS[name]))
    command = [build / "src" / "weir", "serve", "--config", config]
    return web.Server(name, processes.start(f"{name}-{port}", command), port)


def start_portkey(processes, upstream):
    port = free_port()
    command = ["node", PORTKEY / "build" / "start-server.js", f"--port={port}", "--headless"]
    env = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1", "NODE_ENV": "production"}
    return web.Server("portkey", processes.start("portkey", command, env=env), port)


def request_of(name, upstream, i=0):
    """The same bytes to all, but for a model that weir does not know and what Portkey must know."""
    fields = []
    if name == "portkey":
        fields = [
            "x-portkey-provider: openai",
            f"x-portkey-custom-host: http://127.0.0.1:{upstream}/v1",
        ]
    return web.chat_request(i, MODELS.get(name, MODEL), fields)


def start(processes, build, upstream, name, buffering="on"):
    if name == "nginx":
        server = start_nginx(processes, upstream, buffering)
    elif name == "portkey":
        server = start_portkey(processes, upstream)
    else:
        server = start_weir(processes, build, upstream, name)
    return web.started(processes, server, request_of(name, upstream))


def stop(processes, servers):
    for server in servers:
        processes.stop(server.process)


# ---- load ----


def load_command(build, port, keys, options):
    secrets = ",".join(web.key_secret(i) for i in range(keys))
    command = [build / "src" / "weir", "load", "--target", f"http://127.0.0.1:{port}"]
    command += ["--keys", secrets, "--prompt-tokens", 30]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [value])
    return command


def load(processes, build, port, keys=100, **options):
    """One run of weir load: its report."""
    path = processes.dir / "load.json"
    command = [*load_command(build, port, keys, options), "--json", path]
    done = subprocess.run(
        pinned(LOAD_CORE, command), capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"weir load failed: {done.stdout[-500:]} {done.stderr[-500:]}")
    report = json.loads(path.read_text())
    if report["errors"] > report["requests"] // 1000:
        raise BenchError(f"{report['errors']} of {report['requests']} answers were errors")
    return report


def ledger(mock):
    """What weir mock has produced."""
    return json.loads(request(mock, "GET", "/mock/usage")[1])


# ---- requests ----


def requests(processes, build, names, settings, say):
    """CPU per request and requests/s at full load."""
    upstream = start_upstream(processes)
    servers = [start(processes, build, upstream, name) for name in names]
    files = {
        name: web.write_requests(
            processes, name, [request_of(name, upstream, i) for i in range(web.KEYS)]
        )
        for name in names
    }
    for s in servers:
        if s.name == "portkey":  # it takes thousands of requests until its code is compiled
            web.wrk(s, files[s.name], CONNECTIONS, settings["portkey_warm_s"])
    runs = web.alternate(
        servers,
        files,
        CONNECTIONS,
        settings["requests_s"],
        settings["warm_s"],
        settings["rounds"],
        say,
    )
    rows = web.summarise(runs)
    for name, row in rows.items():
        if "portkey" in runs:
            pairs = zip(runs[name], runs["portkey"])
            row["x_portkey_rps"] = statistics.median(a["rps"] / b["rps"] for a, b in pairs)
    stop(processes, servers)
    return {"connections": CONNECTIONS, "rows": rows, "runs": runs}


def latency(processes, build, names, settings, say):
    """An open loop at LATENCY_RATE: what each proxy adds to the upstream's own latency."""
    upstream = start_upstream(processes)
    servers = [start(processes, build, upstream, n) for n in names if n != "portkey"]
    ports = {"direct": upstream, **{s.name: s.port for s in servers}}
    runs = {name: [] for name in ports}
    for n in range(settings["latency_rounds"]):
        for name, port in ports.items():
            options = {"clients": 50, "rate": LATENCY_RATE, "max_tokens": 16}
            options["model"] = MODELS.get(name, MODEL)
            load(processes, build, port, duration=settings["warm_s"], **options)
            report = load(processes, build, port, duration=settings["latency_s"], **options)
            ms = report["latency_ms"]
            run = {f"{q}_us": round(ms[q] * 1000, 1) for q in ("mean", "p50", "p95", "p99")}
            say(f"  round {n + 1} {LATENCY_RATE} requests/s {name}: {run}")
            runs[name].append(run)
    stop(processes, servers)
    rows = {}
    for name, own in runs.items():
        rows[name] = {q: statistics.median(r[q] for r in own) for q in own[0]}
        for q in ("p50", "p99"):
            added = [a[f"{q}_us"] - b[f"{q}_us"] for a, b in zip(own, runs["direct"])]
            rows[name][f"added_{q}_us"] = round(statistics.median(added), 1)
    return {"rate": LATENCY_RATE, "rows": rows, "runs": runs}


# ---- streams ----


def chunks(processes, build, names, settings, say):
    """CPU per token of a stream, each in a piece of its own: many streams, one after the other."""
    pace, tokens = settings["chunk_pace"], settings["chunk_tokens"]
    mock = start_mock(
        processes, build, "--tokens-per-s", pace, "--output-tokens", "1000000:1000000"
    )
    servers = [start(processes, build, mock, n, "off") for n in names if n != "portkey"]
    open_streams = settings["chunk_streams"]
    runs = {s.name: [] for s in servers}
    for n in range(settings["chunk_rounds"]):
        for s in servers:
            before, cpu = ledger(mock)["total"]["output_tokens"], run_seconds(s.process.pid)
            report = load(
                processes,
                build,
                s.port,
                clients=2 * open_streams,
                rate=open_streams * pace / tokens,
                duration=settings["chunk_s"],
                max_tokens=tokens,
                model=MODELS.get(s.name, MODEL),
                stream=True,
            )
            cpu = run_seconds(s.process.pid) - cpu
            while ledger(mock)["open"] > 0:
                time.sleep(0.05)
            made = ledger(mock)["total"]["output_tokens"] - before
            run = {
                "chunks": made,
                "chunks_per_s": round(made / report["duration_s"]),
                "cpu_us": round(cpu * 1e6 / made, 3),
            }
            say(f"  round {n + 1} {open_streams} streams {s.name}: {run}")
            runs[s.name].append(run)
    stop(processes, servers)
    return {
        "streams": open_streams,
        "tokens": tokens,
        "pace": pace,
        "rows": web.summarise(runs),
        "runs": runs,
    }


def memory_kb(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise BenchError(f"the kernel tells no {field} of {pid}")


def streams_allowed():
    """A stream has two sockets in weir. The limit of files is raised as far as it may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * STREAMS + 1000
    if hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            hard = wanted
        except (ValueError, OSError):
            pass  # only the kernel's owner may
    return min(STREAMS, (hard - 400) // 2), hard


def open_streams(processes, build, settings, say):
    """Memory of weir with very many slow streams open."""
    allowed, files = streams_allowed()
    wanted = min(allowed, settings["streams"])
    mock = start_mock(
        processes, build, "--tokens-per-s", 1, "--output-tokens", "1000000:1000000"
    )
    server = start_weir(processes, build, mock, "weir-tokens")
    web.started(processes, server, web.get("/readyz"))
    pid = server.process.pid
    before_kb = memory_kb(pid, "VmRSS")
    options = {
        "clients": wanted,
        "rate": wanted / settings["ramp_s"],
        "duration": 120,
        "max_tokens": 100_000,
        "model": MODEL,
        "stream": True,
    }
    command = load_command(build, server.port, 100, options)
    client = processes.start("streams", command, LOAD_CORE)
    processes.until(client, lambda: ledger(mock)["open"] >= wanted, settings["ramp_s"] + 30)
    time.sleep(1)
    cpu, wall = run_seconds(pid), time.monotonic()
    time.sleep(settings["hold_s"])
    busy = (run_seconds(pid) - cpu) / (time.monotonic() - wall)
    still = ledger(mock)["open"]
    result = {
        "wanted": STREAMS,
        "files_max": files,
        "streams": still,
        "rss_kb": memory_kb(pid, "VmRSS"),
        "peak_kb": memory_kb(pid, "VmHWM"),
        "before_kb": before_kb,
        "busy": round(busy, 3),
    }
    say(f"  {result}")
    if still < wanted:
        raise BenchError(f"only {still} of {wanted} streams stayed open")
    processes.stop(client)
    stop(processes, [server])
    return result


def bench_proxy(processes, build, names, parts, settings, say):
    if "portkey" in names and not (PORTKEY / "build" / "start-server.js").exists():
        say("@portkey-ai/gateway is not installed (scripts/install-deps bench): left out")
        names = [name for name in names if name != "portkey"]
    # what else the machine does, before this adds to it
    result = {"load_average": round(os.getloadavg()[0], 2), "nice": os.nice(0)}
    for part in parts:
        say(f"{part}:")
        if part == "requests":
            result[part] = requests(processes, build, names, settings, say)
        elif part == "latency":
            result[part] = latency(processes, build, names, settings, say)
        elif part == "chunks":
            result[part] = chunks(processes, build, names, settings, say)
        else:
            result[part] = open_streams(processes, build, settings, say)
    return result
