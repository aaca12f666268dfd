//! What a component asks: the variables of its templates, and the settings of its `config_schema`.

use super::{case, path};
use mlx_core::{
    Diagnostic, Error, JsonValue, PluginConfig, Result,
    config::{ConfigValue, Located, Reader},
    diagnostics::{Code, listing, nearest, quoted},
    value::Node,
};
use std::cmp::Ordering;

/// The type of a [`Variable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PluginConfig)]
#[config(rename_all = "lowercase")]
pub enum VariableKind {
    /// Text.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// Named values.
    Object,
}

impl VariableKind {
    /// As a component file writes it: `string`.
    pub const fn as_str(self) -> &'static str {
        match self {
            VariableKind::String => "string",
            VariableKind::Integer => "integer",
            VariableKind::Number => "number",
            VariableKind::Boolean => "boolean",
            VariableKind::Array => "array",
            VariableKind::Object => "object",
        }
    }

    fn with_article(self) -> &'static str {
        match self {
            VariableKind::String => "a string",
            VariableKind::Integer => "an integer",
            VariableKind::Number => "a number",
            VariableKind::Boolean => "`true` or `false`",
            VariableKind::Array => "a list",
            VariableKind::Object => "a mapping",
        }
    }

    fn holds(self, value: &JsonValue) -> bool {
        match self {
            VariableKind::String => value.is_string(),
            VariableKind::Integer => value.is_i64() || value.is_u64(),
            VariableKind::Number => value.is_number(),
            VariableKind::Boolean => value.is_boolean(),
            VariableKind::Array => value.is_array(),
            VariableKind::Object => value.is_object(),
        }
    }
}

/// What a text, or the number of a port, has to be beyond its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PluginConfig)]
#[config(rename_all = "snake_case")]
pub enum Format {
    /// An identifier of Rust that is no keyword.
    RustIdent,
    /// A name for a cargo package: small letters, digits, `-` and `_`.
    CrateName,
    /// A requirement of a version, as cargo has it: `^1.2`.
    SemverReq,
    /// An absolute URL.
    Url,
    /// The number of a TCP port.
    Port,
    /// A duration: `500ms`, `30s`, `1h30m`.
    Duration,
    /// A path of a file.
    Path,
}

/// What a component asks for: one of its `variables`, or a setting of its `config_schema`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Variable {
    /// The type.
    pub kind: VariableKind,
    /// What it is for, in one sentence.
    pub description: String,
    /// The value where none is given.
    pub default: Option<JsonValue>,
    /// Whether a value has to be given.
    pub required: bool,
    /// Whether the value may appear nowhere: templates do not get it, and nothing stores it.
    pub secret: bool,
    /// The only values, if they are listed.
    pub choices: Vec<String>,
    /// The least number.
    pub minimum: Option<serde_json::Number>,
    /// The greatest number.
    pub maximum: Option<serde_json::Number>,
    /// The fewest characters, items or entries.
    pub min_length: Option<usize>,
    /// The most characters, items or entries.
    pub max_length: Option<usize>,
    /// A regular expression that the text has to match somewhere.
    pub pattern: Option<String>,
    /// What the text has to be.
    pub format: Option<Format>,
    /// The type of the items of an array, or of the values of an object, if it is said.
    pub items: Option<Items>,
}

/// The type of the items of an array, or of the values of an object.
#[derive(Clone, Debug, PartialEq, PluginConfig)]
pub struct Items {
    /// The type.
    #[config(rename = "type")]
    pub kind: VariableKind,
    /// The only values.
    #[config(rename = "enum", default)]
    pub choices: Vec<String>,
    /// What the text has to be.
    pub format: Option<Format>,
    /// Of an array: the type of its items.
    pub items: Option<Box<Items>>,
    /// Of an object: the type of its values.
    pub values: Option<Box<Items>>,
}

/// A variable or setting as a file declares it.
#[derive(PluginConfig)]
struct Declaration {
    /// The type.
    #[config(rename = "type")]
    kind: VariableKind,
    /// What it is for, in one sentence.
    description: Option<String>,
    /// The value where none is given; `null` is none.
    default: Option<Located<JsonValue>>,
    /// Whether a value has to be given.
    #[config(default)]
    required: bool,
    /// Whether the value may appear nowhere. A secret takes no `default` and no `enum`.
    #[config(default)]
    secret: bool,
    /// The only values of a string.
    #[config(rename = "enum")]
    choices: Option<Located<Vec<String>>>,
    /// The least number.
    minimum: Option<Located<JsonValue>>,
    /// The greatest number.
    maximum: Option<Located<JsonValue>>,
    /// The least and the greatest number.
    range: Option<Located<JsonValue>>,
    /// How many characters, items or entries: the fewest and the most, or one number.
    length: Option<Located<JsonValue>>,
    /// The fewest characters, items or entries.
    min_length: Option<usize>,
    /// The most characters, items or entries.
    max_length: Option<usize>,
    /// A regular expression that a string has to match somewhere.
    pattern: Option<Located<String>>,
    /// What a string, or the number of a port, has to be.
    format: Option<Located<Format>>,
    /// The type of the items of an array.
    items: Option<Items>,
    /// The type of the values of an object.
    values: Option<Items>,
}

