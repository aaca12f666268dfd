//! An unsafe trait.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub unsafe trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
