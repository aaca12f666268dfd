//! The spans around what plugins do, with the feature `tracing`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::prelude::*;
use std::{
    collections::HashMap,
    fmt::{Debug, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Notes the spans, and the events in the span that they are in.
#[derive(Clone, Default)]
struct Notes {
    next: Arc<AtomicU64>,
    spans: Arc<Mutex<HashMap<u64, String>>>,
    events: Arc<Mutex<Vec<String>>>,
}

thread_local! {
    static ENTERED: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ["mlx", "test"].contains(&metadata.target())
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, Ordering::SeqCst) + 1;
        let mut text = Text(span.metadata().name().to_owned());
        span.record(&mut text);
        self.spans.lock().unwrap().insert(id, text.0);
        Id::from_u64(id)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let inside = ENTERED.with_borrow(|entered| entered.last().copied());
        let span = inside.and_then(|id| self.spans.lock().unwrap().get(&id).cloned()).unwrap_or_default();
        self.events.lock().unwrap().push(format!("[{span}]{}", text.0));
    }
    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
    }
    fn exit(&self, _: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.pop());
    }
}

/// Says where it is.
#[mlx_plugin(type = "monitoring", name = "talker")]
struct Talker;

fn say(what: &str) {
    tracing::info!(target: "test", what);
}

#[async_trait]
impl Plugin for Talker {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        say("starts");
        Ok(Talker)
    }
    async fn execute(&self, _: &ExecutionContext) -> Result<ComponentResult> {
        say("works");
        Ok(ComponentResult::success())
    }
    async fn shutdown(&self) -> Result<()> {
        say("stops");
        Ok(())
    }
}

#[async_trait]
impl Monitoring for Talker {
    async fn record(&self, _: Vec<Measurement>) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        say("is called");
        Ok(())
    }
    async fn export(&self) -> Result<String> {
        Ok(String::new())
    }
}

#[test]
fn what_a_plugin_does_is_in_a_span_that_names_it() {
    let notes = Notes::default();
    tracing::subscriber::set_global_default(notes.clone()).unwrap();
    let run = async |measure: bool| {
        let text = format!("plugins: [{{type: monitoring, name: talker, measure: {measure}}}]");
        let platform = registry().activate(Composition::from_yaml(&text)?).await?;
        platform.get::<dyn Monitoring>("talker")?.record(Vec::new()).await?;
        platform.execute("talker", ExecutionContext::new()).await?;
        platform.shutdown().await
    };
    mlx_core::block_on(async { run(true).await }).unwrap();
    let events = std::mem::take(&mut *notes.events.lock().unwrap());
    let span = |operation: &str| format!("[operation plugin=\"monitoring/talker\" operation=\"{operation}\"]");
    assert_eq!(
        events,
        [
            format!("{} what=\"starts\"", span("initialize")),
            format!("{} what=\"is called\"", span("monitoring.record")),
            format!("{} what=\"works\"", span("execute")),
            format!("{} what=\"stops\"", span("shutdown")),
        ]
    );
    mlx_core::block_on(async { run(false).await }).unwrap();
    let events = notes.events.lock().unwrap();
    assert!(events.contains(&"[] what=\"is called\"".to_owned()), "not measured, no span: {events:?}");
}
