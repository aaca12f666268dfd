//! The tables; documented in the module above.

use crate::storage::Schema;

pub(super) const SCHEMA: Schema = Schema { holds: "experiment tracking", steps: &[V1, V2] };

const V1: &str = "
CREATE TABLE runs (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    experiment TEXT NOT NULL,
    name       TEXT NOT NULL,
    status     TEXT NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'finished', 'failed', 'cancelled')),
    started    INTEGER NOT NULL,
    ended      INTEGER
) STRICT;
CREATE INDEX runs_by_experiment ON runs (experiment, seq);

CREATE TABLE parameters (
    run   INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE tags (
    run   INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE metrics (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    run   INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    name  TEXT NOT NULL,
    value REAL,
    step  INTEGER NOT NULL,
    time  INTEGER NOT NULL
) STRICT;
CREATE INDEX metrics_by_name ON metrics (run, name, seq);
";

const V2: &str = "
CREATE TABLE datasets (
    run     INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    digest  TEXT NOT NULL,
    source  TEXT NOT NULL,
    context TEXT NOT NULL,
    PRIMARY KEY (run, name, digest)
) STRICT, WITHOUT ROWID;
";
