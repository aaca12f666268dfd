//! `mlx explain`, and `mlx completions`.

use super::Session;
use crate::{arguments::Arguments, output::Exit};
use clap::CommandFactory;
use clap_complete::Shell;
use mlx_core::{
    Error, Result,
    diagnostics::{Code, nearest},
    json,
};

pub(super) fn explain(session: &mut Session<'_>, code: Option<&str>) -> Result<Exit> {
    let entry =
        |code: &Code| json!({"code": code.to_string(), "title": code.title(), "explanation": code.explanation()});
    let Some(text) = code else {
        if session.output.json {
            let codes: Vec<_> = Code::ALL.iter().map(entry).collect();
            session.output.document("explain", "done", json!({ "codes": codes }))?;
            return Ok(Exit::Done);
        }
        for code in Code::ALL {
            session.output.line(format_args!("{code}  {}", code.title()))?;
        }
        return Ok(Exit::Done);
    };
    let Some(code) = Code::find(text) else {
        let known: Vec<String> = Code::ALL.iter().map(Code::to_string).collect();
        let near = nearest(text, known.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(Error::not_found(format!(
            "there is no code `{}`{near}; `mlx explain` lists them all",
            text.escape_debug()
        )));
    };
    if session.output.json {
        session.output.document("explain", "done", json!({"codes": [entry(&code)]}))?;
        return Ok(Exit::Done);
    }
    session.output.line(format_args!("{code}: {}\n", code.title()))?;
    for line in code.explanation().lines() {
        session.output.line(line.trim_start())?;
    }
    Ok(Exit::Done)
}

pub(super) fn completions(session: &mut Session<'_>, shell: Shell) -> Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "mlx", &mut text);
    session.output.text(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done)
}
