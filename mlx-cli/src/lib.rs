//! The library behind the `mlx` command: components of a catalogue become Rust code in a project, and stay updatable.
//!
//! ```text
//! Request ──generate──▶ Tree ──▶ Plan ──apply──▶ project
//! ```
//!
//! A [`Tree`](project::Tree) is what a project would be: it reads the files of the project, and keeps changes in memory.
//! It becomes a [`Plan`](plan::Plan), one value that is shown, stored as JSON, and [applied](apply::apply) as a
//! transaction.
#![forbid(unsafe_code)]

pub mod apply;
mod arguments;
mod commands;
pub mod generate;
pub mod manifest;
pub mod merge;
mod output;
pub mod plan;
pub mod plugins_json;
mod position;
pub mod project;
mod prompt;
pub mod region;
pub mod remove;
pub mod status;
pub mod update;

pub use output::Exit;

use arguments::Arguments;
use clap::Parser;
use output::Output;
use std::{ffi::OsString, io::Write};

/// Runs the command line: what `mlx` does. Results go to `out`, what is done and errors to `log`.
///
/// Wrong usage, `--help` and `--version` end the process, as clap does.
pub fn run(arguments: impl IntoIterator<Item = OsString>, out: &mut dyn Write, log: &mut dyn Write) -> Exit {
    let given: Vec<OsString> = arguments.into_iter().collect();
    let arguments = Arguments::try_parse_from(&given).unwrap_or_else(|error| arguments::hinted(error, &given).exit());
    let output = Output::new(&arguments.global, &mut *out, &mut *log);
    match commands::run(&arguments, output) {
        Ok(exit) => exit,
        // `mlx list | head` is no failure.
        Err(error) if output::is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            Output::new(&arguments.global, out, log).failure(commands::name(&arguments.command), &error);
            Exit::Failed
        }
    }
}
