//! Which runs of experiments to look for.

use super::{Run, RunStatus};
use std::{cmp::Ordering, time::SystemTime};

/// Which runs to find, in which order, and how many.
///
/// ```
/// use mlx_core::contracts::{Comparison, RunKey, RunSearch, RunStatus};
///
/// // The three best finished runs with an AUC above 0.9.
/// let search = RunSearch::new("churn")
///     .status(RunStatus::Finished)
///     .metric("auc", Comparison::Greater, 0.9)
///     .descending(RunKey::Metric("auc".into()))
///     .limit(3);
/// # let _ = search;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RunSearch {
    /// The experiments to look into.
    pub experiments: Vec<String>,
    /// What a run has to fulfil, all of it.
    pub filters: Vec<RunFilter>,
    /// The order, the most important key first; what they leave open is ordered with the newest run first.
    pub order: Vec<RunOrder>,
    /// The most runs to find.
    pub limit: Option<usize>,
}

/// What a run has to fulfil. A run without the metric, parameter or tag does not fulfil it, whatever the comparison.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunFilter {
    /// The last value of a metric compares so. NaN is not equal to anything, and neither less nor greater.
    Metric(String, Comparison, f64),
    /// A parameter has this value, or another one.
    Parameter(String, Match, String),
    /// A tag has this value, or another one.
    Tag(String, Match, String),
    /// The name for people is this, or another one.
    Name(Match, String),
    /// The run is in this state.
    Status(RunStatus),
    /// The run began before or after.
    Started(Comparison, SystemTime),
}

/// How numbers and times compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
}

/// How texts compare: letter by letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    /// The same text.
    Is,
    /// Another text.
    IsNot,
}

/// By what runs are ordered. Those that do not have it come last, and before them those whose metric is NaN.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunKey {
    /// The last value of a metric.
    Metric(String),
    /// A parameter, as text.
    Parameter(String),
    /// A tag, as text.
    Tag(String),
    /// The name for people.
    Name,
    /// When it began.
    Started,
    /// When it ended.
    Ended,
}

/// A key and a direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOrder {
    /// What is compared.
    pub key: RunKey,
    /// Whether the largest comes first.
    pub descending: bool,
}

impl RunSearch {
    /// All runs of an experiment, the newest first.
    pub fn new(experiment: impl Into<String>) -> Self {
        RunSearch { experiments: vec![experiment.into()], ..RunSearch::default() }
    }

    /// Looks into another experiment as well.
    #[must_use]
    pub fn experiment(mut self, experiment: impl Into<String>) -> Self {
        self.experiments.push(experiment.into());
        self
    }

    /// Adds something to fulfil.
    #[must_use]
    pub fn filter(mut self, filter: RunFilter) -> Self {
        self.filters.push(filter);
        self
    }

    /// The last value of a metric has to compare so.
    #[must_use]
    pub fn metric(self, name: impl Into<String>, comparison: Comparison, value: f64) -> Self {
        self.filter(RunFilter::Metric(name.into(), comparison, value))
    }

    /// A parameter has to have this value.
    #[must_use]
    pub fn parameter(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.filter(RunFilter::Parameter(name.into(), Match::Is, value.into()))
    }

    /// A tag has to have this value.
    #[must_use]
    pub fn tag(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.filter(RunFilter::Tag(name.into(), Match::Is, value.into()))
    }

    /// A run has to be in this state.
    #[must_use]
    pub fn status(self, status: RunStatus) -> Self {
        self.filter(RunFilter::Status(status))
    }

    /// Orders by a key, the smallest first.
    #[must_use]
    pub fn ascending(mut self, key: RunKey) -> Self {
        self.order.push(RunOrder { key, descending: false });
        self
    }

    /// Orders by a key, the largest first.
    #[must_use]
    pub fn descending(mut self, key: RunKey) -> Self {
        self.order.push(RunOrder { key, descending: true });
        self
    }

    /// Finds at most so many.
    #[must_use]
    pub fn limit(mut self, runs: usize) -> Self {
        self.limit = Some(runs);
        self
    }

    /// Whether a run fulfils everything, apart from the experiment.
    pub fn matches(&self, run: &Run) -> bool {
        self.filters.iter().all(|filter| filter.matches(run))
    }

    /// How two runs that match are ordered.
    pub fn compare(&self, a: &Run, b: &Run) -> Ordering {
        let by_keys = self.order.iter().map(|order| order.compare(a, b)).find(|ordering| ordering.is_ne());
        by_keys.unwrap_or_else(|| (b.started, &b.id).cmp(&(a.started, &a.id)))
    }

    /// Of these runs those that are looked for.
    pub fn select(&self, mut runs: Vec<Run>) -> Vec<Run> {
        runs.retain(|run| self.matches(run));
        runs.sort_by(|a, b| self.compare(a, b));
        runs.truncate(self.limit.unwrap_or(usize::MAX));
        runs
    }
}

