//! A method that takes another plugin of its type.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    fn merge(&self, other: &Self) -> Result<()>;
}

fn main() {}
