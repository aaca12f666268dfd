//! What `#[contract]` makes of a trait: a plugin type, and handles that follow a plugin through a swap.

use std::{
    any::TypeId,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use mlx_core::{
    Cardinality, ErrorKind, contract,
    handle::{Instance, Slot},
    plugin::PluginKind,
    prelude::*,
};

/// Counts
/// things.
///
/// This is said elsewhere.
#[contract(name = "counter", cardinality = "one per region", capabilities = ["exact", "rough"])]
#[async_trait]
pub trait Counter {
    /// With arguments in every form.
    async fn add(&self, name: &str, (left, right): (u64, u64), _: &[u8]) -> Result<u64>;
    /// Defaulted.
    async fn label(&self) -> Result<String> {
        Ok("a counter".to_owned())
    }
    /// Defaulted, and not asynchronous.
    fn limit(&self) -> Result<u64> {
        Ok(10)
    }
    /// Names that a handle has too.
    fn pin<'a>(&'a self, name: &'a str) -> Result<String>;
    /// A stream at once.
    fn each(&self) -> Result<BoxStream<u64>>;
    /// A stream after a wait.
    async fn each_later(&self) -> Result<mlx_core::BoxStream<u64>> {
        self.each()
    }
    /// Another error type.
    async fn strict(&self) -> Result<(), Strict>;
    /// Not called through a handle.
    fn named() -> &'static str
    where
        Self: Sized,
    {
        "by default"
    }
}

/// The same with the attributes the other way round.
#[async_trait]
#[contract(name = "turned_round")]
pub trait TurnedRound: std::fmt::Debug + Send {
    /// With arguments in every form.
    async fn add(&self, name: &str, (left, right): (u64, u64), _: &[u8]) -> Result<u64>;
    /// Defaulted.
    async fn label(&self) -> Result<String> {
        Ok("turned round".to_owned())
    }
    /// Defaulted, and not asynchronous.
    fn limit(&self) -> Result<u64> {
        Ok(10)
    }
    /// A stream after a wait.
    async fn each_later(&self) -> Result<BoxStream<u64>>;
}

/// Without anything asynchronous, and without `async_trait`.
#[contract(name = "plain", cardinality = "one")]
trait Plain {
    fn answer(&self) -> Result<u64>;
}

/// An error of the contract's own.
#[derive(Debug)]
pub enum Strict {
    /// By the plugin.
    Refused,
    /// By the handle.
    Unreachable(Error),
}

impl From<Error> for Strict {
    fn from(error: Error) -> Self {
        Strict::Unreachable(error)
    }
}

/// Never ends, and says when it is dropped.
struct Endless(Arc<AtomicBool>);

impl Stream for Endless {
    type Item = Result<u64>;
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<u64>>> {
        Poll::Ready(Some(Ok(7)))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug, Default)]
struct Impl {
    dropped: Arc<AtomicBool>,
}

#[async_trait]
impl Counter for Impl {
    async fn add(&self, name: &str, (left, right): (u64, u64), bytes: &[u8]) -> Result<u64> {
        Ok(name.len() as u64 + left + right + bytes.len() as u64)
    }
    fn limit(&self) -> Result<u64> {
        Ok(99)
    }
    fn pin<'a>(&'a self, name: &'a str) -> Result<String> {
        Ok(format!("pinned {name}"))
    }
    fn each(&self) -> Result<BoxStream<u64>> {
        Ok(Box::pin(Endless(self.dropped.clone())))
    }
    async fn strict(&self) -> Result<(), Strict> {
        Err(Strict::Refused)
    }
}

#[async_trait]
impl TurnedRound for Impl {
    async fn add(&self, name: &str, (left, right): (u64, u64), bytes: &[u8]) -> Result<u64> {
        Ok(name.len() as u64 * left * right * bytes.len() as u64)
    }
    async fn label(&self) -> Result<String> {
        Ok("overridden".to_owned())
    }
    async fn each_later(&self) -> Result<BoxStream<u64>> {
        Ok(Box::pin(Endless(self.dropped.clone())))
    }
}

impl Plain for Impl {
    fn answer(&self) -> Result<u64> {
        Ok(42)
    }
}

struct Other;

impl Plain for Other {
    fn answer(&self) -> Result<u64> {
        Ok(43)
    }
}

fn slot(implementation: Impl) -> Arc<Slot> {
    let slot = Arc::new(Slot::new("it"));
    let plugin = Arc::new(implementation);
    let instance = Instance::new()
        .provide::<dyn Counter>(plugin.clone())
        .provide::<dyn TurnedRound>(plugin.clone())
        .provide::<dyn Plain>(plugin);
    assert!(slot.publish(instance).is_none());
    slot
}

