//! Typed notifications between plugins and the program that runs them.

use super::feed::{Feed, next};
use foldhash::fast::FixedState;
use futures_core::Stream;
use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::broadcast;

/// Events of one type that a subscriber may be behind before it loses the oldest of them.
pub const EVENTS_KEPT: usize = 256;

/// Publishes events to whoever has subscribed to their type: other plugins, and the program itself. Plugins reach it as
/// [`InitContext::events`](super::InitContext::events), jobs as [`ExecutionContext::events`](super::ExecutionContext::events), the
/// program as `platform.events()`.
///
/// An event is any `Send + Sync` type. Publisher and subscriber need to know that type and not each other, so neither declares
/// the other in `requires`, and either can be replaced while the platform runs.
///
/// Publishing never waits. A subscriber that falls more than [`EVENTS_KEPT`] events behind loses the oldest and is told how
/// many: [`Lagged`]. What must not be lost is a call on a contract, not an event.
///
/// ```
/// use mlx_core::{Result, plugin::Events};
///
/// struct ModelPromoted {
///     name: String,
/// }
///
/// # fn main() -> Result<()> { mlx_core::block_on(async {
/// let events = Events::new(); // in a plugin: cx.events().clone()
/// let mut promotions = events.subscribe::<ModelPromoted>();
/// events.publish(ModelPromoted { name: "churn".into() });
/// events.close();
/// let mut names = Vec::new();
/// while let Some(event) = promotions.recv().await {
///     match event {
///         Ok(promoted) => names.push(promoted.name.clone()),
///         Err(lagged) => eprintln!("{lagged}"),
///     }
/// }
/// assert_eq!(names, ["churn"]);
/// # Ok(()) }) }
/// ```
#[derive(Clone)]
pub struct Events {
    bus: Arc<Mutex<Bus>>,
}

struct Bus {
    /// A `broadcast::Sender<Arc<E>>` for each `E` that somebody has subscribed to.
    topics: HashMap<TypeId, Box<dyn Any + Send + Sync>, FixedState>,
    open: bool,
}

impl Events {
    /// Events that belong to no platform: for tests of one plugin.
    pub fn new() -> Self {
        Events { bus: Arc::new(Mutex::new(Bus { topics: HashMap::default(), open: true })) }
    }

    /// Those of a platform that is gone.
    pub(crate) fn ended() -> Self {
        let events = Events::new();
        events.close();
        events
    }

    /// Publishes an event, and returns how many subscribers will get it; none is no mistake. After the platform has stopped,
    /// nobody does.
    pub fn publish<E: Send + Sync + 'static>(&self, event: E) -> usize {
        let bus = self.bus();
        let topic = bus.topics.get(&TypeId::of::<E>());
        let sender = topic.and_then(|topic| topic.downcast_ref::<broadcast::Sender<Arc<E>>>()).cloned();
        drop(bus);
        // Subscribers' wakers run, and an event that nobody gets is dropped: both are foreign code, outside of the lock.
        sender.map_or(0, |sender| sender.send(Arc::new(event)).unwrap_or(0))
    }

    /// Subscribes to the events of a type that are published from now on.
    pub fn subscribe<E: Send + Sync + 'static>(&self) -> Subscription<E> {
        let mut bus = self.bus();
        if !bus.open {
            return Subscription { feed: None };
        }
        let topic = bus
            .topics
            .entry(TypeId::of::<E>())
            .or_insert_with(|| Box::new(broadcast::Sender::<Arc<E>>::new(EVENTS_KEPT)));
        let sender = topic.downcast_ref::<broadcast::Sender<Arc<E>>>();
        Subscription { feed: sender.map(|sender| Feed::new(sender.subscribe())) }
    }

    /// Ends all subscriptions, once they have got what was published before; the platform does when it has stopped.
    pub fn close(&self) {
        let mut bus = self.bus();
        bus.open = false;
        let topics = std::mem::take(&mut bus.topics);
        drop(bus);
        drop(topics);
    }

    fn bus(&self) -> MutexGuard<'_, Bus> {
        // No foreign code runs under this lock.
        self.bus.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Events {
    fn default() -> Self {
        Events::new()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("topics", &self.bus().topics.len()).finish_non_exhaustive()
    }
}

/// The events of a type, from the moment of [`Events::subscribe`] until the platform has stopped. Dropping it ends it.
///
/// It is a stream as well.
pub struct Subscription<E> {
    feed: Option<Feed<Arc<E>>>,
}

impl<E: Send + Sync + 'static> Subscription<E> {
    /// Waits for the next event; `None` when there will be none any more. Cancelling the wait loses nothing.
    pub async fn recv(&mut self) -> Option<Result<Arc<E>, Lagged>> {
        next(self).await
    }
}

impl<E: Send + Sync + 'static> Stream for Subscription<E> {
    type Item = Result<Arc<E>, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(feed) = &mut self.feed else { return Poll::Ready(None) };
        let item = feed.poll(cx);
        if let Poll::Ready(None) = item {
            self.feed = None;
        }
        item.map(|item| item.map(|event| event.map_err(Lagged)))
    }
}

impl<E> fmt::Debug for Subscription<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription<{}>", type_name::<E>())
    }
}

/// A subscriber was too slow, and this many events were lost to it. What follows is the oldest that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged(
    /// Events that were lost.
    pub u64,
);

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a subscriber was too slow and lost {} events", self.0)
    }
}

impl std::error::Error for Lagged {}
