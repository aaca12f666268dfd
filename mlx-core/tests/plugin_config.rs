//! `#[derive(PluginConfig)]`: what is read, reported, written and described.

use mlx_core::{
    __private::serde_json::{self, Value, json},
    PluginConfig, Secret,
    config::{self, ConfigFields, ConfigValue, Reader, Resolved},
    diagnostics::{Diagnostic, Source},
    value::{Variables, yaml},
};
use std::{collections::BTreeMap, collections::HashMap, path::PathBuf, time::Duration};

fn read<T: ConfigValue>(text: &str) -> Result<T, Vec<Diagnostic>> {
    let node = yaml::parse(&Source::new("t.yaml", text)).expect("well-formed YAML");
    let mut cx = Reader::literal();
    let value = T::read(&node, &mut cx);
    cx.finish(value)
}

/// `code path line:column message`, one a finding.
fn mistakes<T: ConfigValue>(text: &str) -> Vec<String> {
    let Err(found) = read::<T>(text) else { panic!("no mistake was found") };
    found.iter().map(described).collect()
}

fn described(d: &Diagnostic) -> String {
    let place = d.location.as_ref().map_or(String::from("-"), |l| format!("{}:{}", l.line, l.column));
    format!("{} {} {place} {}", d.code, d.path.as_deref().unwrap_or("."), d.message)
}

fn schema<T: PluginConfig>() -> Value {
    config::schema_of::<T>().to_value()
}

/// Connections to a warehouse.
///
/// They are pooled.
#[derive(PluginConfig, Debug, PartialEq)]
#[config(rename_all = "camelCase")]
struct Warehouse {
    /// Host name.
    host: String,
    #[config(default = 8080)]
    port: u16,
    /// Connections kept open.
    #[config(default = 5, range(1..=64))]
    pool_size: u32,
    #[config(range(..0.5))]
    jitter: Option<f64>,
    #[config(length(2..=8))]
    user: String,
    password: Secret,
    #[config(secret)]
    token: Option<String>,
    #[config(non_empty, default = vec!["a".to_owned()])]
    tags: Vec<String>,
    #[config(rename = "as", default = "none")]
    alias: String,
    #[config(default)]
    retry: Retry,
    #[config(skip)]
    cache: Vec<u8>,
}

#[derive(PluginConfig, Debug, PartialEq)]
struct Retry {
    #[config(default = 3)]
    max: u8,
    #[config(default = "1s")]
    wait: Duration,
}

#[test]
fn a_full_file_reads() {
    let text = "host: h\nport: 1\npoolSize: 64\njitter: 0.25\nuser: me\npassword: hunter2\ntoken: t\ntags: [x]\nas: b\nretry: {max: 1, wait: 5s}\n";
    let read: Warehouse = read(text).unwrap();
    let expected = Warehouse {
        host: "h".into(),
        port: 1,
        pool_size: 64,
        jitter: Some(0.25),
        user: "me".into(),
        password: "hunter2".into(),
        token: Some("t".into()),
        tags: vec!["x".into()],
        alias: "b".into(),
        retry: Retry { max: 1, wait: Duration::from_secs(5) },
        cache: vec![],
    };
    assert_eq!(read, expected);
}

#[test]
fn absent_fields_take_their_defaults_and_a_nested_config_takes_its_own() {
    let read: Warehouse = read("host: h\nuser: me\npassword: p\n").unwrap();
    assert_eq!((read.port, read.pool_size, read.jitter, read.token), (8080, 5, None, None));
    assert_eq!((read.tags, read.alias.as_str()), (vec!["a".to_owned()], "none"));
    assert_eq!(read.retry, Retry { max: 3, wait: Duration::from_secs(1) });
}

#[test]
fn all_mistakes_are_found_at_once_and_located() {
    let text = "\
port: 70000
poolSize: 65
jitter: 0.5
user: x
password: [1]
token: 4711
tags: [a, 1, b, 2]
retry:
  max: many
  wiat: 1s
hots: h
";
    assert_eq!(
        mistakes::<Warehouse>(text),
        [
            "MLX0021 host 1:1 missing field `host`",
            "MLX0023 port 1:7 `70000` is out of range: expected 0 to 65535",
            "MLX0023 poolSize 2:11 `65` is out of range: expected 1 to 64",
            "MLX0023 jitter 3:9 `0.5` is out of range: expected less than 0.5",
            "MLX0024 user 4:7 it has 1 character: expected 2 to 8 characters",
            "MLX0022 password 5:11 expected a string, found a list",
            "MLX0022 token 6:8 expected a string, found an integer",
            "MLX0022 tags[1] 7:11 expected a string, found the integer `1`",
            "MLX0022 tags[3] 7:17 expected a string, found the integer `2`",
            "MLX0022 retry.max 9:8 expected an integer, found the string \"many\"",
            "MLX0020 retry.wiat 10:3 unknown field `wiat`",
            "MLX0020 hots 11:1 unknown field `hots`",
        ]
    );
    let found = read::<Warehouse>(text).unwrap_err();
    assert_eq!(found[10].help[0], "did you mean `wait`?");
    assert_eq!(found[11].help[0], "did you mean `host`?");
    assert!(found[11].help[1].contains("`poolSize`") && !found[11].help[1].contains("cache"), "{:?}", found[11].help);
}

#[test]
fn what_is_no_mapping_is_one_mistake() {
    assert_eq!(mistakes::<Warehouse>("[1]"), ["MLX0022 . 1:1 expected a mapping, found a list"]);
}

#[test]
fn a_skipped_field_is_not_in_the_file() {
    let found = mistakes::<Warehouse>("host: h\nuser: me\npassword: p\ncache: []\n");
    assert_eq!(found, ["MLX0020 cache 4:1 unknown field `cache`"]);
}

