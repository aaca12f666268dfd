//! A path where a text belongs.
use mlx_core::prelude::*;

#[mlx_core::contract(name = ledger)]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
