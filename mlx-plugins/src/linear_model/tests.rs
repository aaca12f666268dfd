use super::*;
use mlx_core::{
    arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, NullArray, StringArray},
    contracts::DataFrame,
    diagnostics::ErrorKind,
};
use std::sync::Arc;

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

fn signature<const N: usize>(classes: [&str; N]) -> ModelSignature {
    ModelSignature { features: names(["x", "y"]), target: "t".to_owned(), classes: names(classes) }
}

fn binary() -> (ModelSignature, Body) {
    let body = Body {
        task: Task::Binary,
        standardization: Some(Standardization { mean: vec![1.0, 2.0], scale: vec![2.0, 0.5] }),
        coefficients: vec![vec![0.1, -1.0 / 3.0]],
        intercepts: vec![0.7],
    };
    (signature(["no", "yes"]), body)
}

fn matrix(rows: &[[f64; 2]]) -> Matrix {
    let column = |index: usize| floats(&rows.iter().map(|row| row[index]).collect::<Vec<_>>());
    Matrix::from_table(&table(vec![("x", column(0)), ("y", column(1))]), &names(["x", "y"])).unwrap()
}

fn table(columns: Vec<(&str, ArrayRef)>) -> DataFrame {
    DataFrame::from_columns(columns).unwrap()
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn probabilities(predictions: Predictions) -> Vec<Vec<f64>> {
    match predictions {
        Predictions::Probabilities(probabilities) => probabilities,
        Predictions::Numbers(_) => panic!("a regression"),
    }
}

#[test]
fn what_is_read_is_what_was_written_to_the_bit() {
    let (signature, mut body) = binary();
    // Numbers that a reader which rounds twice gets wrong.
    body.coefficients = vec![vec![0.1 + 0.2, 5e-324]];
    body.intercepts = vec![-1.797_693_134_862_315_7e308];
    let model = LinearModel::new(signature, body).unwrap();
    let written = model.write(BTreeMap::from([("trainer".to_owned(), "test".to_owned())])).unwrap();
    assert_eq!(written.format, "mlx.linear/1");
    assert_eq!(written.metadata["trainer"], "test");
    assert_eq!(LinearModel::read(&written).unwrap(), model);
}

#[test]
fn a_damaged_model_is_refused_and_says_why() {
    let refused = |change: &dyn Fn(&mut ModelSignature, &mut Body), why: &str| {
        let (mut signature, mut body) = binary();
        change(&mut signature, &mut body);
        let error = LinearModel::new(signature, body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(why), "{error}");
    };
    refused(&|s, _| s.features.clear(), "no features");
    refused(&|s, _| s.features[1] = "x".to_owned(), "the feature `x` twice");
    refused(&|s, _| s.classes[1] = "no".to_owned(), "the class `no` twice");
    refused(&|s, _| s.classes.truncate(1), "1 classes");
    refused(&|s, _| s.classes.push("maybe".to_owned()), "3 classes");
    refused(&|s, _| s.classes.clear(), "0 classes");
    refused(&|_, b| b.coefficients.push(vec![1.0, 1.0]), "2 rows of coefficients and should have 1");
    refused(&|_, b| b.intercepts.clear(), "0 intercepts and should have 1");
    refused(&|_, b| b.coefficients[0].truncate(1), "1 coefficients in a row for 2 features");
    refused(&|_, b| b.coefficients[0][0] = f64::NAN, "not all finite");
    refused(&|_, b| b.intercepts[0] = f64::INFINITY, "intercepts are not all finite");
    refused(&|_, b| b.standardization = Some(Standardization { mean: vec![0.0], scale: vec![1.0, 1.0] }), "1 means");
    refused(&|_, b| b.standardization = Some(Standardization { mean: vec![0.0; 2], scale: vec![1.0, 0.0] }), "above 0");
}

#[test]
fn foreign_bytes_are_refused() {
    let (signature, body) = binary();
    let model = LinearModel::new(signature, body).unwrap().write(BTreeMap::new()).unwrap();
    let foreign = Model { format: "onnx/1".to_owned(), ..model.clone() };
    let error = LinearModel::read(&foreign).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("`onnx/1`") && error.to_string().contains("`mlx.linear/1`"), "{error}");
    for bytes in ["", "{}", "[1]", r#"{"task":"binary","coefficients":[[1,1]],"intercepts":[0],"more":1}"#] {
        let damaged = Model { bytes: bytes.into(), ..model.clone() };
        assert_eq!(LinearModel::read(&damaged).unwrap_err().kind(), ErrorKind::Invalid, "{bytes}");
    }
}

#[test]
fn a_binary_model_gives_the_sigmoid_of_its_score() {
    let (signature, body) = binary();
    let model = LinearModel::new(signature, body).unwrap();
    // z = 0.7 + 0.1 · (5 − 1) / 2 − (3 − 2) / 0.5 / 3 = 0.7 + 0.2 − 2/3
    let p = probabilities(model.predict(&matrix(&[[5.0, 3.0]])).unwrap());
    let z: f64 = 0.9 - 2.0 / 3.0;
    assert!((p[1][0] - 1.0 / (1.0 + (-z).exp())).abs() < 1e-15);
    assert!((p[0][0] + p[1][0] - 1.0).abs() < 1e-15);
    assert_eq!(Predictions::classes(&p), [1]);
}

