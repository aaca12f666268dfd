//! How the types of the standard library are read.

use super::{ByteSize, ConfigFields, ConfigValue, DefaultValue, Meta, Reader, Shape, byte_size, meta::Message, schema};
use crate::{
    config::Fields,
    diagnostics::{Code, Diagnostic, Location},
    value::{Entry, Node, Value},
};
use schemars::{Schema, SchemaGenerator, json_schema};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{BuildHasher, Hash},
    net::{IpAddr, SocketAddr},
    num::NonZero,
    path::PathBuf,
    time::Duration,
};

impl ConfigValue for bool {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let node = cx.scalar(node)?;
        match node.value {
            Value::Bool(truth) => Some(truth),
            _ => {
                cx.expected("true or false", &node);
                None
            }
        }
    }
    fn write(&self) -> serde_json::Value {
        (*self).into()
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "boolean"})
    }
}

impl ConfigValue for String {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        cx.string(node).map(Cow::into_owned)
    }
    fn write(&self) -> serde_json::Value {
        self.as_str().into()
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// Reads any integer, so that each width costs only a conversion.
#[inline(never)]
fn integer(node: &Node, cx: &mut Reader<'_>, min: i128, max: i128) -> Option<i128> {
    let node = cx.scalar(node)?;
    let number = match node.value {
        Value::Int(number) => i128::from(number),
        Value::Uint(number) => i128::from(number),
        // `5.0` is a whole number for JSON, and so for the schema.
        Value::Float(number) if number.fract() == 0.0 => number as i128,
        _ => {
            cx.expected("an integer", &node);
            return None;
        }
    };
    if (min..=max).contains(&number) {
        return Some(number);
    }
    let what = if cx.is_secret() { "the value".to_owned() } else { format!("`{number}`") };
    cx.outside(what, min, max, node.location.as_ref());
    None
}

macro_rules! integers {
    ($($number:ty),+) => { $(impl ConfigValue for $number {
        fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
            integer(node, cx, <$number>::MIN as i128, <$number>::MAX as i128).and_then(|n| n.try_into().ok())
        }
        fn write(&self) -> serde_json::Value {
            (*self).into()
        }
        fn schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({"type": "integer", "minimum": <$number>::MIN, "maximum": <$number>::MAX})
        }
    })+ };
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

macro_rules! non_zero {
    ($($number:ty),+) => { $(impl ConfigValue for NonZero<$number> {
        fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
            let read = <$number>::read(node, cx)?;
            let number = NonZero::new(read);
            if number.is_none() {
                cx.error(Code::OutOfRange, "zero is out of range: expected any other number", node.location.as_ref());
            }
            number
        }
        fn write(&self) -> serde_json::Value {
            self.get().into()
        }
        fn schema(_: &mut SchemaGenerator) -> Schema {
            match <$number>::MIN {
                0 => json_schema!({"type": "integer", "minimum": 1, "maximum": <$number>::MAX}),
                min => json_schema!({
                    "type": "integer", "minimum": min, "maximum": <$number>::MAX, "not": {"const": 0},
                }),
            }
        }
    })+ };
}

non_zero!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

/// Reads any number; `max` is the greatest that its type holds.
#[inline(never)]
fn float(node: &Node, cx: &mut Reader<'_>, max: f64) -> Option<f64> {
    let node = cx.scalar(node)?;
    let number = match node.value {
        Value::Int(number) => number as f64,
        Value::Uint(number) => number as f64,
        Value::Float(number) if number.is_finite() => number,
        _ => {
            cx.expected("a finite number", &node);
            return None;
        }
    };
    if number.abs() <= max {
        return Some(number);
    }
    let what = if cx.is_secret() { "the value".to_owned() } else { format!("`{number:e}`") };
    let message = format!("{what} is out of range: expected {:e} to {max:e}", -max);
    cx.error(Code::OutOfRange, message, node.location.as_ref());
    None
}

/// `f32::MAX` as it is written; read back as `f64` it is a little more, but nearest to `f32::MAX`.
const MAX_F32: f64 = 3.402_823_5e38;

fn json_number(number: f64) -> serde_json::Value {
    serde_json::Number::from_f64(number).map_or(serde_json::Value::Null, Into::into)
}