#[test]
fn secrets_are_hidden_everywhere() {
    #[derive(PluginConfig, Debug)]
    struct Hidden {
        password: Secret,
        #[config(secret)]
        pin: u32,
        #[config(secret)]
        none: Option<String>,
        #[config(secret, range(1..=9))]
        digit: Option<u8>,
        keys: Vec<Secret<u16>>,
        #[config(serde, secret)]
        blob: Value,
    }
    let text = "password: hunter2\npin: 4711\ndigit: 7\nkeys: [31337]\nblob: [4242]\n";
    let value: Hidden = read(text).unwrap();
    let redacted = json!({
        "password": "[redacted]", "pin": "[redacted]", "none": null, "digit": "[redacted]",
        "keys": ["[redacted]"], "blob": "[redacted]",
    });
    assert_eq!(value.write(), redacted);
    assert_eq!(serde_json::to_value(&value).unwrap(), redacted);
    let debug = format!("{:?}", (&value.password, &value.keys));
    assert!(!debug.contains("hunter2") && !debug.contains("31337"), "{debug}");
    assert_eq!((value.pin, value.digit, value.none.as_deref()), (4711, Some(7), None));
    assert_eq!((value.keys[0].expose(), &value.blob), (&31337, &json!([4242])));

    let wrong = "password: 5150\npin: hunter2\ndigit: 77\nkeys: [99999]\nblob: 1\n";
    let found = read::<Hidden>(wrong).unwrap_err();
    let text = format!("{found:?}");
    assert_eq!(found.len(), 4, "{text}");
    for secret in ["5150", "hunter2", "77", "99999"] {
        assert!(
            found.iter().all(|d| !d.message.contains(secret) && !d.help.iter().any(|h| h.contains(secret))),
            "{text}"
        );
    }
    for field in Hidden::META.fields() {
        assert!(field.secret, "{}", field.name);
    }
}

#[test]
fn the_mark_of_a_hidden_secret_is_refused() {
    let found = mistakes::<Warehouse>("host: h\nuser: me\npassword: '[redacted]'\ntoken: '[redacted]'\n");
    assert_eq!(
        found,
        [
            "MLX0027 password 3:11 this is the marker for a hidden secret, not the secret",
            "MLX0027 token 4:8 this is the marker for a hidden secret, not the secret",
        ]
    );
}

struct Environment(HashMap<String, String>);

