//! The plugin type's contract is not implemented.
use mlx_core::prelude::*;

#[mlx_plugin(type = "monitoring")]
struct Warehouse;

#[async_trait]
impl Plugin for Warehouse {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Warehouse)
    }
}

fn main() {}
