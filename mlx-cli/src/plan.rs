//! What is to be done to a project: one value that is shown, kept and applied.

use crate::project::{ProjectPath, Sha256};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use mlx_core::{
    Diagnostic, Error, JsonValue, Result,
    diagnostics::{Code, Severity, Source},
    json,
};
use serde::{Deserialize, Serialize};
use similar::TextDiff;
use std::fmt::Write as _;

/// The version of the format in JSON.
const SCHEMA: u32 = 1;

/// The most bytes of a plan that is read.
const LARGEST: usize = 256 << 20;

/// The operations that make a project what it is to be. What is applied is what was shown: [`apply`](crate::apply::apply)
/// checks every hash, and makes no decision of its own.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The command: `add`.
    pub command: String,
    /// The project's name.
    pub project: String,
    /// What is done, by path. Each path appears once.
    pub operations: Vec<Operation>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What the user should look at.
    pub warnings: Vec<Diagnostic>,
    /// Files that are written with conflict markers.
    pub conflicts: Vec<ProjectPath>,
}

/// What happens to one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OperationForm", into = "OperationForm")]
pub struct Operation {
    /// The file; for a rename, where it goes.
    pub path: ProjectPath,
    /// What is done.
    pub action: Action,
    /// The hash of the file that is replaced, moved or removed; `None` where there is none.
    pub before: Option<Sha256>,
    /// The new content; `None` for a delete, and for a rename without change.
    pub after: Option<Content>,
    /// Which component and template it comes from.
    pub why: String,
}

/// The kind of an [`Operation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A file that is not there.
    Create,
    /// Another content for a file.
    Edit,
    /// Another content for a file, out of the user's changes and the component's.
    Merge,
    /// The file goes.
    Delete,
    /// The file moves.
    Rename {
        /// Where it is now.
        from: ProjectPath,
    },
}

impl Action {
    /// `create`, `edit`, `merge`, `delete` or `rename`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Edit => "edit",
            Action::Merge => "merge",
            Action::Delete => "delete",
            Action::Rename { .. } => "rename",
        }
    }
}

/// The content of a file: in JSON `{"text": …}`, or `{"base64": …}` for what is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content(Vec<u8>);

