//! Handles, leases and slots as an application and the `#[contract]` macro use them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use mlx_core::diagnostics::{ErrorKind, Result};
use mlx_core::handle::{BoxStream, Handle, Instance, Lease, Retired, Slot};
use tokio::sync::Notify;
use tokio::time::timeout;

/// A contract with one method of each shape, and names that a handle must not hide.
#[async_trait]
trait Store: Send + Sync + 'static {
    async fn query(&self, sql: &str) -> Result<usize>;
    fn version(&self) -> Result<usize>;
    fn rows(&self) -> Result<BoxStream<usize>>;
    async fn pin(&self) -> Result<&'static str>;
    fn name(&self) -> Result<&'static str>;
}

// As `#[contract]` writes it.
#[async_trait]
impl Store for Handle<dyn Store> {
    async fn query(&self, sql: &str) -> Result<usize> {
        let lease = Handle::pin(self)?;
        Lease::run(&lease, Store::query(&*lease, sql)).await
    }
    fn version(&self) -> Result<usize> {
        let lease = Handle::borrow(self);
        Store::version(lease.get()?.1)
    }
    fn rows(&self) -> Result<BoxStream<usize>> {
        let lease = Handle::pin(self)?;
        let stream = Store::rows(&*lease)?;
        Ok(Lease::attach(lease, stream))
    }
    async fn pin(&self) -> Result<&'static str> {
        let lease = Handle::pin(self)?;
        Lease::run(&lease, Store::pin(&*lease)).await
    }
    fn name(&self) -> Result<&'static str> {
        let lease = Handle::borrow(self);
        Store::name(lease.get()?.1)
    }
}

trait Describe: Send + Sync {
    fn describe(&self) -> usize;
}

/// Says which version it is, and fails the test when it is called after it was stopped.
struct Fake {
    version: usize,
    stopped: AtomicBool,
    /// Queries wait for this when they are told to.
    gate: Notify,
    /// Rows its streams yield before they wait for ever; without a limit if `None`.
    rows: Option<usize>,
}

impl Fake {
    fn new(version: usize) -> Arc<Self> {
        Self::with_rows(version, Some(2))
    }

    fn with_rows(version: usize, rows: Option<usize>) -> Arc<Self> {
        Arc::new(Self { version, stopped: AtomicBool::new(false), gate: Notify::new(), rows })
    }

    fn running(&self) -> usize {
        assert!(!self.stopped.load(SeqCst), "call on a stopped instance");
        self.version
    }
}

#[async_trait]
impl Store for Fake {
    async fn query(&self, sql: &str) -> Result<usize> {
        self.running();
        match sql {
            "ready" => {}
            "wait" => self.gate.notified().await,
            _ => tokio::time::sleep(Duration::from_micros(200)).await,
        }
        Ok(self.running())
    }
    fn version(&self) -> Result<usize> {
        Ok(self.running())
    }
    fn rows(&self) -> Result<BoxStream<usize>> {
        Ok(Box::pin(Rows { left: self.rows, version: self.running() }))
    }
    async fn pin(&self) -> Result<&'static str> {
        Ok("the contract's own")
    }
    fn name(&self) -> Result<&'static str> {
        Ok("the contract's own")
    }
}

impl Describe for Fake {
    fn describe(&self) -> usize {
        self.version
    }
}

struct Rows {
    left: Option<usize>,
    version: usize,
}

impl Stream for Rows {
    type Item = Result<usize>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<usize>>> {
        let version = self.version;
        match &mut self.left {
            Some(0) => return Poll::Pending,
            Some(left) => *left -= 1,
            None => {}
        }
        Poll::Ready(Some(Ok(version)))
    }
}

/// Ends after one item.
struct Once(Option<usize>);

