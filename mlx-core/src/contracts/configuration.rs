//! `configuration`: the settings of an application, in a hierarchy.

use crate::{
    async_trait,
    config::{ConfigValue, Reader, Resolved},
    contract,
    diagnostics::{Error, Location, Result, nearest, quoted},
    value::{Node, System, Value, Variables},
};
use std::{fmt, sync::Arc, time::Duration};

/// Holds the settings of an application, laid over each other from several places, and says of each where it was
/// written.
///
/// ```
/// # use mlx_core::{Configuration, PluginConfig, Result};
/// #[derive(PluginConfig)]
/// struct Server {
///     /// The port.
///     #[config(default = 8080)]
///     port: u16,
/// }
///
/// # async fn example(configuration: &dyn Configuration) -> Result<()> {
/// let level: String = configuration.get("log.level").await?.read()?;
/// let server: Server = configuration.get("server").await?.read()?;
/// # Ok(()) }
/// ```
#[contract(
    name = "configuration",
    cardinality = "one",
    capabilities = ["files", "environment", "remote", "references", "reload"]
)]
#[async_trait]
pub trait Configuration {
    /// What is written at a key: a value, or the mapping or list that begins there. `None` when nothing is.
    ///
    /// A key is names with dots between them, `server.port`; `hosts[0]` is an item of a list; a name that has a dot
    /// itself is quoted, `hosts."example.com"`; the empty key is everything. See [`ConfigKey`].
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a key that is not written so.
    #[idempotent]
    async fn find(&self, key: &str) -> Result<Option<ConfigEntry>>;

    /// As [`find`](Configuration::find), for a setting that has to be there.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the nearest key there is, when nothing is written at the key.
    #[idempotent]
    async fn get(&self, key: &str) -> Result<ConfigEntry> {
        if let Some(entry) = self.find(key).await? {
            return Ok(entry);
        }
        let keys = self.keys("").await?;
        let near = match nearest(key, keys.iter().map(String::as_str)) {
            Some(near) => format!(": did you mean `{near}`?"),
            None => String::new(),
        };
        Err(Error::not_found(format!("there is no setting {}{near}", quoted(key))))
    }

    /// The keys of all values at and below a key, sorted. A mapping or list without anything in it is a value.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a malformed key. Where nothing is written there are no keys.
    #[idempotent]
    async fn keys(&self, below: &str) -> Result<Vec<String>>;

    /// The version of what is in effect: a number that grows with every change of any setting.
    ///
    /// # Errors
    /// What the plugin reports.
    #[idempotent]
    async fn version(&self) -> Result<u64>;

    /// Reads everything anew, and returns the version that is in effect then: the one before, if nothing has changed.
    ///
    /// # Errors
    /// Everything that is wrong with what is read; what was in effect stays so.
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where nothing is read anew.
    #[idempotent]
    async fn reload(&self) -> Result<u64> {
        Err(Error::unsupported("this configuration does not change while it runs"))
    }

    /// Waits until the version is another one than `since`, at most for `wait`, and returns the one that is in effect
    /// then. To follow the changes, call it again with what it returned, as with the blocking queries of Consul.
    ///
    /// # Errors
    /// What the plugin reports.
    #[idempotent]
    async fn changed(&self, since: u64, wait: Duration) -> Result<u64> {
        let version = self.version().await?;
        if version == since {
            tokio::time::sleep(wait).await;
            return self.version().await;
        }
        Ok(version)
    }
}

/// What is written at a key of a [`Configuration`].
///
/// Its `Debug` shows the key and the place, not the value, which may be secret.
#[derive(Clone)]
pub struct ConfigEntry {
    key: String,
    node: Node,
    variables: Arc<dyn Variables>,
}

impl ConfigEntry {
    /// What is written at a key. References in it, `${env:NAME}` and `${file:PATH}`, are looked up when it is read.
    pub fn new(key: impl Into<String>, node: Node) -> Self {
        ConfigEntry { key: key.into(), node, variables: Arc::new(System) }
    }

