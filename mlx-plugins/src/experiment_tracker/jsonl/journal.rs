//! The files of runs: one a run, one line an event, only ever longer.

use super::line::{FORMAT, Line};
use crate::{
    experiment_tracker::record::unknown_run,
    storage::{Partial, make_folder, sync_folders},
};
use mlx_core::prelude::*;
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const NEWLINE: u8 = b'\n';

/// The folder of the files.
pub(super) struct Journal {
    folder: PathBuf,
    lock_timeout: Duration,
    /// The experiment of each run seen so far; a run's first line does not change.
    experiments: Mutex<HashMap<String, String>>,
}

impl Journal {
    /// Opens or makes the folder. Blocks, as all methods do.
    pub(super) fn open(folder: PathBuf, lock_timeout: Duration) -> Result<Self> {
        make_folder(&folder)?;
        Ok(Journal { folder, lock_timeout, experiments: Mutex::default() })
    }

    /// The file of a run.
    pub(super) fn path(&self, run: &str) -> PathBuf {
        self.folder.join(format!("{run}.jsonl"))
    }

    /// Makes the file of a new run; it appears with its first line in it.
    pub(super) fn create(&self, run: &str, start: &Line, partial: &Path) -> Result<()> {
        Partial::write(partial, &start.to_bytes()?)?.publish(&self.path(run))?;
        sync_folders(&self.folder, &self.folder)
    }

    /// Checks that there is such a run.
    pub(super) fn check(&self, run: &str) -> Result<()> {
        self.open_file(run, OpenOptions::new().read(true)).map(|_| ())
    }

    /// Opens a run's file for writing, alone among all processes.
    pub(super) fn write(&self, run: &str) -> Result<Writer> {
        let file = self.open_file(run, OpenOptions::new().read(true).write(true))?;
        let path = self.path(run);
        self.lock(&path, || file.try_lock())?;
        Ok(Writer { file, path })
    }

    /// All lines of a run.
    pub(super) fn read(&self, run: &str) -> Result<Vec<Line>> {
        let mut file = self.open_file(run, OpenOptions::new().read(true))?;
        let path = self.path(run);
        self.lock(&path, || file.try_lock_shared())?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
        drop(file);
        parse(&path, &bytes)
    }

    /// The runs of an experiment, in no order.
    pub(super) fn runs_of(&self, experiment: &str) -> Result<Vec<String>> {
        let mut runs = self.ids()?;
        let mut experiments = self.experiments.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failure = None;
        runs.retain(|run| match experiments.get(run) {
            Some(known) => known == experiment,
            None => match self.experiment(run) {
                Ok(found) => {
                    let wanted = found == experiment;
                    experiments.insert(run.clone(), found);
                    wanted
                }
                Err(error) => {
                    failure.get_or_insert(error);
                    false
                }
            },
        });
        failure.map_or(Ok(runs), Err)
    }

    /// The runs whose last line was not written to its end, sorted.
    pub(super) fn torn(&self) -> Result<Vec<String>> {
        let mut torn = Vec::new();
        for run in self.ids()? {
            let path = self.path(&run);
            let mut file = self.open_file(&run, OpenOptions::new().read(true))?;
            let reading = || format!("reading {}", path.display());
            if ends_whole(&mut file).with_context(reading)? {
                continue;
            }
            // It may be in the middle of being written: look again when nobody writes.
            self.lock(&path, || file.try_lock_shared())?;
            if !ends_whole(&mut file).with_context(reading)? {
                torn.push(run);
            }
        }
        torn.sort_unstable();
        Ok(torn)
    }

