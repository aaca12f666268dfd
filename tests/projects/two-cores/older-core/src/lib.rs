//! Another version of the core, as far as cargo looks at it.