impl ConfigValue for f64 {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        float(node, cx, f64::MAX)
    }
    fn write(&self) -> serde_json::Value {
        json_number(*self)
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number"})
    }
}

impl ConfigValue for f32 {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        float(node, cx, MAX_F32).map(|number| number as f32)
    }
    /// As few digits as tell the number from its neighbours: `0.1`, not `0.10000000149011612`.
    fn write(&self) -> serde_json::Value {
        json_number(self.to_string().parse().unwrap_or_else(|_| f64::from(*self)))
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": -MAX_F32, "maximum": MAX_F32})
    }
}

/// Reads text that another type parses.
#[inline(never)]
fn parsed<T: std::str::FromStr>(node: &Node, cx: &mut Reader<'_>, expected: &str) -> Option<T> {
    let text = cx.string(node)?;
    let value = text.parse().ok();
    if value.is_none() {
        cx.unparsed(expected, &text, node);
    }
    value
}

macro_rules! texts {
    ($($type:ty: $expected:literal, $schema:tt;)+) => { $(impl ConfigValue for $type {
        fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
            parsed(node, cx, $expected)
        }
        fn write(&self) -> serde_json::Value {
            self.to_string().into()
        }
        fn schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!($schema)
        }
    })+ };
}

macro_rules! octets {
    () => {
        r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}"
    };
}

macro_rules! group {
    () => {
        "[0-9A-Fa-f]{1,4}"
    };
}

/// The address by RFC 4291, section 2.2, `::` in each of its places; a scope of 32 bits; a port of 16.
const SOCKET_ADDRESS: &str = concat!(
    "^(",
    octets!(),
    r"|\[(",
    "(",
    group!(),
    ":){7}",
    group!(),
    "|(",
    group!(),
    ":){6}",
    octets!(),
    "|",
    "(",
    group!(),
    ":){1,7}:|",
    "(",
    group!(),
    ":){1,6}:",
    group!(),
    "|",
    "(",
    group!(),
    ":){1,5}(:",
    group!(),
    "){2}|",
    "(",
    group!(),
    ":){1,4}(:",
    group!(),
    "){3}|",
    "(",
    group!(),
    ":){1,3}(:",
    group!(),
    "){4}|",
    "(",
    group!(),
    ":){1,2}(:",
    group!(),
    "){5}|",
    group!(),
    ":(:",
    group!(),
    "){6}|",
    ":((:",
    group!(),
    "){1,7}|:)|",
    "::(",
    group!(),
    ":){0,5}",
    octets!(),
    "|",
    "(",
    group!(),
    ":):(",
    group!(),
    ":){0,4}",
    octets!(),
    "|",
    "(",
    group!(),
    ":){2}:(",
    group!(),
    ":){0,3}",
    octets!(),
    "|",
    "(",
    group!(),
    ":){3}:(",
    group!(),
    ":){0,2}",
    octets!(),
    "|",
    "(",
    group!(),
    ":){4}:(",
    group!(),
    ":)?",
    octets!(),
    "|",
    "(",
    group!(),
    ":){5}:",
    octets!(),
    ")(%0*(429496729[0-5]|42949672[0-8][0-9]|4294967[01][0-9]{2}|429496[0-6][0-9]{3}|42949[0-5][0-9]{4}",
    "|4294[0-8][0-9]{5}|429[0-3][0-9]{6}|42[0-8][0-9]{7}|4[01][0-9]{8}|[1-3]?[0-9]{1,9}))?",
    r"\]):0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})$",
);

texts! {
    char: "one character", {"type": "string", "minLength": 1, "maxLength": 1};
    IpAddr: "an IP address such as `127.0.0.1`", {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]};
    SocketAddr: "an address and port such as `127.0.0.1:8080`", {
        "type": "string",
        "pattern": SOCKET_ADDRESS,
    };
}

