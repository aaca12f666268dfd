//! A repeatable method that could not wait between two attempts.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    #[idempotent]
    fn total(&self) -> Result<u64>;
}

fn main() {}
