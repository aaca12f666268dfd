//! A method that returns nothing.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    fn close(&self);
}

fn main() {}
