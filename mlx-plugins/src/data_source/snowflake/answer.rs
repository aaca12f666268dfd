//! The answer to a query, of which the first part is there and the others are still to be fetched.

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use mlx_core::{BoxStream, prelude::*};
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{self, Poll, ready},
};
use tokio::task::JoinHandle;

/// How many parts are fetched at the same time, and so the most that wait to be read.
pub(super) const WINDOW: usize = 4;

/// A part that is fetched when it is polled.
pub(super) type Part = Pin<Box<dyn Future<Output = Result<Vec<RecordBatch>>> + Send>>;

/// The answer to a query.
pub(super) struct Answer {
    schema: SchemaRef,
    first: Vec<RecordBatch>,
    parts: VecDeque<Part>,
}

/// The number of rows, which has to be the one that was announced.
///
/// # Errors
/// [`Failed`](ErrorKind::Failed) when it is not: half of an answer is none.
pub(super) fn counted(batches: Vec<RecordBatch>, announced: Option<u64>) -> Result<Vec<RecordBatch>> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    match announced {
        Some(announced) if announced != rows as u64 => {
            Err(Error::failed(format!("Snowflake sent {rows} rows of a part that has {announced}")))
        }
        _ => Ok(batches),
    }
}

impl Answer {
    /// An answer whose parts, with as many rows as they are said to have, are as long as the whole is said to be.
    ///
    /// # Errors
    /// [`Failed`](ErrorKind::Failed) when they are not.
    pub(super) fn new(
        schema: SchemaRef,
        first: Vec<RecordBatch>,
        parts: Vec<(u64, Part)>,
        announced: Option<u64>,
    ) -> Result<Self> {
        let rows = first.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        let rows = parts.iter().fold(rows, |rows, (more, _)| rows.saturating_add(*more));
        if let Some(announced) = announced.filter(|announced| *announced != rows) {
            return Err(Error::failed(format!("Snowflake announced {announced} rows, and parts with {rows} of them")));
        }
        Ok(Answer { schema, first, parts: parts.into_iter().map(|(_, part)| part).collect() })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// All of it.
    ///
    /// # Errors
    /// The first part that cannot be had.
    pub(super) async fn whole(self) -> Result<DataFrame> {
        let (schema, mut batches) = (self.schema.clone(), Vec::new());
        let mut frames = Frames::new(self);
        while let Some(frame) = std::future::poll_fn(|cx| frames.poll(cx)).await {
            batches.extend(frame?.into_batches().into_iter().filter(|batch| batch.num_rows() > 0));
        }
        DataFrame::new(schema, batches)
    }

    /// Part by part, in order.
    pub(super) fn stream(self) -> BoxStream<DataFrame> {
        Box::pin(Frames::new(self))
    }
}

/// Fetches the parts, some at the same time, and gives them out in order.
struct Frames {
    schema: SchemaRef,
    first: Option<Vec<RecordBatch>>,
    parts: VecDeque<Part>,
    fetching: VecDeque<Fetch>,
}

/// A part that is being fetched. Dropping it stops that.
struct Fetch(JoinHandle<Result<Vec<RecordBatch>>>);

impl Drop for Fetch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Frames {
    fn new(answer: Answer) -> Self {
        Frames { schema: answer.schema, first: Some(answer.first), parts: answer.parts, fetching: VecDeque::new() }
    }

    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<DataFrame>>> {
        while self.fetching.len() < WINDOW
            && let Some(part) = self.parts.pop_front()
        {
            self.fetching.push_back(Fetch(tokio::spawn(part)));
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(DataFrame::new(self.schema.clone(), first)));
        }
        let Some(next) = self.fetching.front_mut() else { return Poll::Ready(None) };
        let fetched = ready!(Pin::new(&mut next.0).poll(cx));
        self.fetching.pop_front();
        let frame = match fetched {
            Ok(batches) => batches.and_then(|batches| DataFrame::new(self.schema.clone(), batches)),
            Err(error) => Err(Error::internal(format!("fetching a part of an answer ended: {error}"))),
        };
        if frame.is_err() {
            self.parts.clear();
            self.fetching.clear();
        }
        Poll::Ready(Some(frame))
    }
}

impl futures_core::Stream for Frames {
    type Item = Result<DataFrame>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Result<DataFrame>>> {
        self.get_mut().poll(cx)
    }
}
