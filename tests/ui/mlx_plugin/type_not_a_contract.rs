//! A trait that is not a contract.
use mlx_core::prelude::*;

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

#[async_trait]
impl Plugin for Warehouse {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Warehouse)
    }
}

fn main() {}
