//! Plugins under `#[cfg]`.

use crate::Worker;
use mlx_core::prelude::*;

/// Is compiled.
#[cfg(not(feature = "absent"))]
#[mlx_plugin(type = Worker)]
pub struct Compiled;

#[cfg(not(feature = "absent"))]
#[async_trait]
impl Plugin for Compiled {
    type Config = CompiledConfig;
    async fn initialize(_: CompiledConfig, _: &InitContext) -> Result<Self> {
        Ok(Compiled)
    }
}

#[cfg(not(feature = "absent"))]
#[async_trait]
impl Worker for Compiled {
    async fn work(&self) -> Result<String> {
        Ok("compiled".to_owned())
    }
}

/// One setting is compiled out.
#[derive(PluginConfig)]
pub struct CompiledConfig {
    /// Is there.
    #[config(default = 1)]
    pub there: u8,
    /// Is not there, nor is its type.
    #[cfg(feature = "absent")]
    pub absent: Unknown,
}

/// Is not compiled; the attribute below `#[mlx_plugin]` counts as much as one above.
#[mlx_plugin(type = Worker)]
#[cfg(feature = "absent")]
pub struct AbsentBelow {
    unknown: Unknown,
}

/// Is not compiled.
#[cfg(feature = "absent")]
#[mlx_plugin(type = Worker)]
pub struct AbsentAbove {
    unknown: Unknown,
}

/// Is one in another build.
#[cfg_attr(feature = "absent", mlx_plugin(type = Worker))]
pub struct NoPlugin;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_compiled_out_is_unknown() {
        assert_eq!(crate::tests::work("compiled", json!({"there": 2})).unwrap(), "compiled by nobody");
        let report = format!("{:?}", crate::tests::work("compiled", json!({"absent": 2})).unwrap_err());
        assert!(report.contains("MLX0020"), "{report}");
        let _ = NoPlugin;
    }
}
