//! Reads a value tree into typed values, collecting every mistake on the way.

use super::{Bounds, Choice, ConfigValue, Field, Length, Limit, Meta, Pattern, REDACTED, Ranged, Text};
use crate::{
    diagnostics::{Code, Diagnostic, Location, SourceKind, listing, nearest, quoted},
    value::{Map, Node, Reference, Template, TemplateError, Value, Variables},
};
use std::{
    borrow::Cow,
    collections::HashMap,
    fmt::{self, Display},
};

/// What is done about `${…}` references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Text is text: JSON that does not come from a composition.
    Literal,
    /// Look everything up except under a secret, where it is only checked that the thing is there.
    Plan,
    /// Look everything up.
    Start,
}

/// What plugins answered for the references that they resolve.
pub type Resolved = HashMap<Reference, String>;

/// A reference that a plugin has to answer before the settings can be read in full.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Awaited {
    /// What to look up.
    pub reference: Reference,
    /// The configuration path of the setting.
    pub path: String,
    /// Where it was written; its text is not shown.
    pub location: Option<Location>,
}

/// A whole number that its type does not hold, and how many diagnostics there were with the one about it.
struct Outside {
    what: String,
    min: i128,
    max: i128,
    reported: usize,
}

/// The state of one reading: where it is, what it found, and how references are looked up.
///
/// A reading never stops at the first mistake: `read` functions return `None` after reporting, and their callers
/// read the remaining fields before they give up.
pub struct Reader<'a> {
    stage: Stage,
    variables: &'a dyn Variables,
    resolved: Option<&'a Resolved>,
    path: Path<'a>,
    secrets: u32,
    diagnostics: Vec<Diagnostic>,
    references: Vec<Awaited>,
    outside: Option<Outside>,
}

/// The way to the value being read. A reading that finds no mistake allocates nothing for it.
#[derive(Default)]
struct Path<'a> {
    /// What comes before all of it.
    prefix: &'a str,
    inline: [Segment; INLINE],
    length: usize,
    /// What is deeper than `inline` holds.
    deep: Vec<Segment>,
    /// The names that no type declares, in order.
    names: Vec<String>,
}

/// Most configurations are no deeper.
const INLINE: usize = 6;

#[derive(Clone, Copy)]
enum Segment {
    Key(&'static str),
    /// The next of `names`.
    Name,
    Index(usize),
}

impl Default for Segment {
    fn default() -> Self {
        Segment::Index(0)
    }
}

impl Path<'_> {
    #[inline]
    fn push(&mut self, segment: Segment) {
        match self.inline.get_mut(self.length) {
            Some(free) => *free = segment,
            None => self.deep.push(segment),
        }
        self.length += 1;
    }

    fn push_key(&mut self, key: Cow<'static, str>) {
        match key {
            Cow::Borrowed(key) => self.push(Segment::Key(key)),
            Cow::Owned(name) => {
                self.names.push(name);
                self.push(Segment::Name);
            }
        }
    }

    #[inline]
    fn pop(&mut self) {
        self.length = self.length.saturating_sub(1);
        let last = if self.length < INLINE { Some(self.inline[self.length]) } else { self.deep.pop() };
        if let Some(Segment::Name) = last {
            self.names.pop();
        }
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix)?;
        let mut names = self.names.iter();
        let segments = self.inline[..self.length.min(INLINE)].iter().chain(&self.deep);
        for (nth, segment) in segments.enumerate() {
            let key = match segment {
                Segment::Index(index) => {
                    write!(f, "[{index}]")?;
                    continue;
                }
                Segment::Key(key) => key,
                Segment::Name => names.next().map_or("", String::as_str),
            };
            let dot = if nth == 0 && self.prefix.is_empty() { "" } else { "." };
            write!(f, "{dot}{key}")?;
        }
        Ok(())
    }
}

/// Most names differ in length or in the first byte, which costs less to see than a comparison of all.
#[inline]
fn same_text(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.as_bytes().first() == b.as_bytes().first() && a == b
}

/// Which entries of a mapping have been read.
enum Taken {
    /// Of up to 64 entries.
    Few(u64),
    Many(Vec<bool>),
}

impl Taken {
    fn none_of(entries: usize) -> Self {
        if entries <= 64 { Taken::Few(0) } else { Taken::Many(vec![false; entries]) }
    }

    fn set(&mut self, index: usize) {
        match self {
            Taken::Few(bits) => *bits |= 1 << index,
            Taken::Many(taken) => taken[index] = true,
        }
    }

    fn has(&self, index: usize) -> bool {
        match self {
            Taken::Few(bits) => bits & (1 << index) != 0,
            Taken::Many(taken) => taken[index],
        }
    }
}

/// The fields of a mapping that are still to be read.
pub struct Fields<'n> {
    map: &'n Map,
    location: Option<&'n Location>,
    taken: Taken,
    /// Where to look first: files tend to have the order of the type.
    next: usize,
    /// Defaults that an embedding struct gives to the fields of what it extends.
    defaults: Vec<&'static [DefaultOverride]>,
    /// Fields that are found by something else than their own name.
    found: Vec<Found>,
}

/// A field that is found by something else than its own name.
struct Found {
    /// Its own name.
    key: &'static str,
    by: By,
}

