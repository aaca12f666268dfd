//! An update whose conflicts are not resolved yet.

use crate::{
    merge::{Labels, has_markers},
    plan::{Action, Content, Operation, Plan},
    project::{Project, ProjectPath, Sha256, Tree},
};
use mlx_core::{Context, Diagnostic, Error, ErrorKind, Result, diagnostics::Code};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const VERSION: u32 = 1;

/// What `.mlx/update.json` says: how to undo an update that left conflicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    version: u32,
    conflicts: Vec<ProjectPath>,
    undo: Vec<Operation>,
}

impl Pending {
    /// The update of this project that waits, if there is one.
    ///
    /// # Errors
    /// [`Code::Unrecovered`] when the file cannot be read.
    pub fn of(project: &Project) -> Result<Option<Self>> {
        let path = ProjectPath::pending();
        let Some(content) = project.read(&path)? else { return Ok(None) };
        match serde_json::from_slice::<Pending>(&content) {
            Ok(pending) if pending.version == VERSION => Ok(Some(pending)),
            other => {
                let fault = match other {
                    Ok(pending) => format!("it has version {}, this `mlx` knows {VERSION}", pending.version),
                    Err(fault) => fault.to_string(),
                };
                let found = Diagnostic::error(Code::Unrecovered, format!("`{path}` cannot be used: {fault}"))
                    .help("restore it from version control, or delete it to keep the project as it is");
                Err(Error::from_diagnostics("the pending update", vec![found]))
            }
        }
    }

    /// The files that the update left conflicts in, and those that it put beside others.
    pub fn conflicts(&self) -> &[ProjectPath] {
        &self.conflicts
    }

    /// Those that are not resolved: that still have a marker, or still lie beside another file.
    ///
    /// # Errors
    /// As of [`Project::read`].
    pub fn left(&self, project: &Project) -> Result<Vec<ProjectPath>> {
        let labels = Labels::default();
        let mut left = Vec::new();
        for path in &self.conflicts {
            let Some(content) = project.read(path)? else { continue };
            let beside = self.undo.iter().any(|undo| undo.path == *path && undo.action == Action::Delete);
            if beside || has_markers(&content, &labels) {
                left.push(path.clone());
            }
        }
        Ok(left)
    }
}

/// The plan of an update. If it has conflicts, what it takes to [`resume`] or [`abort`] it is part of the plan.
///
/// # Errors
/// As of [`Tree::into_plan`].
pub fn into_plan(tree: Tree<'_>, command: &str) -> Result<Plan> {
    let project = tree.project();
    let mut plan = tree.into_plan(command)?;
    if plan.conflicts.is_empty() {
        return Ok(plan);
    }
    let pending = Pending { version: VERSION, conflicts: plan.conflicts.clone(), undo: inverse(project, &plan)? };
    let text = serde_json::to_vec(&pending).context("keeping the update")?;
    plan.operations.push(Operation {
        path: ProjectPath::pending(),
        action: Action::Create,
        before: None,
        after: Some(Content::of(text)),
        why: "to continue or abort".to_owned(),
    });
    plan.operations.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(plan)
}

/// The operations that undo those of the plan.
fn inverse(project: &Project, plan: &Plan) -> Result<Vec<Operation>> {
    plan.operations
        .iter()
        .map(|operation| {
            let Operation { path, action, before, after, .. } = operation;
            let source = match action {
                Action::Rename { from } => from,
                _ => path,
            };
            let was = match before {
                Some(_) => project.read(source)?.map(Content::of),
                None => None,
            };
            let (path, action, after_was) = match action {
                Action::Create => (path.clone(), Action::Delete, None),
                Action::Edit | Action::Merge => (path.clone(), Action::Edit, was),
                Action::Delete => (path.clone(), Action::Create, was),
                Action::Rename { from } => {
                    let content = after.as_ref().and(was);
                    (from.clone(), Action::Rename { from: path.clone() }, content)
                }
            };
            let before = match after {
                Some(after) => Some(after.sha256()),
                None if matches!(action, Action::Create) => None,
                None => *before,
            };
            Ok(Operation { path, action, before, after: after_was, why: "as it was before the update".to_owned() })
        })
        .collect()
}

