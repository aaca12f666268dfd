#!/usr/bin/env python3
"""Rows of a large result read from Snowflake's connector protocol in Arrow: this project's data source beside
Snowflake's own connector for Python.

    python3 mlx-plugins/tests/servers/install.py fakesnow
    cargo build --release -p mlx-plugins --no-default-features --features data-source-snowflake --example snowflake_read
    python3 tests/benches/snowflake_arrow.py target/release/examples/snowflake_read [ROWS [ROUNDS]]

Both read the same answer from the same server on this machine, from the query to the last row, as Arrow in chunks, and
take turns: the connector with `fetch_arrow_batches()`. The server has no database: it hands out chunks of 50,000 rows with
six columns (two numbers, a decimal, a text, a date, a timestamp) in the encoding of Snowflake, gzipped, of which all but
the first are fetched by address, as from Snowflake's storage. The best of the rounds counts. Then each reads four
times as many rows, to see what that does to its memory.
"""

import base64
import gzip
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys

CHUNK = 50_000

CLIENT = """
import json, resource, sys, time
import snowflake.connector
port, sql = int(sys.argv[1].rsplit(":", 1)[1]), sys.argv[2]
connection = snowflake.connector.connect(
    user="u", password="p", account="a", host="127.0.0.1", port=port, protocol="http", warehouse="W", database="D",
    schema="S", session_parameters={"CLIENT_TELEMETRY_ENABLED": False})
cursor = connection.cursor()
began = time.perf_counter()
cursor.execute(sql)
rows = parts = 0
for part in cursor.fetch_arrow_batches():
    rows += part.num_rows
    parts += 1
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rows": rows, "parts": parts, "seconds": seconds, "peak_mib": peak}))
"""

COLUMNS = [
    {"name": "ID", "type": "fixed", "precision": 18, "scale": 0},
    {"name": "QUANTITY", "type": "fixed", "precision": 9, "scale": 0},
    {"name": "AMOUNT", "type": "fixed", "precision": 12, "scale": 2},
    {"name": "CUSTOMER", "type": "text", "length": 40, "byteLength": 160},
    {"name": "DAY", "type": "date"},
    {"name": "AT", "type": "timestamp_ntz", "precision": 0, "scale": 6},
]

# Without it the connector reads no Arrow.
ZONE = [{"name": "TIMEZONE", "value": "Etc/UTC"}]


