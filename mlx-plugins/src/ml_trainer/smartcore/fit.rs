//! From a request to a fitted model.

use super::SmartcoreConfig;
use crate::linear_model::{Body, LinearModel, Matrix, Predictions, Standardization, Task, column_type, repeated};
use ::smartcore::{
    linalg::basic::{arrays::Array, matrix::DenseMatrix},
    linear::{
        logistic_regression::{LogisticRegression, LogisticRegressionParameters},
        ridge_regression::{RidgeRegression, RidgeRegressionParameters},
    },
};
use mlx_core::{
    arrow::datatypes::DataType,
    contracts::{DataFrame, ModelSignature, TrainingRequest},
    diagnostics::{Error, ErrorKind, Result, listing, nearest},
};
use std::collections::HashMap;

/// How much of a derivative of the objective may be left over where the fit stopped, as a part of the sum of its
/// terms' sizes, which makes it independent of the features' units. Measured on the two reference data sets with
/// `alpha` from 1e-9 to 1e9: fits that ended leave 4e-4 or less (1e-7 at 1), those that gave up 8e-3 or more.
const LEFT_OVER: f64 = 1e-3;

/// A row's own number taken for its class would make a fit of hours that cannot be interrupted.
const MOST_CLASSES: usize = 1000;

/// The names of the feature columns: those asked for, or all but the target.
pub(super) fn features(request: &TrainingRequest) -> Result<Vec<String>> {
    let (data, target) = (&request.data, &request.target);
    if column_type(data, target).is_none() {
        return Err(Error::invalid(format!(
            "the table has no target column `{target}`{}; it has {}",
            did_you_mean(target, data.column_names()),
            listing(data.column_names())
        )));
    }
    if data.num_rows() == 0 {
        return Err(Error::invalid("the table has no rows to learn from"));
    }
    let features = if request.features.is_empty() {
        data.column_names().filter(|name| name != target).map(str::to_owned).collect()
    } else {
        request.features.clone()
    };
    if features.is_empty() {
        return Err(Error::invalid(format!("the table has no column but the target `{target}` to learn from")));
    }
    if features.contains(target) {
        return Err(Error::invalid(format!("the target `{target}` is also a feature; a model would copy it")));
    }
    match repeated(&features) {
        Some(name) => Err(Error::invalid(format!("the feature `{name}` is there twice"))),
        None => Ok(features),
    }
}

/// The class that counts as positive: the one asked for, else the second of two.
pub(super) fn positive<'c>(request: &TrainingRequest, classes: &'c [String]) -> Result<Option<&'c str>> {
    match (&request.positive, classes) {
        (None, [_, second]) => Ok(Some(second)),
        (None, _) => Ok(None),
        (Some(wanted), []) => {
            Err(Error::invalid(format!("there is no positive class `{wanted}`: a regression has no classes")))
        }
        (Some(wanted), classes) => match classes.iter().find(|class| *class == wanted) {
            Some(class) => Ok(Some(class)),
            None => {
                let known = || classes.iter().map(String::as_str);
                Err(Error::invalid(format!(
                    "the positive class `{wanted}` is not in the target column{}; its classes are {}",
                    did_you_mean(wanted, known()),
                    listing(known())
                )))
            }
        },
    }
}

fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(given, known).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default()
}

/// A target column of classes as text.
pub(super) fn labels(data: &DataFrame, target: &str) -> Result<Vec<String>> {
    let labels = data.string_column(target).map_err(|error| error.with_kind(ErrorKind::Invalid))?;
    let absent = labels.iter().filter(|label| label.is_none()).count();
    if absent > 0 {
        return Err(Error::invalid(format!(
            "{absent} of {} rows have no value in the target `{target}`",
            labels.len()
        )));
    }
    Ok(labels.into_iter().flatten().collect())
}

/// A target column of finite numbers.
pub(super) fn numbers(data: &DataFrame, target: &str) -> Result<Vec<f64>> {
    Ok(Matrix::from_table(data, &[target.to_owned()])?.values().to_vec())
}

