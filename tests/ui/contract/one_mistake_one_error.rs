//! The trait can be implemented and used as if all of it were right, so that one mistake gives one error.
use mlx_core::{Handle, plugin::PluginKind, prelude::*};

#[mlx_core::contract(name = "ledger")]
#[async_trait]
pub trait Ledger {
    async fn total(&self) -> Result<u64>;
    fn open(path: &str) -> Result<u64>;
}

#[mlx_plugin(type = Ledger)]
struct Book;

#[async_trait]
impl Ledger for Book {
    async fn total(&self) -> Result<u64> {
        Ok(0)
    }
    fn open(_: &str) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl Plugin for Book {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Book)
    }
}

async fn use_it(book: Handle<dyn Ledger>) -> Result<u64> {
    println!("{}", <dyn Ledger as PluginKind>::INFO.name);
    book.total().await
}

fn main() {
    let _ = use_it;
}
