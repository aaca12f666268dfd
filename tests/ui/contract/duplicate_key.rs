//! A key twice.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", name = "book")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
