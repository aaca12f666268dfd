//! Amounts of memory and storage.

use super::{ConfigValue, Reader};
use crate::value::{Node, Value};
use schemars::{Schema, SchemaGenerator, json_schema};
use std::{fmt, str::FromStr};

/// A number of bytes, written `64MiB`. The units are `B`; `KiB`, `MiB`, `GiB`, `TiB` and `PiB`, powers of 1024; and
/// `kB`, `MB`, `GB`, `TB` and `PB`, powers of 1000 (IEC 80000-13). A bare number is refused, because its unit would
/// be a guess, and so are fractions: `1536MiB` is exact where `1.5GiB` invites doubt.
///
/// ```
/// use mlx_core::{PluginConfig, config::{self, ByteSize}, json};
///
/// #[derive(PluginConfig)]
/// struct Cache {
///     #[config(default = ByteSize::mib(64), range(ByteSize::kib(1)..=ByteSize::gib(4)))]
///     size: ByteSize,
/// }
///
/// let cache: Cache = config::from_json(json!({"size": "1GiB"})).unwrap();
/// assert_eq!(cache.size.bytes(), 1 << 30);
/// assert!(config::from_json::<Cache>(json!({"size": "8GiB"})).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 11] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// A number of bytes.
    pub const fn new(bytes: u64) -> Self {
        ByteSize(bytes)
    }

    /// Units of 1024 bytes; the largest size if that is more than 64 bits hold.
    pub const fn kib(number: u64) -> Self {
        ByteSize(number.saturating_mul(1 << 10))
    }

    /// Units of 1024² bytes; the largest size if that is more than 64 bits hold.
    pub const fn mib(number: u64) -> Self {
        ByteSize(number.saturating_mul(1 << 20))
    }

    /// Units of 1024³ bytes; the largest size if that is more than 64 bits hold.
    pub const fn gib(number: u64) -> Self {
        ByteSize(number.saturating_mul(1 << 30))
    }

    /// Units of 1024⁴ bytes; the largest size if that is more than 64 bits hold.
    pub const fn tib(number: u64) -> Self {
        ByteSize(number.saturating_mul(1 << 40))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    fn parse(text: &str) -> Option<u64> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &text[digits..])?;
        text[..digits].parse::<u64>().ok()?.checked_mul(*unit)
    }
}

/// The largest unit that leaves no rest: `64MiB`, `1000B`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.iter().filter(|(name, _)| name.ends_with("iB"));
        let unit = binary.copied().find(|(_, unit)| self.0 >= *unit && self.0 % unit == 0);
        let (name, unit) = unit.unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

/// Why a text is no [`ByteSize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseByteSizeError;

impl fmt::Display for ParseByteSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a size below 16 EiB such as `512KiB`, `64MiB` or `1GB`")
    }
}

impl std::error::Error for ParseByteSizeError {}

impl FromStr for ByteSize {
    type Err = ParseByteSizeError;
    fn from_str(text: &str) -> Result<Self, ParseByteSizeError> {
        ByteSize::parse(text).map(ByteSize).ok_or(ParseByteSizeError)
    }
}

impl ConfigValue for ByteSize {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: &str = "a size such as `512KiB`, `64MiB` or `1GB`";
        let Value::String(_) = node.value else {
            cx.expected(EXPECTED, node);
            return None;
        };
        let text = cx.string(node)?;
        let size = ByteSize::parse(&text).map(ByteSize);
        if size.is_none() {
            cx.unparsed(EXPECTED, &text, node);
        }
        size
    }
    fn write(&self) -> serde_json::Value {
        self.to_string().into()
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]{1,20}(B|kB|MB|GB|TB|PB|KiB|MiB|GiB|TiB|PiB)$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_needs_a_unit() {
        for (text, bytes) in [("0B", 0), ("1kB", 1000), ("1KiB", 1024), ("64MiB", 1 << 26), ("16383PiB", 16383 << 50)] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "64", "MiB", "1.5GiB", "64 MiB", "64mib", "-1B", "+1B", "16384PiB", "18446744073709551616B"] {
            assert_eq!(text.parse::<ByteSize>(), Err(ParseByteSizeError), "{text}");
        }
    }

    #[test]
    fn what_is_shown_parses_back() {
        for (bytes, text) in [(0, "0B"), (1000, "1000B"), (1536, "1536B"), (1 << 20, "1MiB"), (3 << 30, "3GiB")] {
            assert_eq!(ByteSize(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
        }
        assert_eq!(u64::MAX, ByteSize::tib(u64::MAX).bytes());
    }
}
