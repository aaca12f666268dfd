//! The reader and the schema never disagree: values made from a schema are accepted by the reader and by an independent
//! validator, and what comes of them by a change is accepted by both or by none.

use jsonschema::Validator;
use mlx_core::{
    JsonValue as Value, PluginConfig, Secret,
    config::{self, ByteSize},
    json,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    num::{NonZeroI16, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

/// Values of each kind, made and changed, for each type.
const ROUNDS: usize = 600;

#[test]
fn the_reader_and_the_schema_agree() {
    let mut checked = [0; 3];
    let mut disagreements = Vec::new();
    macro_rules! check {
        ($($type:ty),+ $(,)?) => { $(check::<$type>(&mut checked, &mut disagreements);)+ };
    }
    check!(
        Integers, Floats, Texts, Flags, Optional, Lists, Sets, Maps, Times, Sizes, Addresses, NonZero, Secrets, Defaults,
        Nested, Tree, Flat, Rest, Mode, Auth, Choice, Port, Names, Named, Chosen, Patterns, Bounded, Generic<u8, 2>, Empty, Boxed,
    );
    let [generated, accepted, refused] = checked;
    println!("{generated} generated; of those changed {accepted} accepted and {refused} refused by both");
    assert!(disagreements.is_empty(), "{} disagreements\n{}", disagreements.len(), disagreements.join("\n"));
    assert!(generated + accepted + refused >= 20_000 && refused >= 5_000 && accepted >= 1_000);
}

fn check<T: PluginConfig>(checked: &mut [usize; 3], disagreements: &mut Vec<String>) {
    let schema = config::schema_of::<T>().to_value();
    let name = std::any::type_name::<T>();
    let validator: Validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap_or_else(|error| panic!("the schema of {name} is none: {error}"));
    let mut random = Random(name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into())));
    let mut found = 0;
    let mut disagree = |kind: &str, value: &Value, why: String| {
        found += 1;
        if found <= 3 {
            disagreements.push(format!("{name}: {kind}: {value}\n    {why}"));
        }
    };
    for _ in 0..ROUNDS {
        let value = Generator { root: &schema, random: &mut random }.value(&schema, 0);
        // Of an IPv6 address with its port the schema knows only the outline: `[…]:80`.
        if value.to_string().contains("\"[") {
            continue;
        }
        checked[0] += 1;
        if let Err(error) = validator.validate(&value) {
            disagree("generated, but the validator says", &value, error.to_string());
            continue;
        }
        match config::from_json::<T>(value.clone()) {
            Err(found) => disagree("generated, but the reader says", &value, format!("{found:?}")),
            Ok(read) => {
                let written = mlx_core::config::ConfigValue::write(&read);
                if !written.to_string().contains("[redacted]") && config::from_json::<T>(written.clone()).is_err() {
                    disagree("what was written does not read", &written, String::new());
                }
            }
        }
        for _ in 0..2 {
            let mut changed = value.clone();
            change(&mut changed, &mut random);
            let read = config::from_json::<T>(changed.clone());
            match (validator.validate(&changed), read) {
                (Ok(()), Ok(_)) => checked[1] += 1,
                (Err(_), Err(_)) => checked[2] += 1,
                (Ok(()), Err(found)) => disagree("the reader alone refuses", &changed, format!("{found:?}")),
                (Err(error), Ok(_)) => disagree("the validator alone refuses", &changed, error.to_string()),
            }
        }
    }
}

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn text(&mut self, length: usize) -> String {
        (0..length).map(|_| *self.pick(&['a', 'b', 'Z', '0', '9', ' ', '-', '/', '.', 'é', '🦀', '\n', '"'])).collect()
    }
}

/// Makes values that a schema accepts; it knows the keywords that our schemas have.
struct Generator<'a> {
    root: &'a Value,
    random: &'a mut Random,
}

