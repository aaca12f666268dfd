//! Replaces the HTTP server again and again while somebody calls it: the program that `tests/benches/reload.py` measures.
//!
//! `swap_http ADDRESS SWAPS SECONDS` waits for a line on standard input before it begins.

use mlx_core::{platform::Replacement, prelude::*};
use std::{
    env, io,
    time::{Duration, Instant},
};

mlx_core::link!(mlx_plugins);

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, swaps, seconds] = arguments.as_slice() else {
        return Err(Error::invalid("usage: swap_http ADDRESS SWAPS SECONDS"));
    };
    let swaps: u32 = swaps.parse().map_err(Error::wrap).context("SWAPS")?;
    let seconds: u32 = seconds.parse().map_err(Error::wrap).context("SECONDS")?;
    let composition = Composition::builder()
        .plugin("model_server", "local", json!({}))
        .plugin("serving_platform", "http", json!({"address": address}))
        .build();
    mlx_core::block_on(registry().run(composition, async |platform| {
        println!("ready");
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        let pause = Duration::from_secs(u64::from(seconds)) / swaps.max(1);
        let began = Instant::now();
        let mut took = Vec::new();
        let mut cancelled = 0;
        for swap in 0..swaps {
            tokio::time::sleep_until((began + pause * swap).into()).await;
            let start = Instant::now();
            let applied = platform.swap("http", Replacement::merge(json!({"max_rows": 1000 + swap}))).await?;
            took.push(start.elapsed());
            cancelled += applied.cancelled_calls;
            for warning in &applied.warnings {
                eprintln!("{warning}");
            }
        }
        took.sort_unstable();
        let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
        println!(
            "{}",
            json!({
                "swaps": took.len(),
                "cancelled_calls": cancelled,
                "median_ms": at(50).as_secs_f64() * 1e3,
                "p99_ms": at(99).as_secs_f64() * 1e3,
            })
        );
        io::stdin().read_line(&mut line)?;
        Ok(())
    }))
}
