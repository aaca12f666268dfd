//! A name that the core will have.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "compute_backend")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
