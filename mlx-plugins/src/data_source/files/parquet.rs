//! Parquet.

use super::{Batches, open};
use mlx_core::{Error, arrow::datatypes::SchemaRef, prelude::*};
use parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, errors::ParquetError};
use std::{fs::File, path::Path};

/// The columns that the file's footer names.
pub(super) fn schema(path: &Path) -> Result<SchemaRef> {
    Ok(reader(path)?.schema().clone())
}

/// The rows.
pub(super) fn batches(path: &Path) -> Result<Batches> {
    let batches = reader(path)?.build().map_err(|error| malformed(path, &error))?;
    let path = path.to_owned();
    Ok(Box::new(
        batches.map(move |batch| batch.map_err(|error| Error::invalid(format!("{}: {error}", path.display())))),
    ))
}

fn reader(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    ParquetRecordBatchReaderBuilder::try_new(open(path)?).map_err(|error| malformed(path, &error))
}

fn malformed(path: &Path, error: &ParquetError) -> Error {
    Error::invalid(format!("{} is not a Parquet file that can be read: {error}", path.display()))
}