    fn ids(&self) -> Result<Vec<String>> {
        let reading = || format!("reading the folder {}", self.folder.display());
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder).with_context(reading)? {
            let name = entry.with_context(reading)?.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".jsonl")).filter(|id| is_id(id)) {
                ids.push(id.to_owned());
            }
        }
        Ok(ids)
    }

    fn experiment(&self, run: &str) -> Result<String> {
        let path = self.path(run);
        let mut line = Vec::new();
        BufReader::new(self.open_file(run, OpenOptions::new().read(true))?)
            .read_until(NEWLINE, &mut line)
            .with_context(|| format!("reading {}", path.display()))?;
        match parse(&path, &line)?.pop() {
            Some(Line::Start { experiment, .. }) => Ok(experiment),
            _ => Err(no_start(&path)),
        }
    }

    fn open_file(&self, run: &str, how: &OpenOptions) -> Result<File> {
        // Anything else is not a run's id, and could lead to another file.
        if !is_id(run) {
            return Err(unknown_run(run));
        }
        match how.open(self.path(run)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unknown_run(run)),
            opened => opened.with_context(|| format!("opening {}", self.path(run).display())),
        }
    }

    /// Waits for a lock. The operating system has no lock with a deadline.
    fn lock(&self, path: &Path, attempt: impl Fn() -> Result<(), TryLockError>) -> Result<()> {
        let deadline = Instant::now() + self.lock_timeout;
        let mut pause = Duration::from_micros(100);
        loop {
            match attempt() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(pause),
                Err(TryLockError::WouldBlock) => {
                    let message = format!("{} stays locked by another process", path.display());
                    return Err(Error::unavailable(message));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(Error::from(error).context(format!("locking {}", path.display())));
                }
            }
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }
}

/// A run's file that nobody else writes until this is dropped.
pub(super) struct Writer {
    file: File,
    path: PathBuf,
}

impl Writer {
    /// All lines so far.
    pub(super) fn lines(&mut self) -> Result<Vec<Line>> {
        let bytes = self.bytes().with_context(|| format!("reading {}", self.path.display()))?;
        parse(&self.path, &bytes)
    }

    /// Adds a line, as a whole or not at all. What a crash left of an unfinished one goes.
    pub(super) fn append(&mut self, line: &Line) -> Result<()> {
        let bytes = line.to_bytes()?;
        self.append_bytes(&bytes).with_context(|| format!("writing {}", self.path.display()))
    }

    /// Waits until the disk has everything that was written to the file, by whomever.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_all().with_context(|| format!("writing {}", self.path.display()))
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end =
            if ends_whole(&mut self.file)? { self.file.metadata()?.len() } else { whole(&self.bytes()?).len() as u64 };
        self.file.set_len(end)?;
        self.file.seek(SeekFrom::Start(end))?;
        self.file.write_all(bytes).inspect_err(|_| {
            // A full disk, say. If this fails too, the half line is dropped like that of a crash.
            let _ = self.file.set_len(end);
        })
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// 32 hexadecimal digits in lower case.
fn is_id(run: &str) -> bool {
    run.len() == 32 && run.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn ends_whole(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == [NEWLINE])
}

/// The lines that have their end.
fn whole(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == NEWLINE).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Reads the lines that have their end. One that cannot be read is damage, which is not passed over in silence.
fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (n, text) in whole(bytes).split_inclusive(|byte| *byte == NEWLINE).enumerate() {
        if n == 0 {
            check_format(path, text)?;
        }
        lines.push(serde_json::from_slice(text).map_err(|error| {
            Error::failed(format!("{}, line {}, is damaged: {error}", path.display(), n + 1)).with_source(error)
        })?);
    }
    match lines.first() {
        Some(Line::Start { .. }) => Ok(lines),
        _ => Err(no_start(path)),
    }
}

/// Looks at the format before anything that a later one may have changed.
fn check_format(path: &Path, first: &[u8]) -> Result<()> {
    let format = serde_json::from_slice(first).ok().and_then(|line: serde_json::Value| line.get("format")?.as_u64());
    match format {
        Some(format) if format > u64::from(FORMAT) => Err(Error::unsupported(format!(
            "{} has the format {format}, and this program knows them up to {FORMAT}: use a newer program",
            path.display()
        ))),
        _ => Ok(()),
    }
}

pub(super) fn no_start(path: &Path) -> Error {
    Error::failed(format!("{} does not begin with the start of a run", path.display()))
}
