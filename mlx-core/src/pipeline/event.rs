//! What a run tells while it goes on.

use crate::plugin::ComponentStatus;
use futures_core::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PipelineEvent {
    /// When.
    pub time: SystemTime,
    /// What.
    pub kind: PipelineEventKind,
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PipelineEventKind {
    /// The pipeline was checked and begins.
    Started {
        /// The run's id.
        run_id: String,
    },
    /// A step begins.
    StepStarted {
        /// Its name.
        step: String,
    },
    /// An attempt failed, and there will be another.
    StepRetried {
        /// The step's name.
        step: String,
        /// Which attempt failed, from 1.
        attempt: u32,
        /// Why.
        error: String,
        /// How long the pause before the next one is.
        pause: Duration,
    },
    /// A step succeeded. If the run is recorded, this is in the record.
    StepFinished {
        /// Its name.
        step: String,
        /// How long it took, all attempts together.
        duration: Duration,
    },
    /// A step was finished in an earlier run that this one continues.
    StepRestored {
        /// Its name.
        step: String,
    },
    /// A step failed for good.
    StepFailed {
        /// Its name.
        step: String,
        /// Why.
        error: String,
        /// How long it took, all attempts together.
        duration: Duration,
    },
    /// A running step was cancelled.
    StepCancelled {
        /// Its name.
        step: String,
    },
    /// A step will not run.
    StepSkipped {
        /// Its name.
        step: String,
        /// Why.
        reason: String,
    },
    /// The pipeline ended.
    Finished {
        /// How.
        status: ComponentStatus,
        /// After how long.
        duration: Duration,
    },
}

/// The events of a run, in their order; it ends with the run. What is not read is kept.
#[derive(Debug)]
pub struct PipelineEvents(mpsc::UnboundedReceiver<PipelineEvent>);

impl PipelineEvents {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<PipelineEvent> {
        self.0.recv().await
    }
}

impl Stream for PipelineEvents {
    type Item = PipelineEvent;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PipelineEvent>> {
        self.0.poll_recv(cx)
    }
}

/// Where events go, if anybody asked for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Events(Option<mpsc::UnboundedSender<PipelineEvent>>);

impl Events {
    pub(super) fn channel() -> (Self, PipelineEvents) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Events(Some(sender)), PipelineEvents(receiver))
    }

    pub(super) fn send(&self, kind: PipelineEventKind) {
        if let Some(sender) = &self.0 {
            // Nobody listens any more: that is their choice.
            let _ = sender.send(PipelineEvent { time: SystemTime::now(), kind });
        }
    }
}
