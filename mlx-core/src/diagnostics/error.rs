//! The one error type of the framework.

use super::{Code, Diagnostic, Location, Report, Source};
use std::{error::Error as StdError, fmt};

/// The result of everything fallible here. The second parameter has a default, so that importing this name takes
/// nothing away: `Result<T, OtherError>` still works.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What the user wrote is wrong; [`Error::diagnostics`] says where. Retrying cannot help.
    Invalid,
    /// The thing asked for does not exist.
    NotFound,
    /// The caller may not do this.
    Denied,
    /// The other side cannot be reached or is overloaded. Retrying may help.
    Unavailable,
    /// A deadline passed. Retrying may help.
    Timeout,
    /// The work was cancelled on request.
    Cancelled,
    /// The plugin has been stopped, or is not running yet.
    Stopped,
    /// The plugin does not offer this operation.
    Unsupported,
    /// Anything else that went wrong inside a plugin.
    Failed,
    /// A plugin panicked, or the framework broke a promise of its own.
    Internal,
}

impl ErrorKind {
    /// Whether trying again later may succeed.
    pub const fn is_transient(self) -> bool {
        matches!(self, ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// The kind in snake case: `not_found`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Invalid => "invalid",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Denied => "denied",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Stopped => "stopped",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Failed => "failed",
            ErrorKind::Internal => "internal",
        }
    }
}

/// What went wrong: a kind to act on, a message with its context, the cause, and located [`Diagnostic`]s where a
/// user's text is at fault.
///
/// `Display` is one line, which ends with the first finding; `{:#}` leaves that out. `Debug` is the full report, because
/// that is what `fn main() -> mlx_core::Result<()>` prints; it never contains a [`Secret`](crate::Secret).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<String>,
    diagnostics: Vec<Diagnostic>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])+ $name:ident => $kind:ident;)+) => {
        $($(#[$doc])+ pub fn $name(message: impl Into<String>) -> Self { Error::new(ErrorKind::$kind, message) })+
    };
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            diagnostics: Vec::new(),
            source: None,
        }))
    }

    constructors! {
        /// Wrong input; see [`ErrorKind::Invalid`].
        invalid => Invalid;
        /// Something that does not exist; see [`ErrorKind::NotFound`].
        not_found => NotFound;
        /// Something that is not allowed; see [`ErrorKind::Denied`].
        denied => Denied;
        /// Something out of reach for now; see [`ErrorKind::Unavailable`].
        unavailable => Unavailable;
        /// A deadline that passed; see [`ErrorKind::Timeout`].
        timeout => Timeout;
        /// Cancelled work; see [`ErrorKind::Cancelled`].
        cancelled => Cancelled;
        /// A plugin that is not running; see [`ErrorKind::Stopped`].
        stopped => Stopped;
        /// An operation that is not offered; see [`ErrorKind::Unsupported`].
        unsupported => Unsupported;
        /// A failure inside a plugin; see [`ErrorKind::Failed`].
        failed => Failed;
        /// A contained panic or a broken promise of the framework; see [`ErrorKind::Internal`].
        internal => Internal;
    }

    /// An [`ErrorKind::Unsupported`] error for a method that is still to be written: it names the plugin, the method, and
    /// the line of the call, which is the one to replace.
    ///
    /// ```
    /// # use mlx_core::{Error, ErrorKind};
    /// let error = Error::not_implemented("databricks", "submit");
    /// assert_eq!(error.kind(), ErrorKind::Unsupported);
    /// let place = error.diagnostics()[0].location.as_ref().unwrap();
    /// assert!(place.source.name().ends_with(".rs"));
    /// ```
    #[track_caller]
    pub fn not_implemented(plugin: &str, method: &str) -> Self {
        let caller = std::panic::Location::caller();
        // The compiler spells paths as the system does.
        let file = caller.file().replace('\\', "/");
        let message = format!("`{method}` of the plugin `{plugin}` is not written yet");
        let source = Source::new(file, "");
        let at = Location { source, line: caller.line(), column: caller.column(), length: 0 };
        let finding = Diagnostic::error(Code::NotImplemented, message)
            .at(&at)
            .help(format!("replace this line with what `{method}` does; the method's documentation says what that is"));
        Error::unsupported(format!("`{plugin}` does not do this yet")).with_diagnostics([finding])
    }

    /// A [`ErrorKind::Failed`] error that wraps any other: `.map_err(Error::wrap)`.
    pub fn wrap(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        let mut error = Error::failed(source.to_string());
        error.0.source = Some(source);
        error
    }

    /// An [`ErrorKind::Invalid`] error made of findings, sorted by position. The message counts them.
    pub fn from_diagnostics(subject: impl fmt::Display, mut diagnostics: Vec<Diagnostic>) -> Self {
        super::sort(&mut diagnostics);
        let errors = diagnostics.iter().filter(|d| d.is_error()).count();
        let message = match errors {
            1 => format!("{subject} has 1 error"),
            n => format!("{subject} has {n} errors"),
        };
        let mut error = Error::invalid(message);
        error.0.diagnostics = diagnostics;
        error
    }

    /// Puts what was being done in front of the message: `reading platform.yaml: permission denied`.
    #[must_use]
    pub fn context(mut self, doing: impl Into<String>) -> Self {
        self.0.context.push(doing.into());
        self
    }

    /// Changes the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Adds findings.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) -> Self {
        self.0.diagnostics.extend(diagnostics);
        self
    }

    /// Changes the findings.
    #[must_use]
    pub(crate) fn map_diagnostics(mut self, change: impl FnMut(Diagnostic) -> Diagnostic) -> Self {
        self.0.diagnostics = self.0.diagnostics.into_iter().map(change).collect();
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The located findings, sorted by position; empty when no user's text is at fault.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0.diagnostics
    }

    /// The error as JSON, for machines, as `docs/schemas/diagnostics.schema.json` describes it.
    pub fn to_json(&self) -> serde_json::Value {
        let causes = std::iter::successors(self.source(), |cause| (**cause).source());
        serde_json::json!({
            "kind": self.kind().as_str(),
            "message": format!("{self:#}"),
            "causes": causes.map(ToString::to_string).collect::<Vec<_>>(),
            "diagnostics": self.diagnostics().iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
        })
    }

    /// The full report for a person, without colour unless it is [switched on](Report::color_for). `{:?}` prints the
    /// same.
    pub fn report(&self) -> Report<'_> {
        Report::of(self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for doing in self.0.context.iter().rev() {
            write!(f, "{doing}: ")?;
        }
        f.write_str(&self.0.message)?;
        let mut errors = self.0.diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
        match (errors.next(), errors.next()) {
            // A report has them all.
            _ if f.alternate() => Ok(()),
            (None, _) => Ok(()),
            (Some(first), None) => write!(f, ": {}", first),
            (Some(first), Some(_)) => write!(f, ", the first: {}", first),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.report())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

macro_rules! from {
    ($($type:ty => $kind:ident),+ $(,)?) => {
        $(impl From<$type> for Error {
            fn from(error: $type) -> Self { Error::wrap(error).with_kind(ErrorKind::$kind) }
        })+
    };
}

from! {
    serde_json::Error => Invalid,
    fmt::Error => Failed,
    std::num::ParseIntError => Invalid,
    std::num::ParseFloatError => Invalid,
    std::str::Utf8Error => Invalid,
    std::string::FromUtf8Error => Invalid,
    std::net::AddrParseError => Invalid,
}

#[cfg(feature = "arrow")]
impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Error::wrap(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::PermissionDenied => ErrorKind::Denied,
            Io::TimedOut => ErrorKind::Timeout,
            Io::ConnectionRefused | Io::ConnectionReset | Io::ConnectionAborted | Io::AddrInUse => {
                ErrorKind::Unavailable
            }
            _ => ErrorKind::Failed,
        };
        Error::wrap(error).with_kind(kind)
    }
}

