use super::*;
use crate::linear_model::{Body, Standardization, Task};
use mlx_core::{
    ErrorKind,
    arrow::array::{ArrayRef, Float64Array},
};

/// z = weight · (x − 1) / 2, of the classes `no` and `yes`.
fn model(weight: f64) -> Model {
    let signature = ModelSignature {
        features: vec!["x".to_owned()],
        target: "t".to_owned(),
        classes: vec!["no".to_owned(), "yes".to_owned()],
    };
    let body = Body {
        task: Task::Binary,
        standardization: Some(Standardization { mean: vec![1.0], scale: vec![2.0] }),
        coefficients: vec![vec![weight]],
        intercepts: vec![0.0],
    };
    LinearModel::new(signature, body).unwrap().write(BTreeMap::new()).unwrap()
}

fn table(name: &str, values: Vec<f64>) -> DataFrame {
    DataFrame::from_columns([(name, Arc::new(Float64Array::from(values)) as ArrayRef)]).unwrap()
}

async fn server() -> Local {
    Local::initialize(NoConfig {}, &InitContext::alone("local")).await.unwrap()
}

#[tokio::test]
async fn predicts_classes_and_probabilities() {
    let server = server().await;
    server.load("m", model(1.0)).await.unwrap();
    let answer = server.predict("m", table("x", vec![5.0, -3.0])).await.unwrap();
    assert_eq!(answer.column_names().collect::<Vec<_>>(), ["prediction", "probability_no", "probability_yes"]);
    assert_eq!((answer.cell(0, 0).as_deref(), answer.cell(1, 0).as_deref()), (Some("yes"), Some("no")));
    let expected = 1.0 / (1.0 + (-2.0_f64).exp());
    assert!((answer.f64_column("probability_yes").unwrap()[0] - expected).abs() < 1e-15);
    assert_eq!(server.signature("m").await.unwrap().classes, ["no", "yes"]);
}

#[tokio::test]
async fn models_come_and_go_by_name() {
    let server = server().await;
    server.load("b", model(1.0)).await.unwrap();
    server.load("a", model(1.0)).await.unwrap();
    assert_eq!(server.models().await.unwrap(), ["a", "b"]);
    assert_eq!(Plugin::health(&server).await.unwrap().details["models"], 2);
    server.unload("b").await.unwrap();
    assert_eq!(server.models().await.unwrap(), ["a"]);
    assert_eq!(server.unload("b").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_unknown_model_is_named_with_those_there_are() {
    let server = server().await;
    let error = server.signature("churn").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().ends_with("none is"), "{error}");
    server.load("churn", model(1.0)).await.unwrap();
    let error = server.predict("chrun", table("x", vec![1.0])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("did you mean `churn`?"), "{error}");
}

#[tokio::test]
async fn a_model_that_cannot_be_read_leaves_the_old_one() {
    let server = server().await;
    server.load("m", model(1.0)).await.unwrap();
    let foreign = Model { format: "onnx/1".to_owned(), ..model(2.0) };
    let error = server.load("m", foreign).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("`onnx/1`") && error.to_string().contains("`mlx.linear/1`"), "{error}");
    let damaged = Model { bytes: b"{}".to_vec(), ..model(2.0) };
    assert_eq!(server.load("m", damaged).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(server.load("", model(2.0)).await.unwrap_err().kind(), ErrorKind::Invalid);
    let answer = server.predict("m", table("x", vec![3.0])).await.unwrap();
    let expected = 1.0 / (1.0 + (-1.0_f64).exp());
    assert!((answer.f64_column("probability_yes").unwrap()[0] - expected).abs() < 1e-15);
}

#[tokio::test]
async fn what_does_not_fit_the_model_is_invalid() {
    let server = server().await;
    server.load("m", model(1.0)).await.unwrap();
    let error = server.predict("m", table("y", vec![1.0])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("model `m`") && error.to_string().contains("column `x`"), "{error}");
    let error = server.predict("m", table("x", vec![1.0, f64::NAN])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    // On the thread for long work as well.
    let error = server.predict("m", table("x", vec![f64::NAN; LONG])).await.unwrap_err();
    assert!(error.to_string().contains(&format!("{LONG} of {LONG} rows")), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_under_load_never_mixes_two_models() {
    let server = Arc::new(server().await);
    server.load("m", model(1.0)).await.unwrap();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move {
                for _ in 0..300 {
                    let answer = server.predict("m", table("x", vec![3.0; 100])).await.unwrap();
                    let probability = answer.f64_column("probability_yes").unwrap();
                    assert!(probability.iter().all(|p| p == &probability[0]), "one answer, two models");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..300 {
        server.load("m", model(if round % 2 == 0 { -1.0 } else { 1.0 })).await.unwrap();
        tokio::task::yield_now().await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
}
