//! A bounded broadcast as a stream that says what it lost.

use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::ReusableBoxFuture;

/// Receives from a broadcast. The future is kept between polls, so that waiting allocates once.
pub(crate) struct Feed<T> {
    next: ReusableBoxFuture<'static, (Result<T, RecvError>, Receiver<T>)>,
}

async fn receive<T: Clone>(mut receiver: Receiver<T>) -> (Result<T, RecvError>, Receiver<T>) {
    (receiver.recv().await, receiver)
}

impl<T: Clone + Send + 'static> Feed<T> {
    pub(crate) fn new(receiver: Receiver<T>) -> Self {
        Feed { next: ReusableBoxFuture::new(receive(receiver)) }
    }

    /// The next item, how many were lost, or the end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, u64>>> {
        let (result, receiver) = match self.next.poll(cx) {
            Poll::Ready(answer) => answer,
            Poll::Pending => return Poll::Pending,
        };
        self.next.set(receive(receiver));
        Poll::Ready(match result {
            Ok(item) => Some(Ok(item)),
            Err(RecvError::Lagged(missed)) => Some(Err(missed)),
            Err(RecvError::Closed) => None,
        })
    }
}

/// Awaits the next item of anything that is polled as a stream is.
pub(crate) async fn next<S: futures_core::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}
