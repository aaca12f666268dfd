//! A method that changes the plugin.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    async fn add(&mut self, amount: u64) -> Result<()>;
}

fn main() {}