enum By {
    /// The entry of the mapping that has another of its names.
    Alias(&'static str, usize),
    /// The environment variable.
    Variable(&'static str),
}

/// A default that replaces the one of an inherited field.
pub struct DefaultOverride {
    /// The field's name in the file.
    pub name: &'static str,
    /// Its new default.
    pub value: fn() -> serde_json::Value,
}

/// What becomes of a field that is not in the file.
pub enum Absent<T> {
    /// What its type says: nothing for an `Option`, a mistake for the others.
    Missing(fn() -> Option<T>),
    /// `#[config(default = …)]`.
    Value(fn() -> T),
    /// `#[config(default)]`.
    Default(fn(Option<&Location>, &mut Reader<'_>) -> Option<T>),
}

/// Where a value is that a check looks at: its field's name, and its position.
pub struct Place<'n> {
    key: Option<&'static str>,
    location: Option<&'n Location>,
    secret: bool,
    variable: Option<&'static str>,
}

impl<'n> Place<'n> {
    /// The value being read itself.
    pub fn of(node: &'n Node) -> Self {
        Place { key: None, location: node.location.as_ref(), secret: false, variable: None }
    }

    /// Keeps the text of a secret out of the excerpt.
    fn hidden(self, secret: bool) -> Self {
        Place { secret, ..self }
    }
}

impl<'a> Reader<'a> {
    /// A reading that takes `${…}` as it stands.
    pub fn literal() -> Reader<'static> {
        Reader::new(Stage::Literal, &crate::value::System, None)
    }

    /// A reading that checks a configuration before anything is started. Secrets stay unread when they are
    /// references; that what they refer to is there is checked.
    pub fn plan(variables: &'a dyn Variables) -> Self {
        Reader::new(Stage::Plan, variables, None)
    }

    /// A reading that makes the configuration a plugin is started with.
    pub fn start(variables: &'a dyn Variables, resolved: &'a Resolved) -> Self {
        Reader::new(Stage::Start, variables, Some(resolved))
    }

    fn new(stage: Stage, variables: &'a dyn Variables, resolved: Option<&'a Resolved>) -> Self {
        Reader {
            stage,
            variables,
            resolved,
            path: Path::default(),
            secrets: 0,
            diagnostics: Vec::new(),
            references: Vec::new(),
            outside: None,
        }
    }

    /// Sets what comes before every path: `plugins[2]`, or nothing.
    #[must_use]
    pub fn within(mut self, prefix: &'a str) -> Self {
        self.path.prefix = prefix;
        self
    }

    /// The settings of the plugin that stands there in a composition: every path begins with `plugins[2].config`, or, where
    /// the plugin stands nowhere, with nothing.
    pub(crate) fn settings_of(mut self, plugin: &'a str) -> Self {
        if !plugin.is_empty() {
            self.path.push(Segment::Key("config"));
        }
        self.within(plugin)
    }

    /// Ends the reading: the value, or every mistake.
    ///
    /// # Errors
    /// Everything that was reported, if anything was or the value is missing.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Diagnostic>> {
        match value {
            Some(value) if self.diagnostics.iter().all(|d| !d.is_error()) => Ok(value),
            _ => Err(self.diagnostics),
        }
    }

    /// Ends a planning reading: what was found, and the references that plugins have to answer.
    pub fn into_parts(self) -> (Vec<Diagnostic>, Vec<Awaited>) {
        (self.diagnostics, self.references)
    }

    /// Whether the value being read is secret, so that no message may quote it.
    pub fn is_secret(&self) -> bool {
        self.secrets > 0
    }

    /// The configuration path of the value being read.
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// Reports a mistake at `location`, in the value being read.
    #[inline(never)]
    pub fn error(&mut self, code: Code, message: impl Into<String>, location: Option<&Location>) {
        self.report(Diagnostic::error(code, message).at(location));
    }

    /// Reports a finding in the value being read.
    #[inline(never)]
    pub fn report(&mut self, mut diagnostic: Diagnostic) {
        if self.is_secret() {
            diagnostic.location = diagnostic.location.map(Location::without_text);
        }
        let path = self.path();
        self.diagnostics.push(diagnostic.in_path(path));
    }

    /// Reads a nested value: `key` becomes part of the path.
    pub fn nested<T>(&mut self, key: impl Into<Cow<'static, str>>, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push_key(key.into());
        let value = read(self);
        self.path.pop();
        value
    }

    /// Reads an element of a list.
    pub fn element<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(Segment::Index(index));
        let value = read(self);
        self.path.pop();
        value
    }

