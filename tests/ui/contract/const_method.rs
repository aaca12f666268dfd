//! A method that would run at compile time.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
pub trait Ledger {
    const fn total(&self) -> Result<u64>;
}

fn main() {}