impl ConfigValue for PathBuf {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        cx.string(node).map(|text| PathBuf::from(text.into_owned()))
    }
    fn write(&self) -> serde_json::Value {
        self.to_string_lossy().into()
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

const DURATION: &str = "a duration such as `500ms`, `30s`, `5m` or `1h30m`";

/// A length of time: `500ms`, `30s`, `5m`, `2h`, `1d`, or parts together, `1h30m`. A bare number is refused,
/// because its unit would be a guess.
impl ConfigValue for Duration {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let Value::String(_) = node.value else {
            cx.expected(DURATION, node);
            return None;
        };
        let text = cx.string(node)?;
        let duration = duration(&text);
        if duration.is_none() {
            cx.unparsed(DURATION, &text, node);
        }
        duration
    }
    fn write(&self) -> serde_json::Value {
        let (seconds, nanos) = (self.as_secs(), self.subsec_nanos());
        let (rest, unit, each) =
            if nanos % 1_000_000 == 0 { (nanos / 1_000_000, "ms", 1000) } else { (nanos, "ns", 1_000_000_000) };
        match seconds {
            _ if nanos == 0 => format!("{seconds}s"),
            // Short enough for one number.
            0..1_000_000 => format!("{}{unit}", seconds * each + u64::from(rest)),
            _ => format!("{seconds}s{rest}{unit}"),
        }
        .into()
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9]{1,18}(ns|us|ms|s)|[0-9]{1,14}(m|h|d))+$"})
    }
}

/// A constant can parse it too, for [`written_duration`].
const fn duration(text: &str) -> Option<Duration> {
    let bytes = text.as_bytes();
    let (mut total, mut at) = (Duration::ZERO, 0);
    while at < bytes.len() {
        let start = at;
        let mut number: u64 = 0;
        // As many digits as every unit has room for; the schema says so too.
        while at < bytes.len() && bytes[at].is_ascii_digit() && at - start < 18 {
            number = number * 10 + (bytes[at] - b'0') as u64;
            at += 1;
        }
        let digits = at - start;
        let (length, most, part) = match bytes.split_at(at).1 {
            [b'n', b's', ..] => (2, 18, Some(Duration::from_nanos(number))),
            [b'u', b's', ..] => (2, 18, Some(Duration::from_micros(number))),
            [b'm', b's', ..] => (2, 18, Some(Duration::from_millis(number))),
            [b's', ..] => (1, 18, Some(Duration::from_secs(number))),
            [b'm', ..] => (1, 14, minutes(number, 1)),
            [b'h', ..] => (1, 14, minutes(number, 60)),
            [b'd', ..] => (1, 14, minutes(number, 1440)),
            _ => return None,
        };
        let Some(part) = part else { return None };
        let Some(sum) = total.checked_add(part) else { return None };
        if digits == 0 || digits > most {
            return None;
        }
        total = sum;
        at += length;
    }
    if bytes.is_empty() { None } else { Some(total) }
}

const fn minutes(number: u64, each: u64) -> Option<Duration> {
    match number.checked_mul(60 * each) {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => None,
    }
}

/// What `#[config(default = "50ms")]` is on a `Duration`: read while compiling, by the grammar of files.
///
/// # Panics
/// Refuses, while compiling, a text that is no duration.
#[doc(hidden)]
#[track_caller]
pub const fn written_duration(text: &str) -> Duration {
    match duration(text) {
        Some(duration) => duration,
        None => refuse(text, DURATION),
    }
}

/// What `#[config(default = "64MiB")]` is on a `ByteSize`: read while compiling, by the grammar of files.
///
/// # Panics
/// Refuses, while compiling, a text that is no size.
#[doc(hidden)]
#[track_caller]
pub const fn written_size(text: &str) -> ByteSize {
    match ByteSize::parse(text) {
        Some(bytes) => ByteSize(bytes),
        None => refuse(text, byte_size::EXPECTED),
    }
}

#[track_caller]
const fn refuse(text: &str, expected: &str) -> ! {
    let message = Message::new().with("`").with(text).with("` is not ").with(expected);
    panic!("{}", message.as_str());
}

