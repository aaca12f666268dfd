//! A capability with a capital letter.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", capabilities = ["Totals"])]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
