//! Logs metrics to an MLflow server one by one, and says how long each call took: the program that
//! `tests/benches/mlflow_logging.py` measures.
//!
//! `mlflow_log URL METRICS`

use mlx_core::prelude::*;
use std::time::Instant;

mlx_core::link!(mlx_plugins);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, metrics] = arguments.as_slice() else {
        return Err(Error::invalid("usage: mlflow_log URL METRICS"));
    };
    let metrics: usize = metrics.parse().map_err(Error::wrap).context("METRICS")?;
    let composition =
        Composition::builder().plugin("experiment_tracker", "mlflow", json!({"url": url, "queue": metrics})).build();
    mlx_core::block_on(registry().run(composition, async |platform| {
        let tracker = platform.get::<dyn ExperimentTracker>("mlflow")?;
        let run = tracker.start_run(NewRun::new("logging", "mlx")).await?.id;
        // On a worker of the runtime, as a task of a program is.
        let logging = tokio::spawn(async move {
            let mut took = Vec::with_capacity(metrics);
            let began = Instant::now();
            for step in 0..metrics {
                let start = Instant::now();
                let metric = Metric::new("loss", 1.0 / (1.0 + step as f64)).step(step as i64);
                tracker.log_metrics(&run, vec![metric]).await?;
                took.push(start.elapsed().as_nanos() as u64);
            }
            let logged = began.elapsed();
            tracker.end_run(&run, RunStatus::Finished).await?;
            Ok::<_, Error>((run, took, logged, began.elapsed()))
        });
        let (run, mut took, logged, all) = logging.await.context("logging")??;
        took.sort_unstable();
        let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
        println!(
            "{}",
            json!({
                "run": run, "median_ns": at(50), "p99_ns": at(99), "max_ns": took.last(),
                "logged_s": logged.as_secs_f64(), "stored_s": all.as_secs_f64(),
            })
        );
        Ok(())
    }))
}
