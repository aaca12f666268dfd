#!/usr/bin/env python3.11
"""What `mlx add` and `mlx update` cost, beside copier and cookiecutter, on one template of ten files.

The same template is written three times, in the format of each, and what comes out is compared: the files are the same to
the byte. A round is one run of each command into a fresh folder, one after the other; the figure is the median of the CPU
time (user and system, of the command and everything that it starts) over the rounds. `update` is from version 1 to 2 of the
template, which changes two files, in a project whose user changed a third; copier needs that project to be a git repository.
mlx formats Rust files with rustfmt unless told not to; both are shown.

    python3 -m venv V && V/bin/pip install copier==9.19.1 cookiecutter==2.7.1
    cargo build --profile dist -p mlx-cli
    TMPDIR=/dev/shm python3 tests/benches/generate.py --mlx target/dist/mlx --python V/bin

In memory (/dev/shm) the figures are of the commands; on a disk, what its file system takes to make a file is added.
"""

import argparse
import filecmp
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

ANSWERS = {
    "service": "scoring", "title": "Scoring service", "port": 8080, "workers": 4, "region": "eu-west-1",
    "metrics": True, "tracing": False, "owner": "platform", "timeout": 30, "replicas": 3,
}
TYPES = {str: "string", int: "integer", bool: "boolean"}

# Ten files in the common part of the languages; `@` stands for what each format puts around a variable.
FILES = {
    "mod.rs": """//! @title@.

pub mod cache;
pub mod error;
pub mod health;
pub mod limits;
pub mod server;
pub mod settings;

/// The name of the service.
pub const SERVICE: &str = "@service@";
""",
    "settings.rs": """//! Settings of @service@.

/// The port.
pub const PORT: u16 = @port@;
/// Threads.
pub const WORKERS: usize = @workers@;
/// Where it runs.
pub const REGION: &str = "@region@";
/// Seconds before a request is given up.
pub const TIMEOUT: u64 = @timeout@;
/// Copies that run.
pub const REPLICAS: u32 = @replicas@;
""",
    "server.rs": """//! The server of @title@.

use super::settings;

/// What the server listens on.
pub fn address() -> String {
    format!("0.0.0.0:{}", settings::PORT)
}

/// Paths that are answered.
pub const PATHS: [&str; 5] = [
{% for path in range(5) %}
    "/v{{ loop.index }}/@service@",
{% endfor %}
];
{% if @?metrics@ %}

/// Where metrics are.
pub const METRICS: &str = "/metrics";
{% endif %}
""",
    "health.rs": """//! Health of @service@.

/// What a probe is told.
pub fn health(ready: bool) -> &'static str {
    if ready {
        "ready"
    } else {
        "starting"
    }
}

/// Who to call.
pub const OWNER: &str = "@owner@";
""",
    "error.rs": """//! Errors of @service@.

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No such model.
    NotFound,
    /// The request took more than @timeout@ s.
    Timeout,
    /// More than @workers@ requests at once.
    Busy,
}

impl Error {
    /// The status of HTTP.
    pub fn status(self) -> u16 {
        match self {
            Error::NotFound => 404,
            Error::Timeout => 504,
            Error::Busy => 429,
        }
    }
}
""",
    "limits.rs": """//! Limits of @service@.

/// Requests a worker has at once.
pub const PER_WORKER: usize = 16;
/// Requests that are in flight at once.
pub const IN_FLIGHT: usize = PER_WORKER * @workers@;
""",
    "cache.rs": """//! What @service@ keeps.

use std::collections::HashMap;

/// Answers by request.
#[derive(Default)]
pub struct Cache {
    entries: HashMap<String, Vec<u8>>,
}

impl Cache {
    /// What is kept for a request.
    pub fn get(&self, request: &str) -> Option<&[u8]> {
        self.entries.get(request).map(Vec::as_slice)
    }

    /// Keeps an answer.
    pub fn put(&mut self, request: String, answer: Vec<u8>) {
        self.entries.insert(request, answer);
    }
}
{% if @?tracing@ %}

/// The span of a look-up.
pub const SPAN: &str = "@service@.cache";
{% endif %}
""",
    "deployment.yaml": """apiVersion: apps/v1
kind: Deployment
metadata:
  name: @service@
  labels: {owner: @owner@}
spec:
  replicas: @replicas@
  template:
    spec:
      containers:
        - name: @service@
          ports: [{containerPort: @port@}]
          env:
            - {name: REGION, value: "@region@"}
""",
    "README.md": """# @title@

Runs in @region@ with @replicas@ replicas of @workers@ workers, on port @port@. Ask @owner@.
""",
    "NOTES.md": """# Operating @service@

A request is given up after @timeout@ s.
""",
}

