//! Starts the platform that a composition describes, and says how its plugins are.

use mlx_core::{Diagnostic, diagnostics::Report, prelude::*};
use std::{
    io::{self, Write},
    process::ExitCode,
};

use sample::platform;

const USAGE: &str = "\
Usage: sample [OPTIONS] [FILE]

Starts the plugins of a composition, prints each with its status, and stops them again.

Arguments:
  [FILE]  The composition; platform.yaml unless given

Options:
      --profile <NAME>  Lay a profile of the composition over it; can be repeated
      --check           Only check that everything could start
      --serve           Run until SIGINT or SIGTERM
  -h, --help            Print this text
";

/// What the command line asks for.
#[derive(Default)]
struct Arguments {
    file: Option<String>,
    profiles: Vec<String>,
    check: bool,
    serve: bool,
    help: bool,
}

impl Arguments {
    /// `None` when they make no sense.
    fn parse(arguments: impl IntoIterator<Item = String>) -> Option<Arguments> {
        let mut parsed = Arguments::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--profile" => parsed.profiles.push(arguments.next()?),
                "--check" => parsed.check = true,
                "--serve" => parsed.serve = true,
                "-h" | "--help" => parsed.help = true,
                flag if flag.starts_with('-') => return None,
                _ if parsed.file.is_some() => return None,
                _ => parsed.file = Some(argument),
            }
        }
        Some(parsed)
    }
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::parse(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    if arguments.help {
        let _ = io::stdout().write_all(USAGE.as_bytes());
        return ExitCode::SUCCESS;
    }
    match mlx_core::block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.report().color_for(&io::stderr()));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let file = arguments.file.as_deref().unwrap_or("platform.yaml");
    let composition = platform::composition(file, &arguments.profiles)?;
    if arguments.check {
        return check(&composition);
    }
    let off: Vec<String> = composition
        .plugins()
        .iter()
        .filter(|plugin| !plugin.enabled)
        .map(label)
        .collect();
    let running = registry().activate(composition).await?;
    warn(&running.warnings());
    // Whoever reads it may have read enough: `cargo run | head`.
    let _ = io::stdout().write_all(report(&running, &off).await.as_bytes());
    match arguments.serve {
        true => running.run_until_signal().await,
        false => running.shutdown().await,
    }
}

/// Says what keeps nothing from running and should be known all the same.
fn warn(found: &[Diagnostic]) {
    if !found.is_empty() {
        eprintln!("{}", Report::new(found).color_for(&io::stderr()));
    }
}

/// Says what is wrong, without starting anything.
fn check(composition: &Composition) -> Result<()> {
    let plan = registry().resolve(composition)?;
    let mut found = registry().doctor(&platform::discover_component_plugins()?);
    found.extend_from_slice(plan.warnings());
    let (errors, warnings): (Vec<_>, Vec<_>) = found.into_iter().partition(Diagnostic::is_error);
    warn(&warnings);
    if !errors.is_empty() {
        return Err(Error::from_diagnostics("the program", errors));
    }
    let _ = io::stdout().write_all(format!("{plan}\n").as_bytes());
    Ok(())
}

/// The plugins that run, then those that the composition has and does not start.
async fn report(running: &Platform, off: &[String]) -> String {
    let plugins = running.health().await.plugins;
    let mut lines = vec![format!(
        "{}: {} running, {} off",
        running.name(),
        plugins.len(),
        off.len()
    )];
    let width = plugins
        .keys()
        .chain(off)
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0);
    for (label, health) in &plugins {
        lines.push(format!(
            "  {label:width$}  {:9}  {}",
            health.status.as_str(),
            health.message
        ));
    }
    for label in off {
        lines.push(format!(
            "  {label:width$}  off        a profile may enable it: --profile live"
        ));
    }
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn label(plugin: &mlx_core::composition::PluginEntry) -> String {
    format!("{}/{}", plugin.kind.value, plugin.id())
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn parse(line: &str) -> Option<Arguments> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_command_line_is_read() {
        let arguments = parse("--profile live --serve --profile prod other.yaml").unwrap();
        assert_eq!(arguments.profiles, ["live", "prod"]);
        assert_eq!(arguments.file.as_deref(), Some("other.yaml"));
        assert!(arguments.serve && !arguments.check && !arguments.help);
        assert!(parse("--check").is_some_and(|arguments| arguments.check));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["--profile", "--chekc", "a.yaml b.yaml"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
