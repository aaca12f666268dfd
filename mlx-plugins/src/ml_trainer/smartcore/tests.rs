use super::*;
use mlx_core::{
    arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, NullArray, StringArray},
    config::from_json,
};
use std::{fs, path::Path, sync::Arc};

/// A number within this of the reference, absolutely.
const COEFFICIENT: f64 = 1e-5;
const PROBABILITY: f64 = 1e-6;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn reference(name: &str) -> Value {
    serde_json::from_str(&file(&format!("tests/reference/{name}.json"))).unwrap()
}

/// A file whose last column is text and all others are numbers.
fn csv(path: &str) -> DataFrame {
    let text = file(path);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let last = rows[0].len() - 1;
    let columns = rows[0].iter().enumerate().map(|(index, name)| {
        let cells = rows[1..].iter().map(|row| row[index]);
        let column: ArrayRef = if index == last {
            Arc::new(StringArray::from_iter_values(cells))
        } else {
            Arc::new(Float64Array::from_iter_values(cells.map(|cell| cell.parse::<f64>().unwrap())))
        };
        (name.to_string(), column)
    });
    DataFrame::from_columns(columns.collect::<Vec<_>>()).unwrap()
}

/// The rows to learn from and those to measure on, as the references split them.
fn split(data: &DataFrame) -> (DataFrame, DataFrame) {
    (data.filter_rows(|row| row % 4 != 3).unwrap(), data.filter_rows(|row| row % 4 == 3).unwrap())
}

