//! A method for any type.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    async fn add<T: Into<u64> + Send>(&self, amount: T) -> Result<()>;
}

fn main() {}
