//! A composition in TOML.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlx_core::Composition;
use mlx_tests::compositions::scrutinize;

fuzz_target!(|text: &str| scrutinize(text, Composition::from_toml(text)));
