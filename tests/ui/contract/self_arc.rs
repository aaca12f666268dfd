//! A method of a shared pointer.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    async fn total(self: std::sync::Arc<Self>) -> Result<u64>;
}

fn main() {}
