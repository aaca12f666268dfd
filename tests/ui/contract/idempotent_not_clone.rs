//! A repeatable method with an argument that can be given only once.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    #[idempotent]
    async fn add(&self, entries: Box<dyn Iterator<Item = u64> + Send>) -> Result<u64>;
}

fn main() {}