    /// Sets where references are looked up.
    #[must_use]
    pub fn with_variables(mut self, variables: Arc<dyn Variables>) -> Self {
        self.variables = variables;
        self
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where it was written: `config/production.yaml:3:9`, or `environment variable APP__SERVER__PORT`. Of a mapping
    /// that several places have a part of, the first of them; each value in it has its own place in
    /// [`node`](Self::node).
    pub fn origin(&self) -> Option<&Location> {
        self.node.location.as_ref()
    }

    /// What is written there, references as they stand.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The value as a type: a number, a text, a list, a [`Secret`](crate::Secret), or a struct that derives
    /// [`PluginConfig`](crate::PluginConfig). [`JsonValue`](crate::JsonValue) takes whatever there is.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with every mistake, each with its place.
    pub fn read<T: ConfigValue>(&self) -> Result<T> {
        let resolved = Resolved::new();
        let mut reader = Reader::start(self.variables.as_ref(), &resolved).within(&self.key);
        let value = T::read(&self.node, &mut reader);
        let subject = match self.key.as_str() {
            "" => "the configuration".to_owned(),
            key => format!("the setting {}", quoted(key)),
        };
        reader.finish(value).map_err(|found| Error::from_diagnostics(subject, found))
    }
}

impl fmt::Debug for ConfigEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigEntry").field("key", &self.key).field("origin", &self.origin()).finish_non_exhaustive()
    }
}

/// The way to a setting through mappings and lists, for plugins that implement [`Configuration`].
///
/// ```
/// # use mlx_core::ConfigKey;
/// let key: ConfigKey = r#"hosts."example.com".ports[0]"#.parse()?;
/// assert_eq!(key.to_string(), r#"hosts."example.com".ports[0]"#);
/// # Ok::<(), mlx_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConfigKey(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Name(String),
    Index(usize),
}

impl ConfigKey {
    /// What is at the key below `root`.
    pub fn find<'n>(&self, root: &'n Node) -> Option<&'n Node> {
        self.0.iter().try_fold(root, |node, part| match (part, &node.value) {
            (Part::Name(name), Value::Map(map)) => map.get(name),
            (Part::Index(index), Value::List(items)) => items.get(*index),
            _ => None,
        })
    }

    /// The keys of all values at and below this key, sorted. A mapping or list without anything in it is a value.
    pub fn leaves(&self, root: &Node) -> Vec<String> {
        fn collect(key: &mut ConfigKey, node: &Node, found: &mut Vec<String>) {
            let mut below = |part: Part, node: &Node| {
                key.0.push(part);
                collect(key, node, found);
                key.0.pop();
            };
            match &node.value {
                Value::Map(map) if !map.is_empty() => {
                    map.iter().for_each(|entry| below(Part::Name(entry.key.clone()), &entry.value));
                }
                Value::List(items) if !items.is_empty() => {
                    items.iter().enumerate().for_each(|(index, item)| below(Part::Index(index), item));
                }
                _ => found.push(key.to_string()),
            }
        }
        let mut found = Vec::new();
        if let Some(node) = self.find(root) {
            collect(&mut self.clone(), node, &mut found);
        }
        found.sort_unstable();
        found
    }
}

fn is_bare(name: &str) -> bool {
    !name.is_empty() && !name.contains(['.', '[', ']', '"'])
}

/// As it is parsed.
impl fmt::Display for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, part) in self.0.iter().enumerate() {
            match part {
                Part::Index(index) => write!(f, "[{index}]")?,
                Part::Name(name) => {
                    f.write_str(if nth == 0 { "" } else { "." })?;
                    match is_bare(name) {
                        true => f.write_str(name)?,
                        false => write!(f, "\"{}\"", name.replace('\\', r"\\").replace('"', "\\\""))?,
                    }
                }
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for ConfigKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |why: &str| Error::invalid(format!("{} is no key of a setting: {why}", quoted(text)));
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(index) = rest.strip_prefix('[') {
                let (digits, after) = index.split_once(']').ok_or_else(|| refused("a `[` has no `]`"))?;
                let index = digits.parse().map_err(|_| refused("between `[` and `]` is a number"))?;
                parts.push(Part::Index(index));
                rest = after;
                continue;
            }
            if !parts.is_empty() {
                rest = rest.strip_prefix('.').ok_or_else(|| refused("names have a dot between them"))?;
            }
            let name = match rest.strip_prefix('"') {
                Some(quoted) => {
                    let (name, after) = unquoted(quoted).ok_or_else(|| refused("a quote is not closed"))?;
                    rest = after;
                    name
                }
                None => {
                    let (name, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
                    if !is_bare(name) {
                        return Err(refused(if name.is_empty() { "a name is missing" } else { "quote the name" }));
                    }
                    rest = after;
                    name.to_owned()
                }
            };
            parts.push(Part::Name(name));
        }
        Ok(ConfigKey(parts))
    }
}

