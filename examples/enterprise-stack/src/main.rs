//! A whole ML platform from one composition file: load, validate, clean, train, evaluate, track, register, serve, predict,
//! measure, stop.
//!
//! `cargo run --release -p enterprise-stack [-- PLATFORM.YAML]`
#![forbid(unsafe_code)]

mod progress;
mod report;
mod stack;

use mlx_core::prelude::*;
use std::{io::IsTerminal, path::Path, process::ExitCode};

mlx_core::link!(mlx_plugins);

const USAGE: &str = "\
Usage: enterprise-stack [PLATFORM.YAML]

Trains a model on the Breast Cancer Wisconsin data, tracks and registers it, serves it over HTTP, asks it for a
prediction, and prints a report. The composition decides which plugins do the work; the default is the platform.yaml of
this example. Paths in a composition are relative to its folder.

  -h, --help     Print this text
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let path = match (arguments.next(), arguments.next()) {
        (None, _) => concat!(env!("CARGO_MANIFEST_DIR"), "/platform.yaml").to_owned(),
        (Some(flag), None) if flag == "-h" || flag == "--help" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        (Some(path), None) if !path.starts_with('-') => path,
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match mlx_core::block_on(run(Path::new(&path))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            eprintln!("{}", error.report().color(color));
            ExitCode::FAILURE
        }
    }
}

async fn run(path: &Path) -> Result<()> {
    let composition = Composition::from_path(path)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::env::set_current_dir(folder).with_context(|| format!("going to {}", folder.display()))?;
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
