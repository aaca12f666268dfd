//! The record of a run: JSON lines, one an event, only ever longer.
//!
//! A line that ends with a line feed happened; what follows the last one is what a crash left, and is cut off.

use super::{
    attempt::{Ended, Outcome},
    result::{StepResult, delivered},
};
use crate::{
    diagnostics::{Code, Context, Diagnostic, Error, Location, Result, Source},
    plugin::ComponentResult,
};
use serde_json::{Map, Value as Json, json};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The format that is written, and the latest that is read.
const FORMAT: u64 = 1;

/// A record that nobody else writes until it is dropped.
#[derive(Debug)]
pub(super) struct Record {
    file: File,
    path: PathBuf,
    /// Where the whole lines end.
    end: u64,
}

/// What a record tells of the run so far.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Of the pipeline and of the run; `None` when the crash came before the first line.
    pub(super) begun: Option<(String, String)>,
    pub(super) finished: BTreeMap<String, Finished>,
}

/// A step that succeeded.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) identity: Identity,
    pub(super) result: ComponentResult,
    /// Whether it delivered typed data, which the record does not have.
    pub(super) typed_data: bool,
    pub(super) attempts: u32,
    pub(super) duration: Duration,
    pub(super) location: Location,
}

/// What a step's result depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The plugin as `type/id`; empty for a function.
    pub(super) plugin: String,
    /// The fingerprint of its input.
    pub(super) input: String,
    /// The steps whose typed data it takes.
    pub(super) data: Vec<String>,
}

impl Record {
    /// Makes a record of a new run. Blocks, as all functions here do.
    pub(super) fn create(path: &Path, pipeline: &str, run: &str) -> Result<Self> {
        let mut how = OpenOptions::new();
        let file = how.read(true).write(true).create_new(true).open(path).map_err(|error| {
            let exists = error.kind() == io::ErrorKind::AlreadyExists;
            let error = Error::from(error).context(format!("creating the record {}", path.display()));
            if exists { error.context("resume it, or record to another file") } else { error }
        })?;
        let mut record = Record::locked(file, path)?;
        record.start(pipeline, run)?;
        // The name of the file is on the disk, too. Elsewhere a folder cannot be opened as a file.
        if cfg!(unix) {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .with_context(|| format!("writing the folder {}", folder.display()))?;
        }
        Ok(record)
    }

    /// Opens the record of a run that is to be continued.
    pub(super) fn open(path: &Path) -> Result<(Self, History)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| format!("opening the record {}", path.display()))?;
        // A device or a pipe may have no end.
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(Error::invalid(format!("the record {} is not a regular file", path.display())));
        }
        let mut record = Record::locked(file, path)?;
        let mut bytes = Vec::new();
        record.file.read_to_end(&mut bytes).with_context(|| format!("reading the record {}", path.display()))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let history = History::parse(path, &bytes[..whole])?;
        record.end = whole as u64;
        Ok((record, history))
    }

    fn locked(file: File, path: &Path) -> Result<Self> {
        match file.try_lock() {
            Ok(()) => Ok(Record { file, path: path.to_owned(), end: 0 }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::unavailable(format!("another run writes the record {}", path.display())))
            }
            Err(TryLockError::Error(error)) => {
                Err(Error::from(error).context(format!("locking the record {}", path.display())))
            }
        }
    }

    pub(super) fn start(&mut self, pipeline: &str, run: &str) -> Result<()> {
        self.append(&json!({"event": "start", "format": FORMAT, "pipeline": pipeline, "run": run, "time": now()}))
    }

    pub(super) fn resume(&mut self) -> Result<()> {
        self.append(&json!({"event": "resume", "time": now()}))
    }

    /// Adds a line, as a whole or not at all; it is on the disk when this returns.
    pub(super) fn append(&mut self, line: &Json) -> Result<()> {
        let mut bytes = line.to_string().into_bytes();
        bytes.push(b'\n');
        let written = (|| {
            self.file.set_len(self.end)?;
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(&bytes)?;
            self.file.sync_data()
        })();
        match written {
            Ok(()) => self.end += bytes.len() as u64,
            // A full disk, say. If this fails too, the half line is dropped like that of a crash.
            Err(_) => drop(self.file.set_len(self.end)),
        }
        written.with_context(|| format!("writing the record {}", self.path.display()))
    }
}

