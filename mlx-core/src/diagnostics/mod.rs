//! What went wrong, where, and what to do: one [`Diagnostic`], its renderers, and the one [`Error`].

mod code;
mod diagnostic;
mod error;
mod location;
mod panic;
mod report;
mod suggest;

pub use code::Code;
pub use diagnostic::{Diagnostic, Related, Severity, sort};
pub use error::{Context, Error, ErrorKind, Result};
pub use location::{Location, Source, SourceKind};
pub(crate) use panic::panic_message;
pub use report::{Report, wants_color};
pub use suggest::{listing, nearest, quoted};