impl ConfigValue for serde_json::Value {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            // One by one, so that all mistakes are found.
            Value::List(items) => {
                let read = |(index, item)| cx.element(index, |cx| Self::read(item, cx));
                let read: Vec<Option<Self>> = items.iter().enumerate().map(read).collect();
                read.into_iter().collect()
            }
            Value::Map(map) => {
                let read = |entry: &Entry| {
                    let value = cx.nested(entry.key.clone(), |cx| Self::read(&entry.value, cx));
                    value.map(|value| (entry.key.clone(), value))
                };
                let read: Vec<Option<(String, Self)>> = map.iter().map(read).collect();
                read.into_iter().collect::<Option<serde_json::Map<_, _>>>().map(Self::from)
            }
            _ => cx.scalar(node).map(|node| node.to_json()),
        }
    }
    fn write(&self) -> serde_json::Value {
        self.clone()
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

impl<T: ConfigValue> ConfigValue for Option<T> {
    const OPTIONAL: bool = true;
    const SECRET: bool = T::SECRET;

    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Null => Some(None),
            _ => T::read(node, cx).map(Some),
        }
    }
    fn missing() -> Option<Self> {
        Some(None)
    }
    fn write(&self) -> serde_json::Value {
        self.as_ref().map_or(serde_json::Value::Null, ConfigValue::write)
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        schema::nullable(T::schema(generator))
    }
}

impl<T: ConfigValue> ConfigValue for Box<T> {
    const OPTIONAL: bool = T::OPTIONAL;
    const SECRET: bool = T::SECRET;

    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        T::read(node, cx).map(Box::new)
    }
    fn missing() -> Option<Self> {
        T::missing().map(Box::new)
    }
    fn write(&self) -> serde_json::Value {
        (**self).write()
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

/// Reads every element, also after a wrong one.
fn elements<T: ConfigValue>(node: &Node, cx: &mut Reader<'_>) -> Option<Vec<T>> {
    let Value::List(items) = &node.value else {
        cx.expected("a list", node);
        return None;
    };
    let mut read = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        read.extend(cx.element(index, |cx| T::read(item, cx)));
    }
    (read.len() == items.len()).then_some(read)
}

impl<T: ConfigValue> ConfigValue for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        elements(node, cx)
    }
    fn write(&self) -> serde_json::Value {
        self.iter().map(ConfigValue::write).collect()
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let items = T::schema(generator);
        json_schema!({"type": "array", "items": items})
    }
}

impl<T: ConfigValue, const N: usize> ConfigValue for [T; N] {
    const SECRET: bool = T::SECRET;

    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let read = elements(node, cx)?;
        let found = read.len();
        let array = read.try_into().ok();
        if array.is_none() {
            cx.error(Code::WrongLength, format!("it has {found} items: expected {N} items"), node.location.as_ref());
        }
        array
    }
    fn write(&self) -> serde_json::Value {
        self.iter().map(ConfigValue::write).collect()
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let items = T::schema(generator);
        json_schema!({"type": "array", "items": items, "minItems": N, "maxItems": N})
    }
}

/// Whether a list says the same twice, as JSON Schema understands it: numbers are equal whatever they look like.
fn repeats(node: &Node) -> bool {
    fn number(value: &Value) -> Option<f64> {
        match *value {
            Value::Float(number) => Some(number),
            _ => None,
        }
    }
    fn same(a: &Node, b: &Node) -> bool {
        match (&a.value, &b.value) {
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len() && a.iter().all(|x| b.get(&x.key).is_some_and(|y| same(&x.value, y)))
            }
            (Value::Int(whole), float) | (float, Value::Int(whole)) if number(float).is_some() => {
                number(float) == Some(*whole as f64)
            }
            (Value::Uint(whole), float) | (float, Value::Uint(whole)) if number(float).is_some() => {
                number(float) == Some(*whole as f64)
            }
            (a, b) => a == b,
        }
    }
    let Value::List(items) = &node.value else { return false };
    items.iter().enumerate().any(|(nth, item)| items[..nth].iter().any(|earlier| same(earlier, item)))
}

