//! The struct can be used as if the attribute were right, so that one mistake gives one error.
use mlx_core::{plugin::Declared, prelude::*, registry::Registration};

#[mlx_core::contract(name = "ledger", capabilities = ["totals"])]
#[async_trait]
trait Ledger {
    async fn total(&self) -> Result<u64>;
}

#[mlx_plugin(type = Ledger, version = "1")]
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

fn main() {
    println!("{}", Warehouse::METADATA.name);
    let _ = Registration::new::<Warehouse>();
}
