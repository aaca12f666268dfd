//! Two keys with nothing between them.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger" cardinality = "many")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
