//! `mlx check`: does the project compile, and where does a mistake come from?

use super::Session;
use crate::{
    generate,
    output::Exit,
    project::{Project, ProjectPath},
};
use mlx_components::catalogue::Catalogue;
use mlx_core::{Context, Error, JsonValue, Result, json};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

/// Cargo, in the folder of the project.
pub(super) fn cargo(project: &Project, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(project.root()).stdin(Stdio::null());
    command
}

/// A message of the compiler.
struct Message {
    level: String,
    text: String,
    rendered: String,
    /// The file of its first span, relative to the project.
    file: Option<String>,
    line: Option<u64>,
    column: Option<u64>,
}

impl Message {
    fn of(message: &JsonValue) -> Self {
        let span = message["spans"].as_array().and_then(|spans| spans.iter().find(|span| span["is_primary"] == true));
        let text = |value: &JsonValue| value.as_str().unwrap_or_default().to_owned();
        Message {
            level: text(&message["level"]),
            text: text(&message["message"]),
            rendered: text(&message["rendered"]),
            file: span.and_then(|span| span["file_name"].as_str().map(str::to_owned)),
            line: span.and_then(|span| span["line_start"].as_u64()),
            column: span.and_then(|span| span["column_start"].as_u64()),
        }
    }

    /// Which component and template the file came from, and where in the template the line stands.
    fn origin(&self, project: &Project, catalogue: &Catalogue) -> Option<JsonValue> {
        let path = ProjectPath::new(&self.file.as_deref()?.replace('\\', "/")).ok()?;
        let (installed, file) = project.lock().owner(&path)?;
        let line = self.line.and_then(|line| usize::try_from(line).ok());
        let place = line.and_then(|line| generate::template_line(project, catalogue, &path, line).ok().flatten());
        Some(json!({
            "component": installed.id(),
            "version": file.version.to_string(),
            "template": file.template,
            "template_file": place.as_ref().map(|place| &place.file),
            "template_line": place.as_ref().map(|place| place.line),
        }))
    }
}

fn said(origin: &JsonValue) -> String {
    let text = |key: &str| origin[key].as_str().unwrap_or_default();
    let (component, version, template) = (text("component"), text("version"), text("template"));
    match origin["template_line"].as_u64() {
        Some(line) => {
            format!("  = from {component} {version}, line {line} of its template {}", text("template_file"))
        }
        None => {
            format!("  = the file is from {component} {version}, template {template}; this line was changed since")
        }
    }
}

pub(super) fn check(session: &mut Session<'_>, test: bool) -> Result<Exit> {
    let project = session.project()?;
    let catalogue = session.catalogues(&project)?.catalogue;
    session.output.say("cargo check");
    // What cargo says of its progress is for people, on its own standard error.
    let stderr = if session.output.speaks() { Stdio::inherit() } else { Stdio::null() };
    let mut child =
        cargo(&project, &["check", "--workspace", "--all-targets", "--message-format=json-diagnostic-rendered-ansi"])
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .context("starting cargo; is Rust installed?")?;
    let mut messages = Vec::new();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let Ok(entry) = serde_json::from_str::<JsonValue>(&line.context("reading what cargo says")?) else { continue };
        if entry["reason"] == "compiler-message" {
            messages.push(Message::of(&entry["message"]));
        }
    }
    let compiled = child.wait().context("waiting for cargo")?.success();
    // Targets share files, and cargo reports each anew; what is said beside a mistake may differ.
    let mut seen = std::collections::BTreeSet::new();
    messages.retain(|message| {
        let Message { level, text, file, line, column, .. } = message;
        file.is_some() && seen.insert((level.clone(), text.clone(), file.clone(), *line, *column))
    });
    if !session.output.json {
        for message in &messages {
            let rendered = if session.output.colors(&std::io::stderr()) {
                message.rendered.clone()
            } else {
                plain(&message.rendered)
            };
            session.output.say(rendered.trim_end());
            if let Some(origin) = message.origin(&project, &catalogue) {
                session.output.say(said(&origin));
            }
            session.output.say("");
        }
    }
    let tested = compiled && test && {
        session.output.say("cargo test");
        let ended = cargo(&project, &["test", "--workspace"])
            .stdout(if session.output.speaks() { Stdio::inherit() } else { Stdio::null() })
            .stderr(if session.output.speaks() { Stdio::inherit() } else { Stdio::null() })
            .status();
        ended.context("starting cargo")?.success()
    };
    let passed = compiled && (tested || !test);
    if session.output.json {
        let list: Vec<_> = messages.iter().map(|m| json!({"level": m.level, "message": m.text, "file": m.file, "line": m.line, "origin": m.origin(&project, &catalogue)})).collect();
        let status = if passed { "done" } else { "failed" };
        session.output.document(
            "check",
            status,
            json!({"compiled": compiled, "tested": test.then_some(tested), "messages": list}),
        )?;
        return Ok(if passed { Exit::Done } else { Exit::Failed });
    }
    match (compiled, passed) {
        (false, _) => Err(Error::failed("the project does not compile")),
        (true, false) => Err(Error::failed("the project's tests do not pass")),
        (true, true) => {
            let warnings = messages.len();
            session.output.say(if warnings == 0 {
                "no mistakes".to_owned()
            } else {
                format!("no mistakes, {warnings} warnings")
            });
            Ok(Exit::Done)
        }
    }
}

/// A text without its colours.
fn plain(text: &str) -> String {
    let mut plain = Vec::new();
    // Writing to memory does not fail.
    let _ = anstream::StripStream::new(&mut plain).write_all(text.as_bytes());
    String::from_utf8_lossy(&plain).into_owned()
}
