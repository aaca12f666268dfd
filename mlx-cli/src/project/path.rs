//! Paths that stay inside a project, on every operating system.

use mlx_components::catalogue::path;
use mlx_core::{
    Diagnostic, Error, Result,
    diagnostics::{Code, quoted},
};
use serde::{Deserialize, Serialize};
use std::{fmt, path::Path};

const PENDING: &str = ".mlx/update.json";

/// A path of a file in a project: relative, with forward slashes, and portable.
///
/// It is refused by the rule of [`path::check_portable`], and when it belongs to the part of `.mlx` that the command keeps for
/// itself.
///
/// ```
/// use mlx_cli::project::ProjectPath;
/// assert_eq!(ProjectPath::new("src/lib.rs")?.file_name(), "lib.rs");
/// assert!(ProjectPath::new("src/../../etc/passwd").is_err());
/// # Ok::<(), mlx_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectPath(String);

impl ProjectPath {
    /// Checks a path.
    ///
    /// # Errors
    /// [`Code::UnsafePath`], saying what is wrong with it.
    pub fn new(path: &str) -> Result<Self> {
        match check(path) {
            Ok(()) => Ok(ProjectPath(path.to_owned())),
            Err(fault) => Err(refusal(path, &fault)),
        }
    }

    /// Checks a path that a component writes to: [`path::check_target`].
    ///
    /// # Errors
    /// [`Code::UnsafePath`], saying what is wrong with it.
    pub fn target(path: &str) -> Result<Self> {
        path::check_target(path).map_err(|fault| refusal(path, &fault))?;
        ProjectPath::new(path)
    }

    /// The path of a pristine render in `.mlx/base`.
    pub(crate) fn base(sha256: &super::Sha256) -> Self {
        ProjectPath(format!(".mlx/base/{sha256}"))
    }

    /// Where an update whose conflicts are not resolved yet is kept.
    pub(crate) fn pending() -> Self {
        ProjectPath(PENDING.to_owned())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path for the file system.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folder, unless it is the project's own.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// The folders on the way, the outermost first: `src`, `src/platform` of `src/platform/mod.rs`.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// What is the same for two paths that a file system without case cannot tell apart.
    pub(crate) fn folded(&self) -> String {
        path::folded(&self.0)
    }

    /// Whether it is a pristine render, or another file that is kept for updates and shown to no one.
    pub fn is_base(&self) -> bool {
        self.0.starts_with(".mlx/")
    }
}

fn check(path: &str) -> Result<(), String> {
    path::check_portable(path)?;
    let first = path.split('/').next().unwrap_or_default();
    match first.eq_ignore_ascii_case(".mlx") && !is_kept(path) {
        true => Err("is in `.mlx`, which the command keeps for itself".to_owned()),
        false => Ok(()),
    }
}

fn shown(path: &str, fault: &str) -> String {
    format!("{} {fault}", quoted(&path.escape_debug().to_string()))
}

fn refusal(path: &str, fault: &str) -> Error {
    Error::from_diagnostics("the path", vec![Diagnostic::error(Code::UnsafePath, shown(path, fault))])
}

fn is_kept(path: &str) -> bool {
    path == PENDING || path.strip_prefix(".mlx/base/").is_some_and(|name| super::Sha256::parse(name).is_some())
}

impl TryFrom<String> for ProjectPath {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        match check(&path) {
            Ok(()) => Ok(ProjectPath(path)),
            Err(fault) => Err(shown(&path, &fault)),
        }
    }
}

impl From<ProjectPath> for String {
    fn from(path: ProjectPath) -> String {
        path.0
    }
}

impl fmt::Display for ProjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_are_accepted() {
        let base = format!(".mlx/base/{}", "0a".repeat(32));
        for path in [
            "Cargo.toml",
            "src/platform/mod.rs",
            ".gitignore",
            ".github/workflows/ci.yml",
            "a b/c.txt",
            "übung.md",
            &base,
        ] {
            assert_eq!(ProjectPath::new(path).unwrap().as_str(), path);
        }
        let path = ProjectPath::new("src/platform/mod.rs").unwrap();
        assert_eq!(path.folders().collect::<Vec<_>>(), ["src", "src/platform"]);
        assert_eq!((path.parent(), path.file_name()), (Some("src/platform"), "mod.rs"));
    }

    #[test]
    fn what_leaves_the_project_or_is_not_portable_is_refused() {
        let long = "x".repeat(241);
        let nested = format!("src/{}", "a/".repeat(200));
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            ".",
            "../x",
            "a/../../x",
            "src/..",
            "./x",
            "a//b",
            "a/",
            "C:\\x",
            "C:x",
            "c:/x",
            "\\\\server\\share",
            "a\\b",
            "a\0b",
            "a\nb",
            "%2e%2e/x",
            "%252e%252e/x",
            "x.",
            "x ",
            " x",
            "a./b",
            "CON",
            "con.txt",
            "src/NUL.rs",
            "aux",
            "com1",
            "LPT9.x",
            "COM¹",
            "conin$",
            "a:b",
            ".git",
            ".git/hooks/pre-commit",
            ".GIT/config",
            "sub/.git/config",
            "git~1/config",
            ".git::$INDEX_ALLOCATION/x",
            ".g\u{200c}it/config",
            ".mlx",
            ".mlx/journal",
            ".MLX/base/x",
            ".mlx/base/../journal",
            ".mlx/base/abc",
            "e\u{301}.rs",
            "a\u{202e}b",
            "-rf",
            "a/-x",
            "a*b",
            "a?b",
            &long,
            &nested,
        ] {
            let error = ProjectPath::new(path).expect_err(path);
            assert_eq!(error.diagnostics()[0].code, Code::UnsafePath, "{path}");
        }
        assert!(serde_json::from_str::<ProjectPath>("\"../x\"").is_err());
    }

    #[test]
    fn a_component_does_not_write_what_tools_obey() {
        for path in [
            "build.rs",
            "sub/Build.rs",
            ".cargo/config.toml",
            "rust-toolchain.toml",
            "mlx.lock",
            "MLX.LOCK",
            ".gitmodules",
        ] {
            assert!(ProjectPath::target(path).is_err(), "{path}");
        }
        assert!(ProjectPath::target(&format!(".mlx/base/{}", "0a".repeat(32))).is_err());
        assert!(ProjectPath::target("src/build.rs.md").is_ok());
    }
}