impl ConfigValue for Variable {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        Declaration::read(node, cx)?.checked(node, cx)
    }
    fn write(&self) -> JsonValue {
        serde_json::json!({"type": self.kind.as_str()})
    }
    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Declaration::schema(generator)
    }
}

impl Declaration {
    /// The variable, or what is wrong with its declaration.
    fn checked(self, node: &Node, cx: &mut Reader<'_>) -> Option<Variable> {
        let mut found = Vec::new();
        let mut refuse = |message: String, location: Option<&mlx_core::diagnostics::Location>| {
            found.push(Diagnostic::error(Code::InvalidValue, message).at(location.or(node.location.as_ref())));
        };
        let textual = self.kind == VariableKind::String;
        let numeric = matches!(self.kind, VariableKind::Integer | VariableKind::Number);
        let only_for = |given: bool, allowed: bool, key: &str| {
            (given && !allowed).then(|| format!("`{key}` is not for a variable of type `{}`", self.kind.as_str()))
        };
        let misplaced = [
            only_for(self.choices.is_some(), textual, "enum"),
            only_for(self.pattern.is_some(), textual, "pattern"),
            only_for(self.minimum.is_some(), numeric, "minimum"),
            only_for(self.maximum.is_some(), numeric, "maximum"),
            only_for(self.range.is_some(), numeric, "range"),
            only_for(
                self.length.is_some() || self.min_length.is_some() || self.max_length.is_some(),
                !numeric && self.kind != VariableKind::Boolean,
                "length",
            ),
            only_for(self.items.is_some(), self.kind == VariableKind::Array, "items"),
            only_for(self.values.is_some(), self.kind == VariableKind::Object, "values"),
            only_for(self.format.as_ref().is_some_and(|format| format.value != Format::Port), textual, "format"),
            only_for(
                self.format.as_ref().is_some_and(|format| format.value == Format::Port),
                self.kind == VariableKind::Integer,
                "format: port",
            ),
        ];
        misplaced.into_iter().flatten().for_each(|message| refuse(message, None));
        let default = self.default.filter(|default| !default.value.is_null());
        if self.secret && (default.is_some() || self.choices.is_some()) {
            // Its text is not shown.
            refuse("a secret takes no `default` and no `enum`: both would publish it".to_owned(), None);
        }
        if self.required && default.is_some() {
            refuse(
                "`default` contradicts `required`: keep one of the two".to_owned(),
                default.as_ref().and_then(|d| d.location.as_ref()),
            );
        }
        if let Some(choices) = self.choices.as_ref().filter(|choices| choices.is_empty()) {
            refuse("`enum` is empty: no value would do".to_owned(), choices.location.as_ref());
        }
        if let Some(pattern) = &self.pattern
            && let Err(error) = regex_lite::Regex::new(&pattern.value)
        {
            refuse(format!("the pattern is no regular expression: {error}"), pattern.location.as_ref());
        }
        let mut number = |end: &Option<Located<JsonValue>>, key: &str| match end {
            Some(Located { value: JsonValue::Number(number), .. }) => Some(number.clone()),
            Some(other) => {
                refuse(format!("`{key}` is not a number"), other.location.as_ref());
                None
            }
            None => None,
        };
        let (mut minimum, mut maximum) = (number(&self.minimum, "minimum"), number(&self.maximum, "maximum"));
        match self.range.as_ref().map(|range| (range, range.value.as_array().map(Vec::as_slice))) {
            Some((_, Some([JsonValue::Number(least), JsonValue::Number(most)]))) => {
                (minimum, maximum) = (Some(least.clone()), Some(most.clone()));
            }
            Some((range, _)) => refuse("`range` is not `[least, most]`".to_owned(), range.location.as_ref()),
            None => {}
        }
        let count = |value: &JsonValue| value.as_u64().and_then(|count| usize::try_from(count).ok());
        let (mut min_length, mut max_length) = (self.min_length, self.max_length);
        match self.length.as_ref().map(|length| (length, &length.value)) {
            Some((_, JsonValue::Array(ends))) if ends.len() == 2 && ends.iter().all(|end| count(end).is_some()) => {
                (min_length, max_length) = (count(&ends[0]), count(&ends[1]));
            }
            Some((_, one)) if count(one).is_some() => (min_length, max_length) = (count(one), count(one)),
            Some((length, _)) => {
                refuse("`length` is neither a number nor `[least, most]`".to_owned(), length.location.as_ref())
            }
            None => {}
        }
        if let (Some(least), Some(most)) = (&minimum, &maximum)
            && compare(least, most) == Some(Ordering::Greater)
        {
            refuse(format!("the range is empty: {least} is above {most}"), None);
        }
        if let (Some(least), Some(most)) = (min_length, max_length)
            && least > most
        {
            refuse(format!("the length is empty: {least} is above {most}"), None);
        }
        let variable = Variable {
            kind: self.kind,
            description: self.description.unwrap_or_default(),
            default: default.as_ref().map(|default| default.value.clone()),
            required: self.required,
            secret: self.secret,
            choices: self.choices.map(|choices| choices.value).unwrap_or_default(),
            minimum,
            maximum,
            min_length,
            max_length,
            pattern: self.pattern.map(|pattern| pattern.value),
            format: self.format.map(|format| format.value),
            items: self.items.or(self.values),
        };
        if found.is_empty()
            && let Some(default) = &default
            && let Err(mut problem) = variable.problem(&default.value)
        {
            problem.message = format!("the default is no value of the variable: {}", problem.message);
            found.push((*problem).at(default.location.as_ref()));
        }
        if found.is_empty() {
            return Some(variable);
        }
        found.into_iter().for_each(|found| cx.report(found));
        None
    }
}

