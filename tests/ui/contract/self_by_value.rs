//! A method that takes the plugin.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    fn close(self) -> Result<u64>;
}

fn main() {}
