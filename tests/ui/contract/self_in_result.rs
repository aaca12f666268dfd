//! A list of plugins of its own type.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
pub trait Ledger {
    fn others(&self) -> Result<Vec<Box<Self>>>;
}

fn main() {}
