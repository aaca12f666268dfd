//! The `mlx` command.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use mlx_core::{Error, Result, diagnostics::Code, json};
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Components for ML platforms in Rust.
#[derive(Parser)]
#[command(name = "mlx", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the components of the catalogue
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Explain an error code, such as MLX0020
    Explain {
        /// The code; without one, all codes are listed
        code: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.report().color_for(&io::stderr()));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, out: &mut dyn Write) -> Result<()> {
    let written = match command {
        Command::List { json } => list(json, out),
        Command::Explain { code } => explain(code.as_deref(), out),
    };
    match written {
        // `mlx list | head` is no failure.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        result => result,
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() == io::ErrorKind::BrokenPipe)
}

fn list(as_json: bool, out: &mut dyn Write) -> Result<()> {
    let catalogue = mlx_components::catalogue::Catalogue::embedded()?;
    if as_json {
        let list: Vec<_> = catalogue
            .components()
            .map(|c| json!({"name": c.name, "version": c.version.to_string(), "description": c.description}))
            .collect();
        return Ok(writeln!(out, "{:#}", json!({ "components": list }))?);
    }
    let width = catalogue.components().map(|c| c.name.chars().count()).max().unwrap_or(0);
    for component in catalogue.components() {
        let version = component.version.to_string();
        writeln!(out, "{:width$}  {version:8}  {}", component.name, component.description)?;
    }
    Ok(())
}

fn explain(code: Option<&str>, out: &mut dyn Write) -> Result<()> {
    let Some(text) = code else {
        for code in Code::ALL {
            writeln!(out, "{code}  {}", code.title())?;
        }
        return Ok(());
    };
    let Some(code) = Code::find(text) else {
        return Err(Error::not_found(format!("there is no code `{text}`; `mlx explain` lists them all")));
    };
    writeln!(out, "{code}: {}\n", code.title())?;
    for line in code.explanation().lines() {
        writeln!(out, "{}", line.trim_start())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn output(command: Command) -> Result<String> {
        let mut out = Vec::new();
        run(command, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn components_are_listed_for_people_and_machines() {
        assert!(output(Command::List { json: false }).unwrap().contains("data-sources/snowflake"));
        let json: mlx_core::JsonValue = output(Command::List { json: true }).unwrap().parse().unwrap();
        let components = json["components"].as_array().unwrap();
        assert!(components.iter().any(|component| component["name"] == "data-sources/snowflake"));
    }

    #[test]
    fn a_code_is_explained_and_an_unknown_one_refused() {
        let text = output(Command::Explain { code: Some("mlx0028".to_owned()) }).unwrap();
        assert!(
            text.starts_with("MLX0028: environment variable not set") && text.contains("${env:NAME:-value}"),
            "{text}"
        );
        assert!(output(Command::Explain { code: Some("MLX9999".to_owned()) }).is_err());
        assert_eq!(output(Command::Explain { code: None }).unwrap().lines().count(), Code::ALL.len());
    }
}