    /// Reads something that no message may quote.
    pub fn secret<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.secrets += 1;
        let value = read(self);
        self.secrets -= 1;
        value
    }

    /// Reads a value that may be a reference which is looked up only at start. While planning it is checked that
    /// the variable or file exists, and the answer is `None` without a mistake.
    pub fn deferred<T>(&mut self, node: &Node, read: fn(&Node, &mut Self) -> Option<T>) -> Option<T> {
        let text = match &node.value {
            Value::String(text) => text,
            _ => return read(node, self),
        };
        if text == REDACTED {
            let diagnostic =
                Diagnostic::error(Code::RedactedSecret, "this is the marker for a hidden secret, not the secret")
                    .at(node.location.as_ref())
                    .help("give the secret itself, or a reference such as `${env:NAME}`");
            self.report(diagnostic);
            return None;
        }
        if self.stage != Stage::Plan {
            return read(node, self);
        }
        let template = match self.template(text) {
            Ok(None) => return read(node, self),
            Ok(Some(template)) => template,
            Err(error) => {
                self.unresolved(&error, node);
                return None;
            }
        };
        let mut answers = Resolved::new();
        for reference in template.references().filter(|reference| reference.needs_plugin()) {
            answers.insert(reference.clone(), String::new());
            // What surrounds the reference may be a part of the secret.
            self.references.push(Awaited {
                reference: reference.clone(),
                path: self.path(),
                location: node.location.clone().map(Location::without_text),
            });
        }
        match template.render(self.variables, &answers) {
            // A text without references, only escapes, can be checked now.
            Ok(_) if template.references().next().is_none() => read(node, self),
            Ok(_) => None,
            Err(error) => {
                self.unresolved(&error, node);
                None
            }
        }
    }

    /// A text with references, the variables of the composition in their places.
    fn template(&self, text: &str) -> Result<Option<Template>, TemplateError> {
        Template::parse(text)?.map(|template| template.expand(self.variables)).transpose()
    }

    /// The text of a scalar, with its references looked up. `None` after a report.
    #[inline]
    fn interpolate<'t>(&mut self, text: &'t str, node: &Node) -> Option<Cow<'t, str>> {
        if self.stage == Stage::Literal || !text.as_bytes().contains(&b'$') {
            return Some(Cow::Borrowed(text));
        }
        self.look_up(text, node)
    }

    #[inline(never)]
    fn look_up<'t>(&mut self, text: &'t str, node: &Node) -> Option<Cow<'t, str>> {
        let rendered = match self.template(text) {
            Ok(None) => return Some(Cow::Borrowed(text)),
            Ok(Some(template)) => {
                let none = Resolved::new();
                template.render(self.variables, self.resolved.unwrap_or(&none))
            }
            Err(error) => Err(error),
        };
        match rendered {
            Ok(text) => Some(Cow::Owned(text)),
            Err(error) => {
                self.unresolved(&error, node);
                None
            }
        }
    }

    #[inline(never)]
    fn unresolved(&mut self, error: &TemplateError, node: &Node) {
        let at = node.location.as_ref();
        let mut diagnostic = match error {
            TemplateError::WrongVariable => return,
            TemplateError::UnknownVariable(name) => {
                let message = format!("the composition has no variable `{name}`");
                let mut diagnostic = Diagnostic::error(Code::UnknownVariable, message).at(at);
                let known = self.variables.defined();
                if let Some(near) = nearest(name, known.iter().copied()) {
                    diagnostic = diagnostic.help(format!("did you mean `${{{near}}}`?"));
                }
                diagnostic = match known.is_empty() {
                    true => diagnostic.help(format!("define it: `variables: {{{name}: …}}`")),
                    false => diagnostic.help(format!("the variables are {}", listing(known))),
                };
                diagnostic.help(format!("an environment variable is written `${{env:{name}}}`"))
            }
            TemplateError::Malformed(why) => {
                let diagnostic = Diagnostic::error(Code::BadReference, *why).at(at);
                let diagnostic = match node.as_str().and_then(bare_name).filter(|_| !self.is_secret()) {
                    Some(name) => diagnostic.help(format!("did you mean `${{env:{name}}}`?")),
                    None => diagnostic,
                };
                diagnostic.help("write `$${` for a literal `${`")
            }
            TemplateError::MissingVariable(name) => {
                Diagnostic::error(Code::MissingVariable, format!("the environment variable `{name}` is not set"))
                    .at(at)
                    .help(match self.is_secret() {
                        // It would be in the file.
                        true => "set it".to_owned(),
                        false => format!("set it, or give a default: `${{env:{name}:-value}}`"),
                    })
            }
            TemplateError::MissingFile(path, why) => {
                Diagnostic::error(Code::MissingFile, format!("cannot read the file `{path}`: {why}")).at(at).help(
                    match self.is_secret() {
                        true => "check the path".to_owned(),
                        false => format!("check the path, or give a default: `${{file:{path}:-value}}`"),
                    },
                )
            }
            TemplateError::Unresolved(reference) if self.stage == Stage::Start => {
                Diagnostic::error(Code::SecretUnavailable, format!("`{reference}` was not resolved")).at(at)
            }
            TemplateError::Unresolved(reference) => {
                let message = format!(
                    "`{reference}` begins with neither `env` nor `file`, and only a secret is resolved by a plugin"
                );
                let diagnostic = Diagnostic::error(Code::BadReference, message).at(at);
                match nearest(&reference.scheme, ["env", "file"]) {
                    Some(scheme) => diagnostic.help(format!("did you mean `${{{scheme}:{}}}`?", reference.key)),
                    None => diagnostic.help("this field takes `${env:NAME}` and `${file:PATH}`"),
                }
            }
        };
        if let Value::String(text) = &node.value {
            diagnostic = self.through_variables(diagnostic, text);
        }
        self.report(diagnostic);
    }

    /// Notes where the variables of the composition were defined that a text takes its references from.
    fn through_variables(&self, mut diagnostic: Diagnostic, text: &str) -> Diagnostic {
        let Ok(Some(template)) = Template::parse(text) else { return diagnostic };
        for name in template.variables() {
            if let Some(definition) = self.variables.definition(name)
                && definition.template.as_ref().is_some_and(|template| template.references().next().is_some())
            {
                diagnostic = diagnostic.related(format!("`{name}` is defined here"), definition.location.as_ref());
            }
        }
        diagnostic
    }

    /// Reports that a text is not written as the field's type is. Quotes it, unless it is secret.
    #[inline(never)]
    pub fn unparsed(&mut self, expected: &str, text: &str, node: &Node) {
        self.expected(expected, &Node { value: Value::String(text.to_owned()), location: node.location.clone() });
    }

    /// Reports that the value is not what the field holds. Quotes it, unless it is secret.
    #[inline(never)]
    pub fn expected(&mut self, expected: &str, node: &Node) {
        // In place of a list or mapping of settings there may be a secret that belongs into it.
        let within = self.stage != Stage::Literal
            && matches!(expected, "a list" | "a mapping")
            && !matches!(node.value, Value::List(_) | Value::Map(_) | Value::Null);
        match within {
            true => self.secret(|cx| cx.report_expected(expected, node)),
            false => self.report_expected(expected, node),
        }
    }

    fn report_expected(&mut self, expected: &str, node: &Node) {
        let found = match &node.value {
            _ if self.is_secret() => node.value.kind().to_owned(),
            Value::String(text) if text.chars().count() <= 40 => format!("the string {text:?}"),
            Value::Int(number) => format!("the integer `{number}`"),
            Value::Uint(number) => format!("the integer `{number}`"),
            Value::Float(number) => format!("the number `{}`", written(*number)),
            Value::Bool(truth) => format!("`{truth}`"),
            value => value.kind().to_owned(),
        };
        let message = format!("expected {expected}, found {found}");
        let diagnostic = Diagnostic::error(Code::WrongType, message).at(node.location.as_ref());
        self.report(match remedy(expected, node, self.is_secret()) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }

    /// Reads text.
    #[inline(never)]
    pub fn string<'n>(&mut self, node: &'n Node) -> Option<Cow<'n, str>> {
        match &node.value {
            Value::String(text) => self.interpolate(text, node),
            _ => {
                self.expected("a string", node);
                None
            }
        }
    }

    /// A scalar that is not text. A string counts when it is made of references, read as a plain scalar.
    #[inline(never)]
    pub fn scalar<'n>(&mut self, node: &'n Node) -> Option<Cow<'n, Node>> {
        let Value::String(text) = &node.value else { return Some(Cow::Borrowed(node)) };
        match self.interpolate(text, node)? {
            Cow::Borrowed(_) => Some(Cow::Borrowed(node)),
            Cow::Owned(text) => {
                Some(Cow::Owned(Node { value: Value::from_scalar(text.trim()), location: node.location.clone() }))
            }
        }
    }

    /// The fields of a mapping.
    #[inline(never)]
    pub fn fields<'n>(&mut self, node: &'n Node) -> Option<Fields<'n>> {
        match &node.value {
            Value::Map(map) => Some(Fields {
                map,
                location: node.location.as_ref(),
                taken: Taken::none_of(map.len()),
                next: 0,
                defaults: Vec::new(),
                found: Vec::new(),
            }),
            _ => {
                self.expected("a mapping", node);
                None
            }
        }
    }

    /// Reads one field, or takes its default. For implementations written by hand.
    pub fn field<T: ConfigValue>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        default: Option<fn() -> T>,
    ) -> Option<T> {
        self.read_field(fields, key, T::read, default.map_or(Absent::Missing(T::missing), Absent::Value))
    }

    /// Reads one field by `read`, or does what is to be done when it is absent.
    #[inline(never)]
    pub fn read_field<T>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        read: fn(&Node, &mut Reader<'a>) -> Option<T>,
        absent: Absent<T>,
    ) -> Option<T> {
        self.path.push(Segment::Key(fields.written(key)));
        let value = match fields.take(key) {
            Some(node) => read(node, self),
            None => match (fields.stand_in(key), absent) {
                (Some(node), _) => self.of_variable(fields.variable(key), |cx| read(&node, cx)),
                (None, Absent::Value(default)) => Some(default()),
                (None, Absent::Default(default)) => default(fields.location, self),
                (None, Absent::Missing(missing)) => {
                    let value = missing();
                    if value.is_none() {
                        self.missing(key, fields);
                    }
                    value
                }
            },
        };
        self.path.pop();
        value
    }

    /// Reads one field that is hidden whatever its type.
    #[inline(never)]
    pub fn read_secret<T>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        read: fn(&Node, &mut Reader<'a>) -> Option<T>,
        absent: Absent<T>,
    ) -> Option<T> {
        if let Some(node) = fields.take(key) {
            return self.nested(fields.written(key), |cx| cx.hidden(node, read));
        }
        match fields.stand_in(key) {
            Some(node) => {
                let variable = fields.variable(key);
                self.nested(key, |cx| cx.of_variable(variable, |cx| cx.hidden(&node, read)))
            }
            None => self.read_field(fields, key, read, absent),
        }
    }

    /// Reads something; what it reports is said to come from an environment variable.
    fn of_variable<T>(&mut self, variable: Option<&'static str>, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.diagnostics.len();
        let value = read(self);
        if let Some(name) = variable {
            for diagnostic in &mut self.diagnostics[before..] {
                diagnostic.help.push(format!("the value is that of the environment variable `{name}`"));
            }
        }
        value
    }

    /// Finds a field by another of its names, or the environment variable that stands in for it, and warns of it if
    /// it is deprecated. The environment is looked at only where `${env:NAME}` is: not in a literal reading.
    #[inline(never)]
    pub fn look_for(&mut self, fields: &mut Fields<'_>, field: &'static Field) {
        let more = field.more;
        let mut given = fields.position(field.name);
        for alias in more.aliases {
            let Some(index) = fields.position(alias) else { continue };
            fields.taken.set(index);
            match given {
                None => fields.found.push(Found { key: field.name, by: By::Alias(alias, index) }),
                Some(first) => {
                    let first = fields.entry(first);
                    let message = format!("`{alias}` and `{}` are names of the same field", first.key);
                    let diagnostic = Diagnostic::error(Code::DuplicateKey, message)
                        .at(fields.entry(index).key_location.as_ref())
                        .related("it is given here already", first.key_location.as_ref())
                        .help("remove one of the two");
                    self.nested(*alias, |cx| cx.report(diagnostic));
                }
            }
            given = given.or(Some(index));
        }
        let set = |cx: &Self| cx.variables.env(more.env).is_some_and(|value| !value.is_empty());
        let variable = given.is_none() && !more.env.is_empty() && self.stage != Stage::Literal && set(self);
        if variable {
            fields.found.push(Found { key: field.name, by: By::Variable(more.env) });
        }
        if !more.deprecated.is_empty() && (variable || given.is_some()) {
            let key = fields.written(field.name);
            let diagnostic = Diagnostic::warning(Code::DeprecatedField, format!("the field `{key}` is deprecated"))
                .at(given.and_then(|index| fields.entry(index).key_location.as_ref()))
                .help(more.deprecated);
            let place = variable.then_some(more.env);
            self.nested(key, |cx| cx.of_variable(place, |cx| cx.report(diagnostic)));
        }
    }

    /// Reads a value that is hidden whatever its type.
    #[inline(never)]
    pub fn hidden<T>(&mut self, node: &Node, read: fn(&Node, &mut Reader<'a>) -> Option<T>) -> Option<T> {
        self.secret(|cx| cx.deferred(node, read))
    }

    #[inline(never)]
    fn missing(&mut self, key: &str, fields: &Fields<'_>) {
        let at = fields.location;
        self.report(
            Diagnostic::error(Code::MissingField, format!("missing field `{key}`"))
                .at(at)
                .help(format!("add `{key}: …`; it has no default")),
        );
    }

    /// Reports every field that nothing has read.
    #[inline(never)]
    pub fn unknown_fields(&mut self, fields: &Fields<'_>, declared: &'static [Field]) {
        if fields.unread().next().is_none() {
            return;
        }
        let mut known = Vec::new();
        collect_names(declared, &mut known);
        self.unread(fields, &known);
    }

    /// Reports every field that nothing has read, where `known` are the names there are.
    pub fn unknown_keys(&mut self, fields: Fields<'_>, known: &[&'static str]) {
        self.unread(&fields, known);
    }

    #[inline(never)]
    fn unread(&mut self, fields: &Fields<'_>, known: &[&'static str]) {
        let laid_over = |at: &Option<Location>| at.as_ref().is_some_and(|at| at.source.kind() != SourceKind::Text);
        for entry in fields.unread() {
            // What is laid over a file may be meant for a field that the file has.
            let over = laid_over(&entry.key_location);
            let diagnostic = Diagnostic::error(Code::UnknownField, format!("unknown field {}", quoted(&entry.key)))
                .at(entry.key_location.as_ref().or(entry.value.location.as_ref()));
            let free = |name: &&str| fields.map.get(name).is_none_or(|given| over && !laid_over(&given.location));
            let diagnostic = match nearest(&entry.key, known.iter().copied().filter(free)) {
                Some(name) => diagnostic.help(format!("did you mean `{name}`?")),
                None => diagnostic,
            };
            let diagnostic = match known.is_empty() {
                true => diagnostic.help("it takes no settings"),
                false => diagnostic.help(format!("the fields are {}", listing(known.iter().copied()))),
            };
            self.nested(entry.key.clone(), |cx| cx.report(diagnostic));
        }
    }

    /// Reports a whole number that its type does not hold.
    pub(super) fn outside(&mut self, what: String, min: i128, max: i128, location: Option<&Location>) {
        self.error(Code::OutOfRange, format!("{what} is out of range: expected {min} to {max}"), location);
        self.outside = Some(Outside { what, min, max, reported: self.diagnostics.len() });
    }

    /// Has the message about a number that its type does not hold ask for what its field takes as well.
    fn narrow<N: Limit>(&mut self, place: Place<'_>, bounds: &Bounds<N>) {
        let whole = |end: Option<N>| match end.and_then(Limit::number) {
            Some(Choice::Integer(end)) => Some(end),
            _ => None,
        };
        let Some(Outside { what, min, max, .. }) =
            self.outside.take().filter(|outside| outside.reported == self.diagnostics.len())
        else {
            return;
        };
        let path = match place.key {
            Some(key) => self.nested(key, |cx| cx.path()),
            None => self.path(),
        };
        let min = whole(bounds.min).map_or(min, |least| least.max(min));
        let max = whole(bounds.max).map_or(max, |most| (most - i128::from(bounds.exclusive)).min(max));
        if let Some(diagnostic) =
            self.diagnostics.last_mut().filter(|last| last.path.as_deref().unwrap_or_default() == path)
        {
            diagnostic.message = format!("{what} is out of range: expected {min} to {max}");
        }
    }

    /// Checks a number against the range of its field.
    #[inline(never)]
    pub fn range<T: Ranged>(&mut self, place: Place<'_>, value: &Option<T>, bounds: &Bounds<T::Number>) {
        let Some(value) = value else { return self.narrow(place, bounds) };
        let Some(number) = value.number() else { return };
        if !bounds.contains(number) {
            let number =
                if T::SECRET || self.is_secret() { "the value".to_owned() } else { format!("`{}`", number.show()) };
            let place = place.hidden(T::SECRET);
            self.refused(place, Code::OutOfRange, format!("{number} is out of range: expected {bounds}"));
        }
    }

    /// Checks how long a text, list or map is.
    #[inline(never)]
    pub fn length<T: Length>(&mut self, place: Place<'_>, value: &Option<T>, bounds: &Bounds<usize>) {
        let Some(length) = value.as_ref().and_then(Length::length) else { return };
        if !bounds.contains(length) {
            let bounds = bounds.to_string();
            let of = |number: &str| match number.rsplit(' ').next() {
                Some("1") => T::UNIT.trim_end_matches('s'),
                _ => T::UNIT,
            };
            let message = match length {
                0 => format!("it is empty: expected {bounds} {}", of(&bounds)),
                _ => format!("it has {length} {}: expected {bounds} {}", of(&length.to_string()), of(&bounds)),
            };
            self.refused(place.hidden(T::SECRET), Code::WrongLength, message);
        }
    }

    /// Checks a text against the regular expression of its field.
    #[inline(never)]
    pub fn pattern<T: Text>(&mut self, place: Place<'_>, value: &Option<T>, pattern: &'static Pattern) {
        let text = value.as_ref().and_then(Text::text);
        self.matches(place.hidden(T::SECRET), text, pattern);
    }

    fn matches(&mut self, place: Place<'_>, text: Option<&str>, pattern: &'static Pattern) {
        match (pattern.compiled(), text) {
            // Said whatever the value is: the mistake is the plugin's.
            (Err(why), _) => {
                let message = format!("the plugin's pattern `{}` is no regular expression: {why}", pattern.as_str());
                self.refused(place, Code::BadRegistration, message);
            }
            (Ok(regex), Some(text)) if !regex.is_match(text) => {
                self.refused(
                    place,
                    Code::InvalidValue,
                    format!("it does not match the pattern `{}`", pattern.as_str()),
                );
            }
            _ => {}
        }
    }

    /// Checks a text against the only ones that its field accepts.
    #[inline(never)]
    pub fn one_of_texts<T: Text>(&mut self, place: Place<'_>, value: &Option<T>, known: &[&'static str]) {
        let Some(text) = value.as_ref().and_then(Text::text) else { return };
        if !known.contains(&text) {
            let secret = T::SECRET || self.is_secret();
            let near = nearest(text, known.iter().copied()).filter(|_| !secret);
            let given = if secret { "the value".to_owned() } else { quoted(text) };
            let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
            self.not_one_of(place.hidden(T::SECRET), given, &known, near);
        }
    }

    /// Checks a number against the only ones that its field accepts.
    #[inline(never)]
    pub fn one_of_numbers<T: Ranged>(&mut self, place: Place<'_>, value: &Option<T>, known: &[T::Number]) {
        let Some(number) = value.as_ref().and_then(Ranged::number) else { return };
        if !known.contains(&number) {
            let secret = T::SECRET || self.is_secret();
            let given = if secret { "the value".to_owned() } else { format!("`{}`", number.show()) };
            let known: Vec<String> = known.iter().map(|known| format!("`{}`", known.show())).collect();
            self.not_one_of(place.hidden(T::SECRET), given, &known, None);
        }
    }

    fn not_one_of(&mut self, place: Place<'_>, given: String, known: &[String], near: Option<&str>) {
        let before = self.diagnostics.len();
        self.refused(place, Code::InvalidValue, format!("{given} is not one of {}", known.join(", ")));
        if let (Some(near), Some(diagnostic)) = (near, self.diagnostics.get_mut(before)) {
            diagnostic.help.insert(0, format!("did you mean `{near}`?"));
        }
    }

    /// Runs the check of a field, or of a whole configuration.
    #[inline(never)]
    pub fn validate<T, E: Display>(
        &mut self,
        place: Place<'_>,
        value: Option<&T>,
        secret: bool,
        check: fn(&T) -> Result<(), E>,
    ) {
        if let Some(Err(error)) = value.map(check) {
            let message =
                if secret || self.is_secret() { "the secret is not valid".to_owned() } else { error.to_string() };
            self.refused(place.hidden(secret), Code::InvalidValue, message);
        }
    }

    #[inline(never)]
    fn refused(&mut self, place: Place<'_>, code: Code, message: String) {
        self.secrets += u32::from(place.secret);
        self.of_variable(place.variable, |cx| match place.key {
            Some(key) => cx.nested(key, |cx| cx.error(code, message, place.location)),
            None => cx.error(code, message, place.location),
        });
        self.secrets -= u32::from(place.secret);
    }

    /// The variant of an enum that is written `"name"` or `{name: …}`, and its content.
    #[inline(never)]
    pub fn variant<'n>(&mut self, node: &'n Node) -> Option<(Cow<'n, str>, Option<&'n Node>)> {
        match &node.value {
            Value::String(text) => Some((self.interpolate(text, node)?, None)),
            Value::Map(map) if map.len() == 1 => {
                map.iter().next().map(|entry| (Cow::Borrowed(entry.key.as_str()), Some(&entry.value)))
            }
            _ => {
                self.expected("the name of a variant, or a mapping with that one key", node);
                None
            }
        }
    }

    /// Reads a variant that holds nothing.
    #[inline(never)]
    pub fn unit<T>(&mut self, name: &'static str, content: Option<&Node>, value: T) -> Option<T> {
        let Some(content) = content else { return Some(value) };
        let diagnostic = Diagnostic::error(Code::WrongType, format!("the variant `{name}` takes no settings"))
            .at(content.location.as_ref())
            .help(format!("write `{name}`, without a colon"));
        self.nested(name, |cx| cx.report(diagnostic));
        None
    }

    /// The content of a variant that holds something.
    #[inline(never)]
    pub fn content<'n, T>(
        &mut self,
        name: &'static str,
        node: &Node,
        content: Option<&'n Node>,
        read: fn(&'n Node, &mut Reader<'a>) -> Option<T>,
    ) -> Option<T> {
        if let Some(content) = content {
            return self.nested(name, |cx| read(content, cx));
        }
        let diagnostic = Diagnostic::error(Code::WrongType, format!("the variant `{name}` needs settings"))
            .at(node.location.as_ref())
            .help(format!("write a mapping with the key `{name}`"));
        self.report(diagnostic);
        None
    }

    /// The variant of an enum whose mapping names it in the field `tag`.
    #[inline(never)]
    pub fn tag(&mut self, fields: &mut Fields<'_>, tag: &'static str) -> Option<String> {
        self.field(fields, tag, None)
    }

    /// Reports that no variant has this name.
    #[inline(never)]
    pub fn unknown_variant(&mut self, given: &str, known: &[&'static str], location: Option<&Location>) {
        let message =
            if self.is_secret() { "unknown variant".to_owned() } else { format!("unknown variant {}", quoted(given)) };
        let mut diagnostic = Diagnostic::error(Code::UnknownVariant, message).at(location);
        if let (false, Some(name)) = (self.is_secret(), nearest(given, known.iter().copied())) {
            diagnostic = diagnostic.help(format!("did you mean `{name}`?"));
        }
        self.report(diagnostic.help(format!("the variants are {}", listing(known.iter().copied()))));
    }
}

