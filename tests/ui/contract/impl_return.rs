//! A method that returns some type of a kind.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    fn entries(&self) -> impl Iterator<Item = u64>;
}

fn main() {}
