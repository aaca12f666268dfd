//! A plugin by the name of another crate's.

use mlx_core::prelude::*;
use vector_store::VectorStore;

/// Also compares with every vector.
#[mlx_plugin(type = VectorStore)]
pub struct Exact;

#[async_trait]
impl Plugin for Exact {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Exact)
    }
}

#[async_trait]
impl VectorStore for Exact {
    async fn nearest(&self, _: &[f32]) -> Result<Vec<u64>> {
        Ok(vec![9])
    }
}