macro_rules! sets {
    ($(impl[$($generics:tt)*] $type:ty;)+) => { $(impl<$($generics)*> ConfigValue for $type {
        const SECRET: bool = T::SECRET;

        fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
            let read = elements(node, cx)?;
            let found = read.len();
            let set: Self = read.into_iter().collect();
            // `60s` and `1m` are one item, but nobody wrote it twice.
            if set.len() < found && repeats(node) {
                let diagnostic = Diagnostic::error(Code::InvalidValue, "an item appears twice");
                cx.report(diagnostic.at(node.location.as_ref()).help("remove one of the two"));
                return None;
            }
            Some(set)
        }
        fn write(&self) -> serde_json::Value {
            self.iter().map(ConfigValue::write).collect()
        }
        fn schema(generator: &mut SchemaGenerator) -> Schema {
            let items = T::schema(generator);
            json_schema!({"type": "array", "items": items, "uniqueItems": true})
        }
    })+ };
}

sets! {
    impl[T: ConfigValue + Ord] BTreeSet<T>;
    impl[T: ConfigValue + Eq + Hash, S: BuildHasher + Default] HashSet<T, S>;
}

macro_rules! maps {
    ($(impl[$($generics:tt)*] $type:ty;)+) => { $(
        impl<$($generics)*> ConfigValue for $type {
            const SECRET: bool = T::SECRET;

            fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
                let mut fields = cx.fields(node)?;
                Self::read_fields(&mut fields, cx)
            }
            fn write(&self) -> serde_json::Value {
                let mut map = serde_json::Map::new();
                self.write_fields(&mut map);
                map.into()
            }
            fn schema(generator: &mut SchemaGenerator) -> Schema {
                let values = T::schema(generator);
                json_schema!({"type": "object", "additionalProperties": values})
            }
        }

        impl<$($generics)*> ConfigFields for $type {
            const META: &'static Meta = &Meta { name: "", doc: "", component: "", shape: Shape::Map(T::schema) };

            fn read_fields(fields: &mut Fields<'_>, cx: &mut Reader<'_>) -> Option<Self> {
                let rest = fields.take_rest();
                let expected = rest.len();
                let map: Self = rest
                    .into_iter()
                    .filter_map(|entry| {
                        let value = cx.nested(entry.key.clone(), |cx| T::read(&entry.value, cx))?;
                        Some((entry.key.clone(), value))
                    })
                    .collect();
                (map.len() == expected).then_some(map)
            }
            fn write_fields(&self, map: &mut serde_json::Map<String, serde_json::Value>) {
                map.extend(self.iter().map(|(key, value)| (key.clone(), value.write())));
            }
        }
    )+ };
}

maps! {
    impl[T: ConfigValue] BTreeMap<String, T>;
    impl[T: ConfigValue, S: BuildHasher + Default] HashMap<String, T, S>;
}

macro_rules! defaults {
    ($(impl[$($generics:tt)*] $type:ty;)+) => { $(impl<$($generics)*> DefaultValue for $type {
        fn default_value(_: Option<&Location>, _: &mut Reader<'_>) -> Option<Self> {
            Some(Self::default())
        }
        fn default_json() -> serde_json::Value {
            super::adaptor::default_json::<Self>()
        }
    })+ };
}

defaults! {
    impl[] bool;
    impl[] char;
    impl[] u8;
    impl[] u16;
    impl[] u32;
    impl[] u64;
    impl[] usize;
    impl[] i8;
    impl[] i16;
    impl[] i32;
    impl[] i64;
    impl[] isize;
    impl[] f32;
    impl[] f64;
    impl[] String;
    impl[] PathBuf;
    impl[] Duration;
    impl[] ByteSize;
    impl[] serde_json::Value;
    impl[T: ConfigValue] Option<T>;
    impl[T: ConfigValue] Vec<T>;
    impl[T: ConfigValue + Ord] BTreeSet<T>;
    impl[T: ConfigValue + Eq + Hash, S: BuildHasher + Default] HashSet<T, S>;
    impl[T: ConfigValue] BTreeMap<String, T>;
    impl[T: ConfigValue, S: BuildHasher + Default] HashMap<String, T, S>;
}

