//! A program that is asked to end by the operating system: this one, run anew as a child.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::prelude::*;
use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
};

/// Set in the child: how its plugin starts and stops.
const ROLE: &str = "MLX_TESTS_SIGNALS";

fn say(what: &str) {
    // Not captured, and there at once.
    let mut out = std::io::stdout();
    writeln!(out, "{what}").and_then(|()| out.flush()).unwrap();
}

/// Takes its time.
#[mlx_plugin(type = "monitoring", name = "sleeper")]
struct Sleeper;

#[async_trait]
impl Plugin for Sleeper {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        say("starting");
        if env::var(ROLE).is_ok_and(|role| role == "hangs in its start") {
            std::future::pending::<()>().await;
        }
        Ok(Sleeper)
    }
    async fn shutdown(&self) -> Result<()> {
        say("stopping");
        if env::var(ROLE).is_ok_and(|role| role == "hangs in its stop") {
            std::future::pending::<()>().await;
        }
        say("stopped");
        Ok(())
    }
}

#[async_trait]
impl Monitoring for Sleeper {
    async fn record(&self, _: Vec<Measurement>) -> Result<()> {
        Ok(())
    }
    async fn export(&self) -> Result<String> {
        Ok(String::new())
    }
}

/// What the child does; nothing where it is not the child.
#[test]
fn child() {
    let Ok(role) = env::var(ROLE) else { return };
    let ended = mlx_core::block_on(async {
        let composition = Composition::from_yaml("plugins: [{type: monitoring, name: sleeper, stop_timeout: 10m}]")?;
        if role == "hangs in its start" {
            return registry().run_until_signal(composition).await;
        }
        if role == "works" {
            let work = async |platform: &Platform| {
                say(&format!("works with {}", platform.status().len()));
                std::future::pending().await
            };
            return registry().run_until_signal_with(composition, work).await;
        }
        if role == "ends its work" {
            let work = async |_: &Platform| Err(Error::failed("the work failed"));
            let ended = registry().run_until_signal_with(composition, work).await;
            say(&format!("ended: {}", ended.unwrap_err()));
            return Ok(());
        }
        let platform = registry().activate(composition).await?;
        let run = platform.run_until_signal();
        // It listens from its first poll on, which comes before that of the one who tells.
        let tell = async { say("running") };
        let (ended, ()) = both(run, tell).await;
        ended
    });
    ended.unwrap();
}

/// Polls the first before the second, until both are done.
async fn both<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
    use std::{future::poll_fn, pin::pin, task::Poll};
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut one, mut two) = (None, None);
    poll_fn(|cx| {
        if one.is_none()
            && let Poll::Ready(value) = first.as_mut().poll(cx)
        {
            one = Some(value);
        }
        if two.is_none()
            && let Poll::Ready(value) = second.as_mut().poll(cx)
        {
            two = Some(value);
        }
        match (one.take(), two.take()) {
            (Some(one), Some(two)) => Poll::Ready((one, two)),
            (left, right) => {
                (one, two) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}

struct Program {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Program {
    fn start(role: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Program { child, output }
    }

    /// Waits until it has said so.
    fn says(&mut self, what: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(what) {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it ended without saying `{what}`");
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Its exit status, and what it said on standard error.
    fn end(mut self) -> (ExitStatus, String) {
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap(), errors)
    }
}

#[test]
fn the_first_signal_stops_the_platform_in_an_orderly_way() {
    for (signal, name) in [("TERM", "SIGTERM"), ("INT", "SIGINT")] {
        let mut program = Program::start("stops at once");
        program.says("running");
        program.signal(signal);
        program.says("stopped");
        let (status, errors) = program.end();
        assert_eq!(status.code(), Some(0), "{errors}");
        assert!(errors.contains(&format!("mlx: {name}: stopping 1 plugin;")), "{errors}");
    }
}

#[test]
fn the_second_signal_ends_the_program_and_says_what_it_waited_for() {
    for (signal, name, code) in [("TERM", "SIGTERM", 143), ("INT", "SIGINT", 130)] {
        let mut program = Program::start("hangs in its stop");
        program.says("running");
        program.signal("TERM");
        program.says("stopping");
        program.signal(signal);
        let (status, errors) = program.end();
        assert_eq!(status.code(), Some(code), "{errors}");
        let expected = format!("mlx: {name}: exiting at once, waiting for `monitoring/sleeper`");
        assert!(errors.contains(&expected), "{errors}");
    }
}

#[test]
fn a_signal_during_the_start_gives_it_up() {
    let mut program = Program::start("hangs in its start");
    program.says("starting");
    program.signal("TERM");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(errors.contains("mlx: SIGTERM: giving up the start"), "{errors}");
}

#[test]
fn work_ends_with_a_signal_and_the_platform_with_the_work() {
    let mut program = Program::start("works");
    program.says("works with 1");
    program.signal("TERM");
    program.says("stopped");
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(errors.contains("mlx: SIGTERM: stopping 1 plugin;"), "{errors}");

    let mut program = Program::start("ends its work");
    program.says("stopped");
    program.says("ended: the work failed");
    assert_eq!(program.end().0.code(), Some(0));
}
