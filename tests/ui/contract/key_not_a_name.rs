//! A value without its key.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", "many")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
