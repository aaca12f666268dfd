//! `mlx doctor`: is what the project says it has what it has?

use super::{Session, check::cargo};
use crate::{output::Exit, project::Project, status};
use mlx_core::{Context, Error, JsonValue, Result, json};
use std::process::{Command, Stdio};

/// The oldest Rust that the generated code compiles with.
const RUST: (u64, u64) = (1, 91);

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// What is wrong, and what to do about it.
    problem: Option<String>,
    seen: String,
}

impl Finding {
    fn of(what: &'static str, result: Result<String, String>) -> Self {
        match result {
            Ok(seen) => Finding { what, problem: None, seen },
            Err(problem) => Finding { what, problem: Some(problem), seen: String::new() },
        }
    }
}

fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn rust() -> Result<String, String> {
    let Some(said) = said_by("rustc", &["--version"]) else {
        return Err("rustc does not run: install Rust (https://rustup.rs)".to_owned());
    };
    let mut numbers =
        said.split_whitespace().nth(1).unwrap_or_default().split('.').map(|n| n.parse::<u64>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match found >= RUST {
        true => Ok(said),
        false => Err(format!("{said} is older than {}.{}: update Rust", RUST.0, RUST.1)),
    }
}

fn rustfmt() -> Result<String, String> {
    said_by("rustfmt", &["--version"]).ok_or_else(|| {
        "rustfmt does not run: without it, generated files are formatted as their templates are".to_owned()
    })
}

/// The files and what `mlx.lock` says of them.
fn files(project: &Project) -> Result<String, String> {
    match &status::verify(project).map_err(|error| format!("{error:#}"))?[..] {
        [] => Ok("every hash of mlx.lock is right".to_owned()),
        problems => Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

/// What the program says of itself: its plugins beside plugins.json, and its composition.
fn program(session: &Session<'_>, project: &Project) -> Result<Result<String, String>> {
    let stderr = if session.output.speaks() { Stdio::inherit() } else { Stdio::piped() };
    let output = cargo(project, &["run", "--", "--check"]).stdout(Stdio::piped()).stderr(stderr).output();
    let output = output.context("starting cargo; is Rust installed?")?;
    Ok(match output.status.success() {
        true => Ok("plugins.json agrees with the plugins that are linked, and the composition resolves".to_owned()),
        false if output.stderr.is_empty() => Err("`cargo run -- --check` fails; its report is above".to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()),
    })
}

pub(super) fn doctor(session: &mut Session<'_>) -> Result<Exit> {
    let project = session.project()?;
    let mut findings =
        vec![Finding::of("Rust", rust()), Finding::of("rustfmt", rustfmt()), Finding::of("files", files(&project))];
    session.output.say("cargo run -- --check");
    findings.push(Finding::of("program", program(session, &project)?));
    let wrong = findings.iter().filter(|finding| finding.problem.is_some()).count();
    if session.output.json {
        let entry = |f: &Finding| -> JsonValue {
            json!({"what": f.what, "ok": f.problem.is_none(), "seen": f.seen, "problem": f.problem})
        };
        let list: Vec<_> = findings.iter().map(entry).collect();
        session.output.document("doctor", if wrong == 0 { "done" } else { "failed" }, json!({ "findings": list }))?;
        return Ok(if wrong == 0 { Exit::Done } else { Exit::Failed });
    }
    for finding in &findings {
        let (mark, text) = match &finding.problem {
            None => ("ok", &finding.seen),
            Some(problem) => ("WRONG", problem),
        };
        for (n, line) in text.lines().enumerate() {
            let (mark, what) = if n == 0 { (mark, finding.what) } else { ("", "") };
            session.output.line(format_args!("{mark:5}  {what:8}  {line}"))?;
        }
    }
    match wrong {
        0 => Ok(Exit::Done),
        1 => Err(Error::failed("one thing is wrong")),
        n => Err(Error::failed(format!("{n} things are wrong"))),
    }
}
