//! Which paths may stand in a catalogue, and which files a component may write.

/// A path may have this many bytes.
pub const MAX_PATH: usize = 240;

/// Files and folders that no component writes: what version control and `mlx` keep for themselves, and what tools obey or run
/// where they find it.
const KEPT: [&str; 12] = [
    ".git",
    ".gitmodules",
    ".hg",
    ".svn",
    ".jj",
    ".ssh",
    ".cargo",
    ".mlx",
    "mlx.lock",
    "build.rs",
    "rust-toolchain",
    "rust-toolchain.toml",
];

/// Checks a path below some folder: forward slashes, relative, outside `.git`, and the same file on every system.
///
/// # Errors
/// What is wrong with it, to be put after the path: ``leaves the folder: `..` ``.
pub fn check_portable(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("is empty".to_owned());
    }
    if path.len() > MAX_PATH {
        return Err(format!("is longer than {MAX_PATH} bytes"));
    }
    if let Some(control) = path.chars().find(|c| c.is_control()) {
        return Err(format!("has the control character U+{:04X}", u32::from(control)));
    }
    if let Some(hidden) = path.chars().find(|&c| is_hidden(c)) {
        return Err(format!("has the character U+{:04X}, which cannot be seen or joins another", u32::from(hidden)));
    }
    if path.contains('\\') {
        return Err("has a backslash: folders are separated by `/`".to_owned());
    }
    if path.contains('%') {
        return Err("has a `%`: a path is written as it is, not encoded".to_owned());
    }
    if path.starts_with('/') {
        return Err("is absolute".to_owned());
    }
    if path.as_bytes().get(1) == Some(&b':') {
        return Err("has a drive letter".to_owned());
    }
    if let Some(special) = path.chars().find(|c| matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')) {
        return Err(format!("has a `{special}`, which no file on Windows has"));
    }
    path.split('/').try_for_each(check_part)
}

fn check_part(part: &str) -> Result<(), String> {
    let stem = part.split('.').next().unwrap_or_default().trim_end();
    let fault = match part {
        "" => return Err("has an empty part: two slashes, or one at the end".to_owned()),
        "." | ".." => return Err(format!("leaves the folder: `{part}`")),
        _ if part.ends_with(['.', ' ']) => "whose last character Windows drops",
        _ if part.starts_with(' ') => "which begins with a space",
        _ if part.starts_with('-') => "which begins with `-`, as an option does",
        // `git~1` is how Windows abbreviates `.git`.
        _ if part.eq_ignore_ascii_case(".git") || stem.to_ascii_lowercase().starts_with("git~") => {
            "which belongs to git"
        }
        _ if is_device(stem) => "which is a device on Windows",
        _ => return Ok(()),
    };
    Err(format!("has the part `{part}`, {fault}"))
}

/// Whether the name means a device on Windows, with any extension
/// (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>).
fn is_device(stem: &str) -> bool {
    const DEVICES: [&str; 8] = ["aux", "clock$", "con", "config$", "conin$", "conout$", "nul", "prn"];
    let stem = stem.to_ascii_lowercase();
    let number = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt")).map(|rest| rest.chars());
    DEVICES.contains(&stem.as_str())
        || number.is_some_and(|mut n| matches!((n.next(), n.next()), (Some('0'..='9' | '¹' | '²' | '³'), None)))
}

/// What reorders or joins text without being seen, and combining marks: of a letter and its mark there is
/// one spelling only, so that no two paths look the same.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        || matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{1100}'..='\u{11ff}')
}

/// Checks a path that stands in a catalogue: [`check_portable`], and ASCII alone.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &str) -> Result<(), String> {
    check_portable(path)?;
    match path.is_ascii() {
        true => Ok(()),
        false => Err("has letters beyond ASCII, which systems spell in several ways".to_owned()),
    }
}

/// Checks a path that a component writes in a project: [`check`], and nothing that version control, `mlx` or tools keep for
/// themselves.
///
/// # Errors
/// What is wrong with it.
pub fn check_target(path: &str) -> Result<(), String> {
    check(path)?;
    let kept = path.split('/').find(|part| KEPT.iter().any(|kept| part.eq_ignore_ascii_case(kept)));
    match kept {
        Some(kept) => Err(format!("has the part `{kept}`, which no component writes")),
        None => Ok(()),
    }
}

/// What two paths have in common that are one file on a system without case.
pub fn folded(path: &str) -> String {
    match path.is_ascii() {
        true => path.to_ascii_lowercase(),
        false => path.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_one_file_everywhere_are_accepted() {
        for path in [
            "src/lib.rs",
            ".gitignore",
            "a b/c-d_e.rs.template",
            ".github/workflows/ci.yml",
            "console.rs",
            "x/build.rs.md",
        ] {
            assert_eq!(check_target(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn others_are_refused_with_the_reason() {
        let long = "a".repeat(300);
        for (path, reason) in [
            ("", "is empty"),
            ("../x", "leaves the folder: `..`"),
            ("a/../../x", "leaves the folder: `..`"),
            ("a/./x", "leaves the folder: `.`"),
            ("/etc/passwd", "is absolute"),
            ("C:\\x", "has a backslash: folders are separated by `/`"),
            ("C:x", "has a drive letter"),
            ("//server/share", "is absolute"),
            ("a\\..\\x", "has a backslash: folders are separated by `/`"),
            ("a\0b", "has the control character U+0000"),
            ("a\nb", "has the control character U+000A"),
            ("%2e%2e/x", "has a `%`: a path is written as it is, not encoded"),
            ("%252e%252e/x", "has a `%`: a path is written as it is, not encoded"),
            ("a//b", "has an empty part: two slashes, or one at the end"),
            ("a/", "has an empty part: two slashes, or one at the end"),
            ("a./b", "has the part `a.`, whose last character Windows drops"),
            ("a /b", "has the part `a `, whose last character Windows drops"),
            ("src/CON", "has the part `CON`, which is a device on Windows"),
            ("src/nul.rs", "has the part `nul.rs`, which is a device on Windows"),
            ("file:stream", "has a `:`, which no file on Windows has"),
            ("é", "has letters beyond ASCII, which systems spell in several ways"),
            ("a/--config=x", "has the part `--config=x`, which begins with `-`, as an option does"),
            (&long, "is longer than 240 bytes"),
            (".git/hooks/pre-commit", "has the part `.git`, which belongs to git"),
            ("src/.GIT/config", "has the part `.GIT`, which belongs to git"),
            (".cargo/config.toml", "has the part `.cargo`, which no component writes"),
            (".mlx/base/x", "has the part `.mlx`, which no component writes"),
            ("sub/Build.rs", "has the part `Build.rs`, which no component writes"),
            ("rust-toolchain", "has the part `rust-toolchain`, which no component writes"),
        ] {
            assert_eq!(check_target(path), Err(reason.to_owned()), "{path:?}");
        }
    }
}
