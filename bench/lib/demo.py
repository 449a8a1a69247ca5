# SPDX-License-Identifier: Apache-2.0
"""The scenario of scripts/demo on free ports: nodes that share a Redis, behind HAProxy."""
import json
import subprocess

from lib import web
from lib.proc import BENCH, BenchError, free_port, pinned, tool

NODES = 4
RATE = 100
CLIENTS = 50
KEYS = "sk-demo-low-1,sk-demo-low-2,sk-demo-medium-1"


def start_nodes(processes, build):
    _, redis_port = processes.redis("redis-demo", None)
    ports = []
    for n in range(NODES):
        port = free_port()
        command = [build / "src" / "weir", "serve"]
        command += ["--config", BENCH.parent / "examples" / "demo.yaml"]
        command += ["--listen", f"127.0.0.1:{port}", "--workers", 1, "--nodes", NODES]
        command += ["--store", f"redis://127.0.0.1:{redis_port}"]
        node = processes.start(f"node-{n}", command, None)
        processes.until(node, lambda: web.ask(port, web.get("/readyz")) == 200)
        ports.append(port)
    return ports


def start_balancer(processes, ports):
    port = free_port()
    text = (BENCH / "lib" / "balancer.cfg").read_text().replace("@PORT@", str(port))
    text += "".join(f"    server node-{n} 127.0.0.1:{p}\n" for n, p in enumerate(ports))
    config = processes.dir / "balancer.cfg"
    config.write_text(text)
    balancer = processes.start("balancer", [tool("haproxy"), "-db", "-f", config], None)
    processes.until(balancer, lambda: web.ask(port, web.get("/healthz")) == 200)
    return port


def bench_demo(processes, build, settings):
    port = start_balancer(processes, start_nodes(processes, build))
    report = processes.dir / "load.json"
    command = [build / "src" / "weir", "load", "--target", f"http://127.0.0.1:{port}"]
    command += ["--clients", CLIENTS, "--rate", RATE, "--duration", settings["demo_s"]]
    command += ["--keys", KEYS, "--prompt-tokens", "50-150", "--max-tokens", "50-200"]
    command += ["--seed", 1, "--json", report]
    done = subprocess.run(
        pinned(None, command),
        capture_output=True,
        text=True,
        timeout=settings["demo_s"] + 60,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"weir load failed: {done.stdout[-500:]} {done.stderr[-500:]}")
    result = json.loads(report.read_text())
    if result["errors"] > 0 or result["allowed"] == 0:
        raise BenchError(f"the demo's answers were wrong: {result}")
    return {"nodes": NODES, "rate": RATE, "clients": CLIENTS, **result}
