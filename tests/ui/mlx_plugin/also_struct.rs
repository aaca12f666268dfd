//! A further type that is a struct.
use mlx_core::prelude::*;

struct Countable;

#[mlx_plugin(type = "monitoring", also = [Countable])]
struct Warehouse;

#[async_trait]
impl Monitoring for Warehouse {
    async fn record(&self, _: Vec<Measurement>) -> Result<()> {
        Ok(())
    }
    async fn export(&self) -> Result<String> {
        Ok(String::new())
    }
}

#[async_trait]
impl Plugin for Warehouse {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Warehouse)
    }
}

fn main() {}
