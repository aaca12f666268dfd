//! `${…}` references in text.

use std::{collections::HashMap, fmt, path::Path};

/// A text with references: `${env:NAME}`, `${env:NAME:-default}`, `${file:PATH}`, `${vault:KEY}`, and `$${` for a
/// literal `${`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Reference(Reference),
}

/// One `${scheme:key:-default}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// `env`, `file`, or the id of a plugin that resolves secrets.
    pub scheme: String,
    /// What to look up there.
    pub key: String,
    /// What to use when it is not there.
    pub default: Option<String>,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The default may be a secret.
        write!(f, "${{{}:{}}}", self.scheme, self.key)
    }
}

/// Where environment variables and files are looked up. The running program's own are [`System`]; tests bring a
/// `HashMap`.
pub trait Variables: Send + Sync {
    /// The value of an environment variable; `None` when it is not set or is not Unicode.
    fn env(&self, name: &str) -> Option<String>;

    /// The contents of a file, at most 1 MiB.
    ///
    /// # Errors
    /// What reading it reported.
    fn file(&self, path: &Path) -> std::io::Result<String>;
}

/// The environment and the files of the running program.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

/// A file that is referred to may hold this many bytes.
const MAX_FILE: u64 = 1 << 20;

impl Variables for System {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        use std::io::{Error, ErrorKind, Read};
        // Opening a device or a pipe could block for ever.
        if !std::fs::metadata(path)?.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut text = String::new();
        std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_FILE {
            return Err(Error::new(ErrorKind::FileTooLarge, "larger than 1 MiB"));
        }
        Ok(text)
    }
}

/// Environment variables alone; every file is absent.
impl Variables for HashMap<String, String> {
    fn env(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }

    fn file(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Why a text could not be resolved. No variant carries a value that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// The text is not a template; what is wrong with it.
    Malformed(&'static str),
    /// The environment variable is not set.
    MissingVariable(String),
    /// The file cannot be read; the path and why.
    MissingFile(String, String),
    /// The scheme is neither `env` nor `file`, and no plugin resolved it.
    Unresolved(Reference),
}

impl Template {
    /// Reads a text. `None` when it has neither a reference nor an escape, so that plain text costs one scan.
    ///
    /// # Errors
    /// [`TemplateError::Malformed`].
    pub fn parse(text: &str) -> Result<Option<Template>, TemplateError> {
        if !text.contains("${") {
            return Ok(None);
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                literal.push_str(&rest[..at]);
                literal.push('{');
                rest = &rest[at + 2..];
                continue;
            }
            literal.push_str(&rest[..at]);
            let body = &rest[at + 2..];
            let end = body.find('}').ok_or(TemplateError::Malformed("`${` has no closing `}`"))?;
            let reference = Reference::parse(&body[..end])?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Reference(reference));
            rest = &body[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Some(Template { parts }))
    }

    /// The references in it, in order.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Literal(_) => None,
        })
    }

    /// Puts the values in. `resolved` holds what plugins answered for schemes other than `env` and `file`.
    ///
    /// # Errors
    /// The first reference that has no value.
    pub fn render(
        &self,
        variables: &dyn Variables,
        resolved: &HashMap<Reference, String>,
    ) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Reference(reference) => text.push_str(&reference.look_up(variables, resolved)?),
            }
        }
        Ok(text)
    }
}

impl Reference {
    fn parse(body: &str) -> Result<Reference, TemplateError> {
        let (scheme, rest) = body.split_once(':').ok_or(TemplateError::Malformed(
            "a reference is written `${env:NAME}`, `${file:PATH}` or `${plugin:KEY}`",
        ))?;
        let (key, default) = match rest.split_once(":-") {
            Some((key, default)) => (key, Some(default.to_owned())),
            None => (rest, None),
        };
        let (scheme, key) = (scheme.trim(), key.trim());
        if scheme.is_empty() || key.is_empty() {
            return Err(TemplateError::Malformed("a reference needs a scheme and a key: `${env:NAME}`"));
        }
        if key.contains("${") || key.contains('\0') {
            return Err(TemplateError::Malformed("references cannot be nested"));
        }
        Ok(Reference { scheme: scheme.to_owned(), key: key.to_owned(), default })
    }

    /// Whether a plugin has to answer it.
    pub fn needs_plugin(&self) -> bool {
        !matches!(self.scheme.as_str(), "env" | "file")
    }

    /// The value. An unset or empty variable takes the default, as in a shell; one trailing line ending of a
    /// file is dropped, because editors add it.
    fn look_up(
        &self,
        variables: &dyn Variables,
        resolved: &HashMap<Reference, String>,
    ) -> Result<String, TemplateError> {
        let found = match self.scheme.as_str() {
            "env" => match (variables.env(&self.key), &self.default) {
                (Some(value), Some(_)) if value.is_empty() => Err(TemplateError::MissingVariable(self.key.clone())),
                (Some(value), _) => Ok(value),
                (None, _) => Err(TemplateError::MissingVariable(self.key.clone())),
            },
            "file" => variables
                .file(Path::new(&self.key))
                .map(|text| {
                    text.strip_suffix('\n').map(|t| t.strip_suffix('\r').unwrap_or(t).to_owned()).unwrap_or(text)
                })
                .map_err(|error| TemplateError::MissingFile(self.key.clone(), error.to_string())),
            _ => resolved.get(self).cloned().ok_or_else(|| TemplateError::Unresolved(self.clone())),
        };
        match (&self.default, found) {
            (Some(default), Err(_)) => Ok(default.clone()),
            (_, found) => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> Result<String, TemplateError> {
        let variables = HashMap::from([("USER".to_owned(), "ada".to_owned()), ("EMPTY".to_owned(), String::new())]);
        match Template::parse(text)? {
            Some(template) => template.render(&variables, &HashMap::new()),
            None => Ok(text.to_owned()),
        }
    }

    #[test]
    fn references_defaults_and_escapes() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${env:USER}", "ada"),
            ("a-${env:USER}-${env:USER}", "a-ada-ada"),
            ("${env:NONE:-x:y}", "x:y"),
            ("${env:EMPTY:-x}", "x"),
            ("${env:EMPTY}", ""),
            ("$${env:USER}", "${env:USER}"),
            ("$5 and $$", "$5 and $$"),
            ("${file:/none:-x}", "x"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_named() {
        assert_eq!(render("${env:NONE}"), Err(TemplateError::MissingVariable("NONE".into())));
        assert!(matches!(render("${file:/none}"), Err(TemplateError::MissingFile(path, _)) if path == "/none"));
        assert!(matches!(render("${vault:k}"), Err(TemplateError::Unresolved(_))));
    }

    #[test]
    fn malformed_references_are_refused() {
        for text in ["${", "${env:A", "${env}", "${:x}", "${env:}", "${env:${x}}"] {
            assert!(matches!(render(text), Err(TemplateError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn only_regular_files_are_read() {
        assert!(System.file(Path::new("/dev/zero")).is_err());
        assert!(System.file(Path::new("/")).is_err());
    }
}
