//! Ranges of numbers and lengths.

use super::{ByteSize, Choice, ConfigValue, Secret};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    num::NonZero,
    time::Duration,
};

/// A range with optional ends. The lower end is inclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds<N> {
    /// The least value.
    pub min: Option<N>,
    /// The greatest value.
    pub max: Option<N>,
    /// Whether `max` itself is outside.
    pub exclusive: bool,
}

impl<N: Limit> Bounds<N> {
    /// Whether a number lies inside. NaN lies in no range.
    pub fn contains(&self, number: N) -> bool {
        let above = self.min.is_none_or(|min| number >= min);
        let below = self.max.is_none_or(|max| if self.exclusive { number < max } else { number <= max });
        above && below
    }
}

impl<N: Limit> fmt::Display for Bounds<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.exclusive { "less than" } else { "at most" };
        match (self.min.map(N::show), self.max.map(N::show)) {
            (Some(min), Some(max)) if self.exclusive => write!(f, "at least {min} and less than {max}"),
            (Some(min), Some(max)) => write!(f, "{min} to {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "{below} {max}"),
            (None, None) => f.write_str("any value"),
        }
    }
}

/// An end of a range.
pub trait Limit: PartialOrd + Copy {
    /// As it is written in a file.
    fn show(self) -> String;
    /// As a schema compares it, if it can.
    fn number(self) -> Option<Choice>;
}

/// Types whose value can be compared with `#[config(range(…))]`.
#[diagnostic::on_unimplemented(
    message = "`range` and numbers in `one_of` need a number, and `{Self}` is none",
    label = "not a number",
    note = "for texts, lists and maps use `#[config(length(…))]`"
)]
pub trait Ranged {
    /// The number compared.
    type Number: Limit;
    /// Whether messages must not quote it.
    const SECRET: bool = false;
    /// The number, if there is one.
    fn number(&self) -> Option<Self::Number>;
}

/// Types whose length can be compared with `#[config(length(…))]`.
#[diagnostic::on_unimplemented(
    message = "`length` needs a text, a list or a map, and `{Self}` is none",
    label = "has no length",
    note = "for numbers use `#[config(range(…))]`"
)]
pub trait Length {
    /// What is counted.
    const UNIT: &'static str;
    /// Whether the value must not be shown.
    const SECRET: bool = false;
    /// How many there are.
    fn length(&self) -> Option<usize>;
}

macro_rules! ranged {
    ($($number:ty)+ => $choice:ident($wide:ty)) => { $(
        impl Ranged for $number {
            type Number = $number;
            fn number(&self) -> Option<$number> { Some(*self) }
        }
        impl Limit for $number {
            fn show(self) -> String { self.to_string() }
            fn number(self) -> Option<Choice> { Some(Choice::$choice(self as $wide)) }
        }
    )+ };
}

ranged!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize => Integer(i128));
ranged!(f32 f64 => Float(f64));

macro_rules! ranged_non_zero {
    ($($number:ty),+) => { $(impl Ranged for NonZero<$number> {
        type Number = $number;
        fn number(&self) -> Option<$number> { Some(self.get()) }
    })+ };
}

ranged_non_zero!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

macro_rules! ranged_texts {
    ($($type:ty),+) => { $(
        impl Ranged for $type {
            type Number = $type;
            fn number(&self) -> Option<$type> { Some(*self) }
        }
    )+ };
}

ranged_texts!(ByteSize, Duration);

fn text(value: &impl ConfigValue) -> String {
    match value.write() {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

impl Limit for ByteSize {
    fn show(self) -> String {
        text(&self)
    }
    fn number(self) -> Option<Choice> {
        None
    }
}

impl Limit for Duration {
    /// In the largest unit that needs no other beside it: `2h` rather than `7200s`.
    fn show(self) -> String {
        let seconds = self.as_secs();
        let units = [(86_400, "d"), (3600, "h"), (60, "m")];
        let whole = seconds > 0 && self.subsec_nanos() == 0;
        match units.into_iter().find(|(each, _)| whole && seconds.is_multiple_of(*each)) {
            Some((each, unit)) => format!("{}{unit}", seconds / each),
            None => text(&self),
        }
    }
    fn number(self) -> Option<Choice> {
        None
    }
}

impl<T: Ranged> Ranged for Option<T> {
    type Number = T::Number;
    const SECRET: bool = T::SECRET;
    fn number(&self) -> Option<T::Number> {
        self.as_ref().and_then(T::number)
    }
}

impl<T: Ranged> Ranged for Secret<T> {
    type Number = T::Number;
    const SECRET: bool = true;
    fn number(&self) -> Option<T::Number> {
        self.expose().number()
    }
}

impl Length for String {
    const UNIT: &'static str = "characters";
    fn length(&self) -> Option<usize> {
        Some(self.chars().count())
    }
}

impl<T: Length> Length for Option<T> {
    const UNIT: &'static str = T::UNIT;
    const SECRET: bool = T::SECRET;
    fn length(&self) -> Option<usize> {
        self.as_ref().and_then(T::length)
    }
}

impl<T: Length> Length for Secret<T> {
    const UNIT: &'static str = T::UNIT;
    const SECRET: bool = true;
    fn length(&self) -> Option<usize> {
        self.expose().length()
    }
}

macro_rules! length {
    ($(impl[$($generics:ident),*] $type:ty;)+) => { $(impl<$($generics),*> Length for $type {
        const UNIT: &'static str = "items";
        fn length(&self) -> Option<usize> { Some(self.len()) }
    })+ };
}

length! {
    impl[T] Vec<T>;
    impl[T] BTreeSet<T>;
    impl[T, S] HashSet<T, S>;
    impl[V] BTreeMap<String, V>;
    impl[V, S] HashMap<String, V, S>;
}
