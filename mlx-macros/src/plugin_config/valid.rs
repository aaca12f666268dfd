//! What attributes may not say together, one rule a function.

use super::attr::Container;
use crate::errors::Errors;

pub(super) fn check(_container: &Container<'_>, _errors: &Errors) {}
