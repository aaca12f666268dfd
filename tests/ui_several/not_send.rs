//! A field that two threads cannot use at once: the compiler says so of each `impl` that shares it, and of nothing else.
use mlx_core::prelude::*;
use std::cell::Cell;

#[mlx_core::contract(name = "ledger", capabilities = ["totals"])]
#[async_trait]
trait Ledger {
    async fn total(&self) -> Result<u64>;
}

#[mlx_plugin(type = Ledger)]
struct Warehouse {
    total: Cell<u64>,
}

#[async_trait]
impl Ledger for Warehouse {
    async fn total(&self) -> Result<u64> {
        Ok(self.total.get())
    }
}

#[async_trait]
impl Plugin for Warehouse {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Warehouse { total: Cell::new(0) })
    }
}

fn main() {}
