//! Changing a running platform when its file is saved.

use super::{
    Platform,
    apply::{Applied, Target},
    change,
    difference::Wishes,
    running::Running,
    step,
};
use crate::{
    composition::{Composition, Plan},
    diagnostics::{Error, Result},
};
use futures_core::Stream;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::DropGuard;

/// How often files are looked at unless it is said otherwise.
const INTERVAL: Duration = Duration::from_millis(500);

/// Outcomes that are kept for somebody to take; what comes after these is only applied.
const KEPT: usize = 64;

/// A file that a platform follows, and how: made with [`Watch::new`], begun with [`Watch::start`].
///
/// ```no_run
/// # use mlx_core::{prelude::*, platform::Watch};
/// # async fn example(platform: &Platform) -> Result<()> {
/// let mut watcher = Watch::new("platform.yaml").profile("prod").every(Duration::from_secs(2)).start(platform)?;
/// while let Some(outcome) = watcher.next().await {
///     match outcome {
///         Ok(applied) => eprint!("{applied}"),
///         Err(error) => eprintln!("{error:?}"),
///     }
/// }
/// # Ok(()) }
/// ```
#[must_use = "nothing is watched before `start`"]
pub struct Watch {
    path: PathBuf,
    also: Vec<PathBuf>,
    profiles: Vec<String>,
    interval: Duration,
    load: Option<Box<Load>>,
}

type Load = dyn Fn() -> Result<Composition> + Send + Sync;

impl Watch {
    /// The file of the composition.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Watch { path: path.into(), also: Vec::new(), profiles: Vec::new(), interval: INTERVAL, load: None }
    }

    /// Applies a profile to what is read, after those named before. Where none is named, the profiles are those that the
    /// platform runs with when the watch begins.
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profiles.push(name.into());
        self
    }

    /// Watches another file too, such as one that settings refer to.
    pub fn also(mut self, path: impl Into<PathBuf>) -> Self {
        self.also.push(path.into());
        self
    }

    /// How often the files are looked at; half a second unless set, and never less than a millisecond.
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Makes the composition in the program's own way when a file has changed, instead of reading the file and
    /// applying the profiles.
    pub fn load(mut self, load: impl Fn() -> Result<Composition> + Send + Sync + 'static) -> Self {
        self.load = Some(Box::new(load));
        self
    }

    /// Begins to watch the file, and those that it includes or extends. The file rules: what it says is applied at
    /// once where it is not what runs, and then whenever its contents have changed, as by [`Platform::apply`]. Where
    /// it cannot be read, has mistakes, or does not start, the platform stays as it is, and the next change of the
    /// file is waited for.
    ///
    /// Contents are compared, not dates, so files that are renamed into place and links that are switched count as
    /// well. A change counts when two looks in a row have found the same, so that a half-written file is not taken
    /// for a whole one.
    ///
    /// It ends when the watcher is dropped or the platform is shut down.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) outside of a tokio runtime.
    pub fn start(mut self, platform: &Platform) -> Result<Watcher> {
        let runtime = step::runtime()?;
        if self.profiles.is_empty() {
            self.profiles = platform.plan().composition().applied_profiles().to_vec();
        }
        let cancellation = platform.running.closing.child_token();
        let (outcomes, receiver) = mpsc::channel(KEPT);
        let task = Task { watch: Arc::new(self), running: Arc::downgrade(&platform.running), outcomes };
        let guard = cancellation.clone().drop_guard();
        runtime.spawn(async move { cancellation.run_until_cancelled(task.run()).await });
        Ok(Watcher { outcomes: receiver, _guard: guard })
    }

    /// The composition, and the files that it is made of beside those that are known.
    fn composition(&self) -> (Vec<PathBuf>, Result<Composition>) {
        if let Some(load) = &self.load {
            return (Vec::new(), load());
        }
        let (files, composition) = Composition::from_path_with_files(&self.path);
        let with_profile = |composition: Composition, profile: &String| composition.with_profile(profile);
        (files, composition.and_then(|composition| self.profiles.iter().try_fold(composition, with_profile)))
    }

    fn look(&self, included: &[PathBuf]) -> Contents {
        let paths: BTreeSet<&PathBuf> = std::iter::once(&self.path).chain(&self.also).chain(included).collect();
        let read = |path: &PathBuf| (path.clone(), fs::read(path).map_err(|error| error.kind()));
        paths.into_iter().map(read).collect()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("path", &self.path).field("interval", &self.interval).finish_non_exhaustive()
    }
}