impl<T: DefaultValue> DefaultValue for Box<T> {
    fn default_value(location: Option<&Location>, cx: &mut Reader<'_>) -> Option<Self> {
        T::default_value(location, cx).map(Box::new)
    }
    fn default_json() -> serde_json::Value {
        T::default_json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        for text in ["", "5", "s", "5 s", "-5s", "5y", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_part_of_a_duration_has_a_number_and_one_unit() {
        assert_eq!(duration("999999999999999999s1ns"), Some(Duration::new(999_999_999_999_999_999, 1)));
        assert_eq!(duration("0d00h5m1ms"), Some(Duration::from_millis(300_001)));
        for text in ["5mx", "5h30", "1s ", "1m2", "ms", "1000000000000000000s", "100000000000000m", "5µs", "1.5s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn the_schema_and_the_reader_know_the_same_socket_addresses() {
        let pattern = regex_lite::Regex::new(SOCKET_ADDRESS).unwrap();
        let mut right = 0;
        let groups = ["", "0", "1:", "::", ":", "1:2:3", "12345", "g", "4:5:6:7", "1.2.3.4"];
        let ends = ["]:80", "%1]:080", "%4294967295]:65535", "%4294967296]:1", "%]:1", "]:65536", "]80"];
        for first in groups {
            for second in groups {
                for third in groups {
                    for end in ends {
                        for text in [format!("[{first}{second}{third}{end}"), format!("[{first}:{second}:{third}{end}")]
                        {
                            let read = text.parse::<SocketAddr>().is_ok();
                            assert_eq!(pattern.is_match(&text), read, "{text}");
                            right += usize::from(read);
                        }
                    }
                }
            }
        }
        assert!(right > 300, "only {right} of them are addresses");
        for text in
            ["127.0.0.1:80", "1.2.3.4:065535", "255.255.255.255:0", "1.2.3:80", "1.2.3.4.5:80", "01.2.3.4:80", "a:80"]
        {
            assert_eq!(pattern.is_match(text), text.parse::<SocketAddr>().is_ok(), "{text}");
        }
    }

    #[test]
    fn every_wrong_element_is_reported() {
        let node = Node::from(serde_json::json!([1, "x", 300, 2, null]));
        let mut cx = Reader::literal();
        assert!(Vec::<u8>::read(&node, &mut cx).is_none());
        let (found, _) = cx.into_parts();
        let seen: Vec<_> = found.iter().map(|d| (d.code, d.path.as_deref().unwrap_or(""))).collect();
        assert_eq!(seen, [(Code::WrongType, "[1]"), (Code::OutOfRange, "[2]"), (Code::WrongType, "[4]")]);
    }

    #[test]
    fn references_in_any_value_are_looked_up() {
        let variables = HashMap::from([("PORT".to_owned(), "80".to_owned()), ("HOST".to_owned(), "a".to_owned())]);
        let json = serde_json::json!({"hosts": ["${env:HOST}", "b"], "port": "${env:PORT}", "escaped": "$${x}"});
        let node = Node::from(json.clone());
        let mut cx = Reader::plan(&variables);
        let read = serde_json::Value::read(&node, &mut cx).unwrap();
        assert_eq!(read, serde_json::json!({"hosts": ["a", "b"], "port": 80, "escaped": "${x}"}));
        assert_eq!(serde_json::Value::read(&node, &mut Reader::literal()), Some(json));

        let node = Node::from(serde_json::json!({"a": ["${env:NONE}"], "b": {"c": "${file:/none}"}}));
        let mut cx = Reader::plan(&variables);
        assert!(serde_json::Value::read(&node, &mut cx).is_none());
        let (found, _) = cx.into_parts();
        let seen: Vec<_> = found.iter().map(|d| (d.code, d.path.as_deref().unwrap_or(""))).collect();
        assert_eq!(seen, [(Code::MissingVariable, "a[0]"), (Code::MissingFile, "b.c")]);
    }

    #[test]
    fn a_written_value_reads_back() {
        fn round<T: ConfigValue + PartialEq + std::fmt::Debug>(value: T) {
            let mut cx = Reader::literal();
            assert_eq!(T::read(&Node::from(value.write()), &mut cx).as_ref(), Some(&value));
        }
        round(Duration::from_millis(1500));
        round(Duration::from_secs(90));
        round(Duration::from_nanos(1_000_000_001));
        round(vec![Some(1u8), None]);
        round(BTreeMap::from([("a".to_owned(), [1.5f64, 2.0])]));
        round("127.0.0.1:80".parse::<SocketAddr>().unwrap());
        round(u64::MAX);
        round('é');
    }
}
