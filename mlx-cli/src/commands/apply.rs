//! `mlx apply`, and `mlx recover`.

use super::{Session, catalogues::relative};
use crate::{apply::Recovered, arguments::Writing, output::Exit, plan::Plan};
use mlx_core::{Context, JsonValue, Result, json};
use std::path::Path;

pub(super) fn apply(session: &mut Session<'_>, file: &Path) -> Result<Exit> {
    let path = session.folder()?.join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading the plan {}", file.display()))?;
    let plan = Plan::from_json(&text)?;
    let project = session.project()?;
    session.carry_out(&project, &plan, &Writing::default(), &[])
}

pub(super) fn recover(session: &mut Session<'_>) -> Result<Exit> {
    let folder = session.folder()?;
    let recovered = session.recover(&folder)?;
    if session.output.json {
        match &recovered {
            Some(change) => {
                let fields = json!({ "recovered": recovery(change, &folder) });
                session.output.document("recover", "done", fields)?;
            }
            None => session.output.document("recover", "nothing", json!({}))?,
        }
    } else if recovered.is_none() {
        session.output.say("nothing to recover");
    }
    Ok(Exit::Done)
}

/// What became of an interrupted change, as JSON.
pub(super) fn recovery(change: &Recovered, folder: &Path) -> JsonValue {
    json!({"root": relative(folder, &change.root), "interrupted": change.command, "finished": change.finished})
}