async fn next<T>(stream: &mut BoxStream<T>) -> Option<Result<T>> {
    std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}

#[test]
fn a_type_is_known_as_data() {
    let info = <dyn Counter as PluginKind>::INFO;
    assert_eq!(info.name, "counter");
    assert_eq!(info.contract, "Counter");
    assert_eq!(info.description, "Counts things.");
    assert_eq!(info.cardinality, Cardinality::OnePer("region"));
    assert_eq!(info.capabilities, ["exact", "rough"]);
    assert_eq!(info.id, TypeId::of::<dyn Counter>());
    assert!(info.allows("exact") && !info.allows("exac") && !info.allows("exactly") && !info.allows(""));

    let info = <dyn TurnedRound as PluginKind>::INFO;
    assert_eq!((info.name, info.cardinality), ("turned_round", Cardinality::Many));
    assert!(info.allows("anything"), "no list means that anything goes");
    assert_eq!(<dyn Plain as PluginKind>::INFO.cardinality, Cardinality::One);
}

#[test]
fn a_contract_can_be_shared() {
    fn shared<T: ?Sized + Send + Sync + 'static>() {}
    shared::<dyn Counter>();
    shared::<dyn TurnedRound>();
    shared::<dyn Plain>();
}

#[tokio::test]
async fn a_handle_forwards_every_method() {
    let handle = Handle::<dyn Counter>::new(slot(Impl::default())).unwrap();
    assert_eq!(handle.add("abc", (1, 2), &[0; 4]).await.unwrap(), 10);
    assert_eq!(handle.label().await.unwrap(), "a counter");
    assert_eq!(handle.limit().unwrap(), 99, "the plugin's own body, not the default");
    assert_eq!(handle.pin("it").unwrap(), "pinned it");
    assert!(matches!(handle.strict().await, Err(Strict::Refused)));
    assert_eq!(<Handle<dyn Counter> as Counter>::named(), "by default");
}

#[tokio::test]
async fn the_order_of_the_attributes_does_not_matter() {
    let handle = Handle::<dyn TurnedRound>::new(slot(Impl::default())).unwrap();
    assert_eq!(handle.add("abc", (1, 2), &[0; 4]).await.unwrap(), 24);
    assert_eq!(handle.label().await.unwrap(), "overridden");
    assert_eq!(handle.limit().unwrap(), 10);
    let mut stream = handle.each_later().await.unwrap();
    assert_eq!(next(&mut stream).await.unwrap().unwrap(), 7);
}

#[tokio::test]
async fn calls_after_a_swap_meet_the_new_plugin() {
    let slot = slot(Impl::default());
    let handle = Handle::<dyn Plain>::new(slot.clone()).unwrap();
    assert_eq!(handle.answer().unwrap(), 42);
    drop(slot.publish(Instance::new().provide::<dyn Plain>(Arc::new(Other))));
    assert_eq!(handle.answer().unwrap(), 43);
}

#[tokio::test]
async fn a_stopped_plugin_says_so_in_each_method_s_own_error() {
    let slot = slot(Impl::default());
    let handle = Handle::<dyn Counter>::new(slot.clone()).unwrap();
    drop(slot.close());
    assert_eq!(handle.limit().unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(handle.label().await.unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(handle.each().err().unwrap().kind(), ErrorKind::Stopped);
    assert!(matches!(handle.strict().await, Err(Strict::Unreachable(error)) if error.kind() == ErrorKind::Stopped));
}

#[tokio::test]
async fn a_stream_keeps_its_plugin_until_it_ends() {
    for later in [false, true] {
        let dropped = Arc::new(AtomicBool::new(false));
        let slot = slot(Impl { dropped: dropped.clone() });
        let handle = Handle::<dyn Counter>::new(slot.clone()).unwrap();
        let mut stream = if later { handle.each_later().await.unwrap() } else { handle.each().unwrap() };
        let retired = slot.close().unwrap();
        assert_eq!(next(&mut stream).await.unwrap().unwrap(), 7);
        assert_eq!(retired.in_flight(), 1);
        assert!(tokio::time::timeout(Duration::from_millis(20), retired.drained()).await.is_err());
        retired.cancel();
        assert_eq!(next(&mut stream).await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(next(&mut stream).await.is_none());
        assert!(dropped.load(Ordering::SeqCst));
        retired.drained().await;
    }
}
