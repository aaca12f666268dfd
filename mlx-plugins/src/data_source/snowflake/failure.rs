//! What Snowflake's codes mean for a caller.
//! <https://docs.snowflake.com/en/developer-guide/sql-api/handling-responses> and the error messages of its connectors.

use crate::http::{ResponseError, ServerMessage};
use mlx_core::prelude::*;

/// The system, as errors name it.
pub(super) const SYSTEM: &str = "Snowflake";

/// The body of a refusal: a code of six digits, and the SQL state (ISO/IEC 9075) behind a slash where there is one.
pub(super) fn message(body: &[u8]) -> Option<ServerMessage> {
    let body: JsonValue = serde_json::from_slice(body).ok()?;
    let code = match &body["code"] {
        JsonValue::String(code) => code.clone(),
        JsonValue::Number(code) => code.to_string(),
        _ => return None,
    };
    let state = body["sqlState"].as_str().or_else(|| body["data"]["sqlState"].as_str()).unwrap_or_default();
    let message = body["message"].as_str().unwrap_or_default();
    Some(said(&code, state, message))
}

pub(super) fn said(code: &str, state: &str, message: &str) -> ServerMessage {
    let code = if state.is_empty() { code.to_owned() } else { format!("{code}/{state}") };
    ServerMessage { code, message: message.to_owned() }
}

/// The code of six digits of a refusal, or nothing.
pub(super) fn code(error: &Error) -> &str {
    ResponseError::of(error).map_or("", |response| response.code.split('/').next().unwrap_or_default())
}

/// Gives a refusal the kind that its code says.
pub(super) fn classified(error: Error) -> Error {
    let Some(response) = ResponseError::of(&error) else { return error };
    let (code, state) = response.code.split_once('/').unwrap_or((&response.code, ""));
    let kind = match (code, state) {
        // Does not exist, or is not to be seen; exists already.
        ("002003" | "002043", _) => ErrorKind::NotFound,
        ("002002", _) => ErrorKind::Invalid,
        ("000604", _) => ErrorKind::Cancelled,
        ("000630", _) => ErrorKind::Timeout,
        // Privileges, and everything about who asks.
        ("003001", _) => ErrorKind::Denied,
        (code, _) if code.len() == 6 && code.starts_with("390") => ErrorKind::Denied,
        (_, "42501" | "28000") => ErrorKind::Denied,
        (_, "42S02" | "02000") => ErrorKind::NotFound,
        (_, "57014") => ErrorKind::Cancelled,
        (_, state) => match state.get(..2) {
            // Syntax, data, constraints, a warehouse that is not there.
            Some("42" | "22" | "23" | "21" | "57") => ErrorKind::Invalid,
            Some("08") => ErrorKind::Unavailable,
            Some("0A") => ErrorKind::Unsupported,
            _ => return error,
        },
    };
    // A busy server says so with the status, whatever else it says.
    if matches!(response.status, 429 | 502 | 503 | 504) { error } else { error.with_kind(kind) }
}

/// A reply that cannot be read. It is not quoted: it has the data.
pub(super) fn malformed(operation: &str, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    Error::failed(format!(
        "{SYSTEM} answered {operation} with something that is not what it should be (line {line}, column {column})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_states_are_read_from_both_protocols() {
        let api = message(br#"{"code":"002003","sqlState":"42S02","message":"no such table"}"#).unwrap();
        let connector = message(br#"{"code":"002003","data":{"sqlState":"42S02"},"message":"no such table"}"#).unwrap();
        assert_eq!((api.code.as_str(), api.message.as_str()), ("002003/42S02", "no such table"));
        assert_eq!(api, connector);
        assert_eq!(message(br#"{"code":390104,"message":null}"#).unwrap().code, "390104");
        assert_eq!(message(b"<html>"), None);
        assert_eq!(message(b"{}"), None);
    }
}