impl Generator<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if schema.as_bool() == Some(true) {
            return self.anything(depth);
        }
        if let Some(target) = schema["$ref"].as_str() {
            let target =
                self.root.pointer(target.trim_start_matches('#')).expect("a reference leads somewhere").clone();
            return self.value(&target, depth);
        }
        if let Some(values) = schema["enum"].as_array() {
            return self.random.pick(values).clone();
        }
        if !schema["const"].is_null() {
            return schema["const"].clone();
        }
        let options = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        let kind = match &schema["type"] {
            Value::Array(kinds) => self.random.pick(kinds).as_str().map(str::to_owned),
            kind => kind.as_str().map(str::to_owned),
        };
        if let Some(options) = options.filter(|_| kind.as_deref().is_none_or(|kind| kind == "string")) {
            // Of a recursive type, the first option ends it.
            let option = if depth > 6 { &options[0] } else { self.random.pick(options) };
            let option = option.clone();
            return self.value(&option, depth + 1);
        }
        match kind.as_deref() {
            Some("null") => Value::Null,
            Some("boolean") => self.random.once_in(2).into(),
            Some("integer") => self.integer(schema),
            Some("number") => self.number(schema),
            Some("string") => self.string(schema).into(),
            Some("array") => self.array(schema, depth),
            Some("object") => self.object(schema, depth),
            None if schema["format"].is_string() => self.string(schema).into(),
            other => panic!("the generator does not know {other:?} in {schema}"),
        }
    }

    fn anything(&mut self, depth: usize) -> Value {
        match self.random.below(if depth > 3 { 5 } else { 7 }) {
            0 => Value::Null,
            1 => true.into(),
            2 => self.random.next().into(),
            3 => self.random.text(3).into(),
            4 => (-1.5).into(),
            5 => vec![self.anything(depth + 1)].into(),
            _ => json!({"a": self.anything(depth + 1)}),
        }
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let wide = |value: &Value| value.as_i64().map(i128::from).or(value.as_u64().map(i128::from));
        let min = wide(&schema["minimum"]).unwrap_or(i64::MIN.into());
        let max = wide(&schema["maximum"]).or(wide(&schema["exclusiveMaximum"]).map(|end| end - 1));
        let max = max.unwrap_or(u64::MAX.into());
        let number = match self.random.below(4) {
            0 => min,
            1 => max,
            _ => min + i128::from(self.random.next()) % (max - min + 1),
        };
        let number = if schema["not"]["const"] == 0 && number == 0 { 1 } else { number };
        // A whole number may be written with a fraction.
        match i64::try_from(number) {
            Ok(number) if number.unsigned_abs() < 1 << 53 && self.random.once_in(8) => (number as f64).into(),
            Ok(number) => number.into(),
            Err(_) => u64::try_from(number).expect("it fits a type").into(),
        }
    }

    fn number(&mut self, schema: &Value) -> Value {
        let min = schema["minimum"].as_f64().unwrap_or(-1e300);
        let exclusive = schema["exclusiveMaximum"].as_f64();
        let max = schema["maximum"].as_f64().or(exclusive).unwrap_or(1e300);
        let part = self.random.below(1000) as f64 / 1000.0;
        match self.random.below(4) {
            0 => min.into(),
            1 if exclusive.is_none() => max.into(),
            2 if min <= 0.0 && max > 0.0 => 0.into(),
            _ => (min + (max / 2.0 - min / 2.0) * part).into(),
        }
    }

    fn string(&mut self, schema: &Value) -> String {
        if let Some(pattern) = schema["pattern"].as_str() {
            return Pattern { rest: pattern, random: self.random }.alternatives();
        }
        match schema["format"].as_str() {
            Some("ipv4") => return (*self.random.pick(&["127.0.0.1", "0.0.0.0", "255.255.255.255"])).to_owned(),
            Some("ipv6") => return (*self.random.pick(&["::", "::1", "fe80::1", "1:2:3:4:5:6:7:8"])).to_owned(),
            _ => {}
        }
        let min = schema["minLength"].as_u64().unwrap_or(0) as usize;
        let max = schema["maxLength"].as_u64().unwrap_or(min as u64 + 6) as usize;
        let length = min + self.random.below(max - min + 1);
        self.random.text(length)
    }

    fn array(&mut self, schema: &Value, depth: usize) -> Value {
        let min = schema["minItems"].as_u64().unwrap_or(0) as usize;
        let max = schema["maxItems"].as_u64().map_or(min + if depth > 4 { 0 } else { 3 }, |max| max as usize);
        let length = min + self.random.below(max - min + 1);
        let mut items: Vec<Value> = Vec::new();
        for _ in 0..length {
            let item = self.value(&schema["items"], depth + 1);
            // `1` and `1.0` are the same number.
            let plain = |value: &Value| value.to_string().replace(".0", "");
            let same = |other: &Value| plain(other) == plain(&item);
            if schema["uniqueItems"] != true || !items.iter().any(same) {
                items.push(item);
            }
        }
        items.into()
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let none = serde_map();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let empty = Vec::new();
        let names = |list: &Value| list.as_array().into_iter().flatten().map(text).collect::<BTreeSet<_>>();
        let mut required = names(&schema["required"]);
        let mut left_out = BTreeSet::new();
        for group in schema["allOf"].as_array().unwrap_or(&empty) {
            let options = group["oneOf"].as_array().unwrap_or(&empty);
            left_out.extend(options.iter().flat_map(|option| names(&option["required"])));
            required.extend(names(&self.random.pick(options)["required"]));
        }
        let mut object = serde_map();
        for (name, property) in properties {
            let may = !left_out.contains(name) && depth < 5 && self.random.once_in(2);
            if required.contains(name) || may {
                object.insert(name.clone(), self.value(property, depth + 1));
            }
        }
        if schema["additionalProperties"].is_object() || schema["additionalProperties"] == true {
            let min = schema["minProperties"].as_u64().unwrap_or(0) as usize;
            let max = schema["maxProperties"].as_u64().map_or(min + 3, |max| max as usize);
            for nth in 0..min + self.random.below(max - min + 1) {
                object.insert(format!("x{nth}"), self.value(&schema["additionalProperties"], depth + 1));
            }
        }
        object.into()
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a name").to_owned()
}

