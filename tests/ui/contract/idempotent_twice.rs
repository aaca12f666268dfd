//! A method that is idempotent twice.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    #[idempotent]
    #[idempotent]
    async fn total(&self) -> Result<u64>;
}

fn main() {}
