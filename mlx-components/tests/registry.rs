//! The catalogue of this crate as a whole: it is accepted, and `registry.json` records it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_components::catalogue::Catalogue;
use std::{fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `MLX_WRITE_REGISTRY=1 cargo test -p mlx-components --features catalogue --test registry` writes it anew.
#[test]
fn registry_json_records_the_catalogue() {
    if std::env::var_os("MLX_WRITE_REGISTRY").is_some() {
        let registry = Catalogue::embedded().unwrap().registry();
        let path = root().join("registry.json");
        if fs::read_to_string(&path).ok().as_deref() != Some(&registry) {
            fs::write(path, registry).unwrap();
        }
    }
    let opened = Catalogue::open(root()).unwrap_or_else(|error| {
        panic!("{error:?}\nto record what is there: MLX_WRITE_REGISTRY=1 cargo test -p mlx-components --features catalogue --test registry")
    });
    assert_eq!(fs::read_to_string(root().join("registry.json")).unwrap(), opened.registry());
}

#[test]
fn what_is_embedded_is_what_is_there() {
    let opened = Catalogue::open_unrecorded(root()).unwrap();
    assert_eq!(Catalogue::embedded().unwrap().registry(), opened.registry());
}
