//! Every method that a handle cannot forward is reported, each where it is, and so is the attribute.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", cardinality = "few")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> u64;
    fn open() -> Result<u64>;
    async fn add(&mut self, amount: u64) -> Result<()>;
    fn owner(&self) -> Result<&str>;
}

fn main() {}