#[test]
fn extreme_scores_stay_probabilities() {
    let body =
        Body { task: Task::Binary, standardization: None, coefficients: vec![vec![1.0, 0.0]], intercepts: vec![0.0] };
    let model = LinearModel::new(signature(["no", "yes"]), body).unwrap();
    let p = probabilities(model.predict(&matrix(&[[800.0, 0.0], [-800.0, 0.0], [-700.0, 0.0]])).unwrap());
    assert_eq!((p[1][0], p[0][1]), (1.0, 1.0));
    assert!(p[1][2] > 0.0, "the tail is not rounded away");

    let body = Body {
        task: Task::Multinomial,
        standardization: None,
        coefficients: vec![vec![1.0, 0.0], vec![0.0, 1.0], vec![0.0, 0.0]],
        intercepts: vec![0.0; 3],
    };
    let model = LinearModel::new(signature(["a", "b", "c"]), body).unwrap();
    let p = probabilities(model.predict(&matrix(&[[9e5, 1.0], [2.0, 2.0], [-9e5, -9e5]])).unwrap());
    for row in 0..3 {
        let sum: f64 = p.iter().map(|class| class[row]).sum();
        assert!((sum - 1.0).abs() < 1e-15);
    }
    let both = 1.0 / (2.0 + (-2.0_f64).exp());
    assert!((p[0][1] - both).abs() < 1e-15 && (p[1][1] - both).abs() < 1e-15);
    // Equals go to the first.
    assert_eq!(Predictions::classes(&p), [0, 0, 2]);
}

#[test]
fn an_overflowing_score_is_an_error() {
    let (signature, body) = binary();
    let model = LinearModel::new(signature, body).unwrap();
    let error = model.predict(&matrix(&[[0.0, 0.0], [0.0, 1.7e308]])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("row 1"), "{error}");
}

#[test]
fn predictions_become_columns() {
    let answer = Predictions::binary(&[1.0, -1.0]).into_table(&signature(["no", "yes"])).unwrap();
    assert_eq!(answer.column_names().collect::<Vec<_>>(), ["prediction", "probability_no", "probability_yes"]);
    assert_eq!(answer.cell(0, 0).as_deref(), Some("yes"));
    assert_eq!(answer.cell(1, 0).as_deref(), Some("no"));
    let answer = Predictions::Numbers(vec![1.5]).into_table(&signature([])).unwrap();
    assert_eq!(answer.column_names().collect::<Vec<_>>(), ["prediction"]);
    assert_eq!(answer.f64_column("prediction").unwrap(), [1.5]);
}

#[test]
fn features_are_taken_by_name_whatever_their_place_and_type() {
    let data = table(vec![
        ("other", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("y", Arc::new(BooleanArray::from(vec![true, false]))),
        ("x", Arc::new(Int32Array::from(vec![3, 4]))),
    ]);
    let matrix = Matrix::from_table(&data, &names(["x", "y"])).unwrap();
    assert_eq!((matrix.rows(), matrix.columns()), (2, 2));
    assert_eq!(matrix.values(), [3.0, 4.0, 1.0, 0.0]);
}

#[test]
fn all_missing_columns_are_listed_with_a_suggestion() {
    let data = table(vec![("mean_radius", floats(&[1.0])), ("b", floats(&[1.0]))]);
    let error = Matrix::from_table(&data, &names(["mean-radius", "b", "far"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let text = error.to_string();
    assert!(text.contains("columns `far`, `mean-radius`") && text.contains("did you mean `mean_radius`?"), "{text}");
}

#[test]
fn columns_that_are_no_numbers_are_listed() {
    let data = table(vec![("x", Arc::new(StringArray::from(vec!["1"]))), ("y", floats(&[1.0]))]);
    let error = Matrix::from_table(&data, &names(["x", "y"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("`x` (Utf8)"), "{error}");
}

#[test]
fn rows_that_are_not_finite_are_counted() {
    let data = table(vec![
        ("x", floats(&[1.0, f64::NAN, f64::INFINITY, 2.0])),
        ("y", Arc::new(Float64Array::from(vec![Some(1.0), None, Some(2.0), Some(3.0)]))),
        ("z", Arc::new(NullArray::new(4))),
    ]);
    let error = Matrix::from_table(&data, &names(["x", "y"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let text = error.to_string();
    assert!(text.contains("2 of 4 rows") && text.contains("`x`, `y`") && text.contains("row 1"), "{text}");
    let error = Matrix::from_table(&data, &names(["z"])).unwrap_err();
    assert!(error.to_string().contains("4 of 4 rows"), "{error}");
}

#[test]
fn no_rows_give_no_predictions() {
    let (signature, body) = binary();
    let model = LinearModel::new(signature.clone(), body).unwrap();
    let data = table(vec![("x", floats(&[])), ("y", floats(&[]))]);
    let features = Matrix::from_table(&data, &signature.features).unwrap();
    let answer = model.predict(&features).unwrap().into_table(&signature).unwrap();
    assert_eq!((answer.num_rows(), answer.num_columns()), (0, 3));
}
