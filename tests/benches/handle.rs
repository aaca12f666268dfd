//! Calls through a handle, beside calls through a plain `Arc<dyn>` and one that arc-swap can exchange, on one thread and
//! on two, one at a time and with a hundred in flight.

mod measure;

use arc_swap::ArcSwap;
use measure::{Case, at_most, least};
use mlx_core::{
    async_trait, contract,
    handle::{Handle, Instance, Slot},
    metrics::Meter,
    prelude::*,
};
use std::{
    hint::black_box,
    pin::{Pin, pin},
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
    /// After it has waited once.
    async fn measure_later(&self, text: &str) -> Result<usize>;
    /// At once.
    fn measure_now(&self, text: &str) -> Result<usize>;
}

struct Plain;

#[async_trait]
impl Ruler for Plain {
    async fn measure(&self, text: &str) -> Result<usize> {
        Ok(text.len())
    }
    async fn measure_later(&self, text: &str) -> Result<usize> {
        Once(false).await;
        Ok(text.len())
    }
    fn measure_now(&self, text: &str) -> Result<usize> {
        Ok(text.len())
    }
}

/// Ready the second time it is asked.
struct Once(bool);

impl Future for Once {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

type Call<'a> = Pin<Box<dyn Future<Output = Result<usize>> + Send + 'a>>;

/// What exchanges a plugin and no more: no drain, no names, no errors, one contract.
struct Swapped(ArcSwap<Arc<dyn Ruler>>);

impl Swapped {
    fn measure_now(&self, text: &str) -> Result<usize> {
        self.0.load().measure_now(text)
    }
    async fn measure(&self, text: &str) -> Result<usize> {
        self.0.load().measure(text).await
    }
    /// Boxed, as what is called through a trait is.
    fn measure_later<'a>(&'a self, text: &'a str) -> Call<'a> {
        Box::pin(async move { self.0.load().measure_later(text).await })
    }
}

/// The answer of a future that is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

const IN_FLIGHT: u32 = 100;

/// That many calls, all begun before the first is ended.
fn in_flight<'a>(iterations: u32, call: impl Fn() -> Call<'a>) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut calls: Vec<Call<'a>> = Vec::with_capacity(IN_FLIGHT as usize);
    for _ in 0..iterations / IN_FLIGHT {
        calls.extend((0..IN_FLIGHT).map(|_| call()));
        for call in &mut calls {
            assert!(call.as_mut().poll(&mut cx).is_pending());
        }
        for mut call in calls.drain(..) {
            assert!(call.as_mut().poll(&mut cx).is_ready());
        }
    }
}

/// As long as the slowest of the threads took.
fn on_threads(threads: usize, run: &(impl Fn() + Sync)) -> Duration {
    let barrier = Barrier::new(threads);
    let run = || {
        barrier.wait();
        let began = Instant::now();
        run();
        began.elapsed()
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|thread| thread.join().expect("no call panics")).max().unwrap_or_default()
    })
}

/// The same call again and again.
fn repeated(threads: usize, iterations: u32, call: &(impl Fn() + Sync)) -> Duration {
    on_threads(threads, &|| {
        for _ in 0..iterations {
            call();
        }
    })
}

