//! Experiment tracking in files of JSON lines: one file a run, one event a line.
//!
//! ```yaml
//! plugins:
//!   - type: experiment_tracker
//!     name: jsonl
//!     config:
//!       path: mlruns
//!       lock_timeout: 10s
//! ```
//!
//! For runs to read with `jq`, to keep in version control or to copy about one by one. A run is rebuilt by reading its
//! file, so this suits thousands of runs with thousands of values; [`local`](super::local) has no such limit.
//!
//! # The files
//! `runs/<run id>.jsonl` is a run. It only grows, and its lines are, with times in nanoseconds since 1970 in UTC:
//!
//! ```json
//! {"event":"start","format":1,"run":"5f…","experiment":"churn","name":"first","tags":{},"time":1700000000000000000}
//! {"event":"params","params":{"depth":"3"}}
//! {"event":"metrics","metrics":[{"name":"loss","value":0.25,"step":1,"time":1700000000000000001}]}
//! {"event":"tags","tags":{"reviewed":"yes"}}
//! {"event":"dataset","name":"churn","digest":"9f86d081","source":"churn.parquet","context":"training"}
//! {"event":"end","status":"finished","time":1700000000000000002}
//! ```
//!
//! A `value` is a number or one of the words `"NaN"`, `"Infinity"`, `"-Infinity"`. A `status` is `finished`, `failed`
//! or `cancelled`. Each call is one line, so it is recorded as a whole or not at all. Runs can be copied to another
//! tracker by replaying their lines; those whose `start` has a later `time` are the later ones. A later `format` than
//! 1 is refused.
//!
//! `artifacts/<run id>/<path>` are the artifacts, and `partial/` holds files while they are written. A run's id is 128
//! random bits of the operating system in hexadecimal. Several processes may use one folder at once: a file is locked
//! while a line is added.
//!
//! # What survives what
//! What a method recorded survives the end of the process, also by a crash. The start of a run, artifacts, and with
//! [`end_run`](ExperimentTracker::end_run) everything recorded before survive a power failure. A last line without
//! its end was never confirmed to anybody: it is passed over, reported by `health`, and dropped when the next line is
//! added. Any other line that cannot be read is an error that names file and line.
//!
//! # What it does not do
//! It has no web page, and does not delete. A search reads all runs of the experiments. Parameters, metrics and tags are also taken after the end of a
//! run; a second `end_run` replaces the state and the time of the first.

mod journal;
mod line;
#[cfg(test)]
mod tests;

use self::{
    journal::{Journal, no_start},
    line::{FORMAT, Line, Value},
};
use super::{artifacts::Artifacts, record};
use crate::{
    random::random_id,
    storage::{Partial, blocking, nanoseconds, time},
};
use mlx_core::prelude::*;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::Mutex;

/// Settings of the JSON lines experiment tracker.
#[derive(PluginConfig)]
pub struct JsonlConfig {
    /// The folder for the files of runs and the artifacts; it is made if there is none.
    #[config(default = PathBuf::from("mlruns"))]
    pub path: PathBuf,
    /// How long to wait while another process writes to the same run.
    #[config(default = Duration::from_secs(10))]
    pub lock_timeout: Duration,
}

/// Records runs in files of JSON lines and their artifacts in a folder.
#[mlx_plugin(
    type = "experiment_tracker",
    name = "jsonl",
    capabilities = ["parameters", "metrics", "tags", "artifacts", "datasets", "search"],
    data_formats = ["jsonl"],
    swap = "overlap",
    stability = "beta"
)]
pub struct JsonlTracker {
    store: Arc<Store>,
    /// Writers of this process queue here, holding no thread; the locks of files are for other processes. It keeps
    /// the time of the last start, so that runs begun within one tick of the clock stay in order.
    writers: Arc<Mutex<SystemTime>>,
}

struct Store {
    journal: Journal,
    artifacts: Artifacts,
}

#[async_trait]
impl Plugin for JsonlTracker {
    type Config = JsonlConfig;

    async fn initialize(config: JsonlConfig, _: &InitContext) -> Result<Self> {
        blocking(move || {
            let path = std::path::absolute(&config.path)
                .with_context(|| format!("the folder {:?}", config.path.display().to_string()))?;
            let artifacts = Artifacts::open(&path)?;
            let journal = Journal::open(path.join("runs"), config.lock_timeout)?;
            let writers = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH));
            Ok(JsonlTracker { store: Arc::new(Store { journal, artifacts }), writers })
        })
        .await
    }

    async fn health(&self) -> Result<Health> {
        let checked = self.read(|store| {
            Partial::write(store.artifacts.partial(), b"health")?;
            store.journal.torn()
        });
        Ok(match checked.await {
            Ok(torn) if torn.is_empty() => Health::healthy(),
            Ok(torn) => Health::degraded(format!(
                "{} of the runs, the first {}, end in an unfinished line that a crash left; it is passed over",
                torn.len(),
                torn[0]
            ))
            .detail("torn", torn),
            Err(error) if error.kind().is_transient() => Health::degraded(error.to_string()),
            Err(error) => Health::unhealthy(error.to_string()),
        })
    }
}

#[async_trait]
impl ExperimentTracker for JsonlTracker {
    async fn start_run(&self, run: NewRun) -> Result<Run> {
        record::check_new(&run)?;
        self.write(move |store, last| {
            let started = SystemTime::now().max(*last + Duration::from_nanos(1));
            *last = started;
            let mut run = Run::new(random_id()?, run, started);
            run.location = store.journal.path(&run.id).display().to_string();
            let line = Line::Start {
                format: FORMAT,
                run: run.id.clone(),
                experiment: run.experiment.clone(),
                name: run.name.clone(),
                tags: run.tags.clone(),
                time: nanoseconds(started)?,
            };
            store.journal.create(&run.id, &line, store.artifacts.partial())?;
            Ok(run)
        })
        .await
    }

