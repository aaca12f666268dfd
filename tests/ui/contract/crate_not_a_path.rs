//! The core's name as a text.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", crate = "mlx_core")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
