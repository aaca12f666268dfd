"""Reference figures for nearest neighbours, computed by scikit-learn's exhaustive search.

Writes neighbours.json beside this file; README.md says what the figures are for.
"""

import csv
import json
import re
from pathlib import Path

import numpy as np
import sklearn
from sklearn.neighbors import NearestNeighbors

HERE = Path(__file__).resolve().parent
LIMIT = 8
QUERIES = [0, 59, 100, 177]


def main():
    with (HERE / "wine.csv").open(newline="", encoding="ascii") as file:
        _, *rows = csv.reader(file)
    # As the database stores them, so that both begin with the same numbers.
    x = np.array([row[:-1] for row in rows], dtype=np.float32).astype(np.float64)
    # Cosines of what has only large positive numbers are all near 1; dot products sort by length.
    means = x.mean(axis=0).astype(np.float32).astype(np.float64)
    x = (x - means).astype(np.float32).astype(np.float64)
    classes = np.array([row[-1] for row in rows])
    searches = []
    for metric in ("euclidean", "cosine", "dot"):
        for query in QUERIES:
            for only in (None, "b"):
                rows_of = np.flatnonzero(classes == only) if only else np.arange(len(x))
                if metric == "dot":
                    scores = x[rows_of] @ x[query]
                    order = np.argsort(-scores)[:LIMIT]
                    found = [(int(rows_of[i]), float(scores[i])) for i in order]
                else:
                    search = NearestNeighbors(n_neighbors=LIMIT, metric=metric, algorithm="brute").fit(x[rows_of])
                    distances, order = search.kneighbors(x[query : query + 1])
                    score = (lambda d: 1.0 - d) if metric == "cosine" else (lambda d: d)
                    found = [(int(rows_of[i]), float(score(d))) for d, i in zip(distances[0], order[0])]
                gaps = np.diff([score for _, score in found])
                searches.append(
                    {
                        "distance": metric,
                        "query": query,
                        "cultivar": only,
                        "rows": [row for row, _ in found],
                        "scores": [score for _, score in found],
                        "closest_scores": float(np.abs(gaps).min()),
                    }
                )
    result = {
        "made_with": {"numpy": np.__version__, "scikit-learn": sklearn.__version__},
        "means": [float(mean) for mean in means],
        "searches": searches,
    }
    # A list of numbers a line.
    text = re.sub(r"\[([^][{}]*)\]", lambda m: "[" + " ".join(m[1].split()) + "]", json.dumps(result, indent=1))
    (HERE / "neighbours.json").write_text(text + "\n", encoding="ascii")
    print("closest scores:", min(s["closest_scores"] for s in searches))


if __name__ == "__main__":
    main()
