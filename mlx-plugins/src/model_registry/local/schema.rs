//! The tables; documented in the module above.

use crate::storage::Schema;

pub(super) const SCHEMA: Schema = Schema { holds: "model registry", steps: &[V1] };

const V1: &str = "
CREATE TABLE models (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last INTEGER NOT NULL
) STRICT;

CREATE TABLE versions (
    model    INTEGER NOT NULL REFERENCES models (id),
    version  INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    sha256   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    format   TEXT NOT NULL,
    features TEXT NOT NULL,
    target   TEXT NOT NULL,
    classes  TEXT NOT NULL,
    metadata TEXT NOT NULL,
    tags     TEXT NOT NULL,
    run      TEXT,
    PRIMARY KEY (model, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_sha256 ON versions (sha256);

CREATE TABLE metrics (
    model   INTEGER NOT NULL,
    version INTEGER NOT NULL,
    name    TEXT NOT NULL,
    value   REAL,
    PRIMARY KEY (model, version, name),
    FOREIGN KEY (model, version) REFERENCES versions ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE aliases (
    model   INTEGER NOT NULL,
    alias   TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES versions ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_by_version ON aliases (model, version);
";
