//! An async method with an error that cannot say that the plugin is stopped.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64, std::num::ParseIntError>;
}

fn main() {}
