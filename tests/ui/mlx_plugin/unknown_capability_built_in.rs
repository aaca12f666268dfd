//! A capability that a built-in type does not have.
use mlx_core::{Credential, Principal, prelude::*};

#[mlx_plugin(type = "security", capabilities = ["telepathy"])]
struct Guard;

#[async_trait]
impl Security for Guard {
    async fn authenticate(&self, _: Credential) -> Result<Principal> {
        unimplemented!()
    }
    async fn authorize(&self, _: Principal, _: &str, _: &str) -> Result<bool> {
        Ok(false)
    }
}

#[async_trait]
impl Plugin for Guard {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Guard)
    }
}

fn main() {}
