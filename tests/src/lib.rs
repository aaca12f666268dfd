//! Holds the tests of this package; see `tests/`.
