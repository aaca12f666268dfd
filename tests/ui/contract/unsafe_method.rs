//! An unsafe method.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    unsafe fn total(&self) -> Result<u64>;
}

fn main() {}
