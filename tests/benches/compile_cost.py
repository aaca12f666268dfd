#!/usr/bin/env python3.11
"""What the macros cost to compile, against the same plugins written by hand.

Generates a crate of plugins twice: with `#[mlx_plugin]` and `#[derive(PluginConfig)]`, and with the derives of serde
and schemars, `inventory::submit!` and a constructor from JSON. Both implement the same two-method contract with
async-trait, and both can be checked, started and stopped without their type. Dependencies are built beforehand; what
is measured is the CPU time (user and system, of cargo and everything it starts, less that of a cargo with nothing to
do) of compiling that one crate. The two sides take turns, and the least of the rounds counts.

    python3 tests/benches/compile_cost.py                  # everything, about ten minutes
    python3 tests/benches/compile_cost.py crate --rounds 3
    python3 tests/benches/compile_cost.py size
    python3 tests/benches/compile_cost.py macros
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODES = {"check": ["check"], "debug": ["build"], "release": ["build", "--release"]}

# What a project needs beside its plugins when there is no mlx-core: a record, a contract, and a life cycle.
HAND_CORE = '''
pub use async_trait::async_trait;
pub use {inventory, schemars, serde, serde_json};
use std::{future::Future, pin::Pin, sync::Arc};

pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
pub type Start = Pin<Box<dyn Future<Output = Result<Running>> + Send>>;

pub struct Registration {
    pub kind: &'static str,
    pub name: &'static str,
    pub version: &'static str,
    pub description: &'static str,
    pub capabilities: &'static [&'static str],
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
    pub check: fn(serde_json::Value) -> Result<serde_json::Value>,
    pub start: fn(serde_json::Value) -> Result<Start>,
    pub schema: fn() -> schemars::Schema,
}
inventory::collect!(Registration);

pub struct Running {
    pub contract: Arc<dyn Monitoring>,
    pub plugin: Arc<dyn Plugin>,
}

#[async_trait]
pub trait Plugin: Send + Sync + 'static {
    async fn execute(&self) -> Result<()> { Err("nothing to execute".into()) }
    async fn health(&self) -> Result<bool> { Ok(true) }
    async fn shutdown(&self) -> Result<()> { Ok(()) }
}

#[async_trait]
pub trait Monitoring: Send + Sync + 'static {
    async fn record(&self, measurements: Vec<f64>) -> Result<()>;
    async fn export(&self) -> Result<String>;
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[schemars(extend("writeOnly" = true))]
pub struct Secret(String);

impl Secret {
    pub fn expose(&self) -> &String { &self.0 }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}
'''

HAND_HEAD = '''
use hand_core::{Monitoring, Plugin, Registration, Result, Running, Secret, Start, async_trait};
use std::sync::Arc;
'''

HAND_PLUGIN = '''
/// Settings of meter @.
#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config@ {
    /// Where it sends to.
    pub host: String,
    /// What it shows to be let in.
    pub token: Secret,
    /// Connections kept open.
    #[serde(default = "pool_of_@")]
    pub pool: u32,
    /// The zone, where there are several.
    pub zone: Option<String>,
    /// What every measurement is marked with.
    pub tags: Vec<String>,
}

fn pool_of_@() -> u32 { 5 }

/// Counts what it is given.
pub struct Meter@ {
    config: Config@,
}

impl Meter@ {
    async fn initialize(config: Config@) -> Result<Self> { Ok(Meter@ { config }) }
}

fn check_@(config: serde_json::Value) -> Result<serde_json::Value> {
    Ok(serde_json::to_value(serde_json::from_value::<Config@>(config)?)?)
}

fn start_@(config: serde_json::Value) -> Result<Start> {
    let config: Config@ = serde_json::from_value(config)?;
    Ok(Box::pin(async move {
        let plugin = Arc::new(Meter@::initialize(config).await?);
        Ok(Running { contract: plugin.clone(), plugin })
    }))
}

inventory::submit! {
    Registration {
        kind: "monitoring",
        name: "meter@",
        version: env!("CARGO_PKG_VERSION"),
        description: "Counts what it is given.",
        capabilities: &["metrics"],
        module: module_path!(),
        file: file!(),
        line: line!(),
        check: check_@,
        start: start_@,
        schema: || schemars::schema_for!(Config@),
    }
}

#[async_trait]
impl Plugin for Meter@ {}

#[async_trait]
impl Monitoring for Meter@ {
    async fn record(&self, _: Vec<f64>) -> Result<()> { Ok(()) }
    async fn export(&self) -> Result<String> {
        let Config@ { host, token, pool, zone, tags } = &self.config;
        Ok([host, token.expose(), zone.as_ref().unwrap_or(host), &tags[*pool as usize]].map(String::as_str).concat())
    }
}
'''

MLX_HEAD = '''
use mlx_core::prelude::*;
'''

MLX_PLUGIN = '''
/// Settings of meter @.
#[derive(PluginConfig)]
pub struct Config@ {
    /// Where it sends to.
    pub host: String,
    /// What it shows to be let in.
    pub token: Secret,
    /// Connections kept open.
    #[config(default = 5)]
    pub pool: u32,
    /// The zone, where there are several.
    pub zone: Option<String>,
    /// What every measurement is marked with.
    pub tags: Vec<String>,
}

/// Counts what it is given.
#[mlx_plugin(type = "monitoring", capabilities = ["metrics"])]
pub struct Meter@ {
    config: Config@,
}

#[async_trait]
impl Plugin for Meter@ {
    type Config = Config@;
    async fn initialize(config: Config@, _: &InitContext) -> Result<Self> { Ok(Meter@ { config }) }
}

#[async_trait]
impl Monitoring for Meter@ {
    async fn record(&self, _: Vec<Measurement>) -> Result<()> { Ok(()) }
    async fn export(&self) -> Result<String> {
        let Config@ { host, token, pool, zone, tags } = &self.config;
        Ok([host, token.expose(), zone.as_ref().unwrap_or(host), &tags[*pool as usize]].map(String::as_str).concat())
    }
}
'''

HAND_DEPENDENCIES = '''
async-trait = "0.1.92"
inventory = "0.3.25"
schemars = { version = "1.2", default-features = false, features = ["derive", "std"] }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
'''

SIDES = {
    "mlx": (MLX_HEAD, MLX_PLUGIN, 'mlx-core = { path = "%s", default-features = false }' % (ROOT / "mlx-core"),
            'mlx_core::link!(plugins); fn main() { println!("{}", mlx_core::registry().len()); }'),
    "hand": (HAND_HEAD, HAND_PLUGIN, 'hand_core = { path = "../../hand_core" }' + HAND_DEPENDENCIES,
             'use plugins as _; fn main() { println!("{}", hand_core::inventory::iter::<hand_core::Registration>().count()); }'),
}

def manifest(name, rest):
    return f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2024"\n\n{rest}\n'


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def generate(folder, count):
    """A workspace for each side, which shares nothing with the other but the versions of what both depend on."""
    hand_core = folder / "hand_core"
    write(hand_core / "Cargo.toml", manifest("hand_core", "[workspace]\n\n[dependencies]" + HAND_DEPENDENCIES))
    write(hand_core / "src/lib.rs", HAND_CORE)
    for side, (head, plugin, core, main) in SIDES.items():
        workspace = folder / f"{side}-{count}"
        write(workspace / "Cargo.toml", '[workspace]\nresolver = "3"\nmembers = ["plugins", "app"]\n')
        shutil.copy(ROOT / "Cargo.lock", workspace / "Cargo.lock")
        body = "".join(plugin.replace("@", str(number)) for number in range(count))
        write(workspace / "plugins/Cargo.toml", manifest("plugins", f"[dependencies]\n{core}"))
        write(workspace / "plugins/src/lib.rs", head + body)
        write(workspace / "app/Cargo.toml", manifest("app", f'[dependencies]\nplugins = {{ path = "../plugins" }}\n{core}'))
        write(workspace / "app/src/main.rs", main)


def cargo(folder, arguments, target, incremental=None):
    """Runs cargo and returns the CPU seconds of it and of everything it started."""
    environment = {key: value for key, value in os.environ.items() if key not in ("RUSTFLAGS", "CARGO_INCREMENTAL")}
    environment["CARGO_TARGET_DIR"] = str(target)
    if incremental is not None:
        environment["CARGO_INCREMENTAL"] = incremental
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(["cargo", *arguments, "--quiet"], cwd=folder, env=environment, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        errors.seek(0)
        said = errors.read(4000).decode(errors="replace")
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"cargo {' '.join(arguments)} failed in {folder}:\n{said}")
    return usage.ru_utime + usage.ru_stime


def row(name, ours, theirs, unit, target):
    ratio = ours / theirs
    verdict = "met" if ratio <= target else "MISSED"
    print(f"{name:24} {ours:10.2f} {theirs:10.2f} {unit:6} ratio {ratio:5.3f}  target {target}  {verdict}", flush=True)


def crate(folder, count, rounds):
    print(f"compiling a crate of {count} plugins, CPU seconds: mlx, by hand")
    generate(folder, count)
    for mode, arguments in MODES.items():
        least = {}
        for side in SIDES:
            cargo(folder / f"{side}-{count}", [*arguments, "-p", "plugins"], folder / f"target-{side}")
        for _ in range(rounds):
            for side in SIDES:
                workspace, target = folder / f"{side}-{count}", folder / f"target-{side}"
                cargo(workspace, ["clean", "-p", "plugins", *arguments[1:]], target)
                for built in target.glob("*/incremental/plugins-*"):
                    shutil.rmtree(built)
                busy = cargo(workspace, [*arguments, "-p", "plugins"], target)
                idle = cargo(workspace, [*arguments, "-p", "plugins"], target)
                least[side] = min(least.get(side, busy), busy - idle)
        row(mode, least["mlx"], least["hand"], "s", 0.6)


def size(folder):
    print("bytes a plugin in a stripped release binary, (110 plugins - 10 plugins) / 100: mlx, by hand")
    bytes_of = {}
    for count in (10, 110):
        generate(folder, count)
        for side in SIDES:
            workspace, target = folder / f"{side}-{count}", folder / f"target-{side}"
            cargo(workspace, ["rustc", "--release", "-p", "app", "--config", "profile.release.strip=true"], target)
            bytes_of[side, count] = (target / "release/app").stat().st_size
            printed = subprocess.run([target / "release/app"], capture_output=True, text=True, check=True).stdout
            assert int(printed) == count, f"{side}: {printed} of {count} plugins are in the binary"
    row("size", *((bytes_of[side, 110] - bytes_of[side, 10]) / 100 for side in SIDES), "bytes", 0.6)


def from_clean(folder, rounds, sides, target):
    """Each side is a name and the packages that are built, in an empty target folder, with all they need.

    Cargo compiles what stands in a folder incrementally, and what comes from a registry not. Ours stands in a folder
    here, so that is switched off for both sides.
    """
    for mode, arguments in (("debug", ["build"]), ("release", ["build", "--release"])):
        least = {}
        for _ in range(rounds):
            for name, packages in sides.items():
                workspace, built = folder / f"macros-{name}", folder / "target-macros"
                lines = "".join(f"{package} = {MACROS[package]}\n" for package in packages)
                write(workspace / "Cargo.toml", manifest("user", f"[workspace]\n\n[dependencies]\n{lines}"))
                write(workspace / "src/lib.rs", "")
                if not (workspace / "Cargo.lock").exists():
                    shutil.copy(ROOT / "Cargo.lock", workspace / "Cargo.lock")
                    cargo(workspace, ["fetch"], built)
                shutil.rmtree(built, ignore_errors=True)
                chosen = [word for package in packages for word in ("-p", package)]
                spent = cargo(workspace, [*arguments, *chosen], built, incremental="0")
                least[name] = min(least.get(name, spent), spent)
        row(mode, *least.values(), "s", target)


MACROS = {
    "mlx-macros": '{ path = "%s" }' % (ROOT / "mlx-macros"),
    "serde_derive": '"1"',
    "schemars_derive": '"1.2"',
    "async-trait": '"0.1.92"',
}


def macros(folder, rounds):
    print("a macro crate and its dependencies from clean, CPU seconds: mlx-macros, serde_derive")
    from_clean(folder, rounds, {"mlx": ["mlx-macros"], "serde": ["serde_derive"]}, 1.3)
    print("all macro crates of a project from clean, CPU seconds: mlx-macros and async-trait; by hand, "
          "serde_derive, schemars_derive and async-trait")
    sides = {"mlx-all": ["mlx-macros", "async-trait"], "hand-all": ["serde_derive", "schemars_derive", "async-trait"]}
    from_clean(folder, rounds, sides, 1.3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["all", "crate", "size", "macros"], default="all")
    parser.add_argument("--plugins", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", type=pathlib.Path, help="where to generate and build; kept (default: a temporary folder)")
    given = parser.parse_args()
    print(subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip())
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.dir or pathlib.Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if given.what in ("all", "crate"):
            crate(folder, given.plugins, given.rounds)
        if given.what in ("all", "size"):
            size(folder)
        if given.what in ("all", "macros"):
            macros(folder, given.rounds)


main()
