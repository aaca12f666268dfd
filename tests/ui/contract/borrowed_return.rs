//! A method that returns a part of the plugin.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    fn owner(&self) -> Result<&str>;
}

fn main() {}