/// The plan that ends a pending update whose conflicts are resolved.
///
/// # Errors
/// [`Code::NoPendingUpdate`]; [`Code::ConflictsLeft`], with each file.
pub fn resume(project: &Project) -> Result<Plan> {
    let pending = pending(project)?;
    let left = pending.left(project)?;
    if !left.is_empty() {
        let found = left.into_iter().map(|path| {
            let beside = pending.undo.iter().any(|undo| undo.path == path && undo.action == Action::Delete);
            let (message, help) = match beside {
                true => (format!("`{path}` is still there"), "take over what you need, and delete it"),
                false => (format!("`{path}` has conflict markers"), "resolve them"),
            };
            Diagnostic::error(Code::ConflictsLeft, message).help(help)
        });
        return Err(Error::from_diagnostics("the update", found.collect()));
    }
    let mut plan = Plan::new("update --continue", &project.lock().project.name);
    plan.operations.extend(forget(project)?);
    Ok(plan)
}

/// The plan that gives up a pending update: every file is as it was before. What was done in the files with conflicts since is
/// given up too.
///
/// # Errors
/// [`Code::NoPendingUpdate`]; [`Code::Stale`] when other files of the update were changed since, with each of them.
pub fn abort(project: &Project) -> Result<Plan> {
    let pending = pending(project)?;
    let conflicts: BTreeSet<&ProjectPath> = pending.conflicts.iter().collect();
    let mut plan = Plan::new("update --abort", &project.lock().project.name);
    let mut changed = Vec::new();
    for mut undo in pending.undo.clone() {
        let source = match &undo.action {
            Action::Rename { from } => from.clone(),
            _ => undo.path.clone(),
        };
        let is = project.read(&source)?.map(Sha256::of);
        if is != undo.before {
            if !conflicts.contains(&source) {
                changed.push(source);
                continue;
            }
            match (&undo.action, is) {
                (Action::Delete, None) => continue,
                (Action::Edit, None) => undo.action = Action::Create,
                // Without the file there is nothing to move back; its content is in the plan, unless the move was all.
                (Action::Rename { .. }, None) if undo.after.is_some() => undo.action = Action::Create,
                (Action::Rename { .. }, None) => {
                    changed.push(source);
                    continue;
                }
                _ => {}
            }
            undo.before = is;
        }
        plan.operations.push(undo);
    }
    if !changed.is_empty() {
        let found = changed.into_iter().map(|path| {
            Diagnostic::error(Code::Stale, format!("`{path}` was changed since the update"))
                .help("keep your change elsewhere and restore the file, or finish with `mlx update --continue`")
        });
        return Err(Error::from_diagnostics("the update", found.collect()));
    }
    plan.operations.extend(forget(project)?);
    plan.operations.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(plan)
}

fn pending(project: &Project) -> Result<Pending> {
    Pending::of(project)?.ok_or_else(|| {
        let found = Diagnostic::error(Code::NoPendingUpdate, "no update waits for conflicts to be resolved");
        Error::from_diagnostics("the project", vec![found]).with_kind(ErrorKind::NotFound)
    })
}

fn forget(project: &Project) -> Result<Option<Operation>> {
    let path = ProjectPath::pending();
    let before = project.read(&path)?.map(Sha256::of);
    Ok(before.map(|before| Operation {
        path,
        action: Action::Delete,
        before: Some(before),
        after: None,
        why: "the update is finished".to_owned(),
    }))
}

/// Refuses a change while an update waits.
pub(crate) fn check_settled(project: &Project) -> Result<()> {
    match Pending::of(project)? {
        None => Ok(()),
        Some(pending) => {
            let files: BTreeMap<_, _> = pending.conflicts.iter().map(|path| (path.as_str(), ())).collect();
            let list = mlx_core::diagnostics::listing(files.into_keys());
            let found = Diagnostic::error(Code::UpdatePending, format!("an update left conflicts in {list}"))
                .help("resolve them and run `mlx update --continue`, or give the update up with `mlx update --abort`");
            Err(Error::from_diagnostics("the project", vec![found]))
        }
    }
}
