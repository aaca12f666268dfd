//! A trait with a type parameter.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger<C> {
    async fn total(&self, currency: C) -> Result<u64>;
}

fn main() {}
