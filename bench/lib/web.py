# SPDX-License-Identifier: Apache-2.0
"""The HTTP part: the same requests to every server in turn, CPU time per request, medians."""
import json
import socket
import statistics
import subprocess

from lib.proc import BENCH, LOAD_CORE, BenchError
from lib.proc import cpu_seconds, free_port, pinned, redis_call, tool

KEYS = 10_000
REQUEST_BYTES = 300
MAX_TOKENS = 16
PIPELINE = 16
ASK_TIMEOUT_S = 5


def key_secret(i):
    return f"sk-bench-{i:05d}"


def post(path, body, key=None, fields=()):
    lines = [f"POST {path} HTTP/1.1", "Host: weir.bench", "Content-Type: application/json"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    lines += fields
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def chat_request(i, model="weir-mock", fields=()):
    """The POST that every server gets: exactly REQUEST_BYTES long, without further fields."""
    body = {"model": model, "max_tokens": MAX_TOKENS}
    text = "Say in one sentence why a weir keeps a river calm. "

    def build(content, fields=()):
        body["messages"] = [{"role": "user", "content": content}]
        text = json.dumps(body, separators=(",", ":"))
        return post("/v1/chat/completions", text, key_secret(i), fields)

    padding = 100 + REQUEST_BYTES - len(build("x" * 100))
    return build((text * 9)[:padding], fields)


def acquire_request(i):
    body = {"key": f"id:k{i:05d}", "input_tokens": 30, "output_tokens": MAX_TOKENS}
    return post("/weir/v1/acquire", json.dumps(body, separators=(",", ":")))


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: weir.bench\r\n\r\n".encode()


def pipelined(request):
    return [
        b"".join(request(i + k) for k in range(PIPELINE)) for i in range(0, KEYS, PIPELINE)
    ]


def ask(port, request):
    """The status of one request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=ASK_TIMEOUT_S) as s:
        s.sendall(request)
        answer = b""
        while b"\r\n" not in answer:
            more = s.recv(4096)
            if not more:
                raise OSError("closed without an answer")
            answer += more
    return int(answer.split()[1])


class Server:
    """One row of the table: a process that answers on a port."""

    def __init__(self, name, process, port, redis=None, denies=False):
        self.name, self.process, self.port = name, process, port
        self.redis = redis  # (process, port) that decides for it, or None
        self.denies = denies


def filled(processes, template, name, port, **more):
    text = (BENCH / "peers" / template).read_text()
    for place, value in {"port": port, "dir": processes.dir, **more}.items():
        text = text.replace(f"@{place.upper()}@", str(value))
    path = processes.dir / f"{name}.conf"
    path.write_text(text)
    return path


def started(processes, server, request=None):
    request = request or chat_request(0)
    processes.until(server.process, lambda: ask(server.port, request) == 200)
    return server


def start_nginx(processes, _build):
    port = free_port()
    config = filled(processes, "nginx.conf", "nginx", port)
    command = [tool("nginx"), "-p", processes.dir, "-c", config]
    return started(processes, Server("nginx", processes.start("nginx", command), port))


def start_haproxy(processes, _build):
    port = free_port()
    command = [tool("haproxy"), "-db", "-f", filled(processes, "haproxy.cfg", "haproxy", port)]
    return started(processes, Server("haproxy", processes.start("haproxy", command), port))


def start_fastapi(processes, _build):
    port = free_port()
    redis = processes.redis("redis-fastapi", LOAD_CORE)
    python = "/usr/bin/python3"  # the one that Debian's packages belong to
    probe = [python, "-c", "import fastapi, uvicorn, redis.asyncio, uvloop, httptools, hiredis"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        packages = "fastapi uvicorn redis uvloop httptools hiredis".split()
        raise BenchError(
            "the FastAPI node needs " + " ".join(f"python3-{p}" for p in packages)
            + " (scripts/install-deps bench)"
        )
    command = [python, "-m", "uvicorn", "fastapi_node:app", "--app-dir", BENCH / "peers"]
    command += ["--host", "127.0.0.1", "--port", port, "--loop", "uvloop", "--http", "httptools"]
    command += ["--no-access-log", "--log-level", "warning"]
    env = {"WEIR_BENCH_REDIS_PORT": str(redis[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    process = processes.start("fastapi", command, env=env)
    return started(processes, Server("fastapi", process, port, redis))


def weir_config(port, store, limit):
    """A plan that denies nothing, or one request a minute; KEYS keys."""
    lines = [
        f"listen: 127.0.0.1:{port}",
        "workers: 1",
        f"store: {store}",
        "plans:",
        "  bench:",
        "    limits:",
        f"      requests: {limit}",
        "      input_tokens: 1000000M/min",
        "      output_tokens: 1000000M/min",
        f"mock: {{seed: 1, output_tokens: {{mean: {MAX_TOKENS}, max: 64}}}}",
        "keys:",
    ]
    lines += [f"  - {{id: k{i:05d}, secret: {key_secret(i)}, plan: bench}}" for i in range(KEYS)]
    return "\n".join(lines) + "\n"


def start_weir(processes, build, name, store="embedded", limit="1000000M/min", redis=None):
    port = free_port()
    config = processes.dir / f"{name}.yaml"
    config.write_text(weir_config(port, store, limit))
    process = processes.start(name, [build / "src" / "weir", "serve", "--config", config])
    return started(processes, Server(name, process, port, redis, denies=limit == "1/min"))


def start_weir_embedded(processes, build):
    return start_weir(processes, build, "weir")


def start_weir_denied(processes, build):
    return start_weir(processes, build, "weir-denied", limit="1/min")


def start_weir_redis(processes, build):
    redis = processes.redis("redis-weir", LOAD_CORE)
    store = f"redis://127.0.0.1:{redis[1]}"
    return start_weir(processes, build, "weir-redis", store=store, redis=redis)


STARTS = {
    "nginx": start_nginx,
    "weir": start_weir_embedded,
    "weir-denied": start_weir_denied,
    "haproxy": start_haproxy,
    "weir-redis": start_weir_redis,
    "fastapi": start_fastapi,
}


def wrk(server, requests, connections, seconds):
    command = [tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
    command += ["-s", BENCH / "lib" / "load.lua", f"http://127.0.0.1:{server.port}", "--", requests]
    done = subprocess.run(
        pinned(LOAD_CORE, command),
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith("summary "):
            return json.loads(line[len("summary ") :])
    raise BenchError(f"wrk failed on {server.name}: {done.stdout[-500:]} {done.stderr[-500:]}")


def measure(server, requests, connections, seconds, warm_s):
    """One run against one server: what it answered and what that cost."""
    if server.redis is not None:
        redis_call(server.redis[1], "FLUSHALL")  # each run begins with empty windows
    wrk(server, requests, connections, warm_s)
    before = cpu_seconds(server.process.pid)
    redis_before = cpu_seconds(server.redis[0].pid) if server.redis else 0
    summary = wrk(server, requests, connections, seconds)
    cpu = cpu_seconds(server.process.pid) - before
    answered = summary["requests"]
    wrong = answered - summary["not_2xx"] if server.denies else summary["not_2xx"]
    if answered == 0 or summary["errors"] > 0 or wrong > answered // 100:
        raise BenchError(f"{server.name} gave wrong answers: {summary}")
    run = {
        "rps": round(answered * 1e6 / summary["duration_us"]),
        "cpu_us": round(cpu * 1e6 / answered, 3),
        "busy": round(cpu * 1e6 / summary["duration_us"], 3),
        "p50_us": summary["p50_us"],
        "p99_us": summary["p99_us"],
    }
    if server.redis is not None:
        spent = cpu_seconds(server.redis[0].pid) - redis_before
        run["redis_cpu_us"] = round(spent * 1e6 / answered, 3)
    return run


def alternate(servers, requests, connections, seconds, warm_s, rounds, say):
    """A B C A B C ...: {name: [run, ...]}. requests: {name: file}."""
    runs = {s.name: [] for s in servers}
    for n in range(rounds):
        for s in servers:
            run = measure(s, requests[s.name], connections, seconds, warm_s)
            say(f"  round {n + 1} {connections} connections {s.name}: {run}")
            runs[s.name].append(run)
    return runs


def summarise(runs):
    """Medians per server, and medians of the ratios within each round."""
    rows = {}
    for name, own in runs.items():

        def median_ratio(cost, other, base):
            pairs = zip(own, runs[other])
            return round(statistics.median(cost(a) / b[base] for a, b in pairs), 3)

        row = {field: statistics.median(r[field] for r in own) for field in own[0]}
        row["x_nginx_cpu"] = median_ratio(lambda r: r["cpu_us"], "nginx", "cpu_us")
        if "redis_cpu_us" in row:
            row["x_nginx_cpu_with_redis"] = median_ratio(
                lambda r: r["cpu_us"] + r["redis_cpu_us"], "nginx", "cpu_us"
            )
        if "fastapi" in runs:
            row["x_fastapi_rps"] = median_ratio(lambda r: r["rps"], "fastapi", "rps")
        rows[name] = row
    return rows


def write_requests(processes, name, requests):
    path = processes.dir / f"{name}.requests"
    path.write_bytes(b"\0".join(requests))
    return path


def bench_http(processes, build, settings, names, say):
    servers = [STARTS[name](processes, build) for name in names]
    requests = write_requests(processes, "chat", [chat_request(i) for i in range(KEYS)])
    same = {s.name: requests for s in servers}
    result = {"keys": KEYS, "request_bytes": REQUEST_BYTES, "max_tokens": MAX_TOKENS}
    for connections in (50, 500):
        seconds = settings["http_s"][connections]
        runs = alternate(
            servers, same, connections, seconds, settings["warm_s"], settings["rounds"], say
        )
        result[f"c{connections}"] = {"seconds": seconds, "rows": summarise(runs), "runs": runs}
    for s in servers:
        processes.stop(s.process)
    return result


def bench_pipelined(processes, build, settings, names, say):
    servers = [STARTS[name](processes, build) for name in ("nginx", "weir") if name in names]
    files = {
        "nginx": write_requests(processes, "get", pipelined(lambda _: get("/"))),
        "weir": write_requests(processes, "acquire", pipelined(acquire_request)),
    }
    seconds = settings["pipelined_s"]
    runs = alternate(servers, files, 50, seconds, settings["warm_s"], settings["rounds"], say)
    for run in (r for own in runs.values() for r in own):
        del run["p50_us"], run["p99_us"]  # wrk takes no sensible latency of pipelined requests
    rows = summarise(runs)
    for row in rows.values():
        row["per_core_s"] = round(1e6 / row["cpu_us"])
    for s in servers:
        processes.stop(s.process)
    return {"keys": KEYS, "pipeline": PIPELINE, "seconds": seconds, "rows": rows, "runs": runs}
