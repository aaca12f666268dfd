//! A key that is not there, near one that is.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", capabilites = ["totals"])]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