fn trainer(config: Value) -> Smartcore {
    Smartcore { config: from_json(config).unwrap() }
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, and the reference says {expected}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Numbers by feature, in the order of the features.
fn by_feature(value: &Value, features: &[String]) -> Vec<f64> {
    features.iter().map(|name| number(&value[name])).collect()
}

fn metrics(evaluation: &Evaluation, reference: &Value, names: &[&str]) {
    for name in names {
        close(name, evaluation.metrics[*name], number(&reference[name]), PROBABILITY);
    }
}

/// The numbers of the rows, in the whole file, that are predicted wrongly.
fn misclassified(answer: &DataFrame, test: &DataFrame, target: &str) -> Vec<usize> {
    let (predicted, actual) = (answer.string_column("prediction").unwrap(), test.string_column(target).unwrap());
    (0..actual.len()).filter(|row| predicted[*row] != actual[*row]).map(|row| row * 4 + 3).collect()
}

fn predict(model: &Model, data: &DataFrame) -> DataFrame {
    let linear = LinearModel::read(model).unwrap();
    let features = Matrix::from_table(data, &model.signature.features).unwrap();
    linear.predict(&features).unwrap().into_table(&model.signature).unwrap()
}

#[tokio::test]
async fn two_classes_agree_with_scikit_learn() {
    let expected = reference("breast_cancer");
    let (train, test) = split(&csv("examples/enterprise-stack/data/breast_cancer.csv"));
    let trainer = trainer(json!({}));
    let trained = trainer.train(TrainingRequest::new(train, "diagnosis")).await.unwrap();

    let signature = &trained.model.signature;
    assert_eq!(signature.classes, ["benign", "malignant"]);
    assert_eq!(signature.features.len(), 30);
    let model = LinearModel::read(&trained.model).unwrap();
    let standardization = model.body().standardization.as_ref().unwrap();
    for (what, found) in [("mean", &standardization.mean), ("std", &standardization.scale)] {
        for (found, expected) in found.iter().zip(by_feature(&expected["standardisation"][what], &signature.features)) {
            close(what, found / expected, 1.0, 1e-12);
        }
    }
    let coefficients = by_feature(&expected["model"]["coefficients"], &signature.features);
    for (found, expected) in model.body().coefficients[0].iter().zip(coefficients) {
        close("coefficient", *found, expected, COEFFICIENT);
    }
    close("intercept", model.body().intercepts[0], number(&expected["model"]["intercept"]), COEFFICIENT);
    close("train accuracy", trained.metrics["train_accuracy"], number(&expected["train"]["accuracy"]), 0.0);
    close("train log loss", trained.metrics["train_log_loss"], number(&expected["train"]["log_loss"]), PROBABILITY);

    let expected = &expected["test"];
    let evaluation = trainer.evaluate(trained.model.clone(), test.clone()).await.unwrap();
    assert_eq!(evaluation.rows, 142);
    assert_eq!(evaluation.classes, ["benign", "malignant"]);
    let count = |name: &str| usize::try_from(expected["confusion"][name].as_u64().unwrap()).unwrap();
    assert_eq!(
        evaluation.confusion,
        [[count("true_benign"), count("false_malignant")], [count("false_benign"), count("true_malignant")]]
    );
    close("accuracy", evaluation.metrics["accuracy"], 138.0 / 142.0, 0.0);
    metrics(&evaluation, expected, &["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"]);

    let answer = predict(&trained.model, &test);
    assert_eq!(json!(misclassified(&answer, &test, "diagnosis")), expected["misclassified_rows"]);
    let malignant = answer.f64_column("probability_malignant").unwrap();
    for (found, row) in malignant.iter().zip(expected["first_rows"].as_array().unwrap()) {
        close("probability", *found, number(&row["probability_malignant"]), PROBABILITY);
    }
}

#[tokio::test]
async fn three_classes_agree_with_scikit_learn() {
    let expected = &reference("wine")["classification"];
    let (train, test) = split(&csv("tests/reference/wine.csv"));
    let trainer = trainer(json!({}));
    let trained = trainer.train(TrainingRequest::new(train, "cultivar")).await.unwrap();
    let signature = &trained.model.signature;
    assert_eq!(json!(signature.classes), expected["classes"]);

    let model = LinearModel::read(&trained.model).unwrap();
    // A constant added to all intercepts changes no probability; the reference has the one with mean 0.
    let shift = model.body().intercepts.iter().sum::<f64>() / 3.0;
    for (class, name) in signature.classes.iter().enumerate() {
        let coefficients = by_feature(&expected["coefficients"][name], &signature.features);
        for (found, expected) in model.body().coefficients[class].iter().zip(coefficients) {
            close("coefficient", *found, expected, COEFFICIENT);
        }
        close("intercept", model.body().intercepts[class] - shift, number(&expected["intercepts"][name]), COEFFICIENT);
    }

    let expected = &expected["test"];
    let evaluation = trainer.evaluate(trained.model.clone(), test.clone()).await.unwrap();
    assert_eq!(json!(evaluation.confusion), expected["confusion"]);
    metrics(&evaluation, expected, &["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"]);
    let answer = predict(&trained.model, &test);
    assert_eq!(json!(misclassified(&answer, &test, "cultivar")), expected["misclassified_rows"]);
    for (row, expected) in expected["first_rows"].as_array().unwrap().iter().enumerate() {
        for (class, name) in signature.classes.iter().enumerate() {
            let found = answer.f64_column(&format!("probability_{name}")).unwrap()[row];
            close("probability", found, number(&expected[class]), PROBABILITY);
        }
    }
}

#[tokio::test]
async fn a_ridge_regression_agrees_with_scikit_learn() {
    let expected = &reference("wine")["regression"];
    let (train, test) = split(&csv("tests/reference/wine.csv"));
    let features = train.column_names().filter(|name| !["proline", "cultivar"].contains(name)).map(str::to_owned);
    let request = TrainingRequest::new(train.clone(), "proline").features(features);
    let trainer = trainer(json!({"algorithm": "ridge_regression"}));
    let trained = trainer.train(request).await.unwrap();
    let model = LinearModel::read(&trained.model).unwrap();
    assert!(trained.model.signature.classes.is_empty());
    let coefficients = by_feature(&expected["coefficients"], &trained.model.signature.features);
    for (found, expected) in model.body().coefficients[0].iter().zip(coefficients) {
        close("coefficient", *found, expected, 1e-9);
    }
    close("intercept", model.body().intercepts[0], number(&expected["intercept"]), 1e-9);
    let evaluation = trainer.evaluate(trained.model.clone(), test.clone()).await.unwrap();
    assert!(evaluation.classes.is_empty() && evaluation.confusion.is_empty());
    metrics(&evaluation, &expected["test"], &["rmse", "mae", "r2"]);
    let answer = predict(&trained.model, &test).f64_column("prediction").unwrap();
    for (found, expected) in answer.iter().zip(expected["test"]["first_rows"].as_array().unwrap()) {
        close("prediction", *found, number(expected), 1e-8);
    }
}

#[tokio::test]
async fn a_ridge_regression_is_the_closed_form() {
    let (x, y) = ([1.0, 2.0, 4.0, 7.0], [3.0, 5.0, 4.0, 9.0]);
    let data = table([("x", floats(&x)), ("y", floats(&y))]);
    let (mx, my) = (3.5, 5.25);
    let covariance: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
    let spread: f64 = x.iter().map(|x| (x - mx) * (x - mx)).sum();
    let fitted = async |standardize: bool| {
        let config = json!({"algorithm": "ridge_regression", "alpha": 2.0, "standardize": standardize});
        let trained = trainer(config).train(TrainingRequest::new(data.clone(), "y")).await.unwrap();
        LinearModel::read(&trained.model).unwrap().body().clone()
    };
    // On plain features: w = Sxy / (Sxx + alpha), b = mean(y) − w mean(x).
    let body = fitted(false).await;
    let w = covariance / (spread + 2.0);
    assert_eq!(body.standardization, None);
    close("w", body.coefficients[0][0], w, 1e-14);
    close("b", body.intercepts[0], my - w * mx, 1e-14);
    // On standardized ones: Sxx becomes n.
    let body = fitted(true).await;
    let scale = (spread / 4.0).sqrt();
    close("w", body.coefficients[0][0], covariance / scale / (4.0 + 2.0), 1e-14);
    close("b", body.intercepts[0], my, 1e-14);
}

fn table<const N: usize>(columns: [(&str, ArrayRef); N]) -> DataFrame {
    DataFrame::from_columns(columns).unwrap()
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn integers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// Eight rows; `x` tells the classes apart, though not quite.
fn small(target: ArrayRef) -> DataFrame {
    table([("x", floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])), ("k", floats(&[0.1; 8])), ("t", target)])
}

