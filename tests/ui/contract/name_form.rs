//! A name with capitals.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "GeneralLedger")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