/// The name up to the closing quote, and what comes after it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((name, &text[at + 1..])),
            '\\' => name.push(characters.next()?.1),
            other => name.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Source;
    use crate::{ErrorKind, Secret, value::yaml};

    const TEXT: &str =
        "server: {port: 80, hosts: [a, b]}\n\"a.b\": {\"\": 1, 'q\"\\': 2}\nempty: {}\ntoken: ${env:TOKEN}\n";

    struct Fixed(Node);

    #[async_trait]
    impl Configuration for Fixed {
        async fn find(&self, key: &str) -> Result<Option<ConfigEntry>> {
            let variables: std::collections::HashMap<_, _> = [("TOKEN".to_owned(), "t0p".to_owned())].into();
            let found = key.parse::<ConfigKey>()?.find(&self.0).cloned();
            Ok(found.map(|node| ConfigEntry::new(key, node).with_variables(Arc::new(variables))))
        }
        async fn keys(&self, below: &str) -> Result<Vec<String>> {
            Ok(below.parse::<ConfigKey>()?.leaves(&self.0))
        }
        async fn version(&self) -> Result<u64> {
            Ok(1)
        }
    }

    fn fixed() -> Fixed {
        Fixed(yaml::parse(&Source::new("app.yaml", TEXT)).unwrap())
    }

    #[tokio::test]
    async fn every_key_leads_to_its_value() {
        let fixed = fixed();
        let keys = fixed.keys("").await.unwrap();
        assert_eq!(
            keys,
            [
                r#""a.b".""#.to_owned() + "\"",
                r#""a.b"."q\"\\""#.into(),
                "empty".into(),
                "server.hosts[0]".into(),
                "server.hosts[1]".into(),
                "server.port".into(),
                "token".into()
            ]
        );
        for key in keys {
            assert_eq!(key.parse::<ConfigKey>().unwrap().to_string(), key);
            assert!(fixed.find(&key).await.unwrap().is_some(), "{key}");
        }
        assert_eq!(fixed.keys("server.hosts").await.unwrap(), ["server.hosts[0]", "server.hosts[1]"]);
        assert_eq!(fixed.keys("nothing").await.unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn values_have_a_type_and_a_place() {
        let fixed = fixed();
        let port = fixed.get("server.port").await.unwrap();
        assert_eq!(port.read::<u16>().unwrap(), 80);
        assert_eq!(port.origin().unwrap().to_string(), "app.yaml:1:16");
        assert_eq!(fixed.get("server.hosts").await.unwrap().read::<Vec<String>>().unwrap(), ["a", "b"]);
        let token = fixed.get("token").await.unwrap();
        assert_eq!(token.read::<Secret>().unwrap().expose(), "t0p");
        assert_eq!(fixed.get("").await.unwrap().read::<crate::JsonValue>().unwrap()["token"], "t0p");
        assert!(!format!("{token:?} {port:?}").contains("t0p"));

        let error = port.read::<bool>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.diagnostics()[0].path.as_deref(), Some("server.port"));
    }

    #[tokio::test]
    async fn what_is_not_there_has_a_nearest() {
        let error = fixed().get("server.prot").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("did you mean `server.port`?"), "{error}");
        for none in ["server.port.x", "server.hosts[2]", "server[0]", "x"] {
            assert!(fixed().find(none).await.unwrap().is_none(), "{none}");
        }
        assert_eq!(fixed().reload().await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(fixed().changed(0, Duration::MAX).await.unwrap(), 1);
        assert_eq!(fixed().changed(1, Duration::ZERO).await.unwrap(), 1);
    }

    #[test]
    fn malformed_keys_are_refused() {
        for key in [".", "a.", ".a", "a..b", "a[", "a[x]", "a[0]b", "a\"b\"", "\"a", "a]", "a.[0]", "\"a\\"] {
            let error = key.parse::<ConfigKey>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{key}");
        }
    }
}
