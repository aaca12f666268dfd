//! A trained model as data, so that it can be stored, registered and served by different plugins.

use std::{collections::BTreeMap, fmt};

/// A trained model: opaque bytes in a named format, and what it takes and gives.
#[derive(Clone, PartialEq)]
pub struct Model {
    /// The format of `bytes`, such as `mlx.linear/1`. A server loads the formats it knows.
    pub format: String,
    /// The model itself.
    pub bytes: Vec<u8>,
    /// What it takes and gives.
    pub signature: ModelSignature,
    /// Notes: the trainer, the settings, the version of the library.
    pub metadata: BTreeMap<String, String>,
}

/// What a model takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSignature {
    /// The columns it takes, in order.
    pub features: Vec<String>,
    /// The column it predicts.
    pub target: String,
    /// The classes, in the order of the probabilities it gives; empty for a regression.
    pub classes: Vec<String>,
}

/// The shape; models can be large.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({}, {} bytes, predicts {})", self.format, self.bytes.len(), self.signature.target)
    }
}
