//! What `#[derive(PluginConfig)]` writes works whatever names, lints and preludes surround it.
#![no_implicit_prelude]
#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    clippy::all,
    clippy::pedantic
)]
#![expect(dead_code, reason = "the names below only stand in the way")]

use ::core::prelude::rust_2024::test;

mod shadowed {
    pub(crate) struct Option;
    pub(crate) struct Vec;
    pub(crate) struct Result;
    pub(crate) struct String;
    pub(crate) struct Box;
    pub(crate) struct Some;
    pub(crate) struct None;
    pub(crate) struct Ok;
    pub(crate) struct Err;
    pub(crate) struct Json;
    pub(crate) struct Fields;
    pub(crate) struct Reader;
    pub(crate) trait Default {}
    pub(crate) trait From {}
    pub(crate) trait Into {}
    pub(crate) trait Serialize {}
    pub(crate) mod std {}
    pub(crate) mod core {}
    pub(crate) mod serde {}
    pub(crate) mod mlx_core {}
}
#[allow(unused_imports)]
use shadowed::*;

#[allow(non_camel_case_types)]
struct str;
#[allow(non_camel_case_types)]
struct bool;

const MOST: u64 = 9;

/// All that a struct can have.
#[derive(::mlx_core::PluginConfig)]
#[config(rename_all = "camelCase", validate = whole, component = "a/b")]
pub(crate) struct Everything<T, const N: usize> {
    #[config(default = 5, range(1..=64))]
    number: u32,
    #[config(range(-0.5..0.5), default = 0.25)]
    float: f32,
    #[config(non_empty, default = "x", validate = text, pattern = "x", source = "c.json:1")]
    text: ::std::string::String,
    #[config(alias = "old", alias = "older", env = "MLX_HYGIENE", deprecated = "use `text`", example = "x")]
    other: ::core::option::Option<::std::string::String>,
    #[config(one_of = ["x", "y"], default = "x")]
    chosen: ::std::string::String,
    #[config(one_of = [1, 2], default = 1)]
    digit: u8,
    #[config(range(..=MOST), default = 1)]
    most: u64,
    #[config(secret)]
    hidden: ::core::option::Option<::std::string::String>,
    secret: ::mlx_core::Secret,
    #[config(rename = "type")]
    r#type: T,
    #[config(default)]
    nested: Unit,
    #[config(extends, default(word = "y"))]
    base: Base,
    #[config(flatten)]
    rest: ::std::collections::BTreeMap<::std::string::String, T>,
    #[config(skip)]
    skipped: [u8; 2],
    #[config(serde, default)]
    foreign: (u8, u8),
    array: [u8; N],
}

#[derive(::mlx_core::PluginConfig)]
struct Base {
    #[config(default)]
    word: ::std::string::String,
}

#[derive(::mlx_core::PluginConfig)]
struct Unit;

#[derive(::mlx_core::PluginConfig)]
struct Port(#[config(range(1..))] u16);

/// An enum.
#[derive(::mlx_core::PluginConfig)]
#[config(rename_all = "snake_case")]
pub(crate) enum Choice {
    None,
    Some { value: u8 },
    Ok(u8),
}

#[derive(::mlx_core::PluginConfig)]
#[config(tag = "kind")]
enum Tagged {
    None,
    Some {
        value: u8,
        #[config(skip)]
        cache: u8,
    },
    Base(Base),
}

fn whole<T, const N: usize>(all: &Everything<T, N>) -> ::core::result::Result<(), ::std::string::String> {
    text(&all.text)
}

fn text(text: &::core::primitive::str) -> ::core::result::Result<(), ::std::string::String> {
    match text {
        "x" => ::core::result::Result::Ok(()),
        _ => ::core::result::Result::Err(::std::string::String::new()),
    }
}

mod renamed {
    pub(crate) mod inner {
        pub(crate) use ::mlx_core as core_crate;
    }

    #[derive(::mlx_core::PluginConfig)]
    #[config(crate = self::inner::core_crate)]
    pub(crate) struct ThroughAnotherPath {
        #[config(default = 1)]
        pub(crate) a: u8,
    }
}

fn json(text: &::core::primitive::str) -> ::mlx_core::JsonValue {
    <::mlx_core::JsonValue as ::core::str::FromStr>::from_str(text).unwrap_or_default()
}

#[test]
fn everything_compiles_and_reads() {
    fn local() -> u8 {
        #[derive(::mlx_core::PluginConfig)]
        struct Local {
            #[config(default = 7)]
            a: u8,
        }
        ::mlx_core::config::from_json::<Local>(json("{}")).map_or(0, |local| local.a)
    }
    fn is_config<T: ::mlx_core::PluginConfig>() {}
    is_config::<Everything<u8, 3>>();
    is_config::<Unit>();
    is_config::<Port>();
    is_config::<Choice>();
    is_config::<Tagged>();
    is_config::<renamed::ThroughAnotherPath>();
    ::std::assert_eq!(local(), 7);
    let text = r#"{"secret": "s", "type": 1, "array": [1, 2], "more": 4}"#;
    let read = ::mlx_core::config::from_json::<Everything<u8, 2>>(json(text));
    ::std::assert!(
        ::std::matches!(&read, ::core::result::Result::Ok(read) if read.base.word == "y" && read.number == 5)
    );
}