fn main() {
    let plain: Arc<dyn Ruler> = Arc::new(Plain);
    let swapped = Swapped(ArcSwap::from_pointee(plain.clone()));
    let slot = Arc::new(Slot::new("plain"));
    assert!(slot.publish(Instance::new().provide::<dyn Ruler>(plain.clone())).is_none());
    let handle = Handle::<dyn Ruler>::new(slot).expect("it is a ruler");
    let pinned = Handle::pin(&handle).expect("it runs");
    let slot = Arc::new(Slot::new("measured"));
    let instance = Instance::new().provide::<dyn Ruler>(plain.clone()).measured(Arc::new(Meter::new("measured")), true);
    assert!(slot.publish(instance).is_none());
    let measured = Handle::<dyn Ruler>::new(slot).expect("it is a ruler");
    // Its clones begin with nothing found.
    let uncalled = Handle::<dyn Ruler>::new(Handle::slot(&handle).clone()).expect("it is a ruler");
    let answer = |answer: Result<usize>| {
        black_box(answer.expect("it answers"));
    };
    let mut one_thread = Vec::new();
    for threads in [1, 2] {
        let sync = |ruler: &dyn Ruler| answer(ruler.measure_now(black_box("abc")));
        let mut handles = Vec::new();
        let mut compare = |title: &str, target: f64, cases| {
            let times = least(&format!("{title}, {threads} thread(s)"), 20_000, 400, cases);
            at_most("handle / arc-swap", times[2] / times[1], target);
            at_most("pinned / Arc", times[3] / times[0], 1.1);
            handles.push(times[2]);
        };
        compare(
            "A call that is not async",
            1.5,
            vec![
                Case::timed("arc-sync", |n| repeated(threads, n, &|| sync(&**black_box(&plain)))),
                Case::timed("arc-swap-sync", |n| {
                    repeated(threads, n, &|| answer(black_box(&swapped).measure_now(black_box("abc"))))
                }),
                Case::timed("handle-sync", |n| repeated(threads, n, &|| sync(black_box(&handle)))),
                Case::timed("pinned-sync", |n| repeated(threads, n, &|| sync(&**black_box(&pinned)))),
            ],
        );
        compare(
            "An async call that is ready at once",
            1.8,
            vec![
                Case::timed("arc-async", |n| {
                    repeated(threads, n, &|| answer(now(black_box(&plain).measure(black_box("abc")))))
                }),
                Case::timed("arc-swap-async", |n| {
                    repeated(threads, n, &|| answer(now(black_box(&swapped).measure(black_box("abc")))))
                }),
                Case::timed("handle-async", |n| {
                    repeated(threads, n, &|| answer(now(black_box(&handle).measure(black_box("abc")))))
                }),
                Case::timed("pinned-async", |n| {
                    repeated(threads, n, &|| answer(now(black_box(&pinned).measure(black_box("abc")))))
                }),
            ],
        );
        compare(
            "An async call that waits once, a hundred in flight on each thread",
            1.8,
            vec![
                Case::timed("arc-in-flight", |n| {
                    on_threads(threads, &|| in_flight(n, || black_box(&plain).measure_later(black_box("abc"))))
                }),
                Case::timed("arc-swap-in-flight", |n| {
                    on_threads(threads, &|| in_flight(n, || black_box(&swapped).measure_later(black_box("abc"))))
                }),
                Case::timed("handle-in-flight", |n| {
                    on_threads(threads, &|| in_flight(n, || black_box(&handle).measure_later(black_box("abc"))))
                }),
                Case::timed("pinned-in-flight", |n| {
                    on_threads(threads, &|| in_flight(n, || black_box(&pinned).measure_later(black_box("abc"))))
                }),
            ],
        );
        least(
            &format!("Calls that are measured, {threads} thread(s)"),
            20_000,
            100,
            vec![
                Case::timed("measured-sync", |n| repeated(threads, n, &|| sync(black_box(&measured)))),
                Case::timed("measured-async", |n| {
                    repeated(threads, n, &|| answer(now(black_box(&measured).measure(black_box("abc")))))
                }),
            ],
        );
        least(
            &format!("Cloning a handle, and the clone's first call, {threads} thread(s)"),
            20_000,
            100,
            vec![
                Case::timed("clone-sync", |n| repeated(threads, n, &|| sync(&black_box(&handle).clone()))),
                Case::timed("clone-first-sync", |n| repeated(threads, n, &|| sync(&black_box(&uncalled).clone()))),
            ],
        );
        if threads == 1 {
            one_thread = handles;
        } else {
            for (what, (two, one)) in ["not async", "async", "in flight"].iter().zip(handles.iter().zip(&one_thread)) {
                at_most(&format!("handle on two threads / on one, {what}"), two / one, 1.2);
            }
        }
    }
}