impl Content {
    /// These bytes.
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Content(bytes.into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The hash of the bytes.
    pub fn sha256(&self) -> Sha256 {
        Sha256::of(&self.0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum ContentForm {
    Text(String),
    Base64(String),
}

impl Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match self.text() {
            Some(text) => ContentForm::Text(text.to_owned()),
            None => ContentForm::Base64(BASE64.encode(&self.0)),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match ContentForm::deserialize(deserializer)? {
            ContentForm::Text(text) => Ok(Content(text.into_bytes())),
            ContentForm::Base64(text) => BASE64.decode(text).map(Content).map_err(serde::de::Error::custom),
        }
    }
}

/// An operation in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationForm {
    path: ProjectPath,
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<ProjectPath>,
    before: Option<Sha256>,
    after: Option<Content>,
    why: String,
}

impl From<Operation> for OperationForm {
    fn from(operation: Operation) -> Self {
        let Operation { path, action, before, after, why } = operation;
        let name = action.as_str().to_owned();
        let from = match action {
            Action::Rename { from } => Some(from),
            _ => None,
        };
        OperationForm { path, action: name, from, before, after, why }
    }
}

impl TryFrom<OperationForm> for Operation {
    type Error = String;

    fn try_from(form: OperationForm) -> Result<Self, String> {
        let OperationForm { path, action, from, before, after, why } = form;
        let action = match (action.as_str(), from) {
            ("rename", Some(from)) => Action::Rename { from },
            ("create", None) => Action::Create,
            ("edit", None) => Action::Edit,
            ("merge", None) => Action::Merge,
            ("delete", None) => Action::Delete,
            (action, _) => return Err(format!("`{path}`: `{action}` is no action, or goes with another `from`")),
        };
        let fits = match action {
            Action::Create => before.is_none() && after.is_some(),
            Action::Edit | Action::Merge => before.is_some() && after.is_some(),
            Action::Delete => before.is_some() && after.is_none(),
            Action::Rename { .. } => before.is_some(),
        };
        match fits {
            true => Ok(Operation { path, action, before, after, why }),
            false => Err(format!("`{path}`: `{}` does not go with this `before` and `after`", action.as_str())),
        }
    }
}

/// A plan in JSON. Warnings are read back without their positions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanForm {
    schema: u32,
    command: String,
    project: String,
    #[serde(default)]
    sha256: Option<Sha256>,
    operations: Vec<Operation>,
    #[serde(default)]
    notes: Vec<String>,
    #[serde(default)]
    warnings: Vec<JsonValue>,
    #[serde(default)]
    conflicts: Vec<ProjectPath>,
}

impl Plan {
    /// A plan that does nothing.
    pub fn new(command: impl Into<String>, project: impl Into<String>) -> Self {
        Plan {
            command: command.into(),
            project: project.into(),
            operations: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
            conflicts: Vec::new(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The hash of what the plan does: equal plans do the same. Notes and warnings do not count.
    pub fn sha256(&self) -> Sha256 {
        let what = json!({"project": self.project, "operations": self.operations, "conflicts": self.conflicts});
        Sha256::of(what.to_string())
    }

    /// The plan as JSON, which [`from_json`](Plan::from_json) reads.
    pub fn to_json(&self) -> JsonValue {
        json!({
            "schema": SCHEMA,
            "command": self.command,
            "project": self.project,
            "sha256": self.sha256(),
            "operations": self.operations,
            "notes": self.notes,
            "warnings": self.warnings.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
            "conflicts": self.conflicts,
        })
    }

    /// Reads what [`to_json`](Plan::to_json) gave.
    ///
    /// # Errors
    /// [`Code::BadPlan`] for what is no plan, is of a later version, or does not have the hash that it says;
    /// [`Code::UnsafePath`] for a path that leaves the project.
    pub fn from_json(text: &str) -> Result<Self> {
        let refused = |fault: Diagnostic| {
            Error::from_diagnostics("the plan", vec![fault.help("make the plan again, with `--dry-run --json`")])
        };
        let fault = |message: String| refused(Diagnostic::error(Code::BadPlan, message));
        if text.len() > LARGEST {
            return Err(fault(format!("the plan has {} bytes, at most {LARGEST} are read", text.len())));
        }
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let malformed = |e: serde_json::Error| {
            let source = Source::new("the plan", text);
            let at = text.split_inclusive('\n').take(e.line().saturating_sub(1)).map(str::len).sum::<usize>()
                + e.column().saturating_sub(1);
            // Of a content, nothing is shown.
            let place = crate::position::location(&source, at..at).without_text();
            refused(Diagnostic::error(Code::BadPlan, crate::position::one_line(&e.to_string())).at(&place))
        };
        let version: Version = serde_json::from_str(text).map_err(malformed)?;
        if version.schema != SCHEMA {
            return Err(fault(format!("the plan has schema {}, this `mlx` knows {SCHEMA}", version.schema)));
        }
        let form: PlanForm = serde_json::from_str(text).map_err(malformed)?;
        let plan = Plan {
            command: form.command,
            project: form.project,
            operations: form.operations,
            notes: form.notes,
            warnings: form.warnings.iter().filter_map(diagnostic).collect(),
            conflicts: form.conflicts,
        };
        debug_assert_eq!(form.schema, version.schema);
        if let Some(said) = form.sha256.filter(|said| *said != plan.sha256()) {
            return Err(fault(format!("the plan says that its hash is {said}, which it is not: it was changed")));
        }
        plan.check()?;
        Ok(plan)
    }

    /// Every path is touched once.
    pub(crate) fn check(&self) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        for operation in &self.operations {
            let from = match &operation.action {
                Action::Rename { from } => Some(from),
                _ => None,
            };
            for path in from.into_iter().chain([&operation.path]) {
                if !seen.insert(path) {
                    let twice = Diagnostic::error(Code::BadPlan, format!("`{path}` appears twice"));
                    return Err(Error::from_diagnostics("the plan", vec![twice]));
                }
            }
        }
        Ok(())
    }

    /// The operations that are of interest to a person: all but the pristine renders.
    pub fn visible(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|operation| !operation.path.is_base())
    }

    /// The plan in a few lines: one an operation, then the notes.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let width = self.visible().map(|o| shown_path(o).chars().count()).max().unwrap_or(0).min(60);
        for operation in self.visible() {
            let line = format!("{:>7}  {:width$}  {}", operation.action.as_str(), shown_path(operation), operation.why);
            text.push_str(printable(line.trim_end()).as_str());
            text.push('\n');
        }
        let kept = self.operations.len() - self.visible().count();
        if kept > 0 {
            let renders = if kept == 1 { "render" } else { "renders" };
            let _ = writeln!(text, "         and {kept} pristine {renders} in .mlx/base");
        }
        for path in &self.conflicts {
            let _ = writeln!(text, "conflict {path}");
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {}", printable(note));
        }
        text
    }

