//! A capability without a name.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", capabilities = [""])]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
