//! DataFusion, Spark Connect and Parquet exchange record batches without conversion.
//!
//! Each function returns or passes on a batch as it came from the other library. With two
//! versions of Arrow in the graph, `RecordBatch` would be two types and none would compile.

use arrow::array::RecordBatch;
use datafusion::dataframe::DataFrame;
use parquet::arrow::ArrowWriter;
use spark_connect::SparkSession;

/// A batch named through DataFusion's re-export of Arrow is a batch of Arrow.
pub fn same_type(batch: datafusion::arrow::array::RecordBatch) -> RecordBatch {
    batch
}

/// The result of a DataFusion query.
///
/// # Errors
///
/// If the query fails while it runs.
pub async fn from_datafusion(frame: DataFrame) -> datafusion::error::Result<Vec<RecordBatch>> {
    frame.collect().await
}

/// The result of a query run by a Spark Connect server.
///
/// # Errors
///
/// If the server refuses the query or cannot be reached.
pub async fn from_spark(
    session: &SparkSession,
    sql: &str,
) -> spark_connect::Result<Vec<RecordBatch>> {
    session.query(sql).execute().await
}

/// One batch as a Parquet file in memory.
///
/// # Errors
///
/// If Parquet has no counterpart of a column's type.
pub fn to_parquet(batch: &RecordBatch) -> parquet::errors::Result<Vec<u8>> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None)?;
    writer.write(batch)?;
    writer.into_inner()
}
