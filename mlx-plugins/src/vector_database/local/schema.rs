//! The tables; documented in the module above.

use crate::storage::Schema;

pub(super) const SCHEMA: Schema = Schema { holds: "vector", steps: &[V1] };

// AUTOINCREMENT: the number of a collection that is removed is not used again.
const V1: &str = "
CREATE TABLE collections (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    dimension  INTEGER NOT NULL,
    distance   TEXT NOT NULL,
    generation INTEGER NOT NULL
) STRICT;

CREATE TABLE points (
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    id         TEXT NOT NULL,
    vector     BLOB NOT NULL,
    metadata   TEXT NOT NULL,
    PRIMARY KEY (collection, id)
) STRICT;
";
