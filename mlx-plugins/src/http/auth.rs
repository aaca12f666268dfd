//! Who the client says it is.

use mlx_core::{JsonValue, async_trait, prelude::*};
use reqwest::header::HeaderValue;
use std::{fmt, sync::Arc};

/// Makes the `Authorization` of each attempt.
#[derive(Clone, Default)]
pub(crate) enum Authentication {
    /// Nobody.
    #[default]
    None,
    /// RFC 7617.
    Basic { user: String, password: Secret<String> },
    /// RFC 6750.
    Bearer(Secret<String>),
    /// The body of a request says it. It is known here so that no error repeats it.
    InBody(Secret<String>),
    /// Credentials that expire and are made anew.
    Renewed(Arc<dyn Credentials>),
}

/// Credentials that expire.
#[async_trait]
pub(crate) trait Credentials: Send + Sync {
    /// The value of the `Authorization` header for the next attempt.
    ///
    /// # Errors
    /// Why there are none.
    async fn authorization(&self) -> Result<Secret<String>>;

    /// Called when the server has refused the last ones (status 401). Returns whether new ones are worth a try.
    fn refused(&self) -> bool {
        false
    }

    /// Takes the credentials out of a text that a server has written.
    fn redact(&self, text: String) -> String {
        text
    }
}

impl Authentication {
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>> {
        let text = match self {
            Authentication::None | Authentication::InBody(_) => return Ok(None),
            Authentication::Basic { user, password } => format!("Basic {}", base64(user, password.expose())),
            Authentication::Bearer(token) => format!("Bearer {}", token.expose()),
            Authentication::Renewed(credentials) => credentials.authorization().await?.into_inner(),
        };
        // The error of the conversion would not quote the value, and says nothing a user could act on.
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::invalid("the credentials contain a character that cannot be in an HTTP header, such as a line break")
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Whether another attempt after a refusal may succeed.
    pub(super) fn refused(&self) -> bool {
        match self {
            Authentication::Renewed(credentials) => credentials.refused(),
            _ => false,
        }
    }

    /// Takes the credentials out of a text that a server has written.
    pub(super) fn redact(&self, text: String) -> String {
        match self {
            // What is sent is as good as the password.
            Authentication::Basic { user, password } => {
                hide(hide(text, password.expose()), &base64(user, password.expose()))
            }
            Authentication::Bearer(token) | Authentication::InBody(token) => hide(text, token.expose()),
            Authentication::Renewed(credentials) => credentials.redact(text),
            Authentication::None => text,
        }
    }
}

/// Takes a secret out of a text, also as it is written in JSON. Short values are no secrets, and would tear holes into
/// every text.
pub(crate) fn hide(mut text: String, secret: &str) -> String {
    if secret.len() < 4 {
        return text;
    }
    let escaped = JsonValue::from(secret).to_string();
    for form in [secret, escaped.trim_matches('"')] {
        if text.contains(form) {
            text = text.replace(form, "[redacted]");
        }
    }
    text
}

fn base64(user: &str, password: &str) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    BASE64_STANDARD.encode(format!("{user}:{password}"))
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Authentication::None => "None",
            Authentication::Basic { .. } => "Basic",
            Authentication::Bearer(_) => "Bearer",
            Authentication::InBody(_) => "InBody",
            Authentication::Renewed(_) => "Renewed",
        })
    }
}
