//! The program as a user runs it: with its own composition, with another tracker, and with a wrong one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::JsonValue;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// A folder with the example's composition and data, so that runs do not share their results.
fn project(change: impl FnOnce(String) -> String) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read_to_string(Path::new(HERE).join(name)).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/breast_cancer.csv"), read("data/breast_cancer.csv")).unwrap();
    fs::write(folder.path().join("platform.yaml"), change(read("platform.yaml"))).unwrap();
    folder
}

fn run(folder: &TempDir) -> (Output, String, String) {
    run_with(folder, &[])
}

fn run_with(folder: &TempDir, arguments: &[&str]) -> (Output, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_enterprise-stack"))
        .args(arguments)
        .arg(folder.path().join("platform.yaml"))
        .env("NO_COLOR", "1")
        .env("MLX_DEMO_KEY", "a-key-that-nobody-may-see")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!out.contains("a-key-that-nobody-may-see") && !err.contains("a-key-that-nobody-may-see"), "{out}\n{err}");
    (output, out, err)
}

/// The words after a label of the report.
fn field<'r>(report: &'r str, label: &str) -> Vec<&'r str> {
    let line = report.lines().find(|line| line.starts_with(label)).unwrap_or_else(|| panic!("no {label} in\n{report}"));
    line.split_whitespace().skip(label.split_whitespace().count()).collect()
}

#[test]
fn the_figures_are_those_of_an_independent_implementation() {
    let (output, report, progress) = run(&project(|yaml| yaml));
    assert!(output.status.success(), "{progress}");
    let reference = fs::read_to_string(Path::new(HERE).join("../../tests/reference/breast_cancer.json")).unwrap();
    let reference: JsonValue = serde_json::from_str(&reference).unwrap();
    // Six printed digits; the coefficients themselves are compared in the trainer's own tests.
    for (label, position, name) in [
        ("accuracy", 0, "accuracy"),
        ("precision", 0, "precision"),
        ("precision", 2, "recall"),
        ("precision", 4, "f1"),
        ("ROC AUC", 0, "roc_auc"),
        ("ROC AUC", 3, "log_loss"),
    ] {
        let printed: f64 = field(&report, label)[position].parse().unwrap();
        let expected = find(&reference, name).unwrap_or_else(|| panic!("no {name} in the reference"));
        assert!((printed - expected).abs() < 2e-6, "{name}: {printed} against {expected}");
    }
    assert_eq!(field(&report, "data")[0], "569");
    assert_eq!(field(&report, "prediction")[0], "malignant");
    assert_eq!(field(&report, "served")[..2], ["1", "request"]);
    assert!(report.contains("tracked by local"), "{report}");
    assert_eq!(progress.matches("/10]").count(), 10, "{progress}");
}

/// A number of this name, anywhere in a JSON document.
fn find(value: &JsonValue, name: &str) -> Option<f64> {
    match value {
        JsonValue::Object(map) => {
            map.get(name).and_then(JsonValue::as_f64).or_else(|| map.values().find_map(|value| find(value, name)))
        }
        JsonValue::Array(items) => items.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

fn with_jsonl(yaml: String) -> String {
    let changed =
        yaml.replace("type: experiment_tracker\n    name: local", "type: experiment_tracker\n    name: jsonl");
    assert_ne!(changed, yaml);
    changed
}

#[test]
fn changing_the_composition_alone_swaps_the_tracker() {
    let folder = project(with_jsonl);
    let (output, report, progress) = run(&folder);
    assert!(output.status.success(), "{progress}");
    assert!(report.contains("tracked by jsonl"), "{report}");
    assert!(!folder.path().join(".mlx-runs/tracking/tracking.db").exists());
    let again = run(&folder).1;
    assert_eq!(field(&again, "model")[..3], ["breast-cancer", "version", "2"], "the registry remembers");
}

/// The profile means the tracker by its id, whichever plugin it is.
#[test]
#[cfg(not(feature = "mlflow"))]
fn the_profile_replaces_whichever_tracker_there_is() {
    let errors = [project(|yaml| yaml), project(with_jsonl)].map(|folder| {
        let (output, _, error) = run_with(&folder, &["--profile", "mlflow"]);
        assert_eq!(output.status.code(), Some(1));
        error.replace(&folder.path().display().to_string(), "")
    });
    assert!(errors[0].contains("2 errors"), "{}", errors[0]);
    assert_eq!(errors[0].matches("is named `mlflow`").count(), 2, "{}", errors[0]);
    assert_eq!(errors[0], errors[1]);
}

#[test]
fn a_wrong_composition_is_explained_and_starts_nothing() {
    let folder =
        project(|yaml| yaml.replace("name: smartcore", "name: smartcor").replace("workers: 1", "workers: many"));
    let (output, report, error) = run(&folder);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report, "");
    for part in [
        "2 errors",
        "MLX0022",
        "expected an integer, found the string \"many\"",
        "platform.yaml:35:16",
        "MLX0050",
        "did you mean `smartcore`?",
    ] {
        assert!(error.contains(part), "`{part}` is not in\n{error}");
    }
    assert!(!folder.path().join(".mlx-runs").exists(), "nothing was started");
}

#[test]
fn a_composition_is_checked_without_a_run() {
    let folder = project(with_jsonl);
    let (output, plan, error) = run_with(&folder, &["--check"]);
    assert!(output.status.success(), "{error}");
    assert!(plan.contains("experiment_tracker/tracker (jsonl "), "{plan}");
    assert_eq!(plan.lines().count(), 10, "{plan}");
    assert!(!folder.path().join(".mlx-runs").exists(), "nothing was started");

    let folder = project(|yaml| yaml.replace("name: smartcore", "name: smartcor"));
    let (output, plan, error) = run_with(&folder, &["--check"]);
    assert_eq!((output.status.code(), &*plan), (Some(1), ""));
    assert!(error.contains("MLX0050"), "{error}");
}

#[test]
fn data_of_the_wrong_shape_ends_the_run_and_stops_the_platform() {
    let folder = project(|yaml| yaml.replace("min: 0, max: 1}", "min: 0, max: 0.1}"));
    let (output, _, error) = run(&folder);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("mean_smoothness"), "{error}");
    assert!(!error.contains("dropped without"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = project(|yaml| yaml);
    fs::remove_file(folder.path().join("platform.yaml")).unwrap();
    let (output, _, error) = run(&folder);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("MLX0001") && error.contains("platform.yaml"), "{error}");
}

#[test]
fn unknown_arguments_print_the_usage() {
    let output = Command::new(env!("CARGO_BIN_EXE_enterprise-stack")).arg("--fast").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("Usage:"));
}

#[test]
fn a_profile_that_is_not_there_is_named() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_enterprise-stack")).args(["--profile", "mlfow"]).env("NO_COLOR", "1").output();
    let (output, error) = output.map(|output| (output.status, String::from_utf8(output.stderr).unwrap())).unwrap();
    assert_eq!(output.code(), Some(1));
    assert!(error.contains("MLX0061") && error.contains("did you mean `mlflow`?"), "{error}");
}