impl RunFilter {
    /// Whether a run fulfils it.
    pub fn matches(&self, run: &Run) -> bool {
        match self {
            RunFilter::Metric(name, comparison, value) => {
                run.metrics.get(name).is_some_and(|found| !found.is_nan() && comparison.holds(found, value))
            }
            RunFilter::Parameter(name, matching, value) => {
                run.parameters.get(name).is_some_and(|found| matching.holds(found, value))
            }
            RunFilter::Tag(name, matching, value) => {
                run.tags.get(name).is_some_and(|found| matching.holds(found, value))
            }
            RunFilter::Name(matching, value) => matching.holds(&run.name, value),
            RunFilter::Status(status) => run.status == *status,
            RunFilter::Started(comparison, time) => comparison.holds(&run.started, time),
        }
    }
}

impl Comparison {
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::Greater => left > right,
        }
    }
}

impl Match {
    fn holds(self, left: &str, right: &str) -> bool {
        (left == right) == (self == Match::Is)
    }
}

impl RunOrder {
    fn compare(&self, a: &Run, b: &Run) -> Ordering {
        // What is missing is last in both directions.
        fn by<T>(descending: bool, a: Option<T>, b: Option<T>, compare: impl Fn(&T, &T) -> Ordering) -> Ordering {
            match (a, b) {
                (Some(a), Some(b)) if descending => compare(&b, &a),
                (Some(a), Some(b)) => compare(&a, &b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            }
        }
        let descending = self.descending;
        match &self.key {
            RunKey::Metric(name) => {
                let (a, b) = (a.metrics.get(name), b.metrics.get(name));
                let number = |value: Option<&f64>| value.copied().filter(|value| !value.is_nan());
                let numbers = by(descending, number(a), number(b), |a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
                numbers.then(b.is_some().cmp(&a.is_some()))
            }
            RunKey::Parameter(name) => by(descending, a.parameters.get(name), b.parameters.get(name), Ord::cmp),
            RunKey::Tag(name) => by(descending, a.tags.get(name), b.tags.get(name), Ord::cmp),
            RunKey::Name => by(descending, Some(&a.name), Some(&b.name), Ord::cmp),
            RunKey::Started => by(descending, Some(a.started), Some(b.started), Ord::cmp),
            RunKey::Ended => by(descending, a.ended, b.ended, Ord::cmp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::NewRun;
    use std::time::{Duration, UNIX_EPOCH};

    fn run(id: &str, started: u64, auc: Option<f64>) -> Run {
        let mut run = Run::new(id, NewRun::new("e", id), UNIX_EPOCH + Duration::from_secs(started));
        run.metrics.extend(auc.map(|auc| ("auc".to_owned(), auc)));
        run
    }

    fn ids(runs: &[Run]) -> Vec<&str> {
        runs.iter().map(|run| run.id.as_str()).collect()
    }

    #[test]
    fn runs_are_ordered_with_what_is_missing_last() {
        let runs = vec![
            run("none", 9, None),
            run("nan", 8, Some(f64::NAN)),
            run("low", 1, Some(f64::NEG_INFINITY)),
            run("high", 2, Some(0.9)),
            run("high-newer", 3, Some(0.9)),
        ];
        let by = RunKey::Metric("auc".into());
        let found = RunSearch::new("e").descending(by.clone()).select(runs.clone());
        assert_eq!(ids(&found), ["high-newer", "high", "low", "nan", "none"]);
        let found = RunSearch::new("e").ascending(by.clone()).ascending(RunKey::Started).select(runs.clone());
        assert_eq!(ids(&found), ["low", "high", "high-newer", "nan", "none"]);
        let found = RunSearch::new("e").limit(2).select(runs.clone());
        assert_eq!(ids(&found), ["none", "nan"], "the newest first");
        assert!(RunSearch::new("e").limit(0).select(runs).is_empty());
    }

    #[test]
    fn nan_fulfils_no_comparison() {
        let all = [
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Equal,
            Comparison::NotEqual,
            Comparison::GreaterOrEqual,
            Comparison::Greater,
        ];
        for comparison in all {
            for value in [0.0, f64::NAN] {
                let search = RunSearch::new("e").metric("auc", comparison, value);
                assert!(!search.matches(&run("r", 1, Some(f64::NAN))), "{comparison:?}");
                assert!(!search.matches(&run("r", 1, None)));
            }
        }
        let held = |comparison| RunSearch::new("e").metric("auc", comparison, 0.5).matches(&run("r", 1, Some(0.5)));
        assert_eq!(all.map(held), [false, true, true, false, true, false]);
    }

    #[test]
    fn texts_and_states_match_or_not() {
        let mut run = run("r", 5, None);
        run.parameters.insert("depth".into(), "3".into());
        run.tags.insert("team".into(), "blue".into());
        let search = || RunSearch::new("e");
        assert!(search().parameter("depth", "3").tag("team", "blue").status(RunStatus::Running).matches(&run));
        assert!(!search().parameter("depth", "3.0").matches(&run));
        assert!(!search().status(RunStatus::Failed).matches(&run));
        let other = |name: &str| RunFilter::Tag(name.into(), Match::IsNot, "red".into());
        assert!(search().filter(other("team")).matches(&run));
        assert!(!search().filter(other("none")).matches(&run), "it has no such tag");
        assert!(search().filter(RunFilter::Name(Match::Is, "r".into())).matches(&run));
        assert!(search().filter(RunFilter::Started(Comparison::Less, SystemTime::now())).matches(&run));
    }
}
