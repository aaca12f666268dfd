//! One file a command, or a few that belong together.

mod apply;
mod browse;
mod catalog;
mod catalogues;
mod check;
mod doctor;
mod explain;
mod generate;
mod inspect;
mod update;

use crate::{
    apply as transaction,
    arguments::{Arguments, Command, Global, Writing},
    output::{Exit, Output},
    plan::Plan,
    project::{LOCK_FILE, Project},
};
use catalogues::Catalogues;
use mlx_components::catalogue::Catalogue;
use mlx_core::{Context, Diagnostic, Error, ErrorKind, Result, diagnostics::Code, json};
use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

/// What every command works with.
pub(crate) struct Session<'a> {
    global: &'a Global,
    output: Output<'a>,
    /// The name of the command, as it is in JSON.
    command: &'static str,
}

impl Session<'_> {
    /// The folder that the command was started in, or was told to act in.
    fn folder(&self) -> Result<PathBuf> {
        let folder = self.global.directory.clone().unwrap_or_else(|| PathBuf::from("."));
        let shown = folder.display().to_string();
        if !folder.is_dir() {
            let found = Diagnostic::error(Code::Unreadable, format!("there is no folder `{shown}`"));
            return Err(Error::from_diagnostics("the request", vec![found]).with_kind(ErrorKind::NotFound));
        }
        std::path::absolute(folder).with_context(|| format!("the folder {shown}"))
    }

    /// A file that the user names, as they find it from where they stand.
    fn file(&self, named: impl AsRef<Path>) -> PathBuf {
        self.global.directory.as_ref().map_or_else(|| named.as_ref().to_owned(), |folder| folder.join(&named))
    }

    fn named_catalogues(&self) -> Result<catalogues::Named> {
        catalogues::named(&self.folder()?, &self.global.catalogs)
    }

    /// All components, for a command that needs no project.
    fn catalogue(&self) -> Result<Cow<'static, Catalogue>> {
        catalogues::anywhere(&self.folder()?, self.named_catalogues()?)
    }

    /// The components for a project.
    fn catalogues(&self, project: &Project) -> Result<Catalogues> {
        Catalogues::of(project.root(), project.lock(), self.named_catalogues()?)
    }

    /// The project of the folder. An interrupted change is finished, or undone, first.
    fn project(&mut self) -> Result<Project> {
        let folder = self.folder()?;
        self.recover(&folder)?;
        let project = Project::find(&folder)?;
        if project.found_below() {
            self.output.say(format_args!("in {}", catalogues::relative(&folder, project.root())));
        }
        Ok(project)
    }

    /// Finishes or undoes what was interrupted in the project of a folder, which may be its only sub-folder with one.
    fn recover(&mut self, folder: &Path) -> Result<Option<transaction::Recovered>> {
        let is_project =
            |folder: &Path| folder.join(LOCK_FILE).symlink_metadata().is_ok() || transaction::has_traces(folder);
        let mut at = folder.to_owned();
        if !folder.ancestors().any(is_project) {
            let inner = folder.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
            let inner: Vec<PathBuf> = inner.filter(|folder| is_project(folder)).collect();
            match &inner[..] {
                [only] => at.clone_from(only),
                _ => return Ok(None),
            }
        }
        let recovered = transaction::recover(&at)?;
        if let Some(change) = &recovered {
            let what = if change.finished { "was finished" } else { "was undone" };
            self.output.say(format_args!("`mlx {}` had been interrupted, and {what}", change.command));
        }
        Ok(recovered)
    }

    /// Shows, keeps or carries out a plan, as the user wishes. `next` has lines that the user may enter then.
    fn carry_out(&mut self, project: &Project, plan: &Plan, writing: &Writing, next: &[String]) -> Result<Exit> {
        self.output.warn(&plan.warnings);
        if let Some(file) = &writing.plan {
            let path = self.folder()?.join(file);
            std::fs::write(&path, format!("{:#}\n", plan.to_json()))
                .with_context(|| format!("writing the plan to {}", file.display()))?;
            let exit = self.planned(plan, project, writing.diff)?;
            self.output.say(format_args!(
                "next: {}",
                here(&format!("mlx apply {}", quoted(&file.display().to_string())), self.global)
            ));
            return Ok(exit);
        }
        if writing.dry_run || writing.diff {
            return self.planned(plan, project, writing.diff);
        }
        transaction::apply(project, plan)?;
        let exit = exit_of(plan);
        if self.output.json {
            let status = match exit {
                Exit::Conflicts => "conflicts",
                _ if plan.is_empty() => "nothing",
                _ => "done",
            };
            self.output.document(self.command, status, json!({"plan": plan.to_json(), "next": next}))?;
            return Ok(exit);
        }
        if !self.output.speaks() {
            for path in &plan.conflicts {
                self.output.insist(format_args!("conflict {path}"));
            }
        }
        self.output.say(summary(plan).trim_end());
        for line in next {
            self.output.say(format_args!("next: {line}"));
        }
        Ok(exit)
    }

    fn planned(&mut self, plan: &Plan, project: &Project, diff: bool) -> Result<Exit> {
        let exit = exit_of(plan);
        if self.output.json {
            let mut fields = json!({"plan": plan.to_json()});
            if diff && let Some(fields) = fields.as_object_mut() {
                fields.insert("diff".to_owned(), plan.diff(|path| project.read(path))?.into());
            }
            self.output.document(self.command, "planned", fields)?;
            return Ok(exit);
        }
        self.output.text(&summary(plan))?;
        if diff {
            let text = plan.diff(|path| project.read(path))?;
            let text = if self.output.colors(&io::stdout()) { colored(&text) } else { text };
            self.output.text(&text)?;
        }
        Ok(exit)
    }
}

