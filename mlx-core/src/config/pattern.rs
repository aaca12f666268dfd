//! Regular expressions that texts have to match.

use super::Secret;
use std::{path::PathBuf, sync::OnceLock};

/// The regular expression of `#[config(pattern = "…")]`, compiled on first use.
///
/// The text has to match somewhere, as in JSON Schema: anchor it with `^` and `$` to mean all of it. The syntax is
/// that of [`regex-lite`](https://docs.rs/regex-lite/#syntax), which is common to Rust and ECMA 262 but for:
/// no look-around and no back-references; `\d`, `\w` and `\s` are ASCII; no classes such as `\p{L}`.
pub struct Pattern {
    text: &'static str,
    compiled: OnceLock<Result<regex_lite::Regex, String>>,
}

impl Pattern {
    /// A pattern that has not been compiled yet.
    pub const fn new(text: &'static str) -> Self {
        Pattern { text, compiled: OnceLock::new() }
    }

    /// The expression.
    pub fn as_str(&self) -> &'static str {
        self.text
    }

    /// Whether a text matches.
    ///
    /// # Errors
    /// Why the pattern is no regular expression.
    pub fn is_match(&self, text: &str) -> Result<bool, &str> {
        self.compiled().map(|regex| regex.is_match(text))
    }

    pub(super) fn compiled(&self) -> Result<&regex_lite::Regex, &str> {
        let compiled =
            self.compiled.get_or_init(|| regex_lite::Regex::new(self.text).map_err(|error| error.to_string()));
        compiled.as_ref().map_err(String::as_str)
    }
}

/// Types whose text can be compared with `#[config(pattern = …)]` and `#[config(one_of = […])]`.
#[diagnostic::on_unimplemented(
    message = "a text is compared with this, and `{Self}` is none",
    label = "not a text",
    note = "for numbers use `#[config(range(…))]` or numbers in `one_of`; for others `#[config(validate = …)]`"
)]
pub trait Text {
    /// Whether the value must not be shown.
    const SECRET: bool = false;
    /// The text, if there is one.
    fn text(&self) -> Option<&str>;
}

impl Text for String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

/// A path that is not Unicode has no text, but no file says one.
impl Text for PathBuf {
    fn text(&self) -> Option<&str> {
        self.to_str()
    }
}

impl<T: Text> Text for Option<T> {
    const SECRET: bool = T::SECRET;
    fn text(&self) -> Option<&str> {
        self.as_ref().and_then(T::text)
    }
}

impl<T: Text> Text for Secret<T> {
    const SECRET: bool = true;
    fn text(&self) -> Option<&str> {
        self.expose().text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_matches_somewhere_unless_anchored() {
        assert_eq!(Pattern::new("[a-z]{2}").is_match("1ab2"), Ok(true));
        assert_eq!(Pattern::new("^[a-z]{2}$").is_match("1ab2"), Ok(false));
    }

    #[test]
    fn a_bad_pattern_is_an_error_and_no_panic() {
        for text in ["(", "a{2", "(?=x)", r"\1", "a{9999999}"] {
            assert!(Pattern::new(text).is_match("a").is_err(), "{text}");
        }
    }
}
