//! The files below `tests/compositions`, and what becomes of a composition in this program.

use crate::Surroundings;
use mlx_core::{
    Composition, Platform, Result,
    diagnostics::{Diagnostic, Error, Report},
    registry,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A file of the corpus.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its path below the package, with `/`: what messages show.
    pub path: PathBuf,
    /// The profile that it is read with, from the comment `# profile: NAME`.
    pub profile: Option<String>,
    /// How many findings it has if not one, from the comment `# findings: 3, why`.
    pub findings: usize,
    /// Why the schema does not reject what the reader does, from the comment `# schema: why`.
    pub schema: Option<String>,
}

impl Case {
    /// Reads the comments of a file.
    ///
    /// # Errors
    /// What reading it reported.
    pub fn of(path: PathBuf) -> io::Result<Self> {
        let text = if path.is_file() { fs::read(&path)? } else { Vec::new() };
        let text = String::from_utf8_lossy(&text);
        let note = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(": "));
            line.map(str::to_owned)
        };
        let findings = note("findings").and_then(|text| text.split(',').next()?.parse().ok()).unwrap_or(1);
        Ok(Case { profile: note("profile"), findings, schema: note("schema"), path })
    }

    /// Reads the file, and checks it.
    pub fn outcome(&self) -> Outcome {
        match Composition::from_path(&self.path) {
            Ok(composition) => check(composition, self.profile.as_deref()),
            Err(error) => Outcome { stage: Stage::Parse, warnings: Vec::new(), error: Some(error) },
        }
    }
}

/// How far a composition gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The text cannot be read.
    Parse,
    /// It cannot be turned into a plan.
    Resolve,
    /// It does not start, or not without warnings.
    Start,
    /// It does not stop cleanly.
    Stop,
    /// Nothing is wrong with it.
    Never,
}

/// What becomes of a composition.
#[derive(Debug)]
pub struct Outcome {
    /// The stage that reports a mistake.
    pub stage: Stage,
    /// What does not stop it.
    pub warnings: Vec<Diagnostic>,
    /// What does.
    pub error: Option<Error>,
}

impl Outcome {
    /// Warnings and errors.
    pub fn findings(&self) -> Vec<Diagnostic> {
        let errors = self.error.iter().flat_map(Error::diagnostics);
        let mut findings: Vec<Diagnostic> = self.warnings.iter().chain(errors).cloned().collect();
        mlx_core::diagnostics::sort(&mut findings);
        findings
    }
}

/// Resolves a composition, and if that brings no finding, starts and stops it.
pub fn check(composition: Composition, profile: Option<&str>) -> Outcome {
    let failed = |stage, error| Outcome { stage, warnings: Vec::new(), error: Some(error) };
    let composition = match profile {
        Some(profile) => match composition.with_profile(profile) {
            Ok(composition) => composition,
            Err(error) => return failed(Stage::Parse, error),
        },
        None => composition,
    };
    let plan = match registry().resolve(&composition.with_variables(Surroundings)) {
        Ok(plan) => plan,
        Err(error) => return failed(Stage::Resolve, error),
    };
    if !plan.warnings().is_empty() {
        return Outcome { stage: Stage::Resolve, warnings: plan.warnings().to_vec(), error: None };
    }
    let outcome = mlx_core::block_on(async {
        let platform = match Platform::start(plan).await {
            Ok(platform) => platform,
            Err(error) => return Ok(failed(Stage::Start, error)),
        };
        let warnings = platform.warnings();
        Ok(match platform.shutdown().await {
            Ok(()) if warnings.is_empty() => Outcome { stage: Stage::Never, warnings, error: None },
            Ok(()) => Outcome { stage: Stage::Start, warnings, error: None },
            Err(error) => Outcome { stage: Stage::Stop, warnings, error: Some(error) },
        })
    });
    outcome.unwrap_or_else(|error| failed(Stage::Start, error))
}

/// The files of a folder below the package and of those in it, sorted; expectations are no files of it.
///
/// # Errors
/// What reading the folder reported.
pub fn cases(folder: &str) -> io::Result<Vec<Case>> {
    let mut found = Vec::new();
    collect(Path::new(folder), &mut found)?;
    found.sort();
    found.into_iter().map(Case::of).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("expected" | "parts") => {}
            // A folder that is named like a file is a mistake of its own.
            None if path.is_dir() => collect(&path, found)?,
            _ => found.push(path),
        }
    }
    Ok(())
}

/// What must hold of every text, sensible or not: reading and resolving it comes to an end, every finding has its place in
/// the text, and every way to print the outcome works.
///
/// # Panics
/// When it does not hold.
pub fn scrutinize(text: &str, read: Result<Composition>) {
    let error = match read.and_then(|composition| {
        assert!(!format!("{composition:?}").is_empty());
        for profile in composition.profiles().map(str::to_owned).collect::<Vec<_>>() {
            if let Ok(composition) = composition.clone().with_profile(&profile) {
                let _ = registry().resolve(&composition.with_variables(Surroundings));
            }
        }
        registry().resolve(&composition.with_variables(Surroundings))
    }) {
        Ok(plan) => {
            assert!(!format!("{plan}{plan:?}{}", plan.to_json()).is_empty());
            plausible(text, plan.warnings());
            return;
        }
        Err(error) => error,
    };
    assert_eq!(error.kind(), mlx_core::ErrorKind::Invalid);
    assert!(error.diagnostics().iter().any(Diagnostic::is_error), "an error without a finding");
    assert!(!format!("{error}{error:?}").is_empty());
    plausible(text, error.diagnostics());
}

fn plausible(text: &str, findings: &[Diagnostic]) {
    let mut last = None;
    for finding in findings {
        assert!(!finding.message.is_empty() && !finding.to_json().to_string().is_empty());
        let Some(at) = &finding.location else { continue };
        assert_eq!(at.source.text(), text, "the text of another source");
        let line = at.source.line(at.line);
        let line = line.unwrap_or_else(|| panic!("there is no line {}: {finding:?}", at.line));
        assert!(at.column as usize <= line.chars().count() + 1, "column {}: {finding:?}", at.column);
        assert!(last.is_none_or(|last| last <= (at.line, at.column)), "not sorted: {findings:?}");
        last = Some((at.line, at.column));
    }
    let report = Report::new(findings).to_string();
    assert!(!report.contains(|c: char| c.is_control() && c != '\n'), "a control character in {report:?}");
}
