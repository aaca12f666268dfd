//! Methods that a macro writes.
use mlx_core::prelude::*;

macro_rules! methods {
    () => {
        fn total(&self) -> Result<u64>;
    };
}

#[mlx_core::contract(name = "ledger")]
pub trait Ledger {
    methods!();
}

fn main() {}
