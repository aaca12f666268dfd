//! The same checks hold when `#[async_trait]` ran first.
use mlx_core::prelude::*;

#[async_trait]
#[mlx_core::contract(name = "ledger")]
pub trait Ledger {
    async fn owner(&self) -> Result<&str>;
}

fn main() {}
