//! A method outside the trait object, without a body.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    fn open() -> Result<Self>
    where
        Self: Sized;
}

fn main() {}
