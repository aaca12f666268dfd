//! What a composition says about the start of all plugins: how long it may take, how much happens at once.

use crate::config::{Fields, Reader};
use std::{num::NonZeroU32, time::Duration};

/// Plugins that start at the same time unless the composition says otherwise; the others wait for their turn.
pub const MAX_CONCURRENT_STARTS: u32 = 128;

/// What holds for the platform as a whole. What is `None` is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) max_concurrent_starts: Option<NonZeroU32>,
    pub(crate) measure: Option<bool>,
}

impl Options {
    /// The keys in the composition.
    pub(super) const FIELDS: [&str; 3] = ["start_timeout", "max_concurrent_starts", "measure"];

    pub(super) fn read(fields: &mut Fields<'_>, cx: &mut Reader<'_>) -> Self {
        let start_timeout = cx.field::<Option<Duration>>(fields, "start_timeout", None).flatten();
        let max_concurrent_starts = cx.field::<Option<NonZeroU32>>(fields, "max_concurrent_starts", None).flatten();
        let measure = cx.field::<Option<bool>>(fields, "measure", None).flatten();
        Options { start_timeout, max_concurrent_starts, measure }
    }

    /// Lays what another file says over it.
    pub(super) fn merge(&mut self, other: Options) {
        self.start_timeout = other.start_timeout.or(self.start_timeout);
        self.max_concurrent_starts = other.max_concurrent_starts.or(self.max_concurrent_starts);
        self.measure = other.measure.or(self.measure);
    }

    pub(crate) fn max_concurrent_starts(&self) -> usize {
        self.max_concurrent_starts.map_or(MAX_CONCURRENT_STARTS, NonZeroU32::get) as usize
    }
}