impl Variables for Environment {
    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
    fn file(&self, _: &std::path::Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

#[test]
fn a_secret_is_looked_up_at_start_and_only_probed_while_planning() {
    #[derive(PluginConfig, Debug)]
    struct Login {
        user: String,
        password: Secret,
        #[config(secret, length(3..))]
        token: String,
        pin: Option<Secret<u16>>,
    }
    let text = "user: ${env:WHO}\npassword: ${env:PASSWORD}\ntoken: ${vault:app/token}\npin: ${env:PIN}\n";
    let node = yaml::parse(&Source::new("t.yaml", text)).unwrap();
    let variables = Environment(
        [("WHO", "me"), ("PASSWORD", "hunter2"), ("PIN", "4711")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
    );

    let mut plan = Reader::plan(&variables);
    assert!(Login::read(&node, &mut plan).is_none(), "a deferred secret has no value");
    let (found, references) = plan.into_parts();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(references.len(), 1);
    assert_eq!(references[0].reference.to_string(), "${vault:app/token}");
    assert_eq!(references[0].path, "token");

    let resolved = Resolved::from([(references[0].reference.clone(), "t0ken".to_owned())]);
    let mut start = Reader::start(&variables, &resolved);
    let login = Login::read(&node, &mut start);
    let login = start.finish(login).unwrap();
    assert_eq!((login.user.as_str(), login.password.expose().as_str()), ("me", "hunter2"));
    assert_eq!((login.token.as_str(), login.pin.unwrap().into_inner()), ("t0ken", 4711));

    let nothing = Environment(HashMap::new());
    let mut plan = Reader::plan(&nothing);
    assert!(Login::read(&node, &mut plan).is_none());
    let (found, _) = plan.into_parts();
    let found: Vec<_> = found.iter().map(described).collect();
    assert_eq!(
        found,
        [
            "MLX0028 user 1:7 the environment variable `WHO` is not set",
            "MLX0028 password 2:11 the environment variable `PASSWORD` is not set",
            "MLX0028 pin 4:6 the environment variable `PIN` is not set",
        ]
    );
}

fn no_spaces(text: &str) -> Result<(), &'static str> {
    if text.contains(' ') { Err("it has spaces") } else { Ok(()) }
}

fn ordered(span: &Span) -> Result<(), String> {
    if span.from <= span.to { Ok(()) } else { Err(format!("{} is after {}", span.from, span.to)) }
}

#[derive(PluginConfig, Debug, PartialEq)]
#[config(validate = ordered)]
struct Span {
    from: u32,
    to: u32,
    #[config(validate = no_spaces, default = "")]
    label: String,
}

#[test]
fn checks_of_a_field_and_of_the_whole_are_located() {
    #[derive(PluginConfig, Debug)]
    struct Outer {
        span: Span,
        #[config(flatten)]
        own: Span,
    }
    let found = mistakes::<Outer>("from: 2\nto: 1\nspan: {from: 3, to: 2, label: a b}\n");
    assert_eq!(
        found,
        ["MLX0026 span.label 3:31 it has spaces", "MLX0026 span 3:7 3 is after 2", "MLX0026 . 1:1 2 is after 1",]
    );
    assert!(read::<Span>("from: 1\nto: 2\n").is_ok());
}

mod component {
    /// What every warehouse has.
    #[derive(mlx_core::PluginConfig, Debug, PartialEq)]
    #[config(component = "data-sources/snowflake")]
    pub(crate) struct Snowflake {
        #[config(source = "data-sources/snowflake/component.json:7")]
        pub(crate) account: String,
        /// The virtual warehouse.
        #[config(default = "COMPUTE_WH", source = "data-sources/snowflake/component.json:12")]
        pub(crate) warehouse: String,
        #[config(default = 1)]
        pub(crate) threads: u8,
    }
}

#[derive(PluginConfig, Debug, PartialEq)]
struct Extended {
    #[config(extends, default(warehouse = "SMALL"))]
    base: component::Snowflake,
    #[config(default = true)]
    cache: bool,
}

#[derive(PluginConfig, Debug, PartialEq)]
struct Twice {
    #[config(extends, default(warehouse = "TINY", threads = 2))]
    base: Extended,
    #[config(flatten)]
    rest: BTreeMap<String, u32>,
}

#[derive(PluginConfig)]
struct Login {
    user: String,
    password: mlx_core::Secret,
}

#[derive(PluginConfig)]
struct KeyOrPassword {
    #[config(extends, default(password = ""))]
    login: Login,
    key: Option<String>,
}

#[test]
fn an_inherited_secret_that_is_empty_by_default_may_be_left_out() {
    let value: KeyOrPassword = read("user: ada\nkey: k\n").unwrap();
    assert_eq!((value.login.user.as_str(), value.login.password.expose().as_str()), ("ada", ""));
    assert_eq!(value.key.as_deref(), Some("k"));
    let value: KeyOrPassword = read("user: ada\npassword: p\n").unwrap();
    assert_eq!(value.login.password.expose(), "p");
    let schema = schema::<KeyOrPassword>();
    assert_eq!(schema["required"], json!(["user"]));
    assert_eq!(schema["properties"]["password"]["writeOnly"], true);
}

#[test]
fn inherited_fields_stand_beside_the_own_with_other_defaults() {
    let value: Extended = read("account: acme\ncache: false\n").unwrap();
    assert_eq!(value.base, component::Snowflake { account: "acme".into(), warehouse: "SMALL".into(), threads: 1 });
    assert_eq!(value.write(), json!({"account": "acme", "warehouse": "SMALL", "threads": 1, "cache": false}));
    let schema = schema::<Extended>();
    assert_eq!(schema["properties"]["warehouse"]["default"], "SMALL");
    assert_eq!(schema["properties"]["warehouse"]["description"], "The virtual warehouse.");
    assert_eq!(schema["required"], json!(["account"]));

    let mistyped = mistakes::<Extended>("acount: acme\nwarehouse: 1\n");
    assert_eq!(
        mistyped,
        [
            "MLX0021 account 1:1 missing field `account`",
            "MLX0022 warehouse 2:12 expected a string, found the integer `1`",
            "MLX0020 acount 1:1 unknown field `acount`",
        ]
    );
}

#[test]
fn the_outermost_default_wins_and_a_map_takes_the_rest() {
    let value: Twice = read("account: acme\nextra: 7\n").unwrap();
    assert_eq!((value.base.base.warehouse.as_str(), value.base.base.threads), ("TINY", 2));
    assert_eq!(value.rest, BTreeMap::from([("extra".to_owned(), 7)]));
    assert_eq!(schema::<Twice>()["properties"]["warehouse"]["default"], "TINY");
    assert_eq!(schema::<Twice>()["additionalProperties"]["type"], "integer");
    assert_eq!(mistakes::<Twice>("account: acme\nextra: x\n").len(), 1);
}

#[test]
fn where_an_inherited_field_is_declared_is_known() {
    let place = "data-sources/snowflake/component.json:12";
    assert_eq!(Twice::META.declared_in("warehouse"), Some(place));
    assert_eq!(Twice::META.declared_in("threads"), Some("data-sources/snowflake"));
    assert_eq!(Twice::META.declared_in("cache"), Some("Extended"));
    assert_eq!(Twice::META.declared_in("none"), None);
    assert_eq!(Twice::META.names(), ["cache", "account", "warehouse", "threads"]);
}

/// How it runs.
#[derive(PluginConfig, Debug, PartialEq, Default)]
#[config(rename_all = "snake_case")]
enum Mode {
    #[default]
    Fast,
    /// With care.
    SlowAndSteady {
        #[config(range(1..))]
        steps: u8,
    },
    Path(PathBuf),
    Retry(Retry),
}

#[test]
fn a_variant_is_its_name_or_a_mapping_with_one_key() {
    assert_eq!(read::<Mode>("fast").unwrap(), Mode::Fast);
    assert_eq!(read::<Mode>("slow_and_steady: {steps: 2}").unwrap(), Mode::SlowAndSteady { steps: 2 });
    assert_eq!(read::<Mode>("path: /x").unwrap(), Mode::Path("/x".into()));
    let retry = Retry { max: 3, wait: Duration::from_secs(1) };
    assert_eq!(read::<Mode>("retry: {}").unwrap(), Mode::Retry(retry));
    for value in [Mode::Fast, Mode::SlowAndSteady { steps: 2 }, Mode::Path("/x".into())] {
        assert_eq!(config::from_json::<Mode>(value.write()).unwrap(), value);
    }
}

#[test]
fn mistakes_in_a_variant() {
    assert_eq!(mistakes::<Mode>("fsat"), ["MLX0025 . 1:1 unknown variant `fsat`"]);
    assert_eq!(read::<Mode>("fsat").unwrap_err()[0].help[0], "did you mean `fast`?");
    assert_eq!(mistakes::<Mode>("fast: {}"), ["MLX0022 fast 1:7 the variant `fast` takes no settings"]);
    assert_eq!(mistakes::<Mode>("path"), ["MLX0022 . 1:1 the variant `path` needs settings"]);
    assert_eq!(
        mistakes::<Mode>("slow_and_steady: {steps: 0, n: 1}"),
        [
            "MLX0023 slow_and_steady.steps 1:26 `0` is out of range: expected at least 1",
            "MLX0020 slow_and_steady.n 1:29 unknown field `n`",
        ]
    );
    assert_eq!(mistakes::<Mode>("{a: 1, b: 2}").len(), 1);
}

#[derive(PluginConfig, Debug, PartialEq)]
#[config(tag = "kind", rename_all = "kebab-case")]
enum Auth {
    Anonymous,
    #[config(rename_all = "camelCase")]
    ServiceAccount {
        key_file: PathBuf,
        secret: Option<Secret>,
    },
    #[config(rename = "login")]
    User(component::Snowflake),
}

#[test]
fn a_tag_stands_beside_the_fields() {
    assert_eq!(read::<Auth>("kind: anonymous").unwrap(), Auth::Anonymous);
    let account = read::<Auth>("keyFile: /k\nsecret: s\nkind: service-account\n").unwrap();
    assert_eq!(account, Auth::ServiceAccount { key_file: "/k".into(), secret: Some("s".into()) });
    assert_eq!(account.write(), json!({"kind": "service-account", "keyFile": "/k", "secret": "[redacted]"}));
    let user = read::<Auth>("kind: login\naccount: acme\n").unwrap();
    assert_eq!(user.write(), json!({"kind": "login", "account": "acme", "warehouse": "COMPUTE_WH", "threads": 1}));

    assert_eq!(mistakes::<Auth>("kind: logim\n"), ["MLX0025 kind 1:7 unknown variant `logim`"]);
    assert_eq!(mistakes::<Auth>("knid: login\n"), ["MLX0021 kind 1:1 missing field `kind`"]);
    assert_eq!(mistakes::<Auth>("kind: anonymous\nx: 1\n"), ["MLX0020 x 2:1 unknown field `x`"]);
    assert_eq!(mistakes::<Auth>("kind: login\naccount: 1\n").len(), 1);
}

/// A port that a server listens on.
#[derive(PluginConfig, Debug, PartialEq)]
struct Port(#[config(range(1024..))] u16);

#[derive(PluginConfig, Debug, PartialEq)]
struct Password(Secret);

#[derive(PluginConfig, Debug, PartialEq)]
struct Nothing;

#[test]
fn a_struct_around_one_value_is_that_value() {
    #[derive(PluginConfig, Debug, PartialEq)]
    struct Server {
        port: Port,
        fallback: Option<Port>,
        password: Password,
        #[config(default)]
        nothing: Nothing,
        #[config(default)]
        mode: Mode,
    }
    let server: Server = read("port: 8080\npassword: hunter2\n").unwrap();
    assert_eq!((&server.port, &server.mode), (&Port(8080), &Mode::Fast));
    assert_eq!(server.write()["password"], "[redacted]");
    assert_eq!(
        mistakes::<Server>("port: 80\npassword: hunter2\nnothing: {a: 1}\n"),
        ["MLX0023 port 1:7 `80` is out of range: expected at least 1024", "MLX0020 nothing.a 3:11 unknown field `a`",]
    );
    assert!(Server::META.fields().iter().find(|f| f.name == "password").unwrap().secret);
    let schema = schema::<Server>();
    assert_eq!(schema["properties"]["port"], json!({"$ref": "#/$defs/Port"}));
    assert_eq!(schema["$defs"]["Port"]["minimum"], 1024);
    assert_eq!(schema["$defs"]["Port"]["description"], "A port that a server listens on.");
}

#[test]
fn a_number_that_its_type_does_not_hold_is_told_the_range_of_its_field() {
    #[derive(PluginConfig, Debug)]
    #[allow(dead_code, reason = "only mistakes are read")]
    struct Server {
        #[config(range(1..))]
        port: u16,
        #[config(range(-5..100))]
        nice: Option<i8>,
        #[config(default = 1)]
        threads: u8,
        #[config(secret, range(1000..=9999))]
        pin: u16,
    }
    assert_eq!(
        mistakes::<Server>("port: 70000\nnice: 200\nthreads: 300\npin: 70000\n"),
        [
            "MLX0023 port 1:7 `70000` is out of range: expected 1 to 65535",
            "MLX0023 nice 2:7 `200` is out of range: expected -5 to 99",
            "MLX0023 threads 3:10 `300` is out of range: expected 0 to 255",
            "MLX0023 pin 4:6 the value is out of range: expected 1000 to 9999",
        ]
    );
    // The range of a field says nothing about the one before it.
    assert_eq!(
        mistakes::<Server>("port: 1\nthreads: 300\n"),
        ["MLX0023 threads 2:10 `300` is out of range: expected 0 to 255", "MLX0021 pin 1:1 missing field `pin`"]
    );
    assert_eq!(mistakes::<Port>("70000"), ["MLX0023 . 1:1 `70000` is out of range: expected 1024 to 65535"]);
}

#[test]
fn no_default_is_proposed_for_a_secret() {
    #[derive(PluginConfig, Debug)]
    #[allow(dead_code, reason = "only mistakes are read")]
    struct Login {
        user: String,
        password: Secret,
        #[config(secret)]
        key: String,
    }
    let node =
        yaml::parse(&Source::new("t.yaml", "user: ${env:USER_NAME}\npassword: ${env:PASSWORD}\nkey: ${file:/none}\n"));
    let variables = Environment(HashMap::new());
    let mut plan = Reader::plan(&variables);
    assert!(Login::read(&node.unwrap(), &mut plan).is_none());
    let help: Vec<String> = plan.into_parts().0.into_iter().flat_map(|found| found.help).collect();
    assert_eq!(help, ["set it, or give a default: `${env:USER_NAME:-value}`", "set it", "check the path"]);
}

#[test]
fn a_recursive_type_refers_to_itself() {
    #[derive(PluginConfig, Debug, PartialEq)]
    struct Tree {
        name: String,
        #[config(default)]
        children: Vec<Tree>,
    }
    let tree: Tree = read("name: a\nchildren: [{name: b}, {name: c, children: [{name: d}]}]\n").unwrap();
    assert_eq!(tree.children[1].children[0].name, "d");
    assert_eq!(mistakes::<Tree>("name: a\nchildren: [{name: b, children: [{}]}]\n").len(), 1);
    let schema = schema::<Tree>();
    assert_eq!(schema["properties"]["children"]["items"], json!({"$ref": "#"}));
}

#[test]
fn generic_types() {
    #[derive(PluginConfig, Debug, PartialEq)]
    struct Both<T, U = u8, const N: usize = 2>
    where
        T: Clone,
    {
        #[config(flatten)]
        inner: Inner<T>,
        list: [U; N],
        #[config(skip)]
        marker: std::marker::PhantomData<fn() -> T>,
    }
    #[derive(PluginConfig, Debug, PartialEq)]
    struct Inner<T> {
        value: T,
        #[config(default)]
        more: Vec<T>,
    }
    let both: Both<String> = read("value: x\nlist: [1, 2]\n").unwrap();
    assert_eq!((both.inner.value.as_str(), both.list), ("x", [1, 2]));
    assert_eq!(mistakes::<Both<bool, u8, 3>>("value: x\nlist: [1, 2]\n").len(), 2);
    fn plugin_config<T: PluginConfig>() {}
    plugin_config::<Both<String, u32, 4>>();
}

#[test]
fn types_with_the_same_name_do_not_share_a_schema() {
    mod other {
        #[derive(mlx_core::PluginConfig)]
        pub(crate) struct Part {
            pub(crate) a: u8,
        }
    }
    #[derive(PluginConfig)]
    struct Part {
        b: u8,
    }
    #[derive(PluginConfig)]
    struct Parts {
        one: other::Part,
        two: Part,
    }
    let schema = schema::<Parts>();
    assert_ne!(schema["properties"]["one"], schema["properties"]["two"]);
    let value: Parts = read("one: {a: 1}\ntwo: {b: 2}\n").unwrap();
    assert_eq!((value.one.a, value.two.b), (1, 2));
}

#[test]
fn serde_goes_through_the_same_reading() {
    let value: Retry = serde_json::from_str(r#"{"max": 9}"#).unwrap();
    assert_eq!(value, Retry { max: 9, wait: Duration::from_secs(1) });
    assert_eq!(serde_json::from_value::<Retry>(serde_json::to_value(&value).unwrap()).unwrap(), value);
    let error = serde_json::from_str::<Retry>(r#"{"max": "x", "mix": 1}"#).unwrap_err().to_string();
    assert!(error.contains("max") && error.contains("mix"), "{error}");
}

#[test]
fn a_foreign_type_brings_its_serde() {
    #[derive(PluginConfig)]
    struct Foreign {
        #[config(serde)]
        duration: Duration,
        #[config(serde, default)]
        list: Vec<(u8, u8)>,
        #[config(serde, default = (1, 2))]
        pair: (u8, u8),
    }
    let value: Foreign = read("duration: {secs: 1, nanos: 0}\n").unwrap();
    assert_eq!((value.duration, value.list.len(), value.pair), (Duration::from_secs(1), 0, (1, 2)));
    assert_eq!(value.write()["pair"], json!([1, 2]));
    assert_eq!(
        mistakes::<Foreign>("pair: [1]\nlist: x\n"),
        [
            "MLX0021 duration 1:1 missing field `duration`",
            "MLX0026 list 2:7 invalid type: string \"x\", expected a sequence",
            "MLX0026 pair 1:7 invalid length 1, expected a tuple of size 2",
        ]
    );
    assert_eq!(schema::<Foreign>()["properties"]["pair"]["minItems"], 2);
}

#[test]
fn keywords_macros_cfg_and_associated_defaults() {
    macro_rules! make {
        ($name:ident, $field:ident: $ty:ty = $default:expr, $range:expr) => {
            #[derive(PluginConfig, Debug, PartialEq)]
            struct $name {
                #[config(default = $default, range($range))]
                $field: $ty,
                #[config(default = Self::TYPE)]
                r#type: u8,
                #[cfg(any())]
                gone: NoSuchType,
            }
            impl $name {
                const TYPE: u8 = 7;
            }
        };
    }
    make!(Made, count: u64 = 3, 1..=9);
    assert_eq!(read::<Made>("{}").unwrap(), Made { count: 3, r#type: 7 });
    assert_eq!(read::<Made>("type: 1\n").unwrap().r#type, 1);
    assert_eq!(mistakes::<Made>("count: 10\n").len(), 1);
}

#[test]
fn the_schema_of_a_documented_type() {
    let expected = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Warehouse",
        "description": "Connections to a warehouse.\n\nThey are pooled.",
        "type": "object",
        "properties": {
            "host": {"type": "string", "description": "Host name."},
            "port": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 8080},
            "poolSize": {
                "type": "integer", "minimum": 1, "maximum": 64, "default": 5, "description": "Connections kept open."
            },
            "jitter": {"type": ["number", "null"], "exclusiveMaximum": 0.5},
            "user": {"type": "string", "minLength": 2, "maxLength": 8},
            "password": {"type": "string", "writeOnly": true, "x-mlx-secret": true},
            "token": {"type": ["string", "null"], "writeOnly": true, "x-mlx-secret": true},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "default": ["a"]},
            "as": {"type": "string", "default": "none"},
            "retry": {"$ref": "#/$defs/Retry", "default": {}},
        },
        "required": ["host", "user", "password"],
        "additionalProperties": false,
        "$defs": {
            "Retry": {
                "title": "Retry",
                "type": "object",
                "properties": {
                    "max": {"type": "integer", "minimum": 0, "maximum": 255, "default": 3},
                    "wait": {"type": "string", "pattern": "^([0-9]{1,18}(ns|us|ms|s)|[0-9]{1,14}(m|h|d))+$", "default": "1s"},
                },
                "additionalProperties": false,
            },
        },
    });
    assert_eq!(schema::<Warehouse>(), expected, "{:#}", schema::<Warehouse>());
}

#[test]
fn the_schemas_of_enums() {
    let mode = schema::<Mode>();
    assert_eq!(mode["description"], "How it runs.");
    assert_eq!(mode["oneOf"][0], json!({"type": "string", "const": "fast"}));
    assert_eq!(mode["oneOf"][1]["description"], "With care.");
    assert_eq!(mode["oneOf"][1]["properties"]["slow_and_steady"]["properties"]["steps"]["minimum"], 1);
    assert_eq!(mode["oneOf"][2]["properties"]["path"], json!({"type": "string"}));
    assert_eq!(mode["oneOf"][3]["properties"]["retry"], json!({"$ref": "#/$defs/Retry"}));

    let auth = schema::<Auth>();
    assert_eq!(auth["oneOf"][0]["properties"], json!({"kind": {"type": "string", "const": "anonymous"}}));
    assert_eq!(auth["oneOf"][1]["required"], json!(["kind", "keyFile"]));
    assert_eq!(auth["oneOf"][2]["required"], json!(["kind", "account"]));

    #[derive(PluginConfig)]
    #[config(rename_all = "SCREAMING-KEBAB-CASE")]
    enum Plain {
        OneTwo,
        Three,
    }
    assert_eq!(schema::<Plain>()["enum"], json!(["ONE-TWO", "THREE"]));
    assert_eq!(Plain::OneTwo.write(), "ONE-TWO");
    assert_eq!(Plain::Three.write(), "THREE");
}

mod further {
    use super::*;
    use mlx_core::config::ByteSize;
    use std::num::{NonZeroI8, NonZeroU32};

    #[derive(PluginConfig, Debug, PartialEq)]
    struct Cache {
        /// Where it is.
        ///
        /// A folder that nothing else writes to.
        #[config(alias = "dir", alias = "folder", pattern = "^/")]
        path: PathBuf,
        #[config(default = ByteSize::mib(64), range(ByteSize::kib(1)..=ByteSize::gib(4)), example = "1GiB")]
        size: ByteSize,
        #[config(default = 8, env = "CACHE_THREADS", range(1..=MOST))]
        threads: u32,
        #[config(default = "lru", one_of = ["lru", "fifo"])]
        policy: String,
        #[config(one_of = [1, 2, -4])]
        factor: Option<i8>,
        #[config(deprecated = "use `size`", alias = "maxMegabytes")]
        megabytes: Option<NonZeroU32>,
        #[config(secret, env = "CACHE_TOKEN", pattern = "^[a-z]+$")]
        token: Option<String>,
    }
    const MOST: u32 = 16;

    /// Reads as a planning does, with `A=1`-like variables.
    fn planned<T: ConfigValue>(text: &str, variables: &[(&str, &str)]) -> (Option<T>, Vec<Diagnostic>) {
        let variables = Environment(variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let node = yaml::parse(&Source::new("t.yaml", text)).expect("well-formed YAML");
        let mut cx = Reader::plan(&variables);
        let value = T::read(&node, &mut cx);
        (value, cx.into_parts().0)
    }

    #[test]
    fn a_field_is_found_by_any_of_its_names() {
        for text in ["path: /a", "dir: /a", "folder: /a"] {
            assert_eq!(read::<Cache>(text).unwrap().path, PathBuf::from("/a"));
        }
        assert_eq!(
            mistakes::<Cache>("folder: /a\npath: /b\n"),
            ["MLX0004 folder 1:1 `folder` and `path` are names of the same field"]
        );
        assert_eq!(mistakes::<Cache>("dir: a\n"), ["MLX0026 dir 1:6 it does not match the pattern `^/`"]);
        assert_eq!(mistakes::<Cache>("dir: 1\n"), ["MLX0022 dir 1:6 expected a string, found the integer `1`"]);
        assert_eq!(mistakes::<Cache>("{}"), ["MLX0021 path 1:1 missing field `path`"]);
    }

    #[test]
    fn a_deprecated_field_is_read_with_a_warning() {
        let (value, found) = planned::<Cache>("path: /a\nmegabytes: 5\n", &[]);
        assert_eq!(value.unwrap().megabytes, NonZeroU32::new(5));
        let seen: Vec<_> = found.iter().map(described).collect();
        assert_eq!(seen, ["MLX0032 megabytes 2:1 the field `megabytes` is deprecated"]);
        assert!(!found[0].is_error());
        assert_eq!(found[0].help, ["use `size`"]);
        assert!(read::<Cache>("path: /a\nmaxMegabytes: 5\n").is_ok(), "a warning stops nothing");
        assert!(planned::<Cache>("path: /a\n", &[]).1.is_empty());
    }

    #[test]
    fn a_variable_stands_in_for_what_the_file_lacks_before_the_default() {
        let set = [("CACHE_THREADS", "12")];
        assert_eq!(planned::<Cache>("path: /a\n", &set).0.unwrap().threads, 12);
        assert_eq!(planned::<Cache>("path: /a\nthreads: 2\n", &set).0.unwrap().threads, 2);
        assert_eq!(planned::<Cache>("path: /a\n", &[("CACHE_THREADS", "")]).0.unwrap().threads, 8);
        assert_eq!(read::<Cache>("path: /a\n").unwrap().threads, 8, "plain JSON does not depend on the environment");

        for (value, message) in [
            ("many", "MLX0022 threads - expected an integer, found the string \"many\""),
            ("17", "MLX0023 threads - `17` is out of range: expected 1 to 16"),
        ] {
            let (_, found) = planned::<Cache>("path: /a\n", &[("CACHE_THREADS", value)]);
            assert_eq!(found.iter().map(described).collect::<Vec<_>>(), [message]);
            assert_eq!(found[0].help, ["the value is that of the environment variable `CACHE_THREADS`"]);
        }
    }

    #[test]
    fn a_variable_stands_in_for_a_secret_and_is_not_shown() {
        let variables = Environment([("CACHE_TOKEN".to_owned(), "hunter2".to_owned())].into());
        let node = yaml::parse(&Source::new("t.yaml", "path: /a\n")).unwrap();
        let mut plan = Reader::plan(&variables);
        assert!(Cache::read(&node, &mut plan).is_none(), "it is read at the start");
        assert!(plan.into_parts().0.is_empty());
        let none = Resolved::new();
        let mut start = Reader::start(&variables, &none);
        Cache::read(&node, &mut start);
        let found = start.into_parts().0;
        assert_eq!(
            found.iter().map(described).collect::<Vec<_>>(),
            ["MLX0026 token - it does not match the pattern `^[a-z]+$`"]
        );
        assert!(!format!("{found:?}").contains("hunter2"));

        let variables = Environment([("CACHE_TOKEN".to_owned(), "hunter".to_owned())].into());
        let mut start = Reader::start(&variables, &none);
        let value = Cache::read(&node, &mut start).unwrap();
        assert_eq!((value.token.as_deref(), &value.write()["token"]), (Some("hunter"), &json!("[redacted]")));
    }

    #[test]
    fn only_listed_values_are_accepted() {
        let value: Cache = read("path: /a\npolicy: fifo\nfactor: -4\n").unwrap();
        assert_eq!((value.policy.as_str(), value.factor), ("fifo", Some(-4)));
        assert_eq!(
            mistakes::<Cache>("path: /a\npolicy: fifi\nfactor: 3\n"),
            [
                "MLX0026 policy 2:9 `fifi` is not one of `lru`, `fifo`",
                "MLX0026 factor 3:9 `3` is not one of `1`, `2`, `-4`",
            ]
        );
        let found = read::<Cache>("path: /a\npolicy: fifi\n").unwrap_err();
        assert_eq!(found[0].help, ["did you mean `fifo`?"]);
    }

    #[test]
    fn sizes_and_numbers_that_are_not_zero() {
        #[derive(PluginConfig, Debug)]
        struct Numbers {
            size: ByteSize,
            #[config(range(Duration::from_secs(1)..Duration::from_secs(60)), default = Duration::from_secs(5))]
            wait: Duration,
            #[config(range(..=9), default = NonZeroI8::MIN)]
            step: NonZeroI8,
        }
        let value: Numbers = read("size: 3kB\n").unwrap();
        assert_eq!(value.write(), json!({"size": "3000B", "wait": "5s", "step": -128}));
        assert_eq!(
            mistakes::<Numbers>("size: 64\nwait: 1m\nstep: 0\n"),
            [
                "MLX0022 size 1:7 expected a size such as `512KiB`, `64MiB` or `1GB`, found the integer `64`",
                "MLX0023 wait 2:7 `1m` is out of range: expected at least 1s and less than 1m",
                "MLX0023 step 3:7 zero is out of range: expected any other number",
            ]
        );
        assert_eq!(
            mistakes::<Cache>("path: /a\nsize: 5GiB\n"),
            ["MLX0023 size 2:7 `5GiB` is out of range: expected 1KiB to 4GiB"]
        );
    }

    #[test]
    fn the_ends_of_a_range_are_written_as_in_a_file() {
        #[derive(PluginConfig, Debug)]
        struct Pauses {
            #[config(default = "10s", range("1s"..="1h"))]
            short: Duration,
            #[config(range(..Duration::from_secs(60)))]
            long: Option<Duration>,
            #[config(default = ByteSize::kib(64), range("1KiB".."1MiB"))]
            size: ByteSize,
            #[config(range("1B"..))]
            hidden: Option<Secret<ByteSize>>,
            #[config(default = Duration::from_secs(0), range(..=longest()))]
            most: Duration,
        }
        fn longest() -> Duration {
            Duration::from_secs(5)
        }
        #[derive(PluginConfig, Debug)]
        struct Wait(#[config(range("1s"..))] Duration);

        let value: Pauses = read("long: 59s\nhidden: 1B\n").unwrap();
        let written = json!({"short": "10s", "long": "59s", "size": "64KiB", "hidden": "[redacted]", "most": "0s"});
        assert_eq!(value.write(), written);
        assert_eq!(
            mistakes::<Pauses>("short: 999ms\nlong: 1m\nsize: 1MiB\nmost: 6s\n"),
            [
                "MLX0023 short 1:8 `999ms` is out of range: expected 1s to 1h",
                "MLX0023 long 2:7 `1m` is out of range: expected less than 1m",
                "MLX0023 size 3:7 `1MiB` is out of range: expected at least 1KiB and less than 1MiB",
                "MLX0023 most 4:7 `6s` is out of range: expected at most 5s",
            ]
        );
        assert_eq!(mistakes::<Wait>("1ms"), ["MLX0023 . 1:1 `1ms` is out of range: expected at least 1s"]);
        assert_eq!(schema::<Wait>()["pattern"], schema::<Pauses>()["properties"]["short"]["pattern"]);
    }

    #[test]
    fn a_plugin_whose_pattern_is_wrong_is_told_so() {
        #[derive(PluginConfig, Debug)]
        struct Wrong {
            #[config(pattern = "(")]
            text: Option<String>,
        }
        let found = mistakes::<Wrong>("{}");
        assert!(found[0].starts_with("MLX0072 text - the plugin's pattern `(` is no regular expression"), "{found:?}");
    }

    #[test]
    fn the_schema_says_it_all() {
        let schema = schema::<Cache>();
        let property = |name: &str| schema["properties"][name].clone();
        let path = json!({
            "type": "string", "pattern": "^/", "title": "Where it is",
            "description": "A folder that nothing else writes to.",
        });
        let mut alias = path.clone();
        alias["x-mlx-alias-of"] = "path".into();
        assert_eq!([property("path"), property("dir"), property("folder")], [path, alias.clone(), alias]);
        assert_eq!(schema["allOf"][0]["oneOf"][1], json!({"required": ["dir"]}));
        assert_eq!(property("size")["examples"], json!(["1GiB"]));
        assert_eq!(property("size")["default"], "64MiB");
        assert_eq!(
            (&property("threads")["maximum"], &property("threads")["x-mlx-env"]),
            (&json!(16), &json!("CACHE_THREADS"))
        );
        assert_eq!(property("policy")["enum"], json!(["lru", "fifo"]));
        assert_eq!(property("factor")["enum"], json!([1, 2, -4, null]));
        assert_eq!(property("megabytes")["deprecated"], true);
    }
}

#[test]
fn paths_are_whole_however_deep() {
    #[derive(PluginConfig, Debug)]
    struct Level {
        #[config(default)]
        next: BTreeMap<String, Vec<Level>>,
        leaf: Option<u8>,
    }
    let text = "next: {a: [{next: {b: [{}, {next: {c.d: [{leaf: x}]}}]}}], e: [{leaf: y}]}\nleaf: z\n";
    let found = read::<Level>(text).unwrap_err();
    let paths: Vec<_> = found.iter().map(|d| d.path.as_deref().unwrap_or("")).collect();
    assert_eq!(paths, ["next.a[0].next.b[1].next.c.d[0].leaf", "next.e[0].leaf", "leaf"]);
}

#[test]
fn unknown_fields_are_found_in_a_long_mapping() {
    let text: String = (0..100).map(|nth| format!("x{nth}: 1\n")).collect();
    let found = mistakes::<Retry>(&format!("{text}max: 2\nwait: 2s\n"));
    assert_eq!(found.len(), 100);
    assert_eq!(found[99], "MLX0020 x99 100:1 unknown field `x99`");
}

#[cfg(feature = "url")]
#[test]
fn urls_are_absolute() {
    #[derive(PluginConfig, Debug)]
    struct Remote {
        #[config(default = "https://example.com".parse::<url::Url>().expect("an absolute URL"))]
        url: url::Url,
    }
    assert_eq!(read::<Remote>("{}").unwrap().write(), json!({"url": "https://example.com/"}));
    assert_eq!(read::<Remote>("url: http://h:1/p?q\n").unwrap().url.port(), Some(1));
    assert_eq!(
        mistakes::<Remote>("url: /p\n"),
        ["MLX0022 url 1:6 expected an absolute URL such as `https://example.com/`, found the string \"/p\""]
    );
    assert_eq!(schema::<Remote>()["properties"]["url"]["format"], "uri");
}

#[test]
fn a_warning_reaches_the_plan_and_stops_nothing() {
    use mlx_core::{Composition, InitContext, Plugin, Result, async_trait, mlx_plugin, registry};

    /// Says nothing.
    #[mlx_core::contract(name = "quiet", cardinality = "many")]
    #[async_trait]
    trait Quiet {
        /// The level.
        async fn level(&self) -> Result<u8>;
    }

    #[derive(PluginConfig)]
    struct Level {
        #[config(default = 1, deprecated = "use `volume`")]
        level: u8,
    }

    /// Is quiet.
    #[mlx_plugin(type = Quiet)]
    struct Silent(u8);

    #[async_trait]
    impl Plugin for Silent {
        type Config = Level;
        async fn initialize(config: Level, _: &InitContext) -> Result<Self> {
            Ok(Silent(config.level))
        }
    }

    #[async_trait]
    impl Quiet for Silent {
        async fn level(&self) -> Result<u8> {
            Ok(self.0)
        }
    }

    let composition = Composition::from_yaml("plugins: [{type: quiet, name: silent, config: {level: 3}}]").unwrap();
    let plan = registry().resolve(&composition).unwrap();
    let warnings: Vec<_> = plan.warnings().iter().map(described).collect();
    assert_eq!(warnings, ["MLX0032 plugins[0].config.level 1:48 the field `level` is deprecated"]);
    mlx_core::block_on(async {
        let quiet = registry().create::<dyn Quiet>("silent", json!({"level": 3})).await.unwrap();
        assert_eq!(quiet.level().await.unwrap(), 3);
        quiet.shutdown().await
    })
    .unwrap();
}
