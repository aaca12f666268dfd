//! A method that takes any type of a kind.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    fn add(&self, amounts: impl Iterator<Item = u64>) -> Result<()>;
}

fn main() {}
