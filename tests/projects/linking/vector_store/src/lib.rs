//! A plugin type of a user's own.

use mlx_core::prelude::*;

/// Finds the vectors nearest to a given one.
#[mlx_core::contract(name = "vector_store", cardinality = "many", capabilities = ["exact", "approximate"])]
#[async_trait]
pub trait VectorStore {
    /// The positions of the nearest vectors, the nearest first.
    async fn nearest(&self, vector: &[f32]) -> Result<Vec<u64>>;
}