/// The name in `${NAME}`.
fn bare_name(text: &str) -> Option<&str> {
    let name = text.split_once("${")?.1.split_once('}')?.0;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

/// A number as YAML writes it.
fn written(number: f64) -> String {
    match number {
        _ if number.is_nan() => ".nan".to_owned(),
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        _ => number.to_string(),
    }
}

/// What to write instead of a value of another type. Quotes it, unless it is secret.
fn remedy(expected: &str, node: &Node, secret: bool) -> Option<String> {
    let marked = node.location.as_ref().and_then(Location::marked).unwrap_or_default();
    let written_as = |instead: String| match secret {
        true => None,
        false => Some(format!("did you mean `{instead}`?")),
    };
    match &node.value {
        Value::Null => Some("give it a value, or remove it".to_owned()),
        Value::String(_) if marked.contains("${") => Some(match secret {
            true => "that is what the reference stands for".to_owned(),
            false => format!("that is what `{marked}` stands for"),
        }),
        Value::String(text) => match expected {
            "true or false" => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" => written_as("true".to_owned()),
                "no" | "off" | "n" => written_as("false".to_owned()),
                "true" | "false" => Some("remove the quotes".to_owned()),
                _ => None,
            },
            "an integer" | "a finite number"
                if marked.starts_with(['"', '\''])
                    && matches!(Value::from_scalar(text), Value::Int(_) | Value::Uint(_) | Value::Float(_)) =>
            {
                Some("remove the quotes".to_owned())
            }
            "a list" => Some("write a list of one item between brackets: `[…]`".to_owned()),
            "a mapping" => Some("write `key: value` on a line for each field, or `{key: value}`".to_owned()),
            _ if expected.starts_with("a duration") && text.parse::<u32>().is_ok() => written_as(format!("{text}s")),
            _ => None,
        },
        Value::Int(_) | Value::Uint(_) | Value::Float(_) | Value::Bool(_) => match expected {
            "a string" => Some(match (secret, marked) {
                (false, text) if !text.is_empty() => format!("put it in quotes: `\"{text}\"`"),
                _ => "put it in quotes".to_owned(),
            }),
            "true or false" => match node.value {
                Value::Int(1) => written_as("true".to_owned()),
                Value::Int(0) => written_as("false".to_owned()),
                _ => None,
            },
            _ if expected.starts_with("a duration") => match node.value {
                Value::Int(number) if number >= 0 => written_as(format!("{number}s")),
                _ => None,
            },
            "a list" => Some("write a list of one item between brackets: `[…]`".to_owned()),
            "a mapping" => Some("write `key: value` on a line for each field, or `{key: value}`".to_owned()),
            _ => None,
        },
        Value::List(_) if expected == "a mapping" => Some("write `key: value`, without a `-` or brackets".to_owned()),
        Value::List(_) => Some("give one value, without a `-` or brackets".to_owned()),
        Value::Map(_) if expected == "a list" => {
            Some(match node.location.as_ref().is_some_and(|at| at.source.name().ends_with("toml")) {
                true => "write the name of its table between two pairs of brackets: `[[…]]`".to_owned(),
                false => "begin each item with `- `, or write the list between brackets: `[…]`".to_owned(),
            })
        }
        Value::Map(_) if expected == "a string" && marked.starts_with('{') => {
            Some("put a text with braces in quotes".to_owned())
        }
        Value::Map(_) if expected.starts_with("the name of a variant") => Some("keep one of its keys".to_owned()),
        Value::Map(_) => Some("give one value, without keys".to_owned()),
    }
}