/// Fits a logistic regression of two or more classes.
pub(super) fn logistic(
    config: &SmartcoreConfig,
    request: &TrainingRequest,
    features: Vec<String>,
    matrix: &Matrix,
) -> Result<LinearModel> {
    let target = &request.target;
    let kind = column_type(&request.data, target).unwrap_or(DataType::Null);
    let text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if !(text || kind == DataType::Boolean || kind.is_integer()) {
        return Err(Error::invalid(format!(
            "the target `{target}` is {kind}; classes are text, booleans or integers, and \
             `algorithm: ridge_regression` predicts numbers"
        )));
    }
    let labels = labels(&request.data, target)?;
    let mut classes = labels.clone();
    classes.sort_unstable();
    classes.dedup();
    if kind.is_integer() {
        // As text, 10 would come before 9.
        classes.sort_by_key(|class| class.parse::<i128>().unwrap_or_default());
    }
    if classes.len() > MOST_CLASSES {
        return Err(Error::invalid(format!(
            "the target `{target}` has {} classes in {} rows, and {MOST_CLASSES} is the most; is it a number or a name \
             of the row?",
            classes.len(),
            labels.len()
        )));
    }
    if let [only] = classes.as_slice() {
        return Err(Error::invalid(format!("every row is of the class `{only}`; there is nothing to tell apart")));
    }
    let codes: HashMap<&str, i32> = classes.iter().map(String::as_str).zip(0..).collect();
    let codes: Vec<i32> = labels.iter().map(|label| codes[label.as_str()]).collect();

    let (x, standardization) = if config.standardize {
        let (x, standardization) = standardize(matrix, &features)?;
        (x, Some(standardization))
    } else {
        (matrix.clone(), None)
    };
    let parameters = LogisticRegressionParameters::default().with_alpha(config.alpha);
    let fitted = LogisticRegression::fit(&dense(&x)?, &codes, parameters)
        .map_err(|error| Error::wrap(error).context("fitting the logistic regression"))?;
    // One row for two classes, else one a class.
    let (rows, columns) = fitted.coefficients().shape();
    let coefficients: Vec<Vec<f64>> =
        (0..rows).map(|row| (0..columns).map(|column| *fitted.coefficients().get((row, column))).collect()).collect();
    let intercepts: Vec<f64> = (0..rows).map(|row| *fitted.intercept().get((row, 0))).collect();

    let task = Task::of_classes(classes.len()).unwrap_or(Task::Binary);
    let signature = ModelSignature { features, target: target.clone(), classes };
    let model = LinearModel::new(signature.clone(), Body { task, standardization: None, coefficients, intercepts })
        .map_err(|error| Error::failed("the fit went out of bounds").with_source(error))?;
    converged(config, &model, &x, &codes)?;
    LinearModel::new(signature, Body { standardization, ..model.body().clone() })
}

/// Looks whether the fit ended at the minimum: smartcore also returns where it gave up.
fn converged(config: &SmartcoreConfig, model: &LinearModel, x: &Matrix, codes: &[i32]) -> Result<()> {
    let body = model.body();
    let Predictions::Probabilities(probabilities) = model.predict(x)? else { return Ok(()) };
    // For two classes the one row of coefficients is that of the second.
    let first = usize::from(body.task == Task::Binary);
    let mut worst: f64 = 0.0;
    for (class, weights) in body.coefficients.iter().enumerate() {
        let code = class + first;
        let residuals: Vec<f64> = probabilities[code]
            .iter()
            .zip(codes)
            .map(|(p, actual)| if usize::try_from(*actual) == Ok(code) { p - 1.0 } else { *p })
            .collect();
        let mut left_over = |terms: &mut dyn Iterator<Item = f64>, penalty: f64| {
            let (sum, size) = terms.fold((penalty, penalty.abs()), |(sum, size), term| (sum + term, size + term.abs()));
            worst = worst.max(if size > 0.0 { sum.abs() / size } else { 0.0 });
        };
        for (column, weight) in weights.iter().enumerate() {
            left_over(&mut residuals.iter().zip(x.column(column)).map(|(r, x)| r * x), config.alpha * weight);
        }
        left_over(&mut residuals.iter().copied(), 0.0);
    }
    if worst <= LEFT_OVER {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the fit did not reach the minimum (a derivative is {:.1}% of its terms); {}raise `alpha`, {} now",
        100.0 * worst,
        if config.standardize { "" } else { "set `standardize: true` or " },
        config.alpha
    )))
}

