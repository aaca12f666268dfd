//! Amounts of memory and storage.

use super::{ConfigValue, Reader, meta::equal};
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

/// The units, their bytes, and how many digits of them fit 64 bits whatever the digits are.
const UNITS: [(&str, u64, usize); 11] = [
    ("PiB", 1 << 50, 4),
    ("TiB", 1 << 40, 7),
    ("GiB", 1 << 30, 10),
    ("MiB", 1 << 20, 13),
    ("KiB", 1 << 10, 16),
    ("PB", 1_000_000_000_000_000, 4),
    ("TB", 1_000_000_000_000, 7),
    ("GB", 1_000_000_000, 10),
    ("MB", 1_000_000, 13),
    ("kB", 1_000, 16),
    ("B", 1, 19),
];

/// What [`ByteSize::parse`] accepts.
const PATTERN: &str = concat!(
    "^([0-9]{1,19}B|[0-9]{1,16}(kB|KiB)|[0-9]{1,13}(MB|MiB)|[0-9]{1,10}(GB|GiB)|[0-9]{1,7}(TB|TiB)",
    "|[0-9]{1,4}(PB|PiB)|18446744073709551615B)$"
);

pub(super) const EXPECTED: &str = "a size such as `512KiB`, `64MiB` or `1GB`";

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

    /// A constant can parse it too, for [`written_size`](super::written_size).
    pub(super) const fn parse(text: &str) -> Option<u64> {
        let bytes = text.as_bytes();
        let (mut number, mut digits) = (0_u64, 0);
        while digits < bytes.len() && bytes[digits].is_ascii_digit() && digits < 19 {
            number = number * 10 + (bytes[digits] - b'0') as u64;
            digits += 1;
        }
        let (_, given) = text.split_at(digits);
        let mut at = 0;
        while at < UNITS.len() {
            let (unit, size, room) = UNITS[at];
            if equal(unit, given) && digits > 0 && digits <= room {
                return number.checked_mul(size);
            }
            at += 1;
        }
        // All that there is, for "no limit".
        if equal(text, "18446744073709551615B") { Some(u64::MAX) } else { None }
    }
}

/// The largest unit that leaves no rest: `64MiB`, `1000B`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.iter().filter(|(name, ..)| name.ends_with("iB"));
        let unit = binary.copied().find(|(_, unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        let (name, unit, _) = unit.unwrap_or(("B", 1, 19));
        write!(f, "{}{name}", self.0 / unit)
    }
}

/// Why a text is no [`ByteSize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseByteSizeError;

impl fmt::Display for ParseByteSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a size such as `512KiB`, `64MiB` or `1GB`")
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
        json_schema!({"type": "string", "pattern": PATTERN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_needs_a_unit() {
        for (text, bytes) in [
            ("0B", 0),
            ("1kB", 1000),
            ("1KiB", 1024),
            ("64MiB", 1 << 26),
            ("9999PiB", 9999 << 50),
            ("18446744073709551615B", u64::MAX),
        ] {
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
