//! The settings of one plugin, in YAML.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlx_core::Composition;
use mlx_tests::compositions::scrutinize;

fuzz_target!(|settings: &str| {
    let mut text = String::from("plugins:\n  - type: store\n    name: warehouse\n    config:\n");
    for line in settings.lines() {
        text.push_str("      ");
        text.push_str(line);
        text.push('\n');
    }
    scrutinize(&text, Composition::from_yaml(&text));
});
