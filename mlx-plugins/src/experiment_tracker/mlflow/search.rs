//! Searches in MLflow's words.
//!
//! What MLflow cannot say, or says less exactly, is left out of what is asked, and decided here: whatever it answers is
//! filtered again.

use crate::mlflow::{check_names, milliseconds, quoted};
use mlx_core::prelude::*;

/// The filter to ask with. It may find more runs than the search, and never less.
pub(super) fn filter(search: &RunSearch) -> String {
    search.filters.iter().filter_map(condition).collect::<Vec<_>>().join(" and ")
}

fn condition(filter: &RunFilter) -> Option<String> {
    let text = |field: String, matching: &Match, value: &str| {
        let sign = match matching {
            Match::Is => "=",
            Match::IsNot => "!=",
        };
        Some(format!("{field} {sign} {}", quoted(value).ok()?))
    };
    match filter {
        // An infinite value is stored as the largest one.
        RunFilter::Metric(name, comparison, value) if value.is_finite() => {
            let sign = match comparison {
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Equal => "=",
                Comparison::NotEqual => "!=",
                Comparison::GreaterOrEqual => ">=",
                Comparison::Greater => ">",
            };
            Some(format!("metrics.`{}` {sign} {value:?}", known(name)?))
        }
        RunFilter::Parameter(name, matching, value) => text(format!("params.`{}`", known(name)?), matching, value),
        RunFilter::Tag(name, matching, value) => text(format!("tags.`{}`", known(name)?), matching, value),
        RunFilter::Name(matching, value) => text("attributes.run_name".to_owned(), matching, value),
        RunFilter::Status(status) => {
            let word = match status {
                RunStatus::Running => return None,
                RunStatus::Finished => "FINISHED",
                RunStatus::Failed => "FAILED",
                RunStatus::Cancelled => "KILLED",
            };
            Some(format!("attributes.status = '{word}'"))
        }
        RunFilter::Started(comparison, time) => {
            let time = milliseconds(*time).ok()?;
            match comparison {
                Comparison::Less | Comparison::LessOrEqual => Some(format!("attributes.start_time <= {time}")),
                Comparison::Greater | Comparison::GreaterOrEqual => Some(format!("attributes.start_time >= {time}")),
                Comparison::Equal | Comparison::NotEqual => None,
            }
        }
        _ => None,
    }
}

/// The order to ask with, and whether it is that of the search.
pub(super) fn order(search: &RunSearch) -> (Vec<String>, bool) {
    let mut order: Vec<String> = Vec::new();
    for RunOrder { key, descending } in &search.order {
        let field = match key {
            RunKey::Metric(name) => known(name).map(|name| format!("metrics.`{name}`")),
            RunKey::Parameter(name) => known(name).map(|name| format!("params.`{name}`")),
            RunKey::Tag(name) => known(name).map(|name| format!("tags.`{name}`")),
            RunKey::Name => Some("attributes.run_name".to_owned()),
            RunKey::Started => Some("attributes.start_time".to_owned()),
            RunKey::Ended => Some("attributes.end_time".to_owned()),
            _ => return (order, false),
        };
        // By a name that no run can have, all are alike.
        let Some(field) = field else { continue };
        // The same key again decides nothing, and MLflow refuses it.
        if !order.iter().any(|known| known.starts_with(&field)) {
            order.push(format!("{field} {}", if *descending { "DESC" } else { "ASC" }));
        }
    }
    (order, true)
}

/// A name that MLflow can have recorded.
fn known(name: &str) -> Option<&str> {
    check_names("", [&name.to_owned()]).ok().map(|()| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn what_mlflow_can_say_is_asked_of_it() {
        let search = RunSearch::new("e")
            .metric("auc/test", Comparison::GreaterOrEqual, 1e-5)
            .parameter("depth", "it's 3")
            .filter(RunFilter::Tag("team".into(), Match::IsNot, "blue".into()))
            .filter(RunFilter::Name(Match::Is, "r".into()))
            .status(RunStatus::Cancelled)
            .filter(RunFilter::Started(Comparison::Less, UNIX_EPOCH + Duration::from_micros(1500)));
        assert_eq!(
            filter(&search),
            "metrics.`auc/test` >= 1e-5 and params.`depth` = \"it's 3\" and tags.`team` != 'blue' \
             and attributes.run_name = 'r' and attributes.status = 'KILLED' and attributes.start_time <= 1"
        );
        let search = RunSearch::new("e")
            .metric("a`b", Comparison::Less, 1.0)
            .metric("a", Comparison::Less, f64::INFINITY)
            .metric("a", Comparison::NotEqual, f64::NAN)
            .parameter("p", "\"it's\"")
            .status(RunStatus::Running);
        assert_eq!(filter(&search), "", "decided here");
    }

    #[test]
    fn a_key_is_asked_for_once() {
        let search = RunSearch::new("e")
            .descending(RunKey::Metric("auc".into()))
            .ascending(RunKey::Metric("auc".into()))
            .ascending(RunKey::Tag("no`name".into()))
            .ascending(RunKey::Ended);
        assert_eq!(order(&search), (vec!["metrics.`auc` DESC".to_owned(), "attributes.end_time ASC".to_owned()], true));
    }
}
