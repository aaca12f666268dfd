//! Nothing outside names what is in here.

use mlx_core::prelude::*;
use vector_store::VectorStore;

/// Settings of the exact search.
#[derive(PluginConfig)]
pub struct ExactConfig {
    /// How many vectors an answer has at most.
    #[config(default = 2, range(1..=100))]
    limit: u64,
}

/// Compares with every vector.
#[mlx_plugin(type = VectorStore, capabilities = ["exact"])]
pub struct Exact {
    limit: u64,
}

#[async_trait]
impl Plugin for Exact {
    type Config = ExactConfig;
    async fn initialize(config: ExactConfig, _: &InitContext) -> Result<Self> {
        Ok(Exact { limit: config.limit })
    }
}

#[async_trait]
impl VectorStore for Exact {
    async fn nearest(&self, vector: &[f32]) -> Result<Vec<u64>> {
        Ok((0..self.limit.min(vector.len() as u64)).collect())
    }
}