/// Adds what was being done to a failure, and turns foreign errors into [`Error`].
pub trait Context<T> {
    /// Puts `doing` in front of the message: `file.read().context("reading the model")?`.
    ///
    /// # Errors
    /// The error that `self` held, with the context.
    fn context(self, doing: impl Into<String>) -> Result<T>;

    /// The same, with the text made only on failure.
    ///
    /// # Errors
    /// The error that `self` held, with the context.
    fn with_context<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Into<String>) -> Result<T> {
        self.with_context(|| doing)
    }

    fn with_context<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| {
            let boxed: Box<dyn StdError + Send + Sync> = error.into();
            // An error of ours keeps its kind and findings; an I/O error gets the kind it has as `From`.
            let error = match boxed.downcast::<Error>() {
                Ok(error) => *error,
                Err(boxed) => match boxed.downcast::<std::io::Error>() {
                    Ok(error) => Error::from(*error),
                    Err(boxed) => Error::wrap(boxed),
                },
            };
            error.context(doing())
        })
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, doing: impl Into<String>) -> Result<T> {
        self.ok_or_else(|| Error::not_found(doing))
    }

    fn with_context<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        self.ok_or_else(|| Error::not_found(doing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Code;

    #[test]
    fn context_comes_first_and_the_kind_stays() {
        let error = Err::<(), _>(std::io::Error::from(std::io::ErrorKind::NotFound)).context("reading the model");
        let error = error.context("serving").unwrap_err();
        assert_eq!(error.to_string(), "serving: reading the model: entity not found");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_foreign_result_type_still_works_beside_ours() {
        fn parse() -> Result<u8, std::num::ParseIntError> {
            "7".parse()
        }
        assert_eq!(parse(), Ok(7));
    }

    #[test]
    fn debug_is_the_full_report() {
        let error = Error::from_diagnostics(
            "platform.yaml",
            vec![
                Diagnostic::error(Code::MissingField, "missing field `a`"),
                Diagnostic::error(Code::MissingField, "missing field `b`"),
            ],
        );
        let report = format!("{error:?}");
        assert!(
            report.contains("2 errors") && report.contains("missing field `a`") && report.contains("missing field `b`")
        );
        assert_eq!(error.to_string().lines().count(), 1);
    }
}
