//! Names in a row.

/// The names in order, each in backticks.
pub(crate) fn sorted(names: &[&str]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    quoted(&names)
}

/// The names as they come, each in backticks.
pub(crate) fn quoted(names: &[&str]) -> String {
    let mut quoted = Vec::new();
    for name in names {
        quoted.push(format!("`{name}`"));
    }
    joined(&quoted, ", ")
}

/// `join` of the standard library, for which the compiler writes two thousand lines a type.
pub(crate) fn joined<T: AsRef<str>>(parts: &[T], separator: &str) -> String {
    let mut text = String::new();
    for (nth, part) in parts.iter().enumerate() {
        if nth > 0 {
            text.push_str(separator);
        }
        text.push_str(part.as_ref());
    }
    text
}
