//! An application whose plugins come from other crates. Prints what it finds, one line each.

use mlx_core::prelude::*;
use vector_store::VectorStore;

mlx_core::link!(ours = named_plugins, facade);

fn main() -> Result<()> {
    for plugin in registry().iter() {
        let plugin = plugin.metadata();
        println!("plugin {}/{} {} ({})", plugin.kind.name, plugin.name, plugin.version, plugin.declared);
    }
    println!("problems {}", registry().problems().len());
    mlx_core::block_on(run())
}

async fn run() -> Result<()> {
    let text = "plugins:\n  - {type: vector_store, name: exact, config: {limit: 3}}\n  - {type: vector_store, name: quantized}\n";
    let platform = registry().activate(Composition::from_yaml(text)?).await?;
    for name in ["exact", "quantized"] {
        let store = platform.get::<dyn VectorStore>(name)?;
        println!("{name} {:?}", store.nearest(&[0.0; 5]).await?);
    }
    platform.shutdown().await?;

    let text = "plugins:\n  - {type: vector_store, name: remote}\n";
    let refused = registry().activate(Composition::from_yaml(text)?).await.map(drop);
    println!("{:?}", refused.expect_err("no code names the crate of `remote`"));
    Ok(())
}