const NO_YES: [&str; 8] = ["no", "no", "no", "yes", "no", "yes", "yes", "yes"];

async fn refused(config: Value, request: TrainingRequest, says: &[&str]) {
    let error = trainer(config).train(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    for part in says {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

#[tokio::test]
async fn a_constant_feature_gets_no_weight() {
    let trained = trainer(json!({})).train(TrainingRequest::new(small(texts(&NO_YES)), "t")).await.unwrap();
    let model = LinearModel::read(&trained.model).unwrap();
    assert_eq!(model.body().standardization.as_ref().unwrap().scale[1], 1.0);
    assert_eq!(model.body().coefficients[0][1], 0.0);
    assert!(model.body().coefficients[0][0] > 0.0);
}

#[tokio::test]
async fn classes_are_sorted_by_what_they_are() {
    let classes = async |target: ArrayRef| {
        let trained = trainer(json!({})).train(TrainingRequest::new(small(target), "t")).await.unwrap();
        trained.model.signature.classes
    };
    assert_eq!(classes(integers(&[10, 10, 9, -1, 9, 10, 9, -1])).await, ["-1", "9", "10"]);
    assert_eq!(classes(texts(&["b", "a", "10", "9", "b", "a", "10", "9"])).await, ["10", "9", "a", "b"]);
    let booleans = BooleanArray::from(vec![true, true, false, true, false, false, true, false]);
    assert_eq!(classes(Arc::new(booleans)).await, ["false", "true"]);
}

#[tokio::test]
async fn the_positive_class_is_the_second_unless_the_request_says_otherwise() {
    let trainer = trainer(json!({}));
    let request = || TrainingRequest::new(small(texts(&NO_YES)), "t");
    let second = trainer.train(request()).await.unwrap();
    let first = trainer.train(request().positive("no")).await.unwrap();
    assert_eq!((&*second.model.metadata["positive"], &*first.model.metadata["positive"]), ("yes", "no"));
    assert_eq!(second.model.bytes, first.model.bytes, "it changes what is measured, not what is fitted");
    // Rows 3 and 4 are mistaken for each other; leaving row 4 out, only a `no` is missed.
    let part = small(texts(&NO_YES)).filter_rows(|row| row != 4).unwrap();
    let second = trainer.evaluate(second.model, part.clone()).await.unwrap();
    let first = trainer.evaluate(first.model, part).await.unwrap();
    assert_eq!(second.confusion, [[3, 0], [1, 3]]);
    assert_eq!((second.metrics["precision"], second.metrics["recall"]), (1.0, 0.75));
    assert_eq!((first.metrics["precision"], first.metrics["recall"]), (0.75, 1.0));
    refused(json!({}), request().positive("yess"), &["`yess`", "did you mean `yes`?"]).await;
}

#[tokio::test]
async fn parameters_replace_settings_and_are_checked_as_they_are() {
    let request = || TrainingRequest::new(small(texts(&NO_YES)), "t");
    let trained = trainer(json!({"alpha": 2.0})).train(request().parameter("standardize", false)).await.unwrap();
    assert_eq!(
        json!(trained.parameters),
        json!({"algorithm": "logistic_regression", "alpha": 2.0, "standardize": false})
    );
    assert_eq!(LinearModel::read(&trained.model).unwrap().body().standardization, None);
    assert_eq!(trained.model.metadata["alpha"], "2");
    let two = request().parameter("alpa", 1.0).parameter("standardize", 3);
    refused(json!({}), two, &["parameter list has 2 errors"]).await;
    refused(json!({}), request().parameter("depth", 1), &["unknown parameter `depth`"]).await;
    refused(json!({}), request().parameter("alpha", -1.0), &["alpha"]).await;
    refused(json!({}), request().parameter("alpha", "much"), &["alpha"]).await;
    refused(json!({}), request().parameter("algorithm", "ridge"), &["algorithm"]).await;
    let error = trainer(json!({})).train(request().parameter("alpa", 1.0)).await.unwrap_err();
    assert!(error.report().to_string().contains("did you mean `alpha`?"), "{error:?}");
}

#[tokio::test]
async fn requests_that_cannot_be_learned_from_are_refused() {
    let data = || small(texts(&NO_YES));
    let none = || json!({});
    let request = TrainingRequest::new;
    refused(none(), request(data(), "tt"), &["no target column `tt`", "`k`, `t`, `x`"]).await;
    refused(none(), request(data().filter_rows(|_| false).unwrap(), "t"), &["no rows"]).await;
    refused(none(), request(data().select(["t"]).unwrap(), "t"), &["no column but the target"]).await;
    refused(none(), request(data(), "t").features(["x", "t"]), &["also a feature"]).await;
    refused(none(), request(data(), "t").features(["x", "x"]), &["`x` is there twice"]).await;
    refused(none(), request(data(), "t").features(["y", "z"]), &["`y`, `z`"]).await;
    refused(none(), request(data(), "x"), &["`t` (Utf8)"]).await;
    refused(none(), request(data(), "x").features(["k"]), &["Float64", "ridge_regression"]).await;
    refused(none(), request(small(texts(&["a"; 8])), "t"), &["every row is of the class `a`"]).await;
    refused(none(), request(small(Arc::new(NullArray::new(8))), "t"), &["Null"]).await;
    let holes: ArrayRef = Arc::new(StringArray::from_iter((0..8).map(|row| (row > 1).then_some("a"))));
    refused(none(), request(small(holes), "t"), &["2 of 8 rows"]).await;
    let numbers: Vec<f64> = (0..1001).map(f64::from).collect();
    let ids = table([("x", floats(&numbers)), ("t", Arc::new(Int64Array::from_iter_values(0..1001)))]);
    refused(none(), request(ids, "t"), &["1001 classes in 1001 rows"]).await;
    let nan = table([("x", floats(&[1.0, f64::NAN, 3.0])), ("t", texts(&["a", "b", "a"]))]);
    refused(none(), request(nan, "t"), &["1 of 3 rows"]).await;
    let huge = table([("x", floats(&[1e200, -1e200, 3.0])), ("t", texts(&["a", "b", "a"]))]);
    refused(none(), request(huge, "t"), &["cannot be standardized"]).await;

    let ridge = || json!({"algorithm": "ridge_regression"});
    refused(ridge(), request(data(), "t").features(["x"]), &["`t` (Utf8)"]).await;
    refused(ridge(), request(data(), "x").features(["k"]).positive("a"), &["no classes"]).await;
    refused(ridge(), request(data().filter_rows(|row| row == 0).unwrap(), "x").features(["k"]), &["1 rows and 1"])
        .await;
}

#[tokio::test]
async fn a_fit_that_does_not_converge_is_an_error() {
    // Columns of sizes that differ by twelve orders: the optimiser gives up far from the minimum.
    let data = table([
        ("x", floats(&[1e12, 2e12, 3e12, 4e12, 5e12, 6e12, 7e12, 8e12])),
        ("y", floats(&[1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 4.0, -5.0])),
        ("t", texts(&NO_YES)),
    ]);
    let error = trainer(json!({"standardize": false})).train(TrainingRequest::new(data, "t")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.to_string().contains("standardize: true") || error.to_string().contains("broke off"), "{error}");
}

#[tokio::test]
async fn data_that_does_not_fit_the_model_is_not_measured() {
    let trainer = trainer(json!({}));
    let model = trainer.train(TrainingRequest::new(small(texts(&NO_YES)), "t")).await.unwrap().model;
    let refused = async |model: &Model, data: DataFrame, kind: ErrorKind, says: &str| {
        let error = trainer.evaluate(model.clone(), data).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(says), "{error}");
    };
    let data = small(texts(&NO_YES));
    let foreign = Model { format: "onnx/1".to_owned(), ..model.clone() };
    refused(&foreign, data.clone(), ErrorKind::Unsupported, "`onnx/1`").await;
    refused(&model, data.select(["x", "t"]).unwrap(), ErrorKind::Invalid, "column `k`").await;
    refused(&model, data.filter_rows(|_| false).unwrap(), ErrorKind::Invalid, "no rows").await;
    refused(&model, data.select(["x", "k"]).unwrap(), ErrorKind::Invalid, "`t`").await;
    let other = small(texts(&["no", "no", "no", "maybe", "no", "no", "no", "yes"]));
    refused(&model, other, ErrorKind::Invalid, "not trained on: `maybe`").await;
    let mut strange = model.clone();
    strange.metadata.insert("positive".to_owned(), "maybe".to_owned());
    refused(&strange, data, ErrorKind::Invalid, "positive class `maybe`").await;
}

#[tokio::test]
async fn a_panic_while_computing_is_an_error() {
    let error = on_thread::<()>("training", || panic!("line search gave up")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(error.to_string(), "training broke off: line search gave up");
    let number = 7;
    let error = on_thread::<()>("training", move || panic!("after {number} steps")).await.unwrap_err();
    assert!(error.to_string().ends_with("after 7 steps"), "{error}");
}