fn compare(a: &serde_json::Number, b: &serde_json::Number) -> Option<Ordering> {
    let whole = |number: &serde_json::Number| number.as_i128();
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// Letters, digits and a sign that a scheme of a URL has (RFC 3986, section 3.1).
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !rest.is_empty()
        && !rest.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_crate_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        && text.len() <= 64
        && path::check(text).is_ok()
        && case::is_rust_identifier(&text.replace('-', "_"))
}

impl Format {
    /// What is wrong with a text, if anything: what was expected.
    fn expected(self, text: &str) -> Option<&'static str> {
        let (good, expected) = match self {
            Format::RustIdent => {
                (case::is_rust_identifier(text), "an identifier of Rust that is no keyword, such as `events`")
            }
            Format::CrateName => (
                is_crate_name(text),
                "a name for a package: small letters, digits, `-` and `_`, beginning with a letter, and no keyword",
            ),
            Format::SemverReq => {
                (text.parse::<semver::VersionReq>().is_ok(), "a requirement of a version, such as `^1.2`")
            }
            Format::Url => (is_url(text), "a URL, such as `https://example.com`"),
            Format::Duration => {
                let node = Node::new(mlx_core::value::Value::String(text.to_owned()));
                (
                    std::time::Duration::read(&node, &mut Reader::literal()).is_some(),
                    "a duration, such as `500ms`, `30s` or `1h30m`",
                )
            }
            Format::Path => (!text.is_empty() && !text.contains('\0'), "a path of a file"),
            Format::Port => (true, "the number of a port"),
        };
        (!good).then_some(expected)
    }
}

impl Items {
    fn problem(&self, value: &JsonValue) -> Result<(), Box<Diagnostic>> {
        check_type(self.kind, value)?;
        if let JsonValue::String(text) = value {
            check_text(text, &self.choices, self.format)?;
        }
        let parts = self.items.as_deref().or(self.values.as_deref());
        parts.map_or(Ok(()), |parts| parts.check_all(value))
    }

    fn check_all(&self, value: &JsonValue) -> Result<(), Box<Diagnostic>> {
        match value {
            JsonValue::Array(items) => items.iter().try_for_each(|item| self.problem(item)),
            JsonValue::Object(entries) => entries.values().try_for_each(|item| self.problem(item)),
            _ => Ok(()),
        }
    }
}

fn check_type(kind: VariableKind, value: &JsonValue) -> Result<(), Box<Diagnostic>> {
    if kind.holds(value) {
        return Ok(());
    }
    let found = match value {
        JsonValue::Null => "null".to_owned(),
        JsonValue::Bool(_) => "a boolean".to_owned(),
        JsonValue::Number(_) => "a number".to_owned(),
        JsonValue::String(text) => format!("the string {:?}", text.chars().take(60).collect::<String>()),
        JsonValue::Array(_) => "a list".to_owned(),
        JsonValue::Object(_) => "a mapping".to_owned(),
    };
    Err(Box::new(Diagnostic::error(Code::WrongType, format!("expected {}, found {found}", kind.with_article()))))
}

fn check_text(text: &str, choices: &[String], format: Option<Format>) -> Result<(), Box<Diagnostic>> {
    if !choices.is_empty() && !choices.iter().any(|choice| choice == text) {
        let known = || choices.iter().map(String::as_str);
        let found = Diagnostic::error(Code::UnknownVariant, format!("unknown value {}", quoted(text)));
        let found = match nearest(text, known()) {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None => found,
        };
        return Err(Box::new(found.help(format!("the values are {}", listing(known())))));
    }
    match format.and_then(|format| format.expected(text)) {
        Some(expected) => {
            Err(Box::new(Diagnostic::error(Code::InvalidValue, format!("{} is not {expected}", quoted(text)))))
        }
        None => Ok(()),
    }
}