    /// The changes as a unified diff, which `patch -p1` and `git apply` take. `old` reads the files as they are.
    ///
    /// # Errors
    /// What `old` fails with.
    pub fn diff(&self, old: impl Fn(&ProjectPath) -> Result<Option<Vec<u8>>>) -> Result<String> {
        let mut text = String::new();
        for operation in self.visible() {
            let path = operation.path.as_str();
            let source = match &operation.action {
                Action::Rename { from } => from,
                _ => &operation.path,
            };
            let before = match operation.before {
                Some(_) => old(source)?.unwrap_or_default(),
                None => Vec::new(),
            };
            if let Action::Rename { from } = &operation.action {
                let _ = write!(text, "diff --git a/{from} b/{path}\nrename from {from}\nrename to {path}\n");
            }
            let empty = Vec::new();
            let after = match (&operation.action, &operation.after) {
                (_, Some(after)) => &after.0,
                (Action::Delete, None) => &empty,
                (_, None) => continue,
            };
            let (from, to) = match operation.action {
                Action::Create => ("/dev/null".to_owned(), format!("b/{path}")),
                Action::Delete => (format!("a/{path}"), "/dev/null".to_owned()),
                _ => (format!("a/{source}"), format!("b/{path}")),
            };
            match (std::str::from_utf8(&before), std::str::from_utf8(after)) {
                (Ok(before), Ok(after)) => {
                    let diff = TextDiff::from_lines(before, after);
                    text.push_str(&diff.unified_diff().header(&from, &to).to_string());
                }
                _ => {
                    let _ = writeln!(text, "Binary files {from} and {to} differ");
                }
            }
        }
        Ok(text)
    }
}

fn shown_path(operation: &Operation) -> String {
    match &operation.action {
        Action::Rename { from } => format!("{from} -> {}", operation.path),
        _ => operation.path.to_string(),
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn diagnostic(json: &JsonValue) -> Option<Diagnostic> {
    let code = Code::find(json["code"].as_str()?)?;
    let mut read = Diagnostic::warning(code, json["message"].as_str()?);
    read.severity = match json["severity"].as_str()? {
        "error" => Severity::Error,
        "note" => Severity::Note,
        _ => Severity::Warning,
    };
    for help in json["help"].as_array()? {
        read = read.help(help.as_str()?);
    }
    Some(read.in_path(json["path"].as_str().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ProjectPath {
        ProjectPath::new(text).unwrap()
    }

    fn plan() -> Plan {
        let operation = |name: &str, action, before: Option<&str>, after: Option<&[u8]>| Operation {
            path: path(name),
            action,
            before: before.map(Sha256::of),
            after: after.map(Content::of),
            why: "api-serving: app.rs.template".to_owned(),
        };
        let base = format!(".mlx/base/{}", Sha256::of("x"));
        Plan {
            operations: vec![
                operation(&base, Action::Create, None, Some(b"x")),
                operation("a.rs", Action::Create, None, Some(b"fn a() {}\n")),
                operation("b.rs", Action::Edit, Some("one\ntwo\n"), Some(b"one\n2\n")),
                operation("bin", Action::Create, None, Some(&[0xff, 0])),
                operation("c.rs", Action::Delete, Some("c\n"), None),
                operation("d.rs", Action::Rename { from: path("old.rs") }, Some("d"), None),
            ],
            notes: vec!["the server answers 404 now".to_owned()],
            warnings: vec![Diagnostic::warning(Code::Stale, "look").help("there")],
            conflicts: vec![path("b.rs")],
            ..Plan::new("add", "shop")
        }
    }

    #[test]
    fn json_is_read_back() {
        let text = plan().to_json().to_string();
        let read = Plan::from_json(&text).unwrap();
        assert_eq!(read, plan());
        assert_eq!(read.sha256(), plan().sha256());
    }

    #[test]
    fn a_plan_that_was_changed_is_refused() {
        let good = serde_json::to_string_pretty(&plan().to_json()).unwrap();
        for (text, expected) in [
            ("{".to_owned(), "EOF"),
            ("[]".to_owned(), "expected"),
            (good.replace("\"schema\": 1", "\"schema\": 2"), "schema 2"),
            (good.replace("fn a() {}", "fn b() {}"), "was changed"),
            (good.replace("\"a.rs\"", "\"../a.rs\""), "leaves the folder"),
            (good.replace("\"action\": \"delete\"", "\"action\": \"create\""), "does not go with"),
            (good.replace("\"action\": \"rename\"", "\"action\": \"run\""), "no action"),
            (good.replace("\"why\"", "\"who\""), "unknown field"),
            (good.replace("\"base64\": \"", "\"base64\": \"***"), "Invalid symbol"),
        ] {
            let error = Plan::from_json(&text).expect_err(expected);
            assert_eq!(error.diagnostics()[0].code, Code::BadPlan, "{error:?}");
            assert!(format!("{error:?}").contains(expected), "{expected}: {error:?}");
        }
        let mut twice = plan();
        twice.operations.push(twice.operations[1].clone());
        assert!(format!("{:?}", Plan::from_json(&twice.to_json().to_string()).unwrap_err()).contains("appears twice"));
    }

    #[test]
    fn the_hash_is_of_what_is_done() {
        let mut other = plan();
        other.notes.clear();
        assert_eq!(other.sha256(), plan().sha256());
        other.operations.pop();
        assert_ne!(other.sha256(), plan().sha256());
    }

    #[test]
    fn a_summary_has_a_line_for_each_file() {
        let text = plan().summary();
        assert_eq!(
            text,
            " create  a.rs            api-serving: app.rs.template
   edit  b.rs            api-serving: app.rs.template
 create  bin             api-serving: app.rs.template
 delete  c.rs            api-serving: app.rs.template
 rename  old.rs -> d.rs  api-serving: app.rs.template
         and 1 pristine render in .mlx/base
conflict b.rs
note: the server answers 404 now
"
        );
    }

    #[test]
    fn a_diff_is_what_patch_reads() {
        let diff = plan()
            .diff(|path| {
                Ok(Some(match path.as_str() {
                    "b.rs" => b"one\ntwo\n".to_vec(),
                    "c.rs" => b"c\n".to_vec(),
                    "old.rs" => b"d".to_vec(),
                    other => panic!("{other} is not read"),
                }))
            })
            .unwrap();
        assert_eq!(
            diff,
            "--- /dev/null\n+++ b/a.rs\n@@ -0,0 +1 @@\n+fn a() {}\n\
             --- a/b.rs\n+++ b/b.rs\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n\
             Binary files /dev/null and b/bin differ\n\
             --- a/c.rs\n+++ /dev/null\n@@ -1 +0,0 @@\n-c\n\
             diff --git a/old.rs b/d.rs\nrename from old.rs\nrename to d.rs\n"
        );
    }
}
