//! An async method without `#[async_trait]`.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
