//! Running until the operating system asks for the end.

use super::{Platform, status::PluginState, step};
use crate::{
    composition::{Composition, Plan},
    diagnostics::{Code, Diagnostic, Error, ErrorKind, Result, listing},
    registry::Registry,
};
use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    process,
    task::Poll,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long a stop may take before it is said what it waits for, and how often after that.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// What asked a program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShutdownSignal {
    /// `SIGINT`: Ctrl-C.
    Interrupt,
    /// `SIGTERM`: the service manager, `docker stop`, Kubernetes. On Windows: the console is closed, or the machine.
    Terminate,
}

impl ShutdownSignal {
    /// The exit code of a program that the signal has ended: 128 and its number, as shells have it.
    pub const fn exit_code(self) -> i32 {
        match self {
            ShutdownSignal::Interrupt => 130,
            ShutdownSignal::Terminate => 143,
        }
    }
}

impl fmt::Display for ShutdownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ShutdownSignal::Interrupt => "SIGINT",
            ShutdownSignal::Terminate => "SIGTERM",
        })
    }
}

/// Waits for `SIGINT` or `SIGTERM`, or for Ctrl-C and the like on Windows. From the first poll on, these do not end the
/// program by themselves any more; also not after the future is dropped.
///
/// For a program that does something else than [`Platform::run_until_signal`] when it is asked to end.
///
/// # Errors
/// What the operating system reported; [`Unsupported`](crate::ErrorKind::Unsupported) outside of a tokio runtime.
pub async fn shutdown_signal() -> Result<ShutdownSignal> {
    Ok(Signals::listen()?.next().await)
}

/// The signals from the moment of `listen`.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    close: tokio::signal::windows::CtrlClose,
    #[cfg(windows)]
    shutdown: tokio::signal::windows::CtrlShutdown,
}

impl Signals {
    fn listen() -> Result<Self> {
        step::runtime()?;
        let failed = |error: std::io::Error| Error::from(error).context("listening for signals");
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
            Ok(Signals { interrupt, terminate: signal(SignalKind::terminate()).map_err(failed)? })
        }
        #[cfg(windows)]
        {
            use tokio::signal::windows::{ctrl_c, ctrl_close, ctrl_shutdown};
            let interrupt = ctrl_c().map_err(failed)?;
            let close = ctrl_close().map_err(failed)?;
            Ok(Signals { interrupt, close, shutdown: ctrl_shutdown().map_err(failed)? })
        }
    }

    async fn next(&mut self) -> ShutdownSignal {
        poll_fn(|cx| {
            if self.interrupt.poll_recv(cx).is_ready() {
                return Poll::Ready(ShutdownSignal::Interrupt);
            }
            #[cfg(unix)]
            let terminate = self.terminate.poll_recv(cx).is_ready();
            #[cfg(windows)]
            let terminate = self.close.poll_recv(cx).is_ready() || self.shutdown.poll_recv(cx).is_ready();
            if terminate { Poll::Ready(ShutdownSignal::Terminate) } else { Poll::Pending }
        })
        .await
    }
}

impl Platform {
    /// Runs until `SIGINT` or `SIGTERM` (Ctrl-C and the like on Windows), then [shuts down](Platform::shutdown) in an orderly
    /// way. Standard error says what is waited for. A second signal ends the program at once, with 130 or 143 as its exit
    /// code.
    ///
    /// ```no_run
    /// # use mlx_core::prelude::*;
    /// fn main() -> Result<()> {
    ///     mlx_core::block_on(async {
    ///         let platform = registry().activate(Composition::from_path("platform.yaml")?).await?;
    ///         platform.run_until_signal().await
    ///     })
    /// }
    /// ```
    ///
    /// [`Registry::run_until_signal`] takes signals during the start too.
    ///
    /// # Errors
    /// What could not be stopped cleanly, and when the operating system grants no signals: then at once.
    pub async fn run_until_signal(&self) -> Result<()> {
        let mut signals = Signals::listen()?;
        let signal = signals.next().await;
        self.stop_for(signal, &mut signals).await
    }

    async fn stop_for(&self, signal: ShutdownSignal, signals: &mut Signals) -> Result<()> {
        eprintln!("mlx: {signal}: stopping {}; once more to exit at once", count(self.unstopped().len()));
        patiently(self.shutdown(), signals, || self.waits_for()).await
    }

    fn waits_for(&self) -> String {
        match self.unstopped() {
            none if none.is_empty() => String::new(),
            ids => format!("waiting for {}", listing(ids.iter().map(String::as_str))),
        }
    }

    /// Plugins that have not stopped, the one that is being stopped first.
    fn unstopped(&self) -> Vec<String> {
        let mut statuses = self.status();
        statuses.retain(|status| status.state.is_serving() || status.state == PluginState::Stopping);
        statuses.sort_by_key(|status| status.state != PluginState::Stopping);
        statuses.into_iter().map(|status| status.label()).collect()
    }
}

