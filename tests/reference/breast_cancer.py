"""Reference figures for the example's trainer, computed by scikit-learn.

Writes breast_cancer.json beside this file. README.md says what the figures are for.
"""

import csv
import json
from pathlib import Path

import numpy as np
import scipy
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "examples" / "enterprise-stack" / "data" / "breast_cancer.csv"
TARGET = "diagnosis"
POSITIVE = "malignant"
ALPHA = 1.0


def load():
    with DATA.open(newline="", encoding="ascii") as file:
        header, *rows = csv.reader(file)
    assert header[-1] == TARGET, header
    x = np.array([row[:-1] for row in rows], dtype=np.float64)
    y = np.array([row[-1] == POSITIVE for row in rows], dtype=int)
    return header[:-1], x, y


def counts(y):
    positive = int(y.sum())
    return {"rows": len(y), "malignant": positive, "benign": len(y) - positive}


def objective(model, x, y):
    """The minimised function and the largest component of its gradient, written out.

    Says what the figures are the optimum of without trusting the name of a parameter.
    """
    w, b = model.coef_[0], model.intercept_[0]
    z = x @ w + b
    value = np.sum(np.logaddexp(0.0, z) - y * z) + ALPHA / 2 * w @ w
    residual = 1 / (1 + np.exp(-z)) - y
    gradient = np.append(x.T @ residual + ALPHA * w, residual.sum())
    return float(value), float(np.abs(gradient).max())


def main():
    features, x, y = load()
    test = np.arange(len(y)) % 4 == 3

    # The scaler sees the training rows only; its standard deviation divides by n.
    scaler = StandardScaler().fit(x[~test])
    x_train, x_test = scaler.transform(x[~test]), scaler.transform(x[test])
    y_train, y_test = y[~test], y[test]

    # scikit-learn minimises C * loss + |w|^2 / 2, so C = 1 / alpha. Newton's method on 31
    # variables reaches the optimum to rounding; the default solver stops at 1e-4.
    model = LogisticRegression(
        C=1 / ALPHA, solver="newton-cholesky", tol=1e-12, max_iter=100
    ).fit(x_train, y_train)
    value, gradient = objective(model, x_train, y_train)
    # Of the objective's own gradient; the terms it sums are of the order of 100.
    assert gradient < 1e-9, gradient

    decision = model.decision_function(x_test)
    probability = model.predict_proba(x_test)[:, 1]
    predicted = model.predict(x_test)
    test_rows = np.flatnonzero(test)
    tn, fp, fn, tp = (int(n) for n in confusion_matrix(y_test, predicted).ravel())

    report = {
        "versions": {
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "scipy": scipy.__version__,
        },
        "data": counts(y),
        "split": {
            "rule": "row i, counted from 0 after the header line, is a test row if i % 4 == 3",
            "train": counts(y_train),
            "test": counts(y_test),
        },
        "standardisation": {
            "fitted_on": "train",
            "standard_deviation": "population (divides by n)",
            "mean": dict(zip(features, scaler.mean_.tolist())),
            "std": dict(zip(features, scaler.scale_.tolist())),
        },
        "model": {
            "kind": "binary logistic regression, L2 penalty, intercept not penalised",
            "objective": "sum_i [ln(1 + exp(z_i)) - y_i z_i] + alpha / 2 * |w|^2, z = w.x + b, y = 1 if malignant",
            "alpha": ALPHA,
            "objective_at_optimum": value,
            "largest_gradient_component": gradient,
            "intercept": float(model.intercept_[0]),
            "coefficients": dict(zip(features, model.coef_[0].tolist())),
        },
        "train": {
            "accuracy": accuracy_score(y_train, model.predict(x_train)),
            "log_loss": log_loss(y_train, model.predict_proba(x_train)),
        },
        "test": {
            "accuracy": accuracy_score(y_test, predicted),
            "confusion": {
                "true_malignant": tp,
                "false_malignant": fp,
                "true_benign": tn,
                "false_benign": fn,
            },
            "precision": precision_score(y_test, predicted),
            "recall": recall_score(y_test, predicted),
            "f1": f1_score(y_test, predicted),
            "roc_auc": roc_auc_score(y_test, decision),
            "log_loss": log_loss(y_test, probability),
            "closest_to_boundary": float(np.abs(decision).min()),
            "misclassified_rows": test_rows[predicted != y_test].tolist(),
            "first_rows": [
                {
                    "row": int(row),
                    "actual": int(actual),
                    "predicted": int(guess),
                    "probability_malignant": float(p),
                }
                for row, actual, guess, p in list(
                    zip(test_rows, y_test, predicted, probability)
                )[:10]
            ],
        },
    }
    text = json.dumps(report, indent=2) + "\n"
    (HERE / "breast_cancer.json").write_text(text, encoding="ascii")
    print(text, end="")


if __name__ == "__main__":
    main()
