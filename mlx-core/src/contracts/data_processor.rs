//! `data_processor`: plugins that transform and check tables.

use super::DataFrame;
use crate::{async_trait, contract, diagnostics::Result};

/// Transforms tables, and checks that they have the expected shape.
#[contract(
    name = "data_processor",
    cardinality = "many",
    capabilities = ["sql", "schema_validation", "batch", "streaming"]
)]
#[async_trait]
pub trait DataProcessor {
    /// Transforms a table.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the table does not fit the transformation.
    #[idempotent]
    async fn process_data(&self, data: DataFrame) -> Result<DataFrame>;

    /// Checks a table against what the processor expects. A table that does not fit is no error: the report
    /// says so.
    ///
    /// # Errors
    /// Only when the check itself fails.
    #[idempotent]
    async fn validate_schema(&self, data: DataFrame) -> Result<SchemaReport>;
}

/// What [`DataProcessor::validate_schema`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaReport {
    /// How many rows were looked at.
    pub rows: usize,
    /// Everything that does not fit.
    pub violations: Vec<SchemaViolation>,
}

/// One way in which a table does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaViolation {
    /// The column.
    pub column: String,
    /// What is wrong with it, in one sentence.
    pub message: String,
    /// How many rows it concerns; 0 when it concerns the column as such.
    pub rows: usize,
}

impl SchemaReport {
    /// Whether the table fits.
    pub fn is_valid(&self) -> bool {
        self.violations.is_empty()
    }
}