/// The line of a step that ended.
pub(super) fn step_line(name: &str, identity: &Identity, ended: &Ended) -> Json {
    let mut line = json!({
        "event": "step",
        "step": name,
        "plugin": identity.plugin,
        "input": identity.input,
        "data": identity.data,
        "attempts": ended.attempts,
        "duration": ended.duration.as_secs_f64(),
        "time": now(),
    });
    match &ended.outcome {
        Outcome::Succeeded(result) => {
            line["state"] = "succeeded".into();
            let mut delivered = delivered(result);
            // JSON has no numbers that are not finite.
            for (name, value) in result.metrics.iter().filter(|(_, value)| !value.is_finite()) {
                delivered["metrics"][name] = value.to_string().into();
            }
            line["delivered"] = delivered;
            line["typed_data"] = result.has_data().into();
        }
        Outcome::Failed(error) => {
            line["state"] = "failed".into();
            line["error"] = error.to_string().into();
        }
        Outcome::Cancelled => line["state"] = "cancelled".into(),
    }
    line
}

/// The last line of a run.
pub(super) fn end_line(status: &str, error: Option<&str>) -> Json {
    json!({"event": "end", "status": status, "error": error, "time": now()})
}

impl History {
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let source = Source::new(path.display().to_string(), "");
        let mut history = History::default();
        for (index, text) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let location = Location { source: source.clone(), line, column: 1, length: 0 };
            history.add(text, &location).map_err(|diagnostic| {
                Error::from_diagnostics(format!("the record {}", path.display()), vec![*diagnostic])
            })?;
        }
        Ok(history)
    }

    fn add(&mut self, text: &[u8], location: &Location) -> Result<(), Box<Diagnostic>> {
        let damaged = |why: String| {
            let diagnostic = Diagnostic::error(Code::RecordDamaged, format!("the line is damaged: {why}"))
                .at(location)
                .help("take the lines before it as the record, or begin a new one");
            Box::new(diagnostic)
        };
        let line: Json = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        let text = |key: &str| {
            line.get(key)
                .and_then(Json::as_str)
                .map(str::to_owned)
                .ok_or_else(|| damaged(format!("`{key}` is not there")))
        };
        let event = text("event")?;
        if self.begun.is_none() && event != "start" {
            return Err(damaged("a record begins with the event `start`".to_owned()));
        }
        match event.as_str() {
            "start" => {
                let format = line.get("format").and_then(Json::as_u64).unwrap_or(0);
                if format > FORMAT {
                    let message = format!("the record has the format {format}; this program knows them up to {FORMAT}");
                    let diagnostic = Diagnostic::error(Code::RecordDamaged, message).at(location);
                    return Err(Box::new(diagnostic.help("use a newer program")));
                }
                self.begun = Some((text("pipeline")?, text("run")?));
            }
            "step" => {
                let step = text("step")?;
                if text("state")? != "succeeded" {
                    self.finished.remove(&step);
                    return Ok(());
                }
                let finished = Finished::read(&line, location.clone(), text("plugin")?, text("input")?)
                    .ok_or_else(|| damaged("what the step delivered is not there".to_owned()))?;
                self.finished.insert(step, finished);
            }
            // What a later version adds does not change what these mean.
            _ => {}
        }
        Ok(())
    }
}

