//! A cardinality by something that is no setting.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger", cardinality = "one per Tenant Name")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
}

fn main() {}
