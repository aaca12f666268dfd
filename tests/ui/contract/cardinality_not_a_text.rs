//! A cardinality that is no text.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", cardinality = one)]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