fn serde_map() -> mlx_core::__private::JsonMap {
    mlx_core::__private::JsonMap::new()
}

/// Makes texts that match a regular expression of the simple kinds in our schemas.
struct Pattern<'p> {
    rest: &'p str,
    random: &'p mut Random,
}

impl Pattern<'_> {
    fn alternatives(&mut self) -> String {
        let mut texts = vec![String::new()];
        while let Some(next) = self.rest.chars().next() {
            match next {
                ')' => break,
                '^' | '$' => self.skip(1),
                '|' => {
                    self.skip(1);
                    texts.push(String::new());
                }
                _ => {
                    let text = self.repeated();
                    texts.last_mut().expect("there is one").push_str(&text);
                }
            }
        }
        self.random.pick(&texts).clone()
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn repeated(&mut self) -> String {
        let start = self.rest;
        let one = self.atom();
        let after = self.rest;
        let (min, max, length) = match after.chars().next() {
            Some('?') => (0, 1, 1),
            Some('*') => (0, 2, 1),
            Some('+') => (1, 3, 1),
            Some('{') => {
                let end = after.find('}').expect("a closed brace");
                let (min, max) = after[1..end].split_once(',').unwrap_or((&after[1..end], &after[1..end]));
                let min: usize = min.parse().expect("a number");
                // Long numbers would exceed every type.
                (min, max.parse().unwrap_or(min + 3).min(min + 3), end + 1)
            }
            _ => return one,
        };
        let mut text = String::new();
        for _ in 0..min + self.random.below(max - min + 1) {
            self.rest = start;
            text.push_str(&self.atom());
        }
        self.rest = &after[length..];
        text
    }

    fn atom(&mut self) -> String {
        let first = self.rest.chars().next().expect("an atom");
        self.skip(first.len_utf8());
        match first {
            '(' => {
                let text = self.alternatives();
                self.skip(1);
                text
            }
            '[' => {
                let end = self.rest.find(']').expect("a closed class");
                let class: Vec<char> = self.rest[..end].chars().collect();
                self.skip(end + 1);
                let mut known = Vec::new();
                let mut nth = 0;
                while nth < class.len() {
                    if class.get(nth + 1) == Some(&'-') && nth + 2 < class.len() {
                        known.extend(class[nth]..=class[nth + 2]);
                        nth += 3;
                    } else {
                        known.push(class[nth]);
                        nth += 1;
                    }
                }
                self.random.pick(&known).to_string()
            }
            '\\' => {
                let literal = self.rest.chars().next().expect("an escaped character");
                self.skip(literal.len_utf8());
                literal.to_string()
            }
            '.' => "x".to_owned(),
            literal => literal.to_string(),
        }
    }
}