def chunk():
    """A chunk as Snowflake encodes it: decimals and timestamps are integers, and the fields say what they are."""
    import pyarrow as pa

    n = range(CHUNK)
    arrays = [
        pa.array([1_000_000_000 + i for i in n], pa.int64()),
        pa.array([i % 100 for i in n], pa.int8()),
        pa.array([i * 7919 % 10_000_000 for i in n], pa.int32()),
        pa.array([f"customer {i * 7919 % 100_000:05}" if i % 50 else None for i in n], pa.string()),
        pa.array([19_000 + i % 1000 for i in n], pa.date32()),
        pa.array([1_700_000_000_000_000 + i * 1_000_003 for i in n], pa.int64()),
    ]
    fields = []
    for column, array in zip(COLUMNS, arrays):
        about = {"logicalType": column["type"].upper(), "precision": str(column.get("precision", 38))}
        about |= {"scale": str(column.get("scale", 0)), "charLength": str(column.get("length", 0))}
        about |= {"byteLength": str(column.get("byteLength", 0)), "finalType": "T"}
        fields.append(pa.field(column["name"], array.type, metadata=about))
    batch = pa.record_batch(arrays, schema=pa.schema(fields))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def one_text(text):
    import pyarrow as pa

    field = pa.field("V", pa.string(), metadata={"logicalType": "TEXT", "charLength": "20", "byteLength": "80"})
    batch = pa.record_batch([pa.array([text])], schema=pa.schema([field]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def serve():
    plain = chunk()
    packed = gzip.compress(plain, 6)
    inline = base64.b64encode(plain).decode()
    version = base64.b64encode(one_text("9.0")).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, body, kind="application/json", encoding=None):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if encoding:
                self.send_header("Content-Encoding", encoding)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.reply(packed, "application/octet-stream", "gzip")

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            data = {}
            if "login-request" in self.path:
                data = {"token": "t", "masterToken": "m", "parameters": ZONE, "sessionId": 1,
                        "sessionInfo": {"databaseName": "D", "schemaName": "S", "warehouseName": "W", "roleName": "R"}}
                data |= {"validityInSeconds": 3600, "masterValidityInSeconds": 14400}
            elif "query-request" in self.path:
                data = self.query(json.loads(body)["sqlText"])
            self.reply(json.dumps({"success": True, "code": None, "message": None, "data": data}).encode())

        def query(self, sql):
            about = {"parameters": ZONE, "queryResultFormat": "arrow", "queryId": "01", "sqlState": "00000"}
            about |= {"finalDatabaseName": "D", "finalSchemaName": "S", "finalWarehouseName": "W", "finalRoleName": "R"}
            about |= {"statementTypeId": 4096, "version": 1, "numberOfBinds": 0, "arrayBindSupported": False}
            if not sql.startswith("rows "):
                column = {"name": "V", "type": "text", "length": 20, "byteLength": 80, "nullable": True}
                return about | {"rowtype": [column], "rowsetBase64": version, "total": 1, "returned": 1}
            rows = int(sql.split()[1])
            address = f"http://127.0.0.1:{self.server.server_address[1]}/chunk"
            part = {"rowCount": CHUNK, "uncompressedSize": len(plain), "compressedSize": len(packed)}
            chunks = [part | {"url": f"{address}/{n}"} for n in range(rows // CHUNK - 1)]
            absent = dict.fromkeys(["length", "byteLength", "precision", "scale", "collation"])
            columns = [absent | {"nullable": True, "database": "D", "schema": "S", "table": "T"} | c for c in COLUMNS]
            return about | {"rowtype": columns, "rowsetBase64": inline, "total": rows, "returned": rows,
                            "chunks": chunks, "chunkHeaders": {}}

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def installed():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    venv = pathlib.Path(os.environ.get("MLX_SERVERS") or pathlib.Path(cache) / "mlx-servers") / "fakesnow"
    if not (venv / "installed").is_file():
        sys.exit("the connector is not installed: run `python3 mlx-plugins/tests/servers/install.py fakesnow`")
    return str(venv / "bin/python")


def main():
    program = sys.argv[1]
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    python = installed()
    sides = {"mlx": [program], "Snowflake's connector for Python": [python, "-c", CLIENT]}
    server = subprocess.Popen([python, __file__, "serve"], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        url = server.stdout.readline().strip()

        def read(side, count):
            said = subprocess.run([*sides[side], url, f"rows {count}"], capture_output=True, text=True)
            if said.returncode:
                sys.exit(f"{side}: {said.stderr}")
            figures = json.loads(said.stdout.strip().splitlines()[-1])
            if figures["rows"] != count:
                sys.exit(f"{side} read {figures['rows']} rows of {count}")
            return figures

        best, large = {}, {}
        for _ in range(rounds):
            for side in sides:
                figures = read(side, rows)
                if side not in best or figures["seconds"] < best[side]["seconds"]:
                    best[side] = figures
        for side in sides:
            large[side] = read(side, 4 * rows)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    print(f"{rows:,} rows in chunks of {CHUNK:,}, best of {rounds} rounds\n")
    print(f"| | rows/s | peak memory | of {4 * rows:,} rows: rows/s | peak memory |\n|---|---|---|---|---|")
    for side in sides:
        b, l = best[side], large[side]
        print(f"| {side} | {rows / b['seconds']:,.0f} | {b['peak_mib']:.0f} MiB "
              f"| {4 * rows / l['seconds']:,.0f} | {l['peak_mib']:.0f} MiB |")
    ours, theirs = (best[side]["seconds"] for side in sides)
    print(f"\nratio {theirs / ours:.2f}")


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
