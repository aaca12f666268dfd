//! A stream that is not the result itself.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    async fn entries(&self) -> Result<Option<BoxStream<u64>>>;
}

fn main() {}
