//! `data_source`: systems that answer queries.

use super::DataFrame;
use crate::{
    arrow::datatypes::SchemaRef,
    async_trait, contract,
    diagnostics::{Error, Result},
    handle::BoxStream,
};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// A system that holds tables and answers queries: a database, a warehouse, files.
#[contract(
    name = "data_source",
    cardinality = "many",
    capabilities = ["sql", "bind_parameters", "write", "catalog", "csv", "parquet", "json", "transactions"]
)]
#[async_trait]
pub trait DataSource {
    /// Makes sure that the system can be reached, and says what answered.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Denied`](crate::ErrorKind::Denied).
    #[idempotent]
    async fn connect(&self) -> Result<ConnectionInfo>;

    /// Answers a query in the system's own language, usually SQL.
    ///
    /// A query reads. One that changes something may be carried out twice where the composition has calls
    /// [repeated](crate::resilience::Resilience::retry); [`write`](DataSource::write) never is.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a query that the system rejects.
    #[idempotent]
    async fn query(&self, sql: &str) -> Result<DataFrame>;

    /// Answers a query with values in place of `?`, so that no value is ever spliced into the text.
    ///
    /// # Errors
    /// As [`query`](DataSource::query); [`Unsupported`](crate::ErrorKind::Unsupported) where the system has no
    /// bind parameters.
    #[idempotent]
    async fn query_with(&self, sql: &str, parameters: Vec<serde_json::Value>) -> Result<DataFrame> {
        if parameters.is_empty() {
            return self.query(sql).await;
        }
        Err(Error::unsupported("this data source has no bind parameters"))
    }

    /// Answers a query piece by piece, in order, so that an answer need not fit into memory. Every piece has the same
    /// schema, and there is at least one, also of an answer without rows. An error ends the stream; one that ends
    /// without an error is the whole answer. Dropping the stream stops what is still being fetched.
    ///
    /// Unless a source does better, the whole answer is one piece.
    ///
    /// # Errors
    /// As [`query_with`](DataSource::query_with), before the first piece; later ones are items of the stream.
    #[idempotent]
    async fn query_stream(&self, sql: &str, parameters: Vec<serde_json::Value>) -> Result<BoxStream<DataFrame>> {
        let answer = self.query_with(sql, parameters).await?;
        Ok(Box::pin(One(Some(answer))))
    }

    /// Writes a table, and returns how many rows were written.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the source is read-only.
    async fn write(&self, _table: &str, _data: DataFrame, _mode: WriteMode) -> Result<u64> {
        Err(Error::unsupported("this data source cannot be written to"))
    }

    /// The names of the tables, sorted.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where there is no catalogue.
    #[idempotent]
    async fn tables(&self) -> Result<Vec<String>> {
        Err(Error::unsupported("this data source cannot list its tables"))
    }

    /// The columns of a table.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such table.
    #[idempotent]
    async fn table_schema(&self, _table: &str) -> Result<SchemaRef> {
        Err(Error::unsupported("this data source cannot describe its tables"))
    }
}

/// An answer in one piece.
struct One(Option<DataFrame>);

impl futures_core::Stream for One {
    type Item = Result<DataFrame>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<DataFrame>>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

/// What answered a [`DataSource::connect`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The product: `SQLite`, `Snowflake`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// Where it is, without credentials.
    pub target: String,
}

impl ConnectionInfo {
    /// What answered.
    pub fn new(product: impl Into<String>, version: impl Into<String>, target: impl Into<String>) -> Self {
        ConnectionInfo { product: product.into(), version: version.into(), target: target.into() }
    }
}

/// What [`DataSource::write`] does with a table that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// Add the rows; make the table if there is none.
    #[default]
    Append,
    /// Replace the table.
    Replace,
    /// Fail.
    Create,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrow::{
        array::{ArrayRef, Int64Array},
        datatypes::Schema,
    };
    use std::{future::poll_fn, sync::Arc};

    struct Numbers;

    #[async_trait]
    impl DataSource for Numbers {
        async fn connect(&self) -> Result<ConnectionInfo> {
            Ok(ConnectionInfo::default())
        }
        async fn query(&self, sql: &str) -> Result<DataFrame> {
            let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
            match sql {
                "numbers" => DataFrame::from_columns([("n", numbers)]),
                "nothing" => Ok(DataFrame::empty(Arc::new(Schema::empty()))),
                _ => Err(Error::invalid("no such query")),
            }
        }
    }

    #[tokio::test]
    async fn an_answer_is_one_piece_unless_a_source_does_better() {
        for (sql, rows) in [("numbers", 2), ("nothing", 0)] {
            let mut stream = Numbers.query_stream(sql, Vec::new()).await.unwrap();
            let mut next = async || poll_fn(|cx| stream.as_mut().poll_next(cx)).await;
            assert_eq!(next().await.unwrap().unwrap().num_rows(), rows);
            assert!(next().await.is_none());
        }
        assert_eq!(Numbers.query_stream("?", Vec::new()).await.err().unwrap().kind(), crate::ErrorKind::Invalid);
    }
}
