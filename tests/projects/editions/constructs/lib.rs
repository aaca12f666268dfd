//! What a user may write around the macros, in each edition.

use mlx_core::prelude::*;

pub mod conditional;
pub mod generated;
pub mod inherited;
pub mod local;
pub mod no_prelude;
pub mod shadowed;

/// Does something.
#[mlx_core::contract(name = "worker", cardinality = "many")]
#[async_trait]
pub trait Worker {
    /// What was done.
    async fn work(&self) -> Result<String>;
    /// By whom.
    fn name(&self) -> Result<String> {
        Ok("nobody".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plugin_that_was_compiled_is_found_and_no_other() {
        let names: Vec<&str> = registry().iter().map(|plugin| plugin.metadata().name).collect();
        assert_eq!(
            names,
            ["cache", "compiled", "first-generated", "in-a-function", "second-generated", "shadowed", "strict"]
        );
        assert!(registry().problems().is_empty(), "{:?}", registry().problems());
    }

    #[test]
    fn each_plugin_knows_its_file_and_line() {
        for plugin in registry().iter() {
            let declared = plugin.metadata().declared;
            assert!(declared.file.replace('\\', "/").contains("constructs/"), "{declared}");
            assert_eq!(declared.krate, env!("CARGO_PKG_NAME"));
            assert!(declared.line > 1, "{declared}");
        }
    }

    /// Starts a plugin by name and asks it.
    pub(crate) fn work(name: &str, config: JsonValue) -> Result<String> {
        mlx_core::block_on(async {
            let worker = registry().create::<dyn Worker>(name, config).await?;
            let done = format!("{} by {}", worker.work().await?, worker.name()?);
            worker.shutdown().await?;
            Ok(done)
        })
    }
}
