//! What the program is doing: a spinner on a terminal, a line a step elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// A numbered list of steps.
pub(crate) struct Progress {
    total: usize,
    number: usize,
    terminal: bool,
}

/// The step that is being done.
pub(crate) struct Step {
    label: String,
    began: Instant,
    spinner: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(total: usize) -> Self {
        Progress { total, number: 0, terminal: std::io::stderr().is_terminal() }
    }

    /// Begins the next step.
    pub(crate) fn step(&mut self, doing: &str) -> Step {
        self.number += 1;
        let label = format!("[{:>2}/{}] {doing}", self.number, self.total);
        let spinner = self.terminal.then(|| {
            let spinner = ProgressBar::new_spinner();
            // A spinner without style still says what is being done.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                spinner.set_style(style);
            }
            spinner.set_message(label.clone());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        Step { label, began: Instant::now(), spinner }
    }
}

impl Step {
    /// Ends the step with what came out of it.
    pub(crate) fn done(self, outcome: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        let seconds = self.began.elapsed().as_secs_f64();
        eprintln!("{:<34} {outcome} ({seconds:.2} s)", self.label);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        // A failed step must not leave its spinner on the screen.
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
