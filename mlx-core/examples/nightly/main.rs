//! The program of `docs/pipelines.md`: `cargo run -p mlx-core --example nightly`.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "a program has no callers")]

use mlx_core::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// Something with a job of its own.
#[contract(name = "job", cardinality = "many")]
#[async_trait]
pub trait Job {}

/// What `warehouse` delivers: any type of the program will do.
pub struct Sales(Vec<f64>);

/// Has tables.
#[mlx_plugin(type = Job)]
pub struct Warehouse;

#[async_trait]
impl Plugin for Warehouse {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Warehouse)
    }
    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        match cx.input()["table"].as_str() {
            Some("sales") => Ok(ComponentResult::success().output("rows", 3).with_data(Sales(vec![1.5, 2.0, 4.0]))),
            table => Err(Error::not_found(format!("no table {table:?}"))),
        }
    }
}

impl Job for Warehouse {}

/// Grows trees, and fails the first time that it has to grow many.
#[mlx_plugin(type = Job)]
pub struct Forest {
    large: AtomicU32,
}

#[async_trait]
impl Plugin for Forest {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Forest { large: AtomicU32::new(0) })
    }
    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        let Sales(rows) = cx.data()?;
        let trees = cx.input()["trees"].as_f64().context("how many trees?")?;
        if trees > 100.0 && self.large.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(Error::unavailable("no memory left for now"));
        }
        Ok(ComponentResult::success().metric("accuracy", 1.0 - rows.len() as f64 / (trees + 20.0)))
    }
}

impl Job for Forest {}

/// Writes letters.
#[mlx_plugin(type = Job)]
pub struct Letter;

#[async_trait]
impl Plugin for Letter {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Letter)
    }
    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        Ok(ComponentResult::success().output("letter", cx.input()["text"].clone()))
    }
}

impl Job for Letter {}

pub async fn run() -> Result<String> {
    let composition = Composition::builder()
        .plugin("job", "warehouse", json!({}))
        .plugin("job", "forest", json!({}))
        .plugin("job", "letter", json!({}))
        .build();
    registry()
        .run(composition, async |platform| {
            let pipeline = Pipeline::from_yaml(include_str!("nightly.yaml"))?;
            let result = platform.run(&pipeline).await?.into_result()?;
            let report = result.step("report").context("a report")?;
            Ok(format!("{result}\n{}", report.result.outputs["letter"].as_str().context("a letter")?))
        })
        .await
}

fn main() -> Result<()> {
    println!("{}", mlx_core::block_on(run())?);
    Ok(())
}
