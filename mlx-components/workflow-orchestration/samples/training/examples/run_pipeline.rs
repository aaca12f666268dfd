//! Runs a pipeline of the folder `pipelines` on the platform of `platform.yaml`:
//! `cargo run --example run_pipeline -- NAME [PROFILE]`. Without a name, it lists them.

use mlx_core::prelude::*;
use std::path::Path;

use sample::platform::workflows;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = Path::new("pipelines");
    let Some(name) = arguments.next() else {
        workflows::names(folder)?
            .iter()
            .for_each(|name| println!("{name}"));
        return Ok(());
    };
    let profile = arguments.next();
    mlx_core::block_on(async {
        let pipeline = workflows::load(folder, &name)?;
        let mut composition = Composition::from_path("platform.yaml")?;
        if let Some(profile) = profile {
            composition = composition.with_profile(&profile)?;
        }
        registry()
            .run(composition, async |platform| {
                let engine = platform.get_default::<dyn WorkflowEngine>()?;
                let run = engine.submit(WorkflowRequest::new(pipeline)).await?;
                let result = engine.result(&run).await?;
                println!("{result}");
                result.require_success()
            })
            .await
    })
}
