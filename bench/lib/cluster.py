# SPDX-License-Identifier: Apache-2.0
"""Nodes that share one Redis: started, loaded, and what they and Redis spent on it."""
import contextlib
import http.client
import json
import pathlib
import re
import statistics
import subprocess

from lib import web
from lib.proc import LOAD_CORE, SERVER_CORE, BenchError, cpu_seconds, free_port, pinned, redis_call

PREFIX = "sk-scale-"
RESERVED, USED = 1000, 50  # output tokens of a request: max_tokens, and what the mock model makes
NO_LIMIT = "1000000M"


def config(port, redis_port, mode, keys, limits, nodes):
    lines = [
        f"listen: 127.0.0.1:{port}",
        "workers: 1",
        f"nodes: {nodes}",
        f"store: redis://127.0.0.1:{redis_port}" if redis_port else "store: embedded",
        f"mode: {mode}",
        "store_timeout_ms: 1000",  # a busy machine stalls: that is not what is measured here,
        "on_store_failure: closed",  # and whoever is over is so by leases alone
        f"plans: {{scale: {{limits: {{{limits}}}}}}}",
        f"mock: {{seed: 1, output_tokens: {{mean: {USED}, max: {2 * USED}}}}}",
        "keys:",
    ]
    lines += [f"  - {{id: k{i}, secret: {PREFIX}{i}, plan: scale}}" for i in range(1, keys + 1)]
    return "\n".join(lines) + "\n"


class Cluster:
    """`nodes` nodes on one core; Redis on the other, beside the load. `redis`: (process, port)."""

    def __init__(self, processes, build, redis, nodes, mode, keys, limits):
        self.build, self.redis, self.ports, self._processes = build, redis, [], processes
        self.dir, self.nodes = processes.dir, []
        for n in range(nodes):
            port = free_port()
            path = processes.dir / f"node-{port}.yaml"
            redis_port = redis[1] if redis else None
            path.write_text(config(port, redis_port, mode, keys, limits, nodes))
            command = [build / "src" / "weir", "serve", "--config", path]
            self.nodes.append(processes.start(f"node-{port}", command, SERVER_CORE))
            self.ports.append(port)
        for node, port in zip(self.nodes, self.ports):
            processes.until(node, lambda: web.ask(port, web.get("/readyz")) == 200, timeout_s=30)

    def stop(self):
        for node in self.nodes:
            self._processes.stop(node)

    def cpu_s(self):
        return sum(run_seconds(node.pid) for node in self.nodes)

    def metric(self, name):
        """The sum of a metric over all nodes and labels."""
        pattern = re.compile(rf"^{name}(?:{{.*}})? ([0-9.e+-]+)$", re.M)
        texts = (request(port, "GET", "/metrics")[1] for port in self.ports)
        return sum(float(value) for text in texts for value in pattern.findall(text))


@contextlib.contextmanager
def cluster(processes, build, redis, **options):
    if redis:
        redis_call(redis[1], "FLUSHALL")
    c = Cluster(processes, build, redis, **options)
    try:
        yield c
    finally:
        c.stop()


def run_seconds(pid):
    """The time a process ran, to the nanosecond where the kernel keeps it."""
    try:
        tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        return cpu_seconds(pid)


def request(port, method, path, body=None, key=None):
    """(status, text) of one request on a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as c:
        return send(c, method, path, body, key)


def send(connection, method, path, body=None, key=None):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {**headers, "Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def script_calls(redis):
    """(calls of the script, microseconds of the server in them) since the last CONFIG RESETSTAT."""
    found = re.search(
        r"cmdstat_evalsha:calls=(\d+),usec=(\d+)", redis_call(redis[1], "INFO commandstats")
    )
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def load(c, rate, seconds, keys, zipf=1, record=None, seed=1):
    """One run of weir load against all nodes: its report."""
    report = c.dir / "load.json"
    command = [c.build / "src" / "weir", "load", "--clients", 100, "--rate", rate]
    command += ["--target", ",".join(f"http://127.0.0.1:{port}" for port in c.ports)]
    command += ["--duration", seconds, "--key-count", keys, "--key-prefix", PREFIX]
    command += ["--zipf", zipf, "--prompt-tokens", "30", "--max-tokens", RESERVED]
    command += ["--seed", seed, "--json", report, *(["--record", record] if record else [])]
    done = subprocess.run(
        pinned(LOAD_CORE, command),
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"weir load failed: {done.stdout[-500:]} {done.stderr[-500:]}")
    result = json.loads(report.read_text())
    if result["errors"] > result["requests"] // 1000:
        raise BenchError(f"{result['errors']} of {result['requests']} answers were errors")
    return result


def measure(c, rate, seconds, keys, warm_s=1, **options):
    """What a load cost: CPU of the nodes and of Redis, and calls, for each request."""
    load(c, rate, warm_s, keys, seed=2, **options)
    if c.redis:
        redis_call(c.redis[1], "CONFIG RESETSTAT")
    nodes_s, redis_s = c.cpu_s(), run_seconds(c.redis[0].pid) if c.redis else 0
    report = load(c, rate, seconds, keys, **options)
    n = report["requests"]
    figures = {
        "requests": n,
        "allowed": report["allowed"],
        "denied": report["denied"],
        "latency_ms": report["latency_ms"],
        "node_s_per_million": round((c.cpu_s() - nodes_s) * 1e6 / n, 3),
    }
    if c.redis:
        calls, script_us = script_calls(c.redis)
        spent_s = run_seconds(c.redis[0].pid) - redis_s
        figures["redis_s_per_million"] = round(spent_s * 1e6 / n, 3)
        figures["calls_per_request"] = round(calls / n, 4)
        figures["script_us_per_call"] = round(script_us / calls, 2) if calls else None
    return figures


def median_of(runs):
    """Of each figure the median over runs; of what is no number the first's."""
    return {
        field: statistics.median(r[field] for r in runs)
        if all(isinstance(r[field], (int, float)) for r in runs)
        else value
        for field, value in runs[0].items()
    }


def simulate(build, **options):
    """What `weir sim` says of the same."""
    command = [build / "src" / "weir", "sim", "--json"]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", value]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"weir sim failed: {done.stderr[-500:]}")
    return json.loads(done.stdout)
