//! A capability that the contract, here one of another crate, does not have.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", capabilities = ["totals"])]
#[async_trait]
trait Ledger {
    async fn total(&self) -> Result<u64>;
}

#[mlx_plugin(type = Ledger, capabilities = ["totals", "averages"])]
struct Warehouse;

#[async_trait]
impl Ledger for Warehouse {
    async fn total(&self) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl Plugin for Warehouse {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Warehouse)
    }
}

fn main() {}
