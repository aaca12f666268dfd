//! A word about how idempotent a method is.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    #[idempotent(always)]
    async fn total(&self) -> Result<u64>;
}

fn main() {}
