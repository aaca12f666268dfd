//! Which paths may stand in a catalogue, and which files a component may write.

/// A path may have this many bytes.
pub const MAX_PATH: usize = 240;

/// Names that mean a device on Windows, with any extension
/// (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>).
const DEVICES: [&str; 28] = [
    "aux", "con", "conin$", "conout$", "nul", "prn", "com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7",
    "com8", "com9", "lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "clock$",
    "config$",
];

/// Folders and files of a project that no component writes: what version control, cargo and `mlx` keep for themselves, and
/// what runs while a project is compiled.
const KEPT: [&str; 9] = [".git", ".hg", ".svn", ".jj", ".cargo", ".mlx", "mlx.lock", "build.rs", "rust-toolchain.toml"];

/// Checks a path below some folder: forward slashes, relative, and the same file on every system.
///
/// # Errors
/// What is wrong with it, to be put after the path: ``leaves the folder: `..` ``.
pub fn check(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("is empty".to_owned());
    }
    if path.len() > MAX_PATH {
        return Err(format!("is longer than {MAX_PATH} bytes"));
    }
    if let Some(control) = path.chars().find(|c| c.is_control()) {
        return Err(format!("has the control character U+{:04X}", u32::from(control)));
    }
    if !path.is_ascii() {
        return Err("has letters beyond ASCII, which systems spell in several ways".to_owned());
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
    if path.starts_with('-') {
        return Err("begins with `-`, as an option does".to_owned());
    }
    if path.as_bytes().get(1) == Some(&b':') {
        return Err("has a drive letter".to_owned());
    }
    if let Some(special) = path.chars().find(|c| matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')) {
        return Err(format!("has a `{special}`, which no file on Windows has"));
    }
    for part in path.split('/') {
        match part {
            "" => return Err("has an empty part: two slashes, or one at the end".to_owned()),
            "." | ".." => return Err(format!("leaves the folder: `{part}`")),
            _ if part.ends_with(['.', ' ']) => {
                return Err(format!("has the part `{part}`, whose last character Windows drops"));
            }
            _ => {}
        }
        let stem = part.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
        if DEVICES.contains(&stem.as_str()) {
            return Err(format!("has the part `{part}`, which is a device on Windows"));
        }
    }
    Ok(())
}

/// Checks a path that a component writes in a project: [`check`], and none of those that version control, cargo and `mlx`
/// keep for themselves.
///
/// # Errors
/// What is wrong with it.
pub fn check_target(path: &str) -> Result<(), String> {
    check(path)?;
    for (nth, part) in path.split('/').enumerate() {
        let kept = KEPT.iter().find(|kept| part.eq_ignore_ascii_case(kept));
        // A file of that name in a folder below is one like any other.
        if let Some(kept) = kept.filter(|kept| kept.starts_with('.') || nth == 0) {
            return Err(format!("is `{kept}`, which no component writes"));
        }
    }
    if path.eq_ignore_ascii_case("rust-toolchain") {
        return Err("is `rust-toolchain`, which no component writes".to_owned());
    }
    Ok(())
}

/// What two paths have in common that are one file on some system.
pub(super) fn folded(path: &str) -> String {
    path.to_lowercase()
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
            "x/build.rs",
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
            ("--config=x", "begins with `-`, as an option does"),
            (&long, "is longer than 240 bytes"),
            (".git/hooks/pre-commit", "is `.git`, which no component writes"),
            ("src/.GIT/config", "is `.git`, which no component writes"),
            (".cargo/config.toml", "is `.cargo`, which no component writes"),
            (".mlx/base/x", "is `.mlx`, which no component writes"),
            ("Build.rs", "is `build.rs`, which no component writes"),
            ("rust-toolchain", "is `rust-toolchain`, which no component writes"),
        ] {
            assert_eq!(check_target(path), Err(reason.to_owned()), "{path:?}");
        }
    }
}