    async fn log_params(&self, run: &str, mut parameters: BTreeMap<String, String>) -> Result<()> {
        record::check_names("a parameter", parameters.keys())?;
        let run = run.to_owned();
        self.write(move |store, _| {
            let mut writer = store.journal.write(&run)?;
            for line in writer.lines()? {
                let Line::Params { params } = line else { continue };
                for (name, old) in &params {
                    match parameters.get(name) {
                        Some(new) if new != old => return Err(record::changed_parameter(&run, name, old, new)),
                        _ => parameters.remove(name),
                    };
                }
            }
            if parameters.is_empty() { Ok(()) } else { writer.append(&Line::Params { params: parameters }) }
        })
        .await
    }

    async fn log_metrics(&self, run: &str, metrics: Vec<Metric>) -> Result<()> {
        record::check_names("a metric", metrics.iter().map(|metric| &metric.name))?;
        let metrics = metrics.into_iter().map(Value::of).collect::<Result<_>>()?;
        self.append(run, Line::Metrics { metrics }).await
    }

    async fn set_tags(&self, run: &str, tags: BTreeMap<String, String>) -> Result<()> {
        record::check_names("a tag", tags.keys())?;
        self.append(run, Line::Tags { tags }).await
    }

    async fn log_artifact(&self, run: &str, path: &str, contents: Vec<u8>) -> Result<()> {
        let (run, path) = (run.to_owned(), path.to_owned());
        self.read(move |store| {
            store.journal.check(&run)?;
            store.artifacts.store(&run, &path, &contents)
        })
        .await
    }

    async fn artifact(&self, run: &str, path: &str) -> Result<Vec<u8>> {
        let (run, path) = (run.to_owned(), path.to_owned());
        self.read(move |store| {
            store.journal.check(&run)?;
            store.artifacts.load(&run, &path)
        })
        .await
    }

    async fn end_run(&self, run: &str, status: RunStatus) -> Result<()> {
        record::check_end(status)?;
        let run = run.to_owned();
        let line = Line::End { status: record::status_word(status).to_owned(), time: nanoseconds(SystemTime::now())? };
        self.write(move |store, _| {
            let mut writer = store.journal.write(&run)?;
            writer.append(&line)?;
            writer.sync()
        })
        .await
    }

    async fn run(&self, run: &str) -> Result<Run> {
        let run = run.to_owned();
        self.read(move |store| store.run(&run)).await
    }

    async fn runs(&self, experiment: &str) -> Result<Vec<Run>> {
        let experiment = experiment.to_owned();
        self.read(move |store| {
            let runs = store.journal.runs_of(&experiment)?;
            if runs.is_empty() {
                return Err(record::unknown_experiment(&experiment));
            }
            let mut runs = runs.iter().map(|run| store.run(run)).collect::<Result<Vec<_>>>()?;
            runs.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
            Ok(runs)
        })
        .await
    }

    async fn metric_history(&self, run: &str, name: &str) -> Result<Vec<Metric>> {
        let (run, name) = (run.to_owned(), name.to_owned());
        self.read(move |store| {
            let mut history = Vec::new();
            for line in store.journal.read(&run)? {
                if let Line::Metrics { metrics } = line {
                    history.extend(metrics.into_iter().map(Value::metric).filter(|metric| metric.name == name));
                }
            }
            Ok(history)
        })
        .await
    }

    async fn log_dataset(&self, run: &str, dataset: Dataset) -> Result<()> {
        record::check_dataset(&dataset)?;
        let Dataset { name, digest, source, context, .. } = dataset;
        self.append(run, Line::Dataset { name, digest, source, context }).await
    }
}

impl JsonlTracker {
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> Result<T> + Send + 'static) -> Result<T> {
        let store = Arc::clone(&self.store);
        blocking(move || work(&store)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &mut SystemTime) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        let mut last = Arc::clone(&self.writers).lock_owned().await;
        blocking(move || work(&store, &mut last)).await
    }

    async fn append(&self, run: &str, line: Line) -> Result<()> {
        let run = run.to_owned();
        self.write(move |store, _| store.journal.write(&run)?.append(&line)).await
    }
}

impl Store {
    /// What the lines of a run add up to.
    fn run(&self, id: &str) -> Result<Run> {
        let mut lines = self.journal.read(id)?.into_iter();
        let Some(Line::Start { experiment, name, tags, time: started, .. }) = lines.next() else {
            return Err(no_start(&self.journal.path(id)));
        };
        let mut run = Run::new(id, NewRun::new(experiment, name), time(started));
        run.tags = tags;
        let mut datasets = BTreeMap::new();
        for line in lines {
            match line {
                Line::Start { .. } => {}
                Line::Params { params } => run.parameters.extend(params),
                Line::Metrics { metrics } => {
                    let metrics = metrics.into_iter().map(Value::metric);
                    run.metrics.extend(metrics.map(|metric| (metric.name, metric.value)));
                }
                Line::Tags { tags } => run.tags.extend(tags),
                Line::Dataset { name, digest, source, context } => {
                    let dataset = Dataset::new(&name, &digest).source(source).context(context);
                    datasets.entry((name, digest)).or_insert(dataset);
                }
                Line::End { status, time: ended } => {
                    run.status = record::status(&status)
                        .with_context(|| format!("reading {}", self.journal.path(id).display()))?;
                    run.ended = Some(time(ended));
                }
            }
        }
        run.datasets = datasets.into_values().collect();
        run.artifacts = self.artifacts.list(id)?;
        run.location = self.journal.path(id).display().to_string();
        Ok(run)
    }
}
