//! Calls through a handle, beside calls through a plain `Arc<dyn>`, on one thread and on two.

mod measure;

use measure::{Case, at_most, least, ratio};
use mlx_core::{
    async_trait, contract,
    handle::{Handle, Instance, Slot},
    prelude::*,
};
use std::{
    hint::black_box,
    pin::pin,
    sync::{Arc, Barrier},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

/// Measures texts.
#[contract(name = "ruler", cardinality = "many")]
#[async_trait]
trait Ruler {
    /// When it is asked.
    async fn measure(&self, text: &str) -> Result<usize>;
    /// At once.
    fn measure_now(&self, text: &str) -> Result<usize>;
}

struct Plain;

#[async_trait]
impl Ruler for Plain {
    async fn measure(&self, text: &str) -> Result<usize> {
        Ok(text.len())
    }
    fn measure_now(&self, text: &str) -> Result<usize> {
        Ok(text.len())
    }
}

/// The answer of a future that is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

/// As long as the slowest of the threads took.
fn on_threads(threads: usize, iterations: u32, call: &(impl Fn() + Sync)) -> Duration {
    let barrier = Barrier::new(threads);
    let run = || {
        barrier.wait();
        let began = Instant::now();
        for _ in 0..iterations {
            call();
        }
        began.elapsed()
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|thread| thread.join().expect("no call panics")).max().unwrap_or_default()
    })
}

fn main() {
    let plain: Arc<dyn Ruler> = Arc::new(Plain);
    let slot = Arc::new(Slot::new("plain"));
    assert!(slot.publish(Instance::new().provide::<dyn Ruler>(plain.clone())).is_none());
    let handle = Handle::<dyn Ruler>::new(slot).expect("it is a ruler");
    let pinned = Handle::pin(&handle).expect("it runs");
    let answer = |answer: Result<usize>| {
        black_box(answer.expect("it answers"));
    };
    for threads in [1, 2] {
        let sync = |ruler: &dyn Ruler| answer(ruler.measure_now(black_box("abc")));
        let times = least(
            &format!("A call that is not async, {threads} thread(s)"),
            200_000,
            40,
            vec![
                Case::timed("arc-sync", |n| on_threads(threads, n, &|| sync(&**black_box(&plain)))),
                Case::timed("handle-sync", |n| on_threads(threads, n, &|| sync(black_box(&handle)))),
                Case::timed("pinned-sync", |n| on_threads(threads, n, &|| sync(&**black_box(&pinned)))),
            ],
        );
        ratio("handle / Arc", times[1] / times[0]);
        at_most("pinned / Arc", times[2] / times[0], 1.1);
        let times = least(
            &format!("An async call that is ready at once, {threads} thread(s)"),
            200_000,
            40,
            vec![
                Case::timed("arc-async", |n| {
                    on_threads(threads, n, &|| answer(now(black_box(&plain).measure(black_box("abc")))))
                }),
                Case::timed("handle-async", |n| {
                    on_threads(threads, n, &|| answer(now(black_box(&handle).measure(black_box("abc")))))
                }),
                Case::timed("pinned-async", |n| {
                    on_threads(threads, n, &|| answer(now(black_box(&pinned).measure(black_box("abc")))))
                }),
            ],
        );
        ratio("handle / Arc", times[1] / times[0]);
        at_most("pinned / Arc", times[2] / times[0], 1.1);
    }
}
