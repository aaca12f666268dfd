//! A function without `self`.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    fn open() -> Result<u64>;
}

fn main() {}
