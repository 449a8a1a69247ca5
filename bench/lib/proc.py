# SPDX-License-Identifier: Apache-2.0
"""Processes of a bench: started on free ports, asked until they answer, stopped by pid."""
import argparse
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent.parent
SERVER_CORE = 0
LOAD_CORE = 1
PACKAGES = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "redis-server": "redis-server",
    "redis-cli": "redis-tools",
    "wrk": "wrk",
    "taskset": "util-linux",
    "setpriv": "util-linux",
}
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class BenchError(Exception):
    """Something that the reader can put right; its text is all that is shown."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def need_cores():
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise BenchError("two cores are needed, 0 and 1: one for the server, one for the load")


def build(folder, targets):
    configure = ["cmake", "-S", BENCH.parent, "-B", folder, "-G", "Ninja"]
    make = ["cmake", "--build", folder, "--target", *targets]
    for command in ([*configure, "-DCMAKE_BUILD_TYPE=Release"], make):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise BenchError(f"{shlex.join(map(str, command))} failed\n{done.stdout[-2000:]}")


def choice(allowed):
    """A type of argparse: some of these, with commas between."""

    def parse(text):
        chosen = text.split(",")
        unknown = [c for c in chosen if c not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(allowed)}")
        return chosen

    return parse


def run_main(name, main):
    """`main`, whose ends leave nothing running and say what the reader can put right."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    try:
        main()
    except BenchError as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def tool(name):
    path = shutil.which(name, path=PATH)
    if path is None:
        raise BenchError(
            f"{name} is missing: install the package {PACKAGES[name]} (scripts/install-deps bench)"
        )
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pinned(core, command):
    """The command on one core (None: on any); it dies with the bench, however that ends."""
    command = [tool("setpriv"), "--pdeathsig", "KILL", *map(str, command)]
    return command if core is None else [tool("taskset"), "-c", str(core), *command]


def run_json(command, core=SERVER_CORE, timeout_s=300):
    done = subprocess.run(
        pinned(core, command), stdout=subprocess.PIPE, timeout=timeout_s, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"{command[0]} ended with {done.returncode}")
    return json.loads(done.stdout)


class Processes:
    """Everything one bench run starts. Use as a context: leaving it stops them all."""

    def __init__(self):
        self._running = []

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="weir-bench-"))
        return self

    def __exit__(self, *_):
        for process, _ in reversed(self._running):
            self.stop(process)
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, name, command, core=SERVER_CORE, env=None):
        log = open(self.dir / f"{name}.log", "wb")
        process = subprocess.Popen(
            pinned(core, command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        log.close()
        self._running.append((process, name))
        return process

    def stop(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def until(self, process, ready, timeout_s=10):
        """Asks `ready` until it says yes; a failure shows what the process wrote."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and process.poll() is None:
            try:
                if ready():
                    return
            except OSError:
                pass
            time.sleep(0.02)
        name = next(n for p, n in self._running if p is process)
        log = (self.dir / f"{name}.log").read_text(errors="replace")
        why = "did not answer" if process.poll() is None else f"ended with {process.returncode}"
        raise BenchError(f"{name} {why}: {' '.join(process.args)}\n{log[-2000:]}")

    def redis(self, name, core):
        """A redis-server of our own that saves nothing. Returns (process, port)."""
        port = free_port()
        command = [tool("redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "no", "--dir", self.dir, "--maxmemory-policy", "noeviction"]
        process = self.start(name, command, core)
        self.until(process, lambda: redis_call(port, "PING").startswith("+PONG"))
        return process, port


def redis_call(port, *words):
    """One command; the answer as Redis wrote it (inline form in, so no spaces in words)."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.sendall((" ".join(words) + "\r\n").encode())
        answer = s.recv(65536)
        if answer.startswith(b"$"):
            head, _, _ = answer.partition(b"\r\n")
            while len(answer) < len(head) + int(head[1:]) + 4:
                answer += s.recv(65536)
        return answer.decode()


def cpu_seconds(pid):
    """User and system time of a process, all its threads and its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_fields(entry)
            if fields is not None:
                children.setdefault(int(fields[1]), []).append(int(entry))
    total, queue = 0, [pid]
    while queue:
        current = queue.pop()
        fields = stat_fields(current)
        if fields is not None:
            total += int(fields[11]) + int(fields[12])
        queue += children.get(current, [])
    return total / os.sysconf("SC_CLK_TCK")


def stat_fields(pid):
    """The fields of /proc/PID/stat behind the name: [0] is the state, [1] the parent."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()
