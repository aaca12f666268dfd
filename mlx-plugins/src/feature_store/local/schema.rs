//! The tables; documented in the module above.

use crate::storage::Schema;

pub(super) const SCHEMA: Schema = Schema { holds: "feature", steps: &[V1] };

// AUTOINCREMENT: the number of a view that is removed is not used again.
const V1: &str = "
CREATE TABLE views (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE,
    definition   TEXT NOT NULL,
    materialized INTEGER
) STRICT;

CREATE TABLE history (
    view     INTEGER NOT NULL REFERENCES views (id) ON DELETE CASCADE,
    entity   TEXT NOT NULL,
    time     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    features TEXT NOT NULL,
    PRIMARY KEY (view, entity, time, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE online (
    view     INTEGER NOT NULL REFERENCES views (id) ON DELETE CASCADE,
    entity   TEXT NOT NULL,
    time     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    features TEXT NOT NULL,
    PRIMARY KEY (view, entity)
) STRICT, WITHOUT ROWID;

CREATE TABLE counter (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO counter VALUES (1, 0);
";
