//! A whole ML platform from one composition file: load, validate, clean, train, evaluate, track, register, serve, predict,
//! measure, stop.
//!
//! `cargo run --release -p enterprise-stack [-- [--profile NAME]… [--check] [PLATFORM.YAML]]`
#![forbid(unsafe_code)]

mod progress;
mod report;
mod stack;

use mlx_core::prelude::*;
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

mlx_core::link!(mlx_plugins);

const USAGE: &str = "\
Usage: enterprise-stack [--profile NAME]... [--check] [PLATFORM.YAML]

Trains a model on the Breast Cancer Wisconsin data, tracks and registers it, serves it over HTTP, asks it for a
prediction, and prints a report. The composition decides which plugins do the work; the default is the platform.yaml of
this example. Paths in a composition are relative to its folder.

  --profile NAME   Use a profile of the composition; `mlflow` needs a build with `--features mlflow`
  --check          Only check that everything could start
  -h, --help       Print this text
";

fn main() -> ExitCode {
    let (mut path, mut profiles, mut check_only) = (None, Vec::new(), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-h" | "--help" => {
                print!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            "--profile" => match arguments.next() {
                Some(profile) => profiles.push(profile),
                None => return usage(),
            },
            "--check" => check_only = true,
            _ if path.is_some() || argument.starts_with('-') => return usage(),
            _ => path = Some(argument),
        }
    }
    let path = path.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/platform.yaml").to_owned());
    match mlx_core::block_on(run(Path::new(&path), &profiles, check_only)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            eprintln!("{}", error.report().color(color));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}

async fn run(path: &Path, profiles: &[String], check_only: bool) -> Result<()> {
    let mut composition = Composition::from_path(path)?;
    for profile in profiles {
        composition = composition.with_profile(profile)?;
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::env::set_current_dir(folder).with_context(|| format!("going to {}", folder.display()))?;
    }
    if check_only {
        return check(&composition);
    }
    let report = registry()
        .run(composition, async |platform| {
            for warning in platform.warnings() {
                eprintln!("{warning}");
            }
            stack::run(platform).await
        })
        .await?;
    print!("{report}");
    Ok(())
}

/// Says what is wrong, without starting anything; else what would start, in its order.
fn check(composition: &Composition) -> Result<()> {
    let plan = registry().resolve(composition)?;
    for warning in plan.warnings() {
        eprintln!("{warning}");
    }
    // Whoever reads it may have read enough.
    let _ = io::stdout().write_all(plan.to_string().as_bytes());
    Ok(())
}
