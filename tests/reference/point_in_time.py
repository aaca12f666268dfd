"""Reference figures for a point-in-time join, computed by merge_asof of pandas.

Writes point_in_time.json beside this file; README.md says what the figures are for.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
HISTORY = 80
ROWS = 60
SECONDS = 50
TTLS = [None, 12, 3, 0]


def main():
    random = np.random.default_rng(7)

    def rows(count):
        return pd.DataFrame(
            {
                "driver": random.integers(0, 4, count),
                "region": random.choice(["n", "s"], count),
                # Few seconds, so that there are rows of one time.
                "second": random.integers(0, SECONDS, count),
            }
        )

    history, entities = rows(HISTORY), rows(ROWS)
    # The features of a row are its number, in the order of writing.
    history["row"] = np.arange(HISTORY)
    entities["at"] = np.arange(ROWS)
    for table in (history, entities):
        table["time"] = pd.to_datetime(table["second"], unit="s", utc=True)
    found = {}
    for ttl in TTLS:
        joined = pd.merge_asof(
            entities.sort_values("time", kind="stable"),
            history[["driver", "region", "time", "row"]].sort_values("time", kind="stable"),
            on="time",
            by=["driver", "region"],
            tolerance=None if ttl is None else pd.Timedelta(seconds=ttl),
            direction="backward",
            allow_exact_matches=True,
        ).sort_values("at")
        found[str(ttl)] = [None if pd.isna(row) else int(row) for row in joined["row"]]
    columns = ["driver", "region", "second"]
    result = {
        "made_with": {"pandas": pd.__version__, "numpy": np.__version__},
        "history": {name: history[name].tolist() for name in columns},
        "entities": {name: entities[name].tolist() for name in columns},
        "found": found,
    }
    # A list a line.
    text = re.sub(r"\[([^][{}]*)\]", lambda m: "[" + " ".join(m[1].split()) + "]", json.dumps(result, indent=1))
    (HERE / "point_in_time.json").write_text(text + "\n", encoding="ascii")
    print({ttl: sum(row is not None for row in rows) for ttl, rows in found.items()})


if __name__ == "__main__":
    main()