/// Changes a value somewhere.
fn change(value: &mut Value, random: &mut Random) {
    match value {
        Value::Array(items) if !items.is_empty() && !random.once_in(3) => {
            let nth = random.below(items.len());
            change(&mut items[nth], random);
        }
        Value::Object(map) if !map.is_empty() && !random.once_in(4) => {
            let nth = random.below(map.len());
            if let Some(inner) = map.values_mut().nth(nth) {
                change(inner, random);
            }
        }
        Value::Array(items) => match random.below(4) {
            0 => items.extend(items.last().cloned()),
            1 => drop(items.pop()),
            2 => items.push(scalar(random)),
            _ => *value = scalar(random),
        },
        Value::Object(map) => {
            let name = (!map.is_empty()).then(|| random.below(map.len())).and_then(|nth| map.keys().nth(nth).cloned());
            match (random.below(4), name) {
                (0, Some(name)) => drop(map.remove(&name)),
                (1, Some(name)) => {
                    let inner = map.remove(&name).unwrap_or_default();
                    map.insert(format!("{name}_"), inner);
                }
                (2, _) => {
                    drop(map.insert(random.pick(&["x9", "kind", "path", "dir", "value"]).to_string(), scalar(random)))
                }
                _ => *value = scalar(random),
            }
        }
        Value::String(text) => match random.below(5) {
            0 => text.push(*random.pick(&['é', 'a', '0', '\n', '🦀', 's'])),
            1 => drop(text.pop()),
            2 => text.clear(),
            3 => *text = text.to_uppercase(),
            _ => *value = scalar(random),
        },
        Value::Number(number) if !random.once_in(3) => {
            let near = [number.as_f64().unwrap_or(0.0) + 1.0, number.as_f64().unwrap_or(0.0) - 0.5];
            *value = match (number.as_i64(), number.as_u64()) {
                (Some(whole), _) if random.once_in(2) => (whole.saturating_add(*random.pick(&[1, -1]))).into(),
                (_, Some(whole)) if random.once_in(2) => whole.saturating_sub(1).into(),
                _ => (*random.pick(&near)).into(),
            };
        }
        _ => *value = scalar(random),
    }
}