impl Stream for Once {
    type Item = Result<usize>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<usize>>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

async fn next(stream: &mut BoxStream<usize>) -> Option<Result<usize>> {
    std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}

fn instance(fake: &Arc<Fake>) -> Instance {
    Instance::new().provide::<dyn Store>(fake.clone())
}

/// An open slot and a handle to it.
fn serve(fake: &Arc<Fake>) -> (Arc<Slot>, Handle<dyn Store>) {
    let slot = Arc::new(Slot::new("store"));
    assert!(slot.publish(instance(fake)).is_none());
    let handle = Handle::new(slot.clone()).expect("a fake is a store");
    (slot, handle)
}

async fn is_drained(retired: &Retired) -> bool {
    timeout(Duration::from_millis(20), retired.drained()).await.is_ok()
}

/// Enough for anything that is going to happen at all.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.expect("not in time")
}

/// A query that has begun to wait.
async fn waiting(handle: &Handle<dyn Store>) -> tokio::task::JoinHandle<Result<usize>> {
    let handle = handle.clone();
    let task = tokio::spawn(async move { handle.query("wait").await });
    tokio::time::sleep(Duration::from_millis(5)).await;
    task
}

fn assert_send_sync<T: Send + Sync>(_: &T) {}

#[tokio::test]
async fn a_handle_calls_whatever_is_published() {
    let (slot, handle) = serve(&Fake::new(1));
    assert_send_sync(&handle);
    assert_eq!(handle.version().unwrap(), 1);
    assert_eq!(handle.query("ready").await.unwrap(), 1);
    let old = slot.publish(instance(&Fake::new(2))).unwrap();
    assert_eq!(handle.version().unwrap(), 2);
    assert_eq!(handle.clone().query("sleep").await.unwrap(), 2);
    assert_eq!(old.instance().get::<dyn Store>().unwrap().version().unwrap(), 1);
    assert_eq!(old.in_flight(), 0);
    soon(old.drained()).await;
    // Again, and from a task of its own.
    let again = tokio::spawn(async move { old.drained().await });
    soon(again).await.unwrap();
}

