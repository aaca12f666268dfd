//! `mlx apply`, and `mlx recover`.

use super::{Session, catalogues::relative};
use crate::{arguments::Writing, output::Exit, plan::Plan};
use mlx_core::{Context, Result, json};
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
        let fields = match &recovered {
            Some(change) => {
                json!({"root": relative(&folder, &change.root), "interrupted": change.command, "finished": change.finished})
            }
            None => json!({}),
        };
        session.output.document("recover", if recovered.is_some() { "done" } else { "nothing" }, fields)?;
    } else if recovered.is_none() {
        session.output.say("nothing to recover");
    }
    Ok(Exit::Done)
}
