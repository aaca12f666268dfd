//! A plugin, in a crate that only the facade names.

use mlx_core::prelude::*;
use vector_store::VectorStore;

/// Compares with shortened vectors.
#[mlx_plugin(type = VectorStore)]
pub struct Quantized;

#[async_trait]
impl Plugin for Quantized {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Quantized)
    }
}

#[async_trait]
impl VectorStore for Quantized {
    async fn nearest(&self, _: &[f32]) -> Result<Vec<u64>> {
        Ok(vec![10])
    }
}
