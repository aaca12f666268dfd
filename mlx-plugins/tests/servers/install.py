#!/usr/bin/env python3
"""Installs the servers that the external tests speak to, each into a virtual environment of its own.

    python3 mlx-plugins/tests/servers/install.py [NAME ...]

They go to $MLX_SERVERS, else to mlx-servers in the user's cache directory. What is there already, in the versions of
NAME.txt, is left alone. To change a version: edit NAME.in, then
`uv pip compile --universal --python-version 3.11 --no-annotate --no-header NAME.in -o NAME.txt`.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

UV = "uv==0.13.9"
HERE = pathlib.Path(__file__).resolve().parent


def directory() -> pathlib.Path:
    if chosen := os.environ.get("MLX_SERVERS"):
        return pathlib.Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "mlx-servers"


def installed(venv: pathlib.Path, digest: str) -> bool:
    stamp = venv / "installed"
    return stamp.is_file() and stamp.read_text() == digest


def install(name: str, venv: pathlib.Path, digest: str, uv: pathlib.Path | None) -> None:
    began = time.monotonic()
    shutil.rmtree(venv, ignore_errors=True)
    if uv is None:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/python", "-m", "pip", "-q", "install", "--disable-pip-version-check", UV], check=True)
    else:
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, venv], check=True)
        # Compiled once here rather than at each start of a server.
        command = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", venv / "bin/python", "-r", HERE / f"{name}.txt"]
        subprocess.run(command, check=True)
    (venv / "installed").write_text(digest)
    print(f"{name}: installed in {time.monotonic() - began:.0f} s", flush=True)


def main() -> int:
    known = sorted(path.stem for path in HERE.glob("*.txt"))
    wanted = sys.argv[1:] or known
    if unknown := sorted(set(wanted) - set(known)):
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    root = directory()
    root.mkdir(parents=True, exist_ok=True)
    tool = root / "uv"
    if not installed(tool, UV):
        install("uv", tool, UV, None)
    for name in wanted:
        digest = hashlib.sha256((HERE / f"{name}.txt").read_bytes()).hexdigest()
        if installed(root / name, digest):
            print(f"{name}: there already")
        else:
            install(name, root / name, digest, tool / "bin/uv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
