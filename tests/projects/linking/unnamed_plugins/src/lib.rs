//! A plugin, in a crate that is in the application's Cargo.toml and nowhere else.

use mlx_core::prelude::*;
use vector_store::VectorStore;

/// Asks a server.
#[mlx_plugin(type = VectorStore)]
pub struct Remote;

#[async_trait]
impl Plugin for Remote {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Remote)
    }
}

#[async_trait]
impl VectorStore for Remote {
    async fn nearest(&self, _: &[f32]) -> Result<Vec<u64>> {
        Ok(vec![8])
    }
}
