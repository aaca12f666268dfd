//! A name that the core has.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "data_source")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
