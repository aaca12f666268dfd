//! A method with a foreign calling convention.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    extern "C" fn total(&self) -> Result<u64>;
}

fn main() {}
