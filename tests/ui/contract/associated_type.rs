//! A type of the plugin's own.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    type Entry;
    async fn total(&self) -> Result<u64>;
}

fn main() {}
