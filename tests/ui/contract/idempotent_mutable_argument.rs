//! A repeatable method that changes an argument.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    #[idempotent]
    async fn read(&self, into: &mut Vec<u8>) -> Result<u64>;
}

fn main() {}
