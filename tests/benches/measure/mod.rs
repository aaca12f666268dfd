//! Measures what a piece of code takes, beside others that it is compared with.

#![allow(dead_code, reason = "each benchmark is a program of its own and uses a part")]

use std::time::{Duration, Instant};

/// Something that is measured.
pub(crate) struct Case<'a> {
    name: &'a str,
    run: Box<dyn FnMut(u32) -> Duration + 'a>,
}

impl<'a> Case<'a> {
    /// A piece of code that is run many times in a loop.
    pub(crate) fn new(name: &'a str, mut body: impl FnMut() + 'a) -> Self {
        Case::timed(name, move |iterations| {
            let began = Instant::now();
            for _ in 0..iterations {
                body();
            }
            began.elapsed()
        })
    }

    /// Something that runs as often as it is told, and says how long that took.
    pub(crate) fn timed(name: &'a str, run: impl FnMut(u32) -> Duration + 'a) -> Self {
        Case { name, run: Box::new(run) }
    }
}

/// Prints, and returns, the least time of an iteration in nanoseconds, for each case. The cases take turns, so that
/// whatever else the machine does meets them alike; the least of many rounds is what the code itself takes.
///
/// `cargo bench -p mlx-tests --bench … -- NAME ITERATIONS` runs only the cases of that name, once, and measures
/// nothing: the difference between two numbers of iterations under `valgrind --tool=callgrind` is the number of
/// instructions.
pub(crate) fn least(title: &str, iterations: u32, rounds: u32, mut cases: Vec<Case<'_>>) -> Vec<f64> {
    let mut given = std::env::args().skip(1).filter(|argument| argument != "--bench");
    if let (Some(name), Some(count)) = (given.next(), given.next().and_then(|count| count.parse().ok())) {
        for case in cases.iter_mut().filter(|case| case.name == name) {
            (case.run)(count);
        }
        return vec![f64::NAN; cases.len()];
    }
    let mut least = vec![f64::INFINITY; cases.len()];
    for _ in 0..rounds {
        for (case, least) in cases.iter_mut().zip(&mut least) {
            *least = least.min((case.run)(iterations).as_nanos() as f64 / f64::from(iterations));
        }
    }
    println!("{title}");
    for (case, least) in cases.iter().zip(&least) {
        println!("  {:<44} {least:>14.1} ns", case.name);
    }
    least
}

/// Prints how one figure compares with another.
pub(crate) fn ratio(what: &str, ratio: f64) {
    if ratio.is_finite() {
        println!("  {what}: {ratio:.2}");
    }
}

/// Prints how one figure compares with another, and whether that is within the target.
pub(crate) fn at_most(what: &str, ratio: f64, target: f64) {
    if ratio.is_finite() {
        println!("  {what}: {ratio:.2}, target at most {target}: {}", if ratio <= target { "met" } else { "MISSED" });
    }
}

/// The same for a figure that should be large.
pub(crate) fn at_least(what: &str, ratio: f64, target: f64) {
    if ratio.is_finite() {
        println!("  {what}: {ratio:.2}, target at least {target}: {}", if ratio >= target { "met" } else { "MISSED" });
    }
}
