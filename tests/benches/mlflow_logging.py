#!/usr/bin/env python3
"""What a call that logs a metric to MLflow costs its caller: this project's tracker beside MLflow's own Python client.

    python3 mlx-plugins/tests/servers/install.py mlflow
    cargo build --release -p mlx-plugins --no-default-features --features experiment-tracker-mlflow --example mlflow_log
    python3 tests/benches/mlflow_logging.py target/release/examples/mlflow_log [METRICS [ROUNDS]]

Both log one metric a call, from one thread, into a run of their own on the same MLflow server (SQLite), and take turns.
The client logs asynchronously: `MlflowClient.log_metric(…, synchronous=False)`. At the end of each round all metrics are
counted on the server. The round with the least median counts.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

CLIENT = """
import json, sys, time
import mlflow
from mlflow import MlflowClient
url, metrics = sys.argv[1], int(sys.argv[2])
mlflow.set_tracking_uri(url)
client = MlflowClient()
found = client.get_experiment_by_name("logging")
run = client.create_run(found.experiment_id if found else client.create_experiment("logging")).info.run_id
took, clock = [], time.perf_counter_ns
began = clock()
for step in range(metrics):
    start = clock()
    client.log_metric(run, "loss", 1 / (1 + step), step=step, synchronous=False)
    took.append(clock() - start)
logged = clock() - began
mlflow.flush_async_logging()
client.set_terminated(run)
stored = clock() - began
took.sort()
at = lambda part: took[len(took) * part // 100]
print(json.dumps({"run": run, "median_ns": at(50), "p99_ns": at(99), "max_ns": took[-1],
                  "logged_s": logged / 1e9, "stored_s": stored / 1e9}))
"""

COUNT = """
import sys
from mlflow import MlflowClient
history = MlflowClient(sys.argv[1]).get_metric_history(sys.argv[2], "loss")
print(len({m.step for m in history}))
"""


def installed():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    venv = pathlib.Path(os.environ.get("MLX_SERVERS") or pathlib.Path(cache) / "mlx-servers") / "mlflow"
    if not (venv / "installed").is_file():
        sys.exit("MLflow is not installed: run `python3 mlx-plugins/tests/servers/install.py mlflow`")
    return venv


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def server(venv, folder):
    port = free_port()
    command = [venv / "bin/mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"]
    variables = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with open(f"{folder}/log", "w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | variables, stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).read()
            return process, url
        except OSError:
            time.sleep(0.2)
    sys.exit(f"MLflow does not answer at {url}")


def main():
    program = sys.argv[1]
    metrics = sys.argv[2] if len(sys.argv) > 2 else "20000"
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    venv = installed()
    python = str(venv / "bin/python")
    sides = {"mlx": [program], "MLflow's Python client": [python, "-c", CLIENT]}
    best = {}
    with tempfile.TemporaryDirectory() as folder:
        process, url = server(venv, folder)
        try:
            for _ in range(rounds):
                for side, command in sides.items():
                    said = subprocess.run([*command, url, metrics], check=True, capture_output=True, text=True).stdout
                    figures = json.loads(said.strip().splitlines()[-1])
                    count = subprocess.run(
                        [python, "-c", COUNT, url, figures["run"]], check=True, capture_output=True, text=True
                    )
                    if count.stdout.strip() != metrics:
                        sys.exit(f"{side}: {count.stdout.strip()} of {metrics} metrics are on the server")
                    if side not in best or figures["median_ns"] < best[side]["median_ns"]:
                        best[side] = figures
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    print(f"{metrics} metrics, one a call, best of {rounds} rounds; all of them are on the server\n")
    print("| | median of a call | 99 % | longest | all calls | until all are stored |\n|---|---|---|---|---|---|")
    for side, f in best.items():
        us = [f"{f[key] / 1000:,.2f} µs" for key in ("median_ns", "p99_ns", "max_ns")]
        print(f"| {side} | {' | '.join(us)} | {f['logged_s']:.2f} s | {f['stored_s']:.1f} s |")


if __name__ == "__main__":
    main()