impl Variable {
    /// Checks a value.
    ///
    /// # Errors
    /// [`Invalid`](mlx_core::ErrorKind::Invalid), with what is wrong. Nothing of a secret is quoted.
    pub fn check(&self, name: &str, value: &JsonValue) -> Result<()> {
        self.problem(value).map_err(|found| {
            let found = found.in_path(name);
            Error::from_diagnostics(format_args!("the answer `{name}`"), vec![found])
        })
    }

    /// What is wrong with a value.
    pub(super) fn problem(&self, value: &JsonValue) -> Result<(), Box<Diagnostic>> {
        if self.secret {
            return Err(Box::new(Diagnostic::error(Code::InvalidValue, "a secret is not given here").help(
                "nothing stores it: name the environment variable that holds it in the composition, `${env:NAME}`",
            )));
        }
        check_type(self.kind, value)?;
        if let JsonValue::Number(number) = value {
            let below = self.minimum.as_ref().filter(|least| compare(number, least) == Some(Ordering::Less));
            let above = self.maximum.as_ref().filter(|most| compare(number, most) == Some(Ordering::Greater));
            if let Some(limit) = below.or(above) {
                let side = if below.is_some() { "below the least" } else { "above the most" };
                return Err(Box::new(Diagnostic::error(Code::OutOfRange, format!("{number} is {side}, {limit}"))));
            }
            if self.format == Some(Format::Port) && !number.as_u64().is_some_and(|port| (1..=65_535).contains(&port)) {
                return Err(Box::new(Diagnostic::error(
                    Code::OutOfRange,
                    format!("{number} is no port: a port is between 1 and 65535"),
                )));
            }
        }
        let (length, of) = match value {
            JsonValue::String(text) => (text.chars().count(), "characters"),
            JsonValue::Array(items) => (items.len(), "items"),
            JsonValue::Object(entries) => (entries.len(), "entries"),
            _ => (0, ""),
        };
        let short = self.min_length.filter(|least| length < *least && !of.is_empty());
        let long = self.max_length.filter(|most| length > *most && !of.is_empty());
        if let Some(limit) = short.or(long) {
            let side = if short.is_some() { "fewest" } else { "most" };
            return Err(Box::new(Diagnostic::error(
                Code::WrongLength,
                format!("it has {length} {of}: the {side} are {limit}"),
            )));
        }
        if let JsonValue::String(text) = value {
            check_text(text, &self.choices, self.format)?;
            let pattern =
                self.pattern.as_deref().and_then(|pattern| Some((pattern, regex_lite::Regex::new(pattern).ok()?)));
            if let Some((pattern, regex)) = pattern
                && !regex.is_match(text)
            {
                return Err(Box::new(Diagnostic::error(
                    Code::InvalidValue,
                    format!("{} does not match `{pattern}`", quoted(text)),
                )));
            }
        }
        self.items.as_ref().map_or(Ok(()), |items| items.check_all(value))
    }

    /// Reads a value from a text, such as `--set port=8080`: a string as it stands, everything else as JSON, and a list of
    /// strings also as `a,b`.
    ///
    /// # Errors
    /// As [`check`](Variable::check).
    pub fn parse(&self, name: &str, text: &str) -> Result<JsonValue> {
        let listed = |text: &str| text.split(',').map(|item| JsonValue::from(item.trim())).collect();
        let value = match self.kind {
            VariableKind::String => JsonValue::from(text),
            VariableKind::Array if !text.trim_start().starts_with('[') => listed(text),
            // What cannot be read is of another type, which is what the message says.
            _ => serde_json::from_str(text).unwrap_or_else(|_| JsonValue::from(text)),
        };
        self.check(name, &value)?;
        Ok(value)
    }

    /// Whether any text is a value of it that could mean something in the code around it.
    pub fn is_free_text(&self) -> bool {
        let bounded = match self.format {
            Some(Format::RustIdent | Format::CrateName | Format::Duration | Format::Port) => true,
            Some(Format::SemverReq | Format::Url | Format::Path) | None => !self.choices.is_empty(),
        };
        let dangerous = ["\"", "a\"b", "a\\b", "a\nb", "a'b", "a */ b", "a b", "{a}"];
        let admits = |pattern: &str| match regex_lite::Regex::new(pattern) {
            Ok(regex) => dangerous.iter().any(|text| regex.is_match(text)),
            Err(_) => true,
        };
        self.kind == VariableKind::String && !bounded && self.pattern.as_deref().is_none_or(admits)
    }
}
