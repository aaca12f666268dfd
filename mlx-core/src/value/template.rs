//! `${…}` references in text.

use crate::diagnostics::Location;
use std::{borrow::Cow, collections::HashMap, fmt, path::Path};

/// A text with references: `${env:NAME}`, `${env:NAME:-default}`, `${file:PATH}`, `${vault:KEY}`, `${name}` for a
/// variable of the composition, and `$${` for a literal `${`.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Reference(Reference),
    /// A variable of the composition.
    Variable(String),
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

/// What a variable of a composition stands for.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its text, in which no other variable is left. `None` when it is wrong, which has been reported.
    pub template: Option<Template>,
    /// Where it was defined.
    pub location: Option<Location>,
}

/// Where environment variables, files and the variables of a composition are looked up. The running program's own are
/// [`System`]; tests bring a `HashMap`.
pub trait Variables: Send + Sync {
    /// The value of an environment variable; `None` when it is not set or is not Unicode.
    fn env(&self, name: &str) -> Option<String>;

    /// The contents of a file, at most 1 MiB.
    ///
    /// # Errors
    /// What reading it reported.
    fn file(&self, path: &Path) -> std::io::Result<String>;

    /// The names of all environment variables. Those that begin with `MLX__` change settings; without names, none do.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    /// What `${name}` stands for.
    fn definition(&self, _name: &str) -> Option<&Definition> {
        None
    }

    /// All names that have a definition, for suggestions.
    fn defined(&self) -> Vec<&str> {
        Vec::new()
    }
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

    fn names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
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

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
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
    /// The composition has no variable of this name.
    UnknownVariable(String),
    /// The variable of the composition is wrong itself, which has been reported.
    WrongVariable,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What surrounds the references may be secret.
        f.write_str(&self.redacted())
    }
}

impl Template {
    /// A text without references.
    pub fn literal(text: impl Into<String>) -> Template {
        Template { parts: vec![Part::Literal(text.into())] }
    }

    /// Whether a variable of a composition can have this name: a letter or `_`, then letters, digits, `_`, `-` and `.`.
    pub fn is_variable_name(name: &str) -> bool {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    }

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
            let name = body[..end].trim();
            let part = match Template::is_variable_name(name) {
                true => Part::Variable(name.to_owned()),
                false => Part::Reference(Reference::parse(&body[..end])?),
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
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
            Part::Literal(_) | Part::Variable(_) => None,
        })
    }

    /// The variables of the composition in it, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Literal(_) | Part::Reference(_) => None,
        })
    }

    /// The text with the variables of the composition in their places.
    ///
    /// # Errors
    /// The first variable that there is not.
    pub fn expand(self, variables: &dyn Variables) -> Result<Template, TemplateError> {
        if self.variables().next().is_none() {
            return Ok(self);
        }
        let mut parts = Vec::new();
        for part in self.parts {
            match part {
                Part::Variable(name) => match variables.definition(&name) {
                    Some(Definition { template: Some(template), .. }) => parts.extend(template.parts.iter().cloned()),
                    Some(_) => return Err(TemplateError::WrongVariable),
                    None => return Err(TemplateError::UnknownVariable(name)),
                },
                part => parts.push(part),
            }
        }
        Ok(Template { parts })
    }

    /// How many bytes and references it has.
    pub(crate) fn size(&self) -> usize {
        self.parts.iter().map(|part| if let Part::Literal(text) = part { text.len() } else { 1 }).sum()
    }

    /// The text with its references as they were written, for output: what surrounds them, and their defaults, may be
    /// secret.
    pub(crate) fn redacted(&self) -> String {
        let show = |part: &Part| match part {
            Part::Literal(_) => Cow::Borrowed(super::REDACTED),
            Part::Reference(reference) => Cow::Owned(reference.to_string()),
            Part::Variable(name) => Cow::Owned(format!("${{{name}}}")),
        };
        self.parts.iter().map(show).collect()
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
                Part::Variable(name) => return Err(TemplateError::UnknownVariable(name.clone())),
            }
        }
        Ok(text)
    }
}

impl Reference {
    fn parse(body: &str) -> Result<Reference, TemplateError> {
        let (scheme, rest) = body.split_once(':').ok_or(TemplateError::Malformed(
            "a reference is written `${env:NAME}`, `${file:PATH}`, `${plugin:KEY}`, or `${name}` for a variable",
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
        for text in ["${", "${env:A", "${}", "${2}", "${a b}", "${:x}", "${env:}", "${env:${x}}"] {
            assert!(matches!(render(text), Err(TemplateError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn a_variable_is_put_in_before_anything_is_looked_up() {
        struct Defined(Definition);
        impl Variables for Defined {
            fn env(&self, _: &str) -> Option<String> {
                None
            }
            fn file(&self, _: &Path) -> std::io::Result<String> {
                Err(std::io::ErrorKind::NotFound.into())
            }
            fn definition(&self, name: &str) -> Option<&Definition> {
                (name == "root").then_some(&self.0)
            }
        }
        let template = Template::parse("a${env:X:-b}").unwrap();
        let variables = Defined(Definition { template, location: None });
        let expand = |text: &str| Template::parse(text).unwrap().unwrap().expand(&variables);
        let template = expand("${root}/${ root }").unwrap();
        assert_eq!(template.references().count(), 2);
        assert_eq!(template.render(&variables, &HashMap::new()).as_deref(), Ok("ab/ab"));
        assert_eq!(expand("${rot}"), Err(TemplateError::UnknownVariable("rot".into())));
    }

    #[test]
    fn only_regular_files_are_read() {
        assert!(System.file(Path::new("/dev/zero")).is_err());
        assert!(System.file(Path::new("/")).is_err());
    }
}
