//! Depends on a plugin crate, whose tests depend on this one.

use named_plugins as _;

/// Calling it is what makes a program name this crate.
pub fn linked() -> bool {
    true
}
