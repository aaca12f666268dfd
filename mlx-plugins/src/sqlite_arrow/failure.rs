//! SQLite's errors as ours.

use super::Deadline;
use mlx_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// What a failed call of SQLite means for the caller. The text of the query is left out: it may hold private values.
pub(crate) fn failure(error: rusqlite::Error, deadline: &Deadline) -> Error {
    use rusqlite::Error as E;
    match error {
        E::SqliteFailure(code, message) => classified(code.code, message.unwrap_or_else(|| code.to_string()), deadline),
        E::SqlInputError { error, msg, sql, offset } => {
            let place = usize::try_from(offset).ok().and_then(|offset| sql.get(..offset)).map(|before| {
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
                format!(" (line {line}, column {column} of the query)")
            });
            classified(error.code, msg + &place.unwrap_or_default(), deadline)
        }
        E::MultipleStatement => Error::invalid("the query has several statements: send them one by one"),
        E::InvalidParameterCount(given, needed) => {
            Error::invalid(format!("the query has {needed} parameters, and {given} values were given"))
        }
        E::NulError(_) => Error::invalid("a name or query contains a NUL character"),
        other => Error::failed(other.to_string()),
    }
}

fn classified(code: ErrorCode, message: String, deadline: &Deadline) -> Error {
    let kind = match code {
        ErrorCode::OperationInterrupted => return deadline.error(),
        ErrorCode::AuthorizationForStatementDenied => {
            return Error::denied("only queries are allowed here: `select`, `values` or `with`");
        }
        ErrorCode::NotADatabase => return Error::invalid("the file is not a SQLite database"),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::CannotOpen => ErrorKind::Unavailable,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => ErrorKind::Denied,
        ErrorCode::Unknown
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::TooBig
        | ErrorCode::ParameterOutOfRange => ErrorKind::Invalid,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, message)
}
