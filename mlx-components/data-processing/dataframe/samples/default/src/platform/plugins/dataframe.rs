//! `dataframe`: filters tables with the kernels of Arrow, then transforms them with SQL, and checks
//! what their columns are like.
//!
//! ```yaml
//! - type: data_processor
//!   name: dataframe
//!   config:
//!     filters:
//!       - {column: quality_score, above: 0.8}
//!     steps: # each reads the table `input`, which is what the one before made
//!       - select *, area / perimeter as compactness from input
//!     expect:
//!       - {column: quality_score, type: number, nullable: false, min: 0, max: 1}
//! ```

use crate::platform::utilities::filter::{Filter, keep};
use mlx_core::prelude::*;
use mlx_plugins::data_processor::sql;

/// Settings of the processor.
#[derive(PluginConfig)]
pub struct DataframeConfig {
    /// timeout, strict.
    #[config(extends)]
    pub base: mlx_components::data_processing::Dataframe,
    /// Which rows are kept, before the steps.
    #[config(default)]
    pub filters: Vec<Filter>,
    /// Queries over the table `input`, in order.
    #[config(default)]
    pub steps: Vec<String>,
    /// What the columns of a table must be like.
    #[config(default)]
    pub expect: Vec<sql::Expectation>,
}

/// Filters and transforms tables, and checks their columns.
#[mlx_plugin(
    type = "data_processor",
    name = "dataframe",
    capabilities = ["sql", "schema_validation", "batch"],
    data_formats = ["arrow"]
)]
pub struct Dataframe {
    filters: Vec<Filter>,
    sql: sql::Sql,
}

#[async_trait]
impl Plugin for Dataframe {
    type Config = DataframeConfig;

    async fn initialize(config: DataframeConfig, cx: &InitContext) -> Result<Self> {
        let DataframeConfig {
            base,
            filters,
            steps,
            expect,
        } = config;
        let settings = sql::SqlConfig {
            steps,
            expect,
            strict: base.strict,
            timeout: base.timeout,
        };
        Ok(Dataframe {
            filters,
            sql: sql::Sql::initialize(settings, cx).await?,
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
impl DataProcessor for Dataframe {
    async fn process_data(&self, data: DataFrame) -> Result<DataFrame> {
        self.sql.process_data(keep(&self.filters, data)?).await
    }

    async fn validate_schema(&self, data: DataFrame) -> Result<SchemaReport> {
        self.sql.validate_schema(data).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::arrow::array::{ArrayRef, Float64Array};
    use std::sync::Arc;

    async fn start(config: JsonValue) -> Result<Dataframe> {
        let config = mlx_core::config::from_json(config)
            .map_err(|found| Error::from_diagnostics("the settings", found))?;
        Dataframe::initialize(config, &InitContext::alone("dataframe")).await
    }

    fn table() -> Result<DataFrame> {
        let scores: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 0.9, 0.85]));
        DataFrame::from_columns([("quality_score", scores)])
    }

    #[test]
    fn rows_are_filtered_and_then_transformed() -> Result<()> {
        mlx_core::block_on(async {
            let config = json!({
                "filters": [{"column": "quality_score", "above": 0.8}],
                "steps": ["select quality_score * 100 as percent from input order by 1"],
            });
            let processed = start(config).await?.process_data(table()?).await?;
            assert_eq!(processed.f64_column("percent")?, [85.0, 90.0]);
            Ok(())
        })
    }

    #[test]
    fn columns_are_compared_with_what_is_expected() -> Result<()> {
        mlx_core::block_on(async {
            let config =
                json!({"expect": [{"column": "quality_score", "type": "number", "max": 0.8}]});
            let report = start(config).await?.validate_schema(table()?).await?;
            assert_eq!(
                (
                    report.violations[0].column.as_str(),
                    report.violations[0].rows
                ),
                ("quality_score", 2)
            );
            Ok(())
        })
    }

    #[test]
    fn a_step_that_is_no_query_is_refused_at_the_start() -> Result<()> {
        mlx_core::block_on(async {
            let refused = start(json!({"steps": ["drop table input"]})).await;
            assert_eq!(
                refused.err().context("an error")?.kind(),
                ErrorKind::Invalid
            );
            Ok(())
        })
    }
}
