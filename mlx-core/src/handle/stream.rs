use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::signal::Watch;
use super::slot::{self, InstanceLease};
use crate::diagnostics::Result;

/// A stream of results that owns everything it needs, as contract methods return it.
pub type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T>> + Send + 'static>>;

pub(super) fn attach<T: 'static>(lease: InstanceLease, stream: BoxStream<T>) -> BoxStream<T> {
    let mut cancelled = Watch::new(lease);
    // From the beginning, so that a stream nobody polls is counted when it is cancelled.
    cancelled.enter();
    Box::pin(Attached(Some((stream, cancelled))))
}

/// A stream and the lease it came from, both until its end. The stream is dropped first.
struct Attached<T>(Option<(BoxStream<T>, Watch<InstanceLease>)>);

impl<T> Stream for Attached<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let Some((stream, cancelled)) = &mut self.0 else {
            return Poll::Ready(None);
        };
        // First, because a stream that always has an item ready would never be asked otherwise.
        if !cancelled.source().as_ref().is_fired() {
            match stream.as_mut().poll_next(cx) {
                Poll::Ready(None) => {
                    self.0 = None;
                    return Poll::Ready(None);
                }
                Poll::Ready(item) => return Poll::Ready(item),
                Poll::Pending => {}
            }
            if cancelled.poll(cx.waker()).is_pending() {
                return Poll::Pending;
            }
        }
        let error = slot::cancelled(cancelled.source());
        self.0 = None;
        Poll::Ready(Some(Err(error)))
    }
}
