//! Which model of the model registry is meant.

use mlx_core::prelude::*;
use std::{fmt, str::FromStr};

/// A model in the model registry: `NAME` for its newest version, `NAME@3`, or `NAME@ALIAS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelReference {
    /// The model's name, in the registry and in the server.
    pub name: String,
    /// Which version of it.
    pub version: VersionRef,
}

impl ModelReference {
    /// The references in a list with commas.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for one that is malformed.
    pub fn list(text: &str) -> Result<Vec<Self>> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        parts.map(str::parse).collect()
    }
}

impl FromStr for ModelReference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, version) = match text.split_once('@') {
            None => (text, VersionRef::Latest),
            Some((name, version)) => match version.parse() {
                Ok(number) => (name, VersionRef::Number(number)),
                Err(_) => (name, VersionRef::Alias(version.to_owned())),
            },
        };
        if name.is_empty() || version == VersionRef::Alias(String::new()) {
            return Err(Error::invalid(format!(
                "`{text}` names no model: write `NAME`, `NAME@VERSION` or `NAME@ALIAS`"
            )));
        }
        Ok(ModelReference {
            name: name.to_owned(),
            version,
        })
    }
}

impl fmt::Display for ModelReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            VersionRef::Latest => write!(f, "{}", self.name),
            VersionRef::Number(number) => write!(f, "{}@{number}", self.name),
            VersionRef::Alias(alias) => write!(f, "{}@{alias}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written() -> Result<()> {
        let references = ModelReference::list("iris, churn@champion,price@3,")?;
        let texts: Vec<String> = references.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["iris", "churn@champion", "price@3"]);
        assert_eq!(references[2].version, VersionRef::Number(3));
        assert!(ModelReference::list("")?.is_empty());
        assert!("@3".parse::<ModelReference>().is_err());
        assert!("iris@".parse::<ModelReference>().is_err());
        Ok(())
    }
}