#[tokio::test]
async fn the_contract_may_use_the_names_of_the_handle() {
    let (_slot, handle) = serve(&Fake::new(1));
    assert_eq!(handle.name().unwrap(), "the contract's own");
    assert_eq!(handle.pin().await.unwrap(), "the contract's own");
    assert_eq!(Handle::name(&handle), "store");
    assert_eq!(Handle::slot(&handle).name(), "store");
    assert_eq!(format!("{handle:?}"), r#"Handle<dyn handle::Store>("store")"#);
}

#[tokio::test]
async fn an_empty_slot_and_a_closed_one_answer_stopped() {
    let slot = Arc::new(Slot::new("store"));
    let handle = Handle::<dyn Store>::new(slot.clone()).unwrap();
    assert!(!slot.is_open());
    assert!(!slot.provides::<dyn Store>());
    assert!(slot.close().is_none());
    let error = handle.query("ready").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
    assert!(error.to_string().contains("store"), "{error}");

    assert!(slot.publish(instance(&Fake::new(1))).is_none());
    assert!(slot.is_open());
    assert_eq!(handle.version().unwrap(), 1);

    let old = slot.close().unwrap();
    assert_eq!(handle.version().unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(slot.lease().unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(Handle::pin(&handle).unwrap_err().kind(), ErrorKind::Stopped);
    soon(old.drained()).await;

    assert!(slot.publish(instance(&Fake::new(2))).is_none());
    assert_eq!(handle.version().unwrap(), 2, "a slot can be opened again");
}

#[tokio::test]
async fn a_borrowed_instance_holds_the_drain_on_whichever_thread() {
    let (one, two) = (Fake::new(1), Fake::new(2));
    let (slot, handle) = serve(&one);
    // More than a thread can hold cheaply.
    let borrowed: Vec<_> = (0..20).map(|_| Handle::borrow(&handle)).collect();
    let old = slot.publish(instance(&two)).unwrap();
    assert_eq!(handle.version().unwrap(), 2);
    assert_eq!(old.in_flight(), 20);
    for (left, borrow) in borrowed.into_iter().enumerate().rev() {
        assert!(!is_drained(&old).await);
        std::thread::scope(|scope| scope.spawn(move || drop(borrow)).join().unwrap());
        assert_eq!(old.in_flight(), left);
    }
    assert!(is_drained(&old).await);
    drop(slot.close());
    assert_eq!(Handle::borrow(&handle).get().map(|_| ()).unwrap_err().kind(), ErrorKind::Stopped);
}

/// Each handle and each thread has found the instance its own way.
#[test]
fn nobody_who_borrowed_before_a_publish_borrows_the_same_after_it() {
    let (slot, handle) = serve(&Fake::new(1));
    let clone_before = handle.clone();
    assert_eq!(handle.version().unwrap(), 1);
    let clone_after = handle.clone();
    let other = Handle::<dyn Store>::new(slot.clone()).unwrap();
    assert_eq!(std::thread::scope(|scope| scope.spawn(|| other.version().unwrap()).join().unwrap()), 1);
    for version in 2..5 {
        let old = slot.publish(instance(&Fake::new(version))).unwrap();
        assert_eq!(old.in_flight(), 0);
        for handle in [&handle, &clone_before, &clone_after, &other] {
            assert_eq!(handle.version().unwrap(), version);
            std::thread::scope(|scope| scope.spawn(|| assert_eq!(handle.version().unwrap(), version)).join().unwrap());
        }
    }
    drop(slot.close());
    assert!([handle, clone_before, clone_after, other].iter().all(|handle| handle.version().is_err()));
}

#[test]
fn a_borrowed_instance_is_dropped_once_it_is_replaced_and_given_back() {
    let fake = Fake::new(1);
    let (slot, handle) = serve(&fake);
    assert_eq!(handle.version().unwrap(), 1);
    let borrowed = Handle::borrow(&handle);
    drop(slot.publish(instance(&Fake::new(2))));
    assert!(Arc::strong_count(&fake) > 1, "kept by the borrow");
    assert_eq!(borrowed.get().unwrap().1.version().unwrap(), 1);
    assert_eq!(
        format!("{borrowed:?}"),
        r#"Borrowed { name: "store", instance: Some(Instance {"dyn handle::Store"}) }"#
    );
    drop(borrowed);
    assert_eq!(Arc::strong_count(&fake), 1);
}

#[test]
fn contracts_are_published_together() {
    let both = |version| {
        let fake = Fake::new(version);
        Instance::new().provide::<dyn Store>(fake.clone()).provide::<dyn Describe>(fake)
    };
    let slot = Arc::new(Slot::new("store"));
    assert!(slot.publish(both(1)).is_none());
    assert!(slot.provides::<dyn Store>() && slot.provides::<dyn Describe>());
    assert!(!slot.provides::<Fake>());
    let (store, describe) =
        (Handle::<dyn Store>::new(slot.clone()).unwrap(), Handle::<dyn Describe>::new(slot.clone()).unwrap());
    drop(slot.publish(both(2)));
    assert_eq!(store.version().unwrap(), 2);
    assert_eq!(Handle::pin(&describe).unwrap().describe(), 2);
}

#[test]
fn a_contract_provided_twice_is_replaced() {
    let instance = Instance::new()
        .provide::<dyn Store>(Fake::new(1))
        .provide::<dyn Describe>(Fake::new(1))
        .provide::<dyn Store>(Fake::new(2));
    assert_eq!(instance.contracts().count(), 2);
    assert_eq!(instance.get::<dyn Store>().unwrap().version().unwrap(), 2);
    assert_eq!(format!("{instance:?}"), r#"Instance {"dyn handle::Store", "dyn handle::Describe"}"#);
}

#[test]
fn a_missing_contract_is_refused_by_name() {
    let (slot, store) = serve(&Fake::new(1));
    let error = Handle::<dyn Describe>::new(slot.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let text = error.to_string();
    for part in ["`store`", "dyn handle::Describe", "dyn handle::Store"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    // An instance published later may lack the contract, too.
    drop(slot.publish(Instance::new().provide::<dyn Describe>(Fake::new(2))));
    for _ in 0..2 {
        assert_eq!(store.version().unwrap_err().kind(), ErrorKind::Unsupported);
    }
    drop(slot.publish(instance(&Fake::new(3))));
    assert_eq!(store.version().unwrap(), 3);
}

#[tokio::test]
async fn a_pinned_lease_sees_one_instance_and_holds_the_drain() {
    let (slot, handle) = serve(&Fake::new(1));
    let lease = Handle::pin(&handle).unwrap();
    assert_send_sync(&lease);
    let old = slot.publish(instance(&Fake::new(2))).unwrap();
    assert_eq!(lease.version().unwrap(), 1);
    assert_eq!(handle.version().unwrap(), 2);
    assert_eq!(Lease::run(&lease, lease.query("sleep")).await.unwrap(), 1);
    assert_eq!(old.in_flight(), 1);
    assert!(!is_drained(&old).await);
    let (drained, ()) = soon(async {
        tokio::join!(async { old.drained().await }, async {
            tokio::task::yield_now().await;
            drop(lease);
        })
    })
    .await;
    assert_eq!(drained, ());
    assert_eq!(old.in_flight(), 0);
}

#[tokio::test]
async fn the_instance_is_dropped_with_its_last_lease() {
    let fake = Fake::new(1);
    let (slot, handle) = serve(&fake);
    let lease = Handle::pin(&handle).unwrap();
    drop(slot.close());
    assert!(Arc::strong_count(&fake) > 1, "kept by the lease");
    drop(lease);
    assert_eq!(Arc::strong_count(&fake), 1);
}

#[tokio::test]
async fn past_the_deadline_waiting_calls_are_cancelled_and_counted() {
    let (slot, handle) = serve(&Fake::new(1));
    let calls = [waiting(&handle).await, waiting(&handle).await];
    let pinned = Handle::pin(&handle).unwrap();
    let old = slot.publish(instance(&Fake::new(2))).unwrap();
    assert!(!is_drained(&old).await);
    assert_eq!(old.in_flight(), 3);
    assert_eq!(old.cancel(), 2);
    assert_eq!(old.cancel(), 0);
    for call in calls {
        let error = soon(call).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(error.to_string().contains("store"), "{error}");
    }
    // A call that is ready is served still; one that would wait is not.
    assert_eq!(Lease::run(&pinned, pinned.query("ready")).await.unwrap(), 1);
    let late = soon(Lease::run(&pinned, pinned.query("wait"))).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Cancelled);
    drop(pinned);
    soon(old.drained()).await;
    assert_eq!(handle.query("sleep").await.unwrap(), 2, "the new one serves");
}

#[tokio::test]
async fn a_call_that_was_given_up_is_neither_counted_nor_in_flight() {
    let (slot, handle) = serve(&Fake::new(1));
    let call = waiting(&handle).await;
    let old = slot.close().unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(old.in_flight(), 0);
    assert_eq!(old.cancel(), 0);
    soon(old.drained()).await;
}

#[tokio::test]
async fn a_call_that_panics_gives_its_lease_back() {
    let (slot, handle) = serve(&Fake::new(1));
    let task = tokio::spawn(async move {
        let lease = Handle::pin(&handle)?;
        Lease::run(&lease, async {
            tokio::task::yield_now().await;
            panic!("in the plugin")
        })
        .await
    });
    let outcome: std::result::Result<Result<()>, _> = task.await;
    assert!(outcome.unwrap_err().is_panic());
    let old = slot.close().unwrap();
    assert_eq!(old.cancel(), 0);
    soon(old.drained()).await;
}

#[tokio::test]
async fn a_stream_keeps_its_instance_until_it_is_dropped() {
    let (slot, handle) = serve(&Fake::new(1));
    let mut rows = handle.rows().unwrap();
    let old = slot.publish(instance(&Fake::new(2))).unwrap();
    assert_eq!(next(&mut rows).await.unwrap().unwrap(), 1);
    assert!(!is_drained(&old).await);
    drop(rows);
    soon(old.drained()).await;
    assert_eq!(old.cancel(), 0);
}

#[tokio::test]
async fn a_stream_gives_its_lease_back_when_it_ends() {
    let (slot, handle) = serve(&Fake::new(1));
    let lease = Handle::pin(&handle).unwrap();
    let mut rows = Lease::attach(lease, Box::pin(Once(Some(7))));
    let old = slot.close().unwrap();
    assert_eq!(next(&mut rows).await.unwrap().unwrap(), 7);
    assert_eq!(old.in_flight(), 1);
    assert!(next(&mut rows).await.is_none());
    assert_eq!(old.in_flight(), 0);
    assert!(next(&mut rows).await.is_none(), "an ended stream stays ended");
    soon(old.drained()).await;
}

#[tokio::test]
async fn cancelled_streams_fail_once_and_end() {
    let (slot, handle) = serve(&Fake::with_rows(1, Some(1)));
    let mut idle = handle.rows().unwrap();
    let mut polled = handle.rows().unwrap();
    assert_eq!(next(&mut polled).await.unwrap().unwrap(), 1);
    // Waits for the row that never comes.
    let polled = tokio::spawn(async move {
        let error = next(&mut polled).await.unwrap().unwrap_err();
        assert!(next(&mut polled).await.is_none());
        error
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    let old = slot.close().unwrap();
    assert_eq!(old.cancel(), 2, "the one nobody polls counts, too");
    assert_eq!(soon(polled).await.unwrap().kind(), ErrorKind::Cancelled);
    assert_eq!(old.in_flight(), 1);
    let error = next(&mut idle).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(old.in_flight(), 0, "a failed stream holds nothing");
    assert!(next(&mut idle).await.is_none());
    soon(old.drained()).await;
}

#[tokio::test]
async fn a_stream_that_is_always_ready_is_cancelled() {
    let (slot, handle) = serve(&Fake::with_rows(1, None));
    let mut rows = handle.rows().unwrap();
    assert_eq!(next(&mut rows).await.unwrap().unwrap(), 1);
    let old = slot.close().unwrap();
    assert_eq!(next(&mut rows).await.unwrap().unwrap(), 1);
    assert_eq!(old.cancel(), 1);
    assert!(next(&mut rows).await.unwrap().is_err());
    soon(old.drained()).await;
}

/// 100 callers, without pause, while the instance is replaced again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn swaps_under_load_lose_no_call() {
    let mut current = Fake::new(0);
    let (slot, handle) = serve(&current);
    let (calls, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..100)
        .map(|caller| {
            let (handle, calls, done) = (handle.clone(), calls.clone(), done.clone());
            tokio::spawn(async move {
                let mut newest = 0;
                for round in caller.. {
                    if done.load(SeqCst) {
                        break;
                    }
                    let version = match round % 4 {
                        0 => handle.query("sleep").await.unwrap(),
                        1 => handle.query("ready").await.unwrap(),
                        2 => handle.version().unwrap(),
                        _ => next(&mut handle.rows().unwrap()).await.unwrap().unwrap(),
                    };
                    assert!(version >= newest, "{version} after {newest}");
                    newest = version;
                    calls.fetch_add(1, SeqCst);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut version = 0;
    while version < 200 || calls.load(SeqCst) < 5000 {
        version += 1;
        let successor = Fake::new(version);
        let old = slot.publish(instance(&successor)).unwrap();
        soon(old.drained()).await;
        current.stopped.store(true, SeqCst);
        current = successor;
        tokio::task::yield_now().await;
    }
    done.store(true, SeqCst);
    for caller in callers {
        soon(caller).await.unwrap();
    }
}
