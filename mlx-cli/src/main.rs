//! The `mlx` command.
#![forbid(unsafe_code)]

use std::{io, process::ExitCode};

fn main() -> ExitCode {
    let exit = mlx_cli::run(std::env::args_os(), &mut io::stdout().lock(), &mut io::stderr());
    ExitCode::from(exit as u8)
}
