//! A method that cannot fail.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> u64;
}

fn main() {}