VERSION_2 = {
    "error.rs": ("    /// No such model.\n    NotFound,\n", "    /// No such model.\n    NotFound,\n    /// Not now.\n    Unavailable,\n"),
    "NOTES.md": ("given up after", "cancelled after"),
}
USER_EDIT = ("limits.rs", "PER_WORKER: usize = 16", "PER_WORKER: usize = 32")
TARGET = "src/platform/scoring"


def text(name, version, opening, prefix=""):
    body = FILES[name]
    if version == 2 and name in VERSION_2:
        before, after = VERSION_2[name]
        assert before in body
        body = body.replace(before, after)
        if name == "error.rs":
            body = body.replace("Error::NotFound => 404,", "Error::NotFound => 404,\n            Error::Unavailable => 503,")
    for key in ANSWERS:
        body = body.replace(f"@?{key}@", prefix + key).replace(f"@{key}@", "{{ " + prefix + key + " }}")
    return body


def mlx_catalogue(folder, version):
    component = folder / "scoring"
    (component / "templates").mkdir(parents=True)
    for name in FILES:
        (component / "templates" / f"{name}.template").write_text(text(name, version, ""))
    variables = {
        key: {"type": TYPES[type(value)], "default": value, "description": f"The {key}."} for key, value in ANSWERS.items()
    }
    # Free text lands inside literals here as it does in the other two, which know no escaping.
    (component / "component.json").write_text(json.dumps({
        "name": "scoring", "version": f"{version}.0.0", "description": "A scoring service", "type": "library",
        "variables": variables, "config_schema": {}, "dependencies": [],
        "templates": [
            {"name": f"{name}.template", "description": name, "target": f"{TARGET}/{name}",
             "variables": [key for key in ANSWERS if f"@{key}@" in FILES[name] or f"@?{key}@" in FILES[name]]}
            for name in FILES
        ],
    }, indent=2))
    (component / "README.md").write_text("# scoring\n")


def copier_template(folder, version):
    target = folder / TARGET
    target.mkdir(parents=True)
    for name in FILES:
        (target / f"{name}.jinja").write_text(text(name, version, ""))
    (folder / "{{ _copier_conf.answers_file }}.jinja").write_text("{{ _copier_answers|to_nice_yaml }}\n")
    kinds = {str: "str", int: "int", bool: "bool"}
    # As templates of mlx are read: a line with nothing but a tag leaves nothing.
    (folder / "copier.yml").write_text("_envops: {trim_blocks: true, lstrip_blocks: true}\n" + "".join(
        f"{key}:\n  type: {kinds[type(value)]}\n  default: {json.dumps(value)}\n" for key, value in ANSWERS.items()
    ))


def cookiecutter_template(folder):
    target = folder / "{{ cookiecutter.folder }}" / TARGET
    target.mkdir(parents=True)
    for name in FILES:
        (target / name).write_text(text(name, 1, "", "cookiecutter."))
    answers = {"folder": "out", "_jinja2_env_vars": {"trim_blocks": True, "lstrip_blocks": True}} | ANSWERS
    (folder / "cookiecutter.json").write_text(json.dumps(answers))


