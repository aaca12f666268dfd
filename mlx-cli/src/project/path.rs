//! Paths that stay inside a project, on every operating system.

use mlx_core::{
    Diagnostic, Error, Result,
    diagnostics::{Code, quoted},
};
use serde::{Deserialize, Serialize};
use std::{fmt, path::Path};

/// The most bytes a path may have: with a project folder before it, it has to fit what Windows takes.
const LONGEST: usize = 240;

const PENDING: &str = ".mlx/update.json";

/// A path of a file in a project: relative, with forward slashes, and portable.
///
/// It is refused when it is empty, absolute, has a drive, `.`, `..` or empty segments, backslashes, characters that Windows
/// forbids or that cannot be seen, names of devices, trailing dots or spaces, or more than 240 bytes; and when it
/// belongs to `.git` or to the part of `.mlx` that the command keeps for itself.
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
        match fault(path) {
            None => Ok(ProjectPath(path.to_owned())),
            Some(fault) => Err(refusal(path, &fault)),
        }
    }

    /// Checks a path that a component writes to: what cargo and other tools run or obey by themselves is refused too
    /// (`build.rs`, `.cargo`, `rust-toolchain.toml`), and so is what `mlx` keeps itself.
    ///
    /// # Errors
    /// [`Code::UnsafePath`], saying what is wrong with it.
    pub fn target(path: &str) -> Result<Self> {
        let checked = ProjectPath::new(path)?;
        let obeyed = checked.0.split('/').any(|segment| {
            ["build.rs", ".cargo", "rust-toolchain", "rust-toolchain.toml", ".mlx", ".gitmodules", ".ssh"]
                .iter()
                .any(|name| segment.eq_ignore_ascii_case(name))
        });
        match obeyed || checked.0.eq_ignore_ascii_case(super::LOCK_FILE) {
            true => Err(refusal(path, "no component may write there: tools obey what they find")),
            false => Ok(checked),
        }
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
        fold(&self.0)
    }

    /// Whether it is a pristine render, or another file that is kept for updates and shown to no one.
    pub fn is_base(&self) -> bool {
        self.0.starts_with(".mlx/")
    }
}

pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

fn refusal(path: &str, fault: &str) -> Error {
    let shown = quoted(&path.escape_debug().to_string());
    Error::from_diagnostics("the path", vec![Diagnostic::error(Code::UnsafePath, format!("{shown}: {fault}"))])
}

fn fault(path: &str) -> Option<String> {
    let fault = |text: &str| Some(text.to_owned());
    if path.is_empty() {
        return fault("a path is empty");
    }
    if path.len() > LONGEST {
        return Some(format!("a path has at most {LONGEST} bytes, this one has {}", path.len()));
    }
    if let Some(hidden) = path.chars().find(|&c| is_hidden(c)) {
        return Some(format!("the character U+{:04X} cannot be seen or is a mark of its own", u32::from(hidden)));
    }
    if path.starts_with('/') {
        return fault("a path is relative to the project");
    }
    if path.contains('\\') {
        return fault("segments are separated with `/`");
    }
    if let Some(forbidden) = path.chars().find(|c| "<>:\"|?*%".contains(*c)) {
        return Some(format!("`{forbidden}` may not stand in a path"));
    }
    let mut segments = path.split('/');
    if let Some(fault) = segments.clone().find_map(segment_fault) {
        return Some(fault);
    }
    let first = segments.next().unwrap_or_default();
    if first.eq_ignore_ascii_case(".mlx") && !is_kept(path) {
        return fault("`.mlx` is kept by the command itself");
    }
    None
}

fn segment_fault(segment: &str) -> Option<String> {
    let stem = segment.split('.').next().unwrap_or_default().trim_end();
    // `git~1` is how Windows abbreviates `.git`.
    let git = segment.eq_ignore_ascii_case(".git") || stem.to_ascii_lowercase().starts_with("git~");
    let fault = match segment {
        "" => "a segment is empty",
        "." | ".." => "`.` and `..` may not stand in a path",
        _ if segment.ends_with(['.', ' ']) || segment.starts_with(' ') => {
            "a segment begins with no space and ends in neither a dot nor a space"
        }
        _ if segment.starts_with('-') => "a segment that begins with `-` would be taken for a flag",
        _ if git => "`.git` belongs to git",
        _ if is_device(stem) => "Windows keeps the name for a device",
        _ => return None,
    };
    Some(fault.to_owned())
}

fn is_kept(path: &str) -> bool {
    path == PENDING || path.strip_prefix(".mlx/base/").is_some_and(|name| super::Sha256::parse(name).is_some())
}

/// Control characters, what reorders or joins text without being seen, and combining marks: of a letter and its mark there is
/// one spelling only, so that no two paths look the same.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        || matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{1100}'..='\u{11ff}')
}

fn is_device(stem: &str) -> bool {
    let stem = stem.to_ascii_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"].contains(&stem.as_str()) {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    number.is_some_and(|n| matches!(n.chars().collect::<Vec<_>>()[..], ['0'..='9' | '¹' | '²' | '³']))
}

impl TryFrom<String> for ProjectPath {
    type Error = Error;

    fn try_from(path: String) -> Result<Self> {
        ProjectPath::new(&path)
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
