//! A method that returns something with a lifetime.
use mlx_core::prelude::*;

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    fn owner<'a>(&'a self) -> Result<std::borrow::Cow<'a, str>>;
}

fn main() {}