/// Fits a ridge regression.
pub(super) fn ridge(
    config: &SmartcoreConfig,
    request: &TrainingRequest,
    features: Vec<String>,
    matrix: &Matrix,
) -> Result<LinearModel> {
    let target = &request.target;
    let y = numbers(&request.data, target)?;
    if matrix.rows() <= matrix.columns() {
        return Err(Error::invalid(format!(
            "smartcore fits a ridge regression only with more rows than features; there are {} rows and {} features",
            matrix.rows(),
            matrix.columns()
        )));
    }
    // smartcore leaves the intercept out unless it also standardizes, in a way that refuses constant columns. On
    // centred columns the intercept is the target's mean, and all the rest is the same.
    let (mut x, mut standardization) = standardize(matrix, &features)?;
    if !config.standardize {
        standardization.scale.fill(1.0);
        x = scaled(matrix, &standardization);
    }
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let centred: Vec<f64> = y.iter().map(|y| y - mean).collect();
    let parameters = RidgeRegressionParameters::default().with_alpha(config.alpha).with_normalize(false);
    let fitted = RidgeRegression::fit(&dense(&x)?, &centred, parameters)
        .map_err(|error| Error::wrap(error).context("fitting the ridge regression"))?;
    let weights: Vec<f64> = (0..x.columns()).map(|column| *fitted.coefficients().get((column, 0))).collect();
    let (standardization, intercept) = if config.standardize {
        (Some(standardization), mean)
    } else {
        let shift: f64 = weights.iter().zip(&standardization.mean).map(|(w, m)| w * m).sum();
        (None, mean - shift)
    };
    let signature = ModelSignature { features, target: target.clone(), classes: Vec::new() };
    let body =
        Body { task: Task::Regression, standardization, coefficients: vec![weights], intercepts: vec![intercept] };
    LinearModel::new(signature, body).map_err(|error| Error::failed("the fit went out of bounds").with_source(error))
}

/// The columns with mean 0 and, where they vary, population standard deviation 1.
fn standardize(matrix: &Matrix, names: &[String]) -> Result<(Matrix, Standardization)> {
    let rows = matrix.rows() as f64;
    let (mut means, mut scales) = (Vec::new(), Vec::new());
    for (index, name) in names.iter().enumerate() {
        let column = matrix.column(index);
        // Rounding gives an exactly constant column a mean beside it and a deviation of noise.
        let constant = column.iter().all(|value| *value == column[0]);
        let mean = if constant { column[0] } else { column.iter().sum::<f64>() / rows };
        let variance = column.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / rows;
        let scale = if constant { 1.0 } else { variance.sqrt() };
        if !(mean.is_finite() && scale.is_finite() && scale > 0.0) {
            return Err(Error::invalid(format!(
                "the feature `{name}` cannot be standardized: its mean is {mean} and its standard deviation {scale}"
            )));
        }
        means.push(mean);
        scales.push(scale);
    }
    let standardization = Standardization { mean: means, scale: scales };
    Ok((scaled(matrix, &standardization), standardization))
}

fn scaled(matrix: &Matrix, Standardization { mean, scale }: &Standardization) -> Matrix {
    matrix.map(|column, value| (value - mean[column]) / scale[column])
}

fn dense(matrix: &Matrix) -> Result<DenseMatrix<f64>> {
    DenseMatrix::new(matrix.rows(), matrix.columns(), matrix.values().to_vec(), true).map_err(Error::wrap)
}
