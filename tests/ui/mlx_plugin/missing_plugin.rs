//! The plugin cannot be started.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", capabilities = ["totals"])]
#[async_trait]
trait Ledger {
    async fn total(&self) -> Result<u64>;
}

#[mlx_plugin(type = Ledger)]
struct Warehouse;

#[async_trait]
impl Ledger for Warehouse {
    async fn total(&self) -> Result<u64> {
        Ok(0)
    }
}

fn main() {}
