//! Measurements of requests, taken beside the requests.

use mlx_core::{handle::Handle, prelude::*};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle, time};
use tokio_util::sync::CancellationToken;

/// Answered requests that may wait to be recorded; more are dropped and counted.
const QUEUE: usize = 1024;
/// Answered requests that are recorded in one call.
const BATCH: usize = 256;
/// Time for what still waits when the server stops.
const LAST_CALL: Duration = Duration::from_secs(2);

/// An answered request.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) status: u16,
    /// The code of the failure, if it was one.
    pub(super) failure: Option<&'static str>,
    /// The deployment, if there is such a one.
    pub(super) model: Option<String>,
    pub(super) duration: Duration,
    /// Rows predicted.
    pub(super) rows: usize,
}

/// Gives samples to the monitoring plugin from a task of its own, so that no answer waits for it.
pub(super) struct Recorder {
    samples: mpsc::Sender<Sample>,
    dropped: Arc<AtomicU64>,
    failure: Arc<Mutex<Option<String>>>,
    stop: CancellationToken,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    pub(super) fn start(monitoring: Handle<dyn Monitoring>) -> Self {
        let (samples, queue) = mpsc::channel(QUEUE);
        let (dropped, failure, stop) =
            (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)), CancellationToken::new());
        let task = tokio::spawn(run(queue, monitoring, dropped.clone(), failure.clone(), stop.clone()));
        Recorder { samples, dropped, failure, stop, task: tokio::sync::Mutex::new(Some(task)) }
    }

    /// Never waits.
    pub(super) fn record(&self, sample: Sample) {
        if self.samples.try_send(sample).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Samples that were not recorded, because the monitoring plugin is too slow or fails.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Why the monitoring plugin failed last.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records what still waits, for a short time.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        if let Some(mut task) = self.task.lock().await.take()
            && time::timeout(LAST_CALL, &mut task).await.is_err()
        {
            task.abort();
        }
    }
}

async fn run(
    mut queue: mpsc::Receiver<Sample>,
    monitoring: Handle<dyn Monitoring>,
    dropped: Arc<AtomicU64>,
    failure: Arc<Mutex<Option<String>>>,
    stop: CancellationToken,
) {
    let mut reported = 0;
    let mut samples = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            // What is in the queue stays there to be received.
            () = stop.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
            received = queue.recv_many(&mut samples, BATCH) => {
                if received == 0 {
                    return;
                }
            }
        }
        let count = samples.len() as u64;
        let mut measurements: Vec<Measurement> = samples.drain(..).flat_map(measurements).collect();
        let lost = dropped.load(Ordering::Relaxed);
        measurements.push(
            Measurement::counter("http_dropped_measurements_total", (lost - reported) as f64)
                .help("Requests that were answered and not measured, because monitoring was too slow or failed."),
        );
        match monitoring.record(measurements).await {
            Ok(()) => reported = lost,
            Err(error) => {
                dropped.fetch_add(count, Ordering::Relaxed);
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
        }
    }
}

fn measurements(sample: Sample) -> Vec<Measurement> {
    let Sample { method, route, status, failure, model, duration, rows } = sample;
    let labelled = |measurement: Measurement| {
        let measurement = measurement.label("route", route).label("method", method);
        match &model {
            Some(model) => measurement.label("model", model),
            None => measurement,
        }
    };
    let mut all = vec![
        labelled(Measurement::counter("http_requests_total", 1.0))
            .label("status", status.to_string())
            .help("Requests answered."),
        labelled(Measurement::histogram("http_request_duration_seconds", duration.as_secs_f64()))
            .help("Time from a request's head to its answer."),
    ];
    if let Some(code) = failure {
        all.push(
            labelled(Measurement::counter("http_request_errors_total", 1.0))
                .label("code", code)
                .help("Requests answered with an error."),
        );
    }
    if let (Some(model), 1..) = (&model, rows) {
        all.push(
            Measurement::counter("http_predicted_rows_total", rows as f64)
                .label("model", model)
                .help("Rows predicted."),
        );
    }
    all
}