fn scalar(random: &mut Random) -> Value {
    let known = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(1.0),
        json!(-0.0),
        json!(1.5),
        json!(5),
        json!(255),
        json!(256),
        json!(65536),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992.0),
        json!(1e19),
        json!(1e20),
        json!(-1e19),
        json!(1e300),
        json!(3.5e38),
        json!(f64::MIN_POSITIVE),
        json!(""),
        json!("a"),
        json!("5"),
        json!("true"),
        json!("1s"),
        json!("60s"),
        json!("1m"),
        json!("1MiB"),
        json!("::1"),
        json!("127.0.0.1:80"),
        json!("é"),
        json!("null"),
        json!("fast"),
        json!({"fast": null}),
        json!([]),
        json!({}),
        json!([1, 1.0]),
        json!("99999999999999999999d"),
    ];
    random.pick(&known).clone()
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Integers {
    a: u8,
    b: i64,
    c: u64,
    #[config(range(-5..10))]
    d: i16,
    #[config(default = 3, range(1..))]
    e: u32,
    f: Option<i8>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Floats {
    a: f64,
    b: f32,
    #[config(range(0.0..1.0))]
    c: f64,
    #[config(range(..=0.5), default = 0.1)]
    d: f32,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Texts {
    a: String,
    #[config(length(2..=5))]
    b: String,
    #[config(non_empty)]
    c: Option<String>,
    d: char,
    e: PathBuf,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Flags {
    a: bool,
    #[config(default)]
    b: bool,
    c: Option<bool>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Optional {
    a: Option<u8>,
    b: Option<Vec<u8>>,
    c: Option<Port>,
    d: Option<Mode>,
    e: Option<Box<Integers>>,
    f: Option<Value>,
    g: Option<Duration>,
    h: Option<IpAddr>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Lists {
    a: Vec<u8>,
    b: [i32; 2],
    #[config(length(1..=2))]
    c: Vec<Option<String>>,
    d: Vec<Vec<bool>>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Sets {
    a: BTreeSet<u8>,
    b: HashSet<String>,
    #[config(non_empty)]
    c: BTreeSet<Duration>,
    d: BTreeSet<Vec<i8>>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Maps {
    a: BTreeMap<String, u8>,
    #[config(length(1..3))]
    b: HashMap<String, Vec<String>>,
    c: BTreeMap<String, Value>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Times {
    a: Duration,
    #[config(default = Duration::from_secs(5))]
    b: Duration,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Sizes {
    a: ByteSize,
    #[config(default = ByteSize::mib(64))]
    b: ByteSize,
    c: Vec<ByteSize>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Addresses {
    a: IpAddr,
    b: Vec<SocketAddr>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct NonZero {
    a: NonZeroU64,
    b: NonZeroI16,
    #[config(range(..=9))]
    c: Option<NonZeroI16>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Secrets {
    a: Secret,
    #[config(secret, length(2..))]
    b: Option<String>,
    c: Vec<Secret<u16>>,
    #[config(secret)]
    d: u8,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Defaults {
    #[config(default)]
    a: Vec<u8>,
    #[config(default)]
    nested: Flags2,
    #[config(default = "x", example = "y")]
    b: String,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Flags2 {
    #[config(default = 2)]
    a: u8,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Nested {
    a: Integers,
    b: Vec<Mode>,
    c: BTreeMap<String, Auth>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Tree {
    name: String,
    #[config(default)]
    children: Vec<Tree>,
    left: Option<Box<Tree>>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Flat {
    #[config(extends, default(a = 7))]
    base: Flags2,
    #[config(flatten)]
    names: Names,
    own: u8,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Rest {
    own: Option<u8>,
    #[config(flatten)]
    rest: BTreeMap<String, u16>,
}

#[derive(PluginConfig)]
#[config(rename_all = "snake_case")]
#[allow(dead_code)]
enum Mode {
    Fast,
    /// With care.
    Slow {
        steps: u8,
        #[config(default)]
        careful: bool,
    },
    Path(PathBuf),
    Ports(Vec<Port>),
}

#[derive(PluginConfig)]
#[config(tag = "kind", rename_all = "kebab-case")]
#[allow(dead_code)]
enum Auth {
    Anonymous,
    ServiceAccount {
        key: PathBuf,
        #[config(alias = "ttl")]
        time: Option<Duration>,
    },
    User(Flags2),
}

#[derive(PluginConfig)]
#[allow(dead_code)]
enum Choice {
    One,
    Two,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Port(#[config(range(1024..))] u16);

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Names {
    #[config(alias = "dir", alias = "folder")]
    path: String,
    #[config(alias = "limit", default = 1)]
    size: u8,
}

#[derive(PluginConfig)]
#[config(rename_all = "SCREAMING-KEBAB-CASE")]
#[allow(dead_code)]
struct Named {
    first_one: u8,
    #[config(rename = "an other")]
    second: Option<Choice>,
    #[config(deprecated = "use `FIRST-ONE`")]
    r#type: Option<u8>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Chosen {
    #[config(one_of = ["a", "b c", "é"])]
    a: String,
    #[config(one_of = [1, 2, -4])]
    b: i8,
    #[config(one_of = [0.5, 1.0], default = 0.5)]
    c: f64,
    #[config(one_of = ["x"])]
    d: Option<String>,
    #[config(one_of = [1, 18446744073709551615])]
    e: Option<u64>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Patterns {
    #[config(pattern = "^[a-z][a-z0-9_]{0,3}$")]
    a: String,
    #[config(pattern = "a|b")]
    b: Option<String>,
    #[config(pattern = "^/[a-z]+(/[a-z]+)*$")]
    c: Option<PathBuf>,
}

const MOST: u32 = 9;

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Bounded {
    #[config(range(1..=MOST))]
    a: u32,
    #[config(range(u64::MAX - 5..))]
    b: Option<u64>,
    #[config(range(-1.5..f64::from(MOST)))]
    c: f64,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Generic<T, const N: usize> {
    value: T,
    list: [T; N],
    #[config(default)]
    more: Vec<T>,
}

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Empty;

#[derive(PluginConfig)]
#[allow(dead_code)]
struct Boxed {
    a: Box<Choice>,
    b: Box<Option<u8>>,
    address: Option<SocketAddr>,
}
