//! An application that links a crate without plugins, and two crates whose plugins share a name.

use mlx_core::prelude::*;
use vector_store::VectorStore;

mlx_core::link!(ours = named_plugins, clashing_plugins);
mlx_core::link!(empty_crate);

fn main() -> Result<()> {
    for problem in registry().problems() {
        println!("problem {problem}");
    }
    mlx_core::block_on(async {
        let text = "plugins: [{type: vector_store, name: approximate}]";
        let refused = registry().activate(Composition::from_yaml(text)?).await.map(drop);
        println!("activate: {:?}", refused.expect_err("the registry has problems"));
        let refused = registry().create::<dyn VectorStore>("approximate", json!({})).await.map(drop);
        println!("create: {:?}", refused.expect_err("the registry has problems"));
        Ok(())
    })
}
