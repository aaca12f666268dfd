//! `sql`: transforms a table with SQL, and checks its columns.
//!
//! ```yaml
//! plugins:
//!   - type: data_processor
//!     name: sql
//!     config:
//!       steps:
//!         - select *, mean_area / mean_perimeter as compact from input where mean_area > 0
//!         - select diagnosis, avg(compact) as compact from input group by diagnosis
//!       expect:
//!         - {column: mean_area, type: number, nullable: false, min: 0}
//!         - {column: diagnosis, one_of: [benign, malignant]}
//! ```
//!
//! The steps run in SQLite's dialect over a database in memory that holds nothing but the table `input`; they can
//! neither change anything nor reach a file. Each call has a database of its own, so calls do not wait for each
//! other. The whole table passes through memory: this is for batches, not for streams.
//!
//! [`process_data`](DataProcessor::process_data) does not check expectations;
//! [`validate_schema`](DataProcessor::validate_schema) does, on the table it is given.

mod expectation;
#[cfg(test)]
mod tests;

pub use expectation::{ColumnType, Expectation};

use crate::sqlite_arrow::{Deadline, allow_everything, allow_queries, failure, query, run, write};
use mlx_core::{Context, Error, prelude::*};
use rusqlite::Connection;
use std::{sync::Arc, time::Duration};

/// The table that a step reads.
const INPUT: &str = "input";

/// Settings of a SQL processor.
#[derive(Clone, Debug, PluginConfig)]
pub struct SqlConfig {
    /// Queries over the table `input`, in order: the first reads the data, each other the result of the one before
    /// it. Without any the data is passed on as it is.
    #[config(default)]
    pub steps: Vec<String>,
    /// What the columns of a table must be like.
    #[config(default, validate = expectation::check_columns)]
    pub expect: Vec<Expectation>,
    /// Whether columns without an expectation are violations.
    #[config(default = false)]
    pub strict: bool,
    /// Time after which processing is cancelled, all steps together.
    #[config(default = Duration::from_secs(30))]
    pub timeout: Duration,
}

/// Transforms tables with SQL and checks their columns.
#[mlx_plugin(
    type = "data_processor",
    name = "sql",
    capabilities = ["sql", "schema_validation", "batch"],
    data_formats = ["arrow"],
    stability = "beta"
)]
pub struct Sql {
    steps: Arc<[String]>,
    expect: Arc<[Expectation]>,
    strict: bool,
    timeout: Duration,
}

#[async_trait]
impl Plugin for Sql {
    type Config = SqlConfig;

    async fn initialize(config: SqlConfig, _: &InitContext) -> Result<Self> {
        let SqlConfig { steps, expect, strict, timeout } = config;
        // Said again for settings that a program made without the reader.
        let checked = expectation::check_columns(&expect).and_then(|()| expect.iter().try_for_each(Expectation::check));
        checked.map_err(|message| Error::invalid(format!("expect: {message}")))?;
        let steps: Arc<[String]> = steps.into();
        let checked = steps.clone();
        run(timeout, move |deadline| check_steps(&checked, deadline)).await?;
        Ok(Sql { steps, expect: expect.into(), strict, timeout })
    }
}

#[async_trait]
impl DataProcessor for Sql {
    async fn process_data(&self, data: DataFrame) -> Result<DataFrame> {
        if self.steps.is_empty() {
            return Ok(data);
        }
        let steps = self.steps.clone();
        run(self.timeout, move |deadline| {
            let mut connection = in_memory(deadline)?;
            let mut data = data;
            for (index, step) in steps.iter().enumerate() {
                let doing = || format!("step {}", index + 1);
                let schema = data.schema().clone();
                let batches = data.into_batches().into_iter().map(Ok);
                allow_everything(&mut connection)?;
                write(&mut connection, INPUT, &schema, batches, WriteMode::Replace, deadline).with_context(doing)?;
                allow_queries(&mut connection, |_| ())?;
                data = query(&connection, step, &[], deadline).with_context(doing)?;
            }
            Ok(data)
        })
        .await
    }

    async fn validate_schema(&self, data: DataFrame) -> Result<SchemaReport> {
        let (expect, strict) = (self.expect.clone(), self.strict);
        run(self.timeout, move |deadline| expectation::report(&expect, strict, &data, deadline)).await
    }
}

fn in_memory(deadline: &Arc<Deadline>) -> Result<Connection> {
    let mut connection = Connection::open_in_memory().map_err(|error| failure(error, deadline))?;
    deadline.watch(&mut connection)?;
    Ok(connection)
}

/// Finds what is wrong with a step whatever the data: its syntax, and that it is no single query. Its columns are
/// known only with the data.
fn check_steps(steps: &[String], deadline: &Arc<Deadline>) -> Result<()> {
    let mut connection = in_memory(deadline)?;
    connection.execute_batch("create table input (a)").map_err(|error| failure(error, deadline))?;
    allow_queries(&mut connection, |_| ())?;
    for (index, step) in steps.iter().enumerate() {
        let reason = match connection.prepare(step) {
            Ok(statement) if statement.column_count() > 0 => continue,
            Ok(_) => Error::invalid("it is not a query"),
            Err(error) => {
                let error = failure(error, deadline);
                let message = error.to_string();
                // SQLite reads the whole statement before it looks up names, so these hold for any data.
                let certain =
                    ["syntax error", "incomplete input", "unrecognized token", "several statements", "only queries"];
                if !certain.iter().any(|certain| message.contains(certain)) {
                    continue;
                }
                error.with_kind(mlx_core::ErrorKind::Invalid)
            }
        };
        return Err(reason.context(format!("steps[{index}]")));
    }
    Ok(())
}
