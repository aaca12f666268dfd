//! Before `exact` in the alphabet, and declared after it or before it as the linker likes.

use mlx_core::prelude::*;
use vector_store::VectorStore;

/// Compares with a few vectors.
#[mlx_plugin(type = VectorStore, capabilities = ["approximate"])]
pub struct Approximate;

#[async_trait]
impl Plugin for Approximate {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Approximate)
    }
}

#[async_trait]
impl VectorStore for Approximate {
    async fn nearest(&self, _: &[f32]) -> Result<Vec<u64>> {
        Ok(vec![7])
    }
}
