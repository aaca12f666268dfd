//! `impl Plugin` without `#[async_trait]`.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", capabilities = ["totals"])]
#[async_trait]
trait Ledger {
    async fn total(&self) -> Result<u64>;
}

#[mlx_plugin(type = Ledger)]
struct Warehouse;

impl Plugin for Warehouse {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Warehouse)
    }
}

#[async_trait]
impl Ledger for Warehouse {
    async fn total(&self) -> Result<u64> {
        Ok(0)
    }
}

fn main() {}
