//! A constant of the plugin's own.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    const CURRENCY: &'static str;
    async fn total(&self) -> Result<u64>;
}

fn main() {}