impl Finished {
    fn read(line: &Json, location: Location, plugin: String, input: String) -> Option<Self> {
        let delivered = line.get("delivered")?;
        let map = |key: &str| delivered.get(key).and_then(Json::as_object);
        let mut result = ComponentResult::success();
        for (name, value) in map("outputs")? {
            result = result.output(name, value.clone());
        }
        for (name, value) in map("metrics")? {
            result = result.metric(name, value.as_f64().or_else(|| value.as_str()?.parse().ok())?);
        }
        for (name, value) in map("artifacts")? {
            result = result.artifact(name, value.as_str()?);
        }
        let data = line.get("data")?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
        let duration = Duration::try_from_secs_f64(line.get("duration")?.as_f64()?).ok()?;
        result.duration = duration;
        Some(Finished {
            identity: Identity { plugin, input, data: data.collect::<Option<_>>()? },
            typed_data: line.get("typed_data")?.as_bool()?,
            attempts: line.get("attempts")?.as_u64()?.try_into().ok()?,
            result,
            duration,
            location,
        })
    }

    /// Whether the files that it wrote are still there.
    pub(super) fn is_whole(&self) -> bool {
        self.result.artifacts.values().all(|path| path.exists())
    }

    /// As the step of a run that continues the one it was finished in.
    pub(super) fn restore(&self, step: &mut StepResult) {
        step.result = self.result.clone();
        (step.attempts, step.duration, step.restored) = (self.attempts, self.duration, true);
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A short name for a value: the same for the same value, in every version of this format. FNV-1a in 64 bits
/// (<http://www.isthe.com/chongo/tech/comp/fnv/>): it recognises a change, not an attack.
pub(super) fn fingerprint(value: &Json) -> String {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.value(value);
    format!("{:016x}", hash.0)
}

struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn value(&mut self, value: &Json) {
        match value {
            Json::Array(items) => {
                self.bytes(b"[");
                items.iter().for_each(|item| self.value(item));
                self.bytes(b"]");
            }
            Json::Object(map) => self.object(map),
            // As JSON writes it; a text is quoted, so that nothing looks like it.
            scalar => {
                self.bytes(scalar.to_string().as_bytes());
                self.bytes(b",");
            }
        }
    }

    /// By key: the order of an object means nothing.
    fn object(&mut self, map: &Map<String, Json>) {
        let sorted: BTreeMap<&String, &Json> = map.iter().collect();
        self.bytes(b"{");
        for (key, value) in sorted {
            self.bytes(Json::from(key.as_str()).to_string().as_bytes());
            self.value(value);
        }
        self.bytes(b"}");
    }
}

/// Runs blocking work on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::internal("writing the record was interrupted")),
    }
}

/// A record, written on threads that may block.
#[derive(Debug)]
pub(super) struct Writer(Option<Arc<std::sync::Mutex<Record>>>);

impl Writer {
    pub(super) fn new(record: Option<Record>) -> Self {
        Writer(record.map(|record| Arc::new(std::sync::Mutex::new(record))))
    }

    /// Adds a line, which is on the disk when this returns. A run that is not recorded writes nothing.
    pub(super) async fn append(&self, line: impl FnOnce() -> Json) -> Result<()> {
        let Some(record) = self.0.clone() else { return Ok(()) };
        let line = line();
        blocking(move || record.lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(&line)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_these_for_ever() {
        // FNV-1a of `{"a"[true,"x",]"b"1,}`.
        assert_eq!(fingerprint(&json!({"b": 1, "a": [true, "x"]})), "a7b318795779252d");
    }

    #[test]
    fn what_differs_has_another_fingerprint() {
        let values = [
            json!(1),
            json!("1"),
            json!([1]),
            json!([[1]]),
            json!({"a": 1}),
            json!(["a", 1]),
            json!([1, 2]),
            json!([12]),
        ];
        let prints: std::collections::BTreeSet<String> = values.iter().map(fingerprint).collect();
        assert_eq!(prints.len(), values.len());
    }

    #[test]
    fn the_order_of_keys_does_not_count() {
        let of = |text: &str| fingerprint(&serde_json::from_str::<Json>(text).unwrap());
        assert_eq!(of(r#"{"a": 1, "b": 2}"#), of(r#"{"b": 2, "a": 1}"#));
    }
}
