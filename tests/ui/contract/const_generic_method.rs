//! A method for any number.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    fn add<const N: usize>(&self, amounts: [u64; N]) -> Result<()>;
}

fn main() {}