impl Registry {
    /// Starts a platform and runs it [until a signal](Platform::run_until_signal). A signal during the start gives the start
    /// up: what was started is stopped again.
    ///
    /// # Errors
    /// As [`activate`](Registry::activate), and as [`Platform::run_until_signal`]. A start that a signal ended is no error.
    pub async fn run_until_signal(&self, composition: Composition) -> Result<()> {
        self.run_until_signal_with(composition, async |_| std::future::pending().await).await
    }

    /// As [`run_until_signal`](Registry::run_until_signal), and does some work with the platform when it has started. It ends
    /// with the work or with a signal, whichever is first; a signal drops the work where it waits.
    ///
    /// ```no_run
    /// # use mlx_core::prelude::*;
    /// fn main() -> Result<()> {
    ///     mlx_core::block_on(async {
    ///         let composition = Composition::from_path("platform.yaml")?;
    ///         registry()
    ///             .run_until_signal_with(composition, async |platform| {
    ///                 let mut watcher = platform.watch("platform.yaml")?;
    ///                 while let Some(Err(error)) = watcher.next().await {
    ///                     eprintln!("{error:?}");
    ///                 }
    ///                 Ok(())
    ///             })
    ///             .await
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`run_until_signal`](Registry::run_until_signal); before what could not be stopped cleanly, what the work reported.
    pub async fn run_until_signal_with(
        &self,
        composition: Composition,
        work: impl AsyncFnOnce(&Platform) -> Result<()>,
    ) -> Result<()> {
        let mut signals = Signals::listen()?;
        let plan: Plan = self.resolve(&composition)?;
        let cancellation = CancellationToken::new();
        let mut starting = pin!(Platform::start_cancellable(plan, cancellation.clone()));
        let platform = match first(starting.as_mut(), signals.next()).await {
            First::Left(started) => started?,
            First::Right(signal) => {
                eprintln!("mlx: {signal}: giving up the start; once more to exit at once");
                cancellation.cancel();
                match patiently(starting, &mut signals, || "waiting for plugins that are being started".to_owned())
                    .await
                {
                    Err(error) if was_only_given_up(&error) => return Ok(()),
                    Err(error) => return Err(error),
                    // It was too late to give it up.
                    Ok(platform) => return platform.stop_for(signal, &mut signals).await,
                }
            }
        };
        match first(work(&platform), signals.next()).await {
            First::Right(signal) => platform.stop_for(signal, &mut signals).await,
            First::Left(outcome) => {
                let mut stopping = pin!(platform.shutdown());
                let stopped = match first(stopping.as_mut(), signals.next()).await {
                    First::Left(stopped) => stopped,
                    First::Right(signal) => {
                        eprintln!("mlx: {signal}: stopping already; once more to exit at once");
                        patiently(stopping, &mut signals, || platform.waits_for()).await
                    }
                };
                outcome.and(stopped)
            }
        }
    }
}

/// Whether nothing else went wrong, also not in the stop of what had been started.
fn was_only_given_up(error: &Error) -> bool {
    let given_up = |found: &Diagnostic| found.code == Code::StartFailed;
    error.kind() == ErrorKind::Cancelled && error.diagnostics().iter().all(given_up)
}

/// Waits for the end of something, says now and then what is waited for, and ends the program at the next signal.
async fn patiently<T>(work: impl Future<Output = T>, signals: &mut Signals, waits_for: impl Fn() -> String) -> T {
    let mut work = pin!(work);
    loop {
        let pause = tokio::time::timeout(REPORT_EVERY, signals.next());
        match first(work.as_mut(), pause).await {
            First::Left(done) => return done,
            First::Right(Err(_)) => eprintln!("mlx: {}", waits_for()),
            First::Right(Ok(signal)) => {
                eprintln!("mlx: {signal}: exiting at once, {}", waits_for());
                process::exit(signal.exit_code());
            }
        }
    }
}

fn count(plugins: usize) -> String {
    match plugins {
        1 => "1 plugin".to_owned(),
        many => format!("{many} plugins"),
    }
}

enum First<A, B> {
    Left(A),
    Right(B),
}

/// Whichever is ready first; the first of them where both are.
async fn first<A, B>(left: impl Future<Output = A>, right: impl Future<Output = B>) -> First<A, B> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    poll_fn(|cx| match (left.as_mut().poll(cx), right.as_mut().poll(cx)) {
        (Poll::Ready(left), _) => Poll::Ready(First::Left(left)),
        (_, Poll::Ready(right)) => Poll::Ready(First::Right(right)),
        _ => Poll::Pending,
    })
    .await
}
