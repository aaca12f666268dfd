"""Reference figures for several classes and for ridge regression, computed by scikit-learn.

Writes wine.json beside this file; README.md says what the figures are for. With --data it first writes wine.csv
from the copy of the data set that scikit-learn carries.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import scipy
import sklearn
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    mean_absolute_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent
DATA = HERE / "wine.csv"
TARGET = "cultivar"
REGRESSION_TARGET = "proline"
ALPHA = 1.0


def write_data():
    wine = load_wine()
    # The original calls it "OD280/OD315 of diluted wines".
    names = [name.replace("od280/od315_of_diluted_wines", "od280_od315") for name in wine.feature_names]
    with DATA.open("w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, TARGET])
        for row, target in zip(wine.data.tolist(), wine.target):
            writer.writerow([*row, "abc"[target]])


def load():
    with DATA.open(newline="", encoding="ascii") as file:
        header, *rows = csv.reader(file)
    assert header[-1] == TARGET, header
    return header[:-1], np.array([row[:-1] for row in rows], dtype=np.float64), np.array([row[-1] for row in rows])


def classification(features, x, y, test):
    scaler = StandardScaler().fit(x[~test])
    x_train, x_test = scaler.transform(x[~test]), scaler.transform(x[test])
    y_train, y_test = y[~test], y[test]
    model = LogisticRegression(C=1 / ALPHA, solver="lbfgs", tol=1e-10, max_iter=100_000).fit(x_train, y_train)
    classes = model.classes_.tolist()

    # The gradient of the objective below, written out: says what the figures are the optimum of.
    scores = x_train @ model.coef_.T + model.intercept_
    probability = np.exp(scores - scores.max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    residual = probability - (y_train[:, None] == model.classes_)
    gradient = np.abs(np.hstack([residual.T @ x_train + ALPHA * model.coef_, residual.sum(axis=0)[:, None]])).max()
    assert gradient < 1e-6, gradient

    predicted, probability = model.predict(x_test), model.predict_proba(x_test)
    best = np.sort(probability, axis=1)
    return {
        "target": TARGET,
        "classes": classes,
        "alpha": ALPHA,
        "objective": "sum_i -ln softmax(z_i)[y_i] + alpha / 2 * sum_k |w_k|^2, z_ik = w_k.x_i + b_k",
        "largest_gradient_component": float(gradient),
        "intercepts": dict(zip(classes, (model.intercept_ - model.intercept_.mean()).tolist())),
        "coefficients": {
            name: dict(zip(features, row)) for name, row in zip(classes, model.coef_.tolist())
        },
        "test": {
            "accuracy": accuracy_score(y_test, predicted),
            "precision": precision_score(y_test, predicted, average="macro"),
            "recall": recall_score(y_test, predicted, average="macro"),
            "f1": f1_score(y_test, predicted, average="macro"),
            "roc_auc": roc_auc_score(y_test, probability, multi_class="ovr", average="macro"),
            "log_loss": log_loss(y_test, probability),
            "confusion": confusion_matrix(y_test, predicted, labels=classes).tolist(),
            "least_lead": float((best[:, -1] - best[:, -2]).min()),
            "misclassified_rows": np.flatnonzero(test)[predicted != y_test].tolist(),
            "first_rows": probability[:5].tolist(),
        },
    }


def regression(features, x, test):
    column = features.index(REGRESSION_TARGET)
    names = [name for name in features if name != REGRESSION_TARGET]
    y, x = x[:, column], np.delete(x, column, axis=1)
    scaler = StandardScaler().fit(x[~test])
    x_train, x_test = scaler.transform(x[~test]), scaler.transform(x[test])
    model = Ridge(alpha=ALPHA, solver="cholesky").fit(x_train, y[~test])
    predicted = model.predict(x_test)
    return {
        "target": REGRESSION_TARGET,
        "alpha": ALPHA,
        "objective": "sum_i (y_i - w.x_i - b)^2 + alpha * |w|^2",
        "intercept": float(model.intercept_),
        "coefficients": dict(zip(names, model.coef_.tolist())),
        "test": {
            "rmse": root_mean_squared_error(y[test], predicted),
            "mae": mean_absolute_error(y[test], predicted),
            "r2": r2_score(y[test], predicted),
            "first_rows": predicted[:5].tolist(),
        },
    }


def main():
    if "--data" in sys.argv:
        write_data()
    features, x, y = load()
    test = np.arange(len(y)) % 4 == 3
    report = {
        "versions": {
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "scipy": scipy.__version__,
        },
        "split": {
            "rule": "row i, counted from 0 after the header line, is a test row if i % 4 == 3",
            "train": int((~test).sum()),
            "test": int(test.sum()),
        },
        "classification": classification(features, x, y, test),
        "regression": regression(features, x, test),
    }
    text = json.dumps(report, indent=2) + "\n"
    (HERE / "wine.json").write_text(text, encoding="ascii")
    print(text, end="")


if __name__ == "__main__":
    main()
