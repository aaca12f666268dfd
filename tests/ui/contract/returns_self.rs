//! A method that returns its own type.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
pub trait Ledger {
    fn fork(&self) -> Result<Self>;
}

fn main() {}
