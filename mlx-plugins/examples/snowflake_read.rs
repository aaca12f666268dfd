//! Reads all rows of a query from Snowflake's connector protocol, part by part, and says how long it took: the program that
//! `tests/benches/snowflake_arrow.py` measures.
//!
//! `snowflake_read URL SQL`

use mlx_core::prelude::*;
use std::{future::poll_fn, time::Instant};

mlx_core::link!(mlx_plugins);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, sql] = arguments.as_slice() else {
        return Err(Error::invalid("usage: snowflake_read URL SQL"));
    };
    let settings = json!({
        "base_url": url, "account": "a", "user": "u", "password": "p", "warehouse": "W", "database": "D", "schema": "S",
    });
    let composition = Composition::builder().plugin("data_source", "snowflake", settings).build();
    mlx_core::block_on(registry().run(composition, async |platform| {
        let source = platform.get::<dyn DataSource>("snowflake")?;
        let began = Instant::now();
        let (mut rows, mut parts) = (0, 0);
        let mut stream = source.query_stream(sql, Vec::new()).await?;
        while let Some(part) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            rows += part?.num_rows();
            parts += 1;
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("{}", json!({"rows": rows, "parts": parts, "seconds": seconds, "peak_mib": peak()}));
        Ok(())
    }))
}

/// The most memory this process has had in RAM, in MiB; only Linux says it here.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}
