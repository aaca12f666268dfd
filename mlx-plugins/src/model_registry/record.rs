//! What the registries agree on: checksums, and what is said of a version that is not there.

use mlx_core::prelude::*;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The SHA-256 in hexadecimal.
pub(super) fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What is wrong with a reference to a model with these versions, the newest first.
pub(super) fn missing(name: &str, version: &VersionRef, known: &[ModelVersion]) -> Error {
    let Some(newest) = known.first() else { return unknown_model(name) };
    Error::not_found(match version {
        VersionRef::Number(version) => {
            format!("the model {name:?} has no version {version}; the newest is {}", newest.version)
        }
        VersionRef::Alias(alias) => {
            let known: Vec<_> = known.iter().flat_map(|version| &version.aliases).map(String::as_str).collect();
            match known.is_empty() {
                true => format!("the model {name:?} has no alias {alias:?}, and no other"),
                false => format!("the model {name:?} has no alias {alias:?}; it has {}", known.join(", ")),
            }
        }
        VersionRef::Latest => format!("the model {name:?} has no version"),
    })
}

pub(super) fn unknown_model(name: &str) -> Error {
    Error::not_found(format!("there is no model {name:?}"))
}

#[cfg(test)]
mod tests {
    /// FIPS 180-2, appendix B.1.
    #[test]
    fn the_checksum_is_sha_256() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::checksum(b"abc"), abc);
    }
}
