//! Pipelines: named steps over the plugins of a platform, run as a graph.
//!
//! A [`Pipeline`] is read from a file or made in code; [`Platform::run`](crate::Platform::run) runs it. A step executes
//! a plugin ([`Plugin::execute`](crate::Plugin::execute)) or calls a function, with an input that may refer to what other
//! steps delivered, and can be tried again, bounded in time, recorded and resumed.
//!
//! ```
//! use mlx_core::{pipeline::{Pipeline, Step}, prelude::*};
//!
//! # fn main() -> Result<()> { mlx_core::block_on(async {
//! # registry().run(Composition::from_yaml("plugins: []")?, async |platform| {
//! let pipeline = Pipeline::new("sum")
//!     .step(Step::call("one", |_| async { Ok(ComponentResult::success().output("n", 1)) }))
//!     .step(Step::call("two", |_| async { Ok(ComponentResult::success().output("n", 2)) }))
//!     .step(
//!         Step::call("sum", |cx| async move {
//!             let numbers = cx.input().as_array().context("numbers")?;
//!             Ok(ComponentResult::success().output("n", numbers.iter().filter_map(JsonValue::as_i64).sum::<i64>()))
//!         })
//!         .input(json!(["${steps.one.outputs.n}", "${steps.two.outputs.n}"])),
//!     );
//! let result = platform.run(&pipeline).await?.into_result()?;
//! assert_eq!(result.step("sum").context("a step")?.result.outputs["n"], 3);
//! # Ok(()) }).await }) }
//! ```

mod attempt;
mod check;
mod document;
mod event;
mod record;
mod reference;
mod result;
mod resume;
mod run;

pub use document::{OnFailure, PARALLELISM, Pipeline, Step};
pub use event::{PipelineEvent, PipelineEventKind, PipelineEvents};
pub use result::{PipelineResult, StepResult, StepState};
pub use run::PipelineRun;