fn exit_of(plan: &Plan) -> Exit {
    if plan.conflicts.is_empty() { Exit::Done } else { Exit::Conflicts }
}

/// The plan for people.
fn summary(plan: &Plan) -> String {
    let only_noted = plan.visible().all(|operation| operation.path.as_str() == LOCK_FILE) && !plan.notes.is_empty();
    if only_noted {
        return plan.notes.iter().map(|note| format!("note: {note}\n")).collect();
    }
    match plan.is_empty() {
        true => "nothing to do\n".to_owned(),
        false => plan.summary(),
    }
}

/// A command line that does, from where the user stands, what `line` does in `folder`.
fn from_here(folder: &Path, line: &str) -> String {
    let way = std::env::current_dir()
        .map_or_else(|_| folder.display().to_string(), |here| catalogues::relative(&here, folder));
    match way.as_str() {
        "." => line.to_owned(),
        way => format!("cd {} && {line}", quoted(way)),
    }
}

/// A command line of `mlx` for the folder that this one was told to act in.
fn here(line: &str, global: &Global) -> String {
    match &global.directory {
        Some(folder) => line.replacen("mlx", &format!("mlx -C {}", quoted(&folder.display().to_string())), 1),
        None => line.to_owned(),
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./\\:~+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// A unified diff in the colours of git.
fn colored(diff: &str) -> String {
    fn paint(line: &str) -> String {
        let style = match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] | [b'd', b'i', b'f', b'f', ..] => "1",
            [b'+', ..] => "32",
            [b'-', ..] => "31",
            [b'@', ..] => "36",
            _ => return line.to_owned(),
        };
        let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
        format!("\u{1b}[{style}m{text}\u{1b}[0m{end}")
    }
    diff.split_inclusive('\n').map(paint).collect()
}

/// The name of a command, as it is in JSON.
pub(crate) fn name(command: &Command) -> &'static str {
    match command {
        Command::Init { .. } => "init",
        Command::Add { .. } => "add",
        Command::Compose { .. } => "compose",
        Command::Update { .. } => "update",
        Command::Remove { .. } => "remove",
        Command::Status { .. } => "status",
        Command::Diff { .. } => "diff",
        Command::Verify => "verify",
        Command::Check { .. } => "check",
        Command::Doctor => "doctor",
        Command::Apply { .. } => "apply",
        Command::Recover => "recover",
        Command::List { .. } => "list",
        Command::Search { .. } => "search",
        Command::Info { .. } => "info",
        Command::Catalog { .. } => "catalog",
        Command::Explain { .. } => "explain",
        Command::Completions { .. } => "completions",
    }
}

/// Runs a command.
pub(crate) fn run<'a>(arguments: &'a Arguments, output: Output<'a>) -> Result<Exit> {
    let mut session = Session { global: &arguments.global, output, command: name(&arguments.command) };
    let session = &mut session;
    match &arguments.command {
        Command::Init { name, mlx_source, answers, writing } => {
            generate::init(session, name, mlx_source.as_deref(), answers, writing)
        }
        Command::Add { component, plugin_type, name, version, answers, writing } => {
            let wish = generate::Wish {
                component,
                plugin_type: plugin_type.as_deref(),
                name: name.as_deref(),
                version: version.as_deref(),
            };
            generate::add(session, &wish, answers, writing)
        }
        Command::Compose { composition, writing } => generate::compose(session, composition, writing),
        Command::Update { components, resume, abort, writing } => match (resume, abort) {
            (true, _) => update::resume(session, writing),
            (_, true) => update::abort(session, writing),
            _ => update::update(session, components, writing),
        },
        Command::Remove { component, writing } => update::remove(session, component, writing),
        Command::Status { check } => inspect::status(session, *check),
        Command::Diff { components } => inspect::diff(session, components),
        Command::Verify => inspect::verify(session),
        Command::Check { test } => check::check(session, *test),
        Command::Doctor => doctor::doctor(session),
        Command::Apply { plan } => apply::apply(session, plan),
        Command::Recover => apply::recover(session),
        Command::List { all } => browse::list(session, *all),
        Command::Search { words } => browse::search(session, words),
        Command::Info { component } => browse::info(session, component),
        Command::Catalog { command } => catalog::run(session, command),
        Command::Explain { code } => explain::explain(session, code.as_deref()),
        Command::Completions { shell } => explain::completions(session, *shell),
    }
}