impl<'n> Fields<'n> {
    #[inline]
    fn position(&self, key: &str) -> Option<usize> {
        let entries = self.map.entries();
        let is = |index: &usize| same_text(&entries[*index].key, key);
        (self.next..entries.len()).find(is).or_else(|| (0..self.next.min(entries.len())).find(is))
    }

    fn entry(&self, index: usize) -> &'n crate::value::Entry {
        &self.map.entries()[index]
    }

    fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        let index = match self.position(key) {
            Some(index) => index,
            None => match self.found(key)? {
                By::Alias(_, index) => *index,
                By::Variable(_) => return None,
            },
        };
        self.taken.set(index);
        self.next = index + 1;
        Some(&self.entry(index).value)
    }

    #[inline]
    fn found(&self, key: &str) -> Option<&By> {
        self.found.iter().find(|found| found.key == key).map(|found| &found.by)
    }

    /// The name under which the field `key` stands in the file.
    #[inline]
    fn written(&self, key: &'static str) -> &'static str {
        match self.found(key) {
            Some(By::Alias(alias, _)) => alias,
            _ => key,
        }
    }

    fn variable(&self, key: &str) -> Option<&'static str> {
        match self.found(key) {
            Some(By::Variable(name)) => Some(name),
            _ => None,
        }
    }

    /// What is read in place of a field that is not in the file.
    #[inline(never)]
    fn stand_in(&self, key: &str) -> Option<Node> {
        match self.variable(key) {
            Some(name) => Some(Node::new(Value::String(format!("${{env:{name}}}")))),
            None => self.default_of(key).map(|value| Node { location: self.location.cloned(), ..Node::from(value) }),
        }
    }

    /// Everything that has not been read yet; it counts as read from now on.
    pub fn take_rest(&mut self) -> Vec<&'n crate::value::Entry> {
        let rest = self.unread().collect();
        (0..self.map.len()).for_each(|index| self.taken.set(index));
        rest
    }

    fn unread(&self) -> impl Iterator<Item = &'n crate::value::Entry> {
        self.map.iter().enumerate().filter(|(index, _)| !self.taken.has(*index)).map(|(_, entry)| entry)
    }

    /// Counts a field as read, because what is wrong with it has been reported.
    pub(crate) fn skip(&mut self, key: &'static str) {
        let _ = self.take(key);
    }

    /// Where the mapping was written.
    pub fn location(&self) -> Option<&'n Location> {
        self.location
    }

    /// The value of the field `key`, for a check.
    pub fn place(&self, key: &'static str) -> Place<'n> {
        let location = self.location_of(key);
        Place { key: Some(self.written(key)), location, secret: false, variable: self.variable(key) }
    }

    /// The whole mapping, for a check.
    pub fn whole(&self) -> Place<'n> {
        Place { key: None, location: self.location, secret: false, variable: None }
    }

    /// Where the value of `key` was written.
    pub fn location_of(&self, key: &'static str) -> Option<&'n Location> {
        self.map.get(self.written(key)).and_then(|node| node.location.as_ref())
    }

    /// Reads inherited fields with other defaults. The outermost override of a field wins.
    pub fn with_defaults<T>(&mut self, defaults: &'static [DefaultOverride], read: impl FnOnce(&mut Self) -> T) -> T {
        self.defaults.push(defaults);
        let value = read(self);
        self.defaults.pop();
        value
    }

    fn default_of(&self, key: &str) -> Option<serde_json::Value> {
        self.defaults.iter().flat_map(|level| level.iter()).find(|d| d.name == key).map(|d| (d.value)())
    }
}

impl Meta {
    /// The names of all fields, inherited ones included, as they are spelt in a file.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        collect_names(self.fields(), &mut names);
        names
    }
}

fn collect_names(fields: &'static [Field], names: &mut Vec<&'static str>) {
    for field in fields {
        match field.flatten {
            Some(meta) => collect_names(meta.fields(), names),
            None => names.push(field.name),
        }
    }
}
