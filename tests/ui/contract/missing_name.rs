//! No name.
use mlx_core::prelude::*;

#[mlx_core::contract(cardinality = "one")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
