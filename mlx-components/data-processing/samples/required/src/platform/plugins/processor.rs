//! `processor`: a processor to make your own.
//!
//! It drops the rows that lack a value in a required column, and then applies `transform`, which
//! passes tables on as they are until you write what they need.

use crate::platform::utilities::filter::{Filter, keep};
use mlx_core::prelude::*;

/// Settings of the processor.
#[derive(PluginConfig)]
pub struct ProcessorConfig {
    /// required_columns, max_rows.
    #[config(extends)]
    pub base: mlx_components::services::DataProcessing,
}

/// Drops rows without required values, and transforms the others.
#[mlx_plugin(
    type = "data_processor",
    name = "processor",
    capabilities = ["schema_validation", "batch"],
    data_formats = ["arrow"]
)]
pub struct Processor {
    required: Vec<Filter>,
    max_rows: usize,
}

/// What becomes of a table whose rows have all required values.
fn transform(data: DataFrame) -> Result<DataFrame> {
    Ok(data)
}

#[async_trait]
impl Plugin for Processor {
    type Config = ProcessorConfig;

    async fn initialize(config: ProcessorConfig, _: &InitContext) -> Result<Self> {
        let columns = config.base.required_columns.split(',').map(str::trim);
        Ok(Processor {
            required: columns
                .filter(|column| !column.is_empty())
                .map(Filter::not_null)
                .collect(),
            max_rows: usize::try_from(config.base.max_rows).context("`max_rows`")?,
        })
    }

    /// Processes the rows that a step of a pipeline before delivered.
    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        let processed = self.process_data(cx.data::<DataFrame>()?.clone()).await?;
        Ok(ComponentResult::success()
            .output("rows", processed.num_rows())
            .with_data(processed))
    }
}

#[async_trait]
impl DataProcessor for Processor {
    async fn process_data(&self, data: DataFrame) -> Result<DataFrame> {
        let rows = data.num_rows();
        if rows > self.max_rows {
            return Err(Error::invalid(format!(
                "the table has {rows} rows; `max_rows` is {}",
                self.max_rows
            )));
        }
        transform(keep(&self.required, data)?)
    }

    async fn validate_schema(&self, data: DataFrame) -> Result<SchemaReport> {
        let mut report = SchemaReport {
            rows: data.num_rows(),
            violations: Vec::new(),
        };
        for Filter { column, .. } in &self.required {
            if !data.column_names().any(|name| name == column) {
                let message = "the column is missing".to_owned();
                report.violations.push(SchemaViolation {
                    column: column.clone(),
                    message,
                    rows: 0,
                });
            }
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::arrow::array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    async fn start(config: JsonValue) -> Result<Processor> {
        let config = mlx_core::config::from_json(config)
            .map_err(|found| Error::from_diagnostics("the settings", found))?;
        Processor::initialize(config, &InitContext::alone("processor")).await
    }

    fn table() -> Result<DataFrame> {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        DataFrame::from_columns([("n", numbers)])
    }

    #[test]
    fn rows_without_a_required_value_are_dropped() -> Result<()> {
        mlx_core::block_on(async {
            let processor = start(json!({"required_columns": "n"})).await?;
            let processed = processor.process_data(table()?).await?;
            assert_eq!(processed.f64_column("n")?, [1.0, 3.0]);
            assert!(processor.validate_schema(table()?).await?.is_valid());
            Ok(())
        })
    }

    #[test]
    fn a_missing_column_is_a_violation() -> Result<()> {
        mlx_core::block_on(async {
            let processor = start(json!({"required_columns": "n, label"})).await?;
            let report = processor.validate_schema(table()?).await?;
            assert_eq!(report.violations[0].column, "label");
            assert_eq!(report.rows, 3);
            assert!(processor.process_data(table()?).await.is_err());
            Ok(())
        })
    }

    #[test]
    fn a_table_that_is_too_long_is_refused() -> Result<()> {
        mlx_core::block_on(async {
            let error = start(json!({"max_rows": 2}))
                .await?
                .process_data(table()?)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            Ok(())
        })
    }
}