/// What the files hold, or why they cannot be read.
type Contents = BTreeMap<PathBuf, Result<Vec<u8>, io::ErrorKind>>;

/// Follows a file until it is dropped, and says what became of each change: also as a [`Stream`].
///
/// The outcomes need not be taken: the first few are kept, and changes are applied all the same.
#[derive(Debug)]
#[must_use = "watching ends when the watcher is dropped"]
pub struct Watcher {
    outcomes: mpsc::Receiver<Result<Applied>>,
    _guard: DropGuard,
}

impl Watcher {
    /// What became of the next change: what was done, or why nothing was. `None` once the platform is shut down. A
    /// file that was saved without a change that matters is no news.
    pub async fn next(&mut self) -> Option<Result<Applied>> {
        self.outcomes.recv().await
    }
}

impl Stream for Watcher {
    type Item = Result<Applied>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.outcomes.poll_recv(cx)
    }
}

impl Platform {
    /// Follows the file of a composition, with the profiles that the platform runs with: see [`Watch`], which also has other
    /// profiles and another interval.
    ///
    /// # Errors
    /// As [`Watch::start`].
    pub fn watch(&self, path: impl AsRef<Path>) -> Result<Watcher> {
        Watch::new(path.as_ref()).start(self)
    }
}

struct Task {
    watch: Arc<Watch>,
    /// Weak, so that a watcher does not keep a platform that was dropped.
    running: Weak<Running>,
    outcomes: mpsc::Sender<Result<Applied>>,
}

impl Task {
    async fn run(self) {
        let mut ticks = interval(self.watch.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut applied, mut last): (Option<Contents>, Option<Contents>) = (None, None);
        let mut included: Vec<PathBuf> = Vec::new();
        loop {
            ticks.tick().await;
            let Some(running) = self.running.upgrade() else { return };
            let Some(now) = self.look(&included).await else { continue };
            let settled = last.replace(now.clone()).is_some_and(|last| last == now);
            if !settled || applied.as_ref() == Some(&now) {
                continue;
            }
            let composition = match self.off(Watch::composition).await {
                Some((files, _)) if files != included => {
                    // What was read of a file that was not known could be half of it.
                    included = files;
                    continue;
                }
                Some((_, composition)) => composition,
                None => Err(Error::internal("reading the composition panicked")),
            };
            if self.look(&included).await.as_ref() != Some(&now) {
                // It was written while it was read.
                continue;
            }
            applied = Some(now);
            let outcome = match composition {
                Ok(composition) => apply(&running, composition).await,
                Err(error) => Err(error),
            };
            if !matches!(&outcome, Ok(applied) if applied.is_unchanged() && applied.adjusted.is_empty()) {
                // Whoever does not take them has seen the first.
                let _ = self.outcomes.try_send(outcome);
            }
        }
    }

    async fn look(&self, included: &[PathBuf]) -> Option<Contents> {
        let included = included.to_vec();
        self.off(move |watch| watch.look(&included)).await
    }

    /// Runs what blocks where it holds up nothing. `None` when it panicked.
    async fn off<T: Send + 'static>(&self, work: impl FnOnce(&Watch) -> T + Send + 'static) -> Option<T> {
        let watch = self.watch.clone();
        tokio::task::spawn_blocking(move || work(&watch)).await.ok()
    }
}

async fn apply(running: &Arc<Running>, composition: Composition) -> Result<Applied> {
    let request = move |now: &Plan| {
        // References are looked up where the platform looks them up.
        let composition = composition.with_variables_of(now.composition());
        Ok(Target { composition, wishes: Wishes::default(), removing: None })
    };
    change::change(running, Box::new(request)).await
}