def git(folder, *arguments):
    subprocess.run(["git", "-c", "user.name=b", "-c", "user.email=b@example.org", *arguments], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cpu(command, cwd, codes=(0,)):
    """The CPU seconds of a command and its children."""
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise SystemExit(f"{command} ended with {process.returncode}:\n{output.decode()}")
    return usage.ru_utime + usage.ru_stime


def same(left, right):
    _, different, missing = filecmp.cmpfiles(left, right, list(FILES), shallow=False)
    if different or missing:
        raise SystemExit(f"{left} and {right} differ: {different + missing}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlx", required=True, type=pathlib.Path, help="the mlx command")
    parser.add_argument("--python", required=True, type=pathlib.Path, help="the folder with copier and cookiecutter")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    mlx, bin = options.mlx.resolve(), options.python.resolve()
    figures = {}

    def timed(name, command, cwd):
        figures.setdefault(name, []).append(cpu([str(part) for part in command], cwd) * 1000)

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for version in (1, 2):
            mlx_catalogue(root / f"catalogue-{version}", version)
        template = root / "copier"
        copier_template(template, 1)
        git(template, "init", "-q"), git(template, "add", "."), git(template, "commit", "-qm", "1"), git(template, "tag", "1.0.0")
        copier_template(root / "copier-2", 2)
        shutil.copytree(root / "copier-2", template, dirs_exist_ok=True)
        git(template, "add", "."), git(template, "commit", "-qm", "2"), git(template, "tag", "2.0.0")
        plain = root / "copier-plain"
        copier_template(plain, 1)
        cookiecutter_template(root / "cookiecutter")

        empty = root / "empty"
        cpu([str(mlx), "init", "empty"], root)
        v1, v2 = ["--catalog", root / "catalogue-1"], ["--catalog", root / "catalogue-2"]
        for round in range(options.rounds + 1):
            base = root / f"round-{round}"
            base.mkdir()
            shutil.copytree(empty, base / "mlx")
            shutil.copytree(empty, base / "mlx-fmt")
            timed("mlx add", [mlx, "add", "scoring", *v1, "--no-fmt"], base / "mlx")
            timed("mlx add, with rustfmt", [mlx, "add", "scoring", *v1], base / "mlx-fmt")
            timed("copier copy", [bin / "copier", "copy", "--defaults", "--quiet", plain, base / "plain"], base)
            timed("copier copy, from a tag", [bin / "copier", "copy", "--defaults", "--quiet", "--vcs-ref", "1.0.0", template, base / "copier"], base)
            timed("cookiecutter", [bin / "cookiecutter", "--no-input", "-o", base, root / "cookiecutter"], base)
            same(base / "mlx" / TARGET, base / "plain" / TARGET)
            same(base / "mlx" / TARGET, base / "copier" / TARGET)
            same(base / "mlx" / TARGET, base / "out" / TARGET)

            name, before, after = USER_EDIT
            for project in ("mlx", "mlx-fmt", "copier"):
                path = base / project / TARGET / name
                path.write_text(path.read_text().replace(before, after))
            project = base / "copier"
            git(project, "init", "-q"), git(project, "add", "."), git(project, "commit", "-qm", "1")
            timed("mlx update", [mlx, "update", *v2, "--no-fmt"], base / "mlx")
            timed("mlx update, with rustfmt", [mlx, "update", *v2], base / "mlx-fmt")
            timed("copier update", [bin / "copier", "update", "--defaults", "--quiet"], project)
            same(base / "mlx" / TARGET, base / "copier" / TARGET)
            # Nothing is removed before the end: ext4 without a journal searches longer for a free inode where many files
            # were removed in the last five minutes.

    # The first round warms the caches.
    median = {name: statistics.median(values[1:]) for name, values in figures.items()}
    for name, value in median.items():
        values = figures[name][1:]
        print(f"{name:26} {value:8.1f} ms CPU   ({min(values):.1f} to {max(values):.1f})")
    print()
    for ours, theirs, target in (
        ("mlx add", "copier copy", 100), ("mlx add", "cookiecutter", 50), ("mlx update", "copier update", 100),
        ("mlx add, with rustfmt", "copier copy", None), ("mlx add, with rustfmt", "cookiecutter", None),
        ("mlx update, with rustfmt", "copier update", None),
    ):
        ratio = median[theirs] / median[ours]
        verdict = "" if target is None else f"   target {target}: {'met' if ratio >= target else 'missed'}"
        print(f"{theirs} / {ours}: {ratio:.0f}{verdict}")


if __name__ == "__main__":
    main()
