//! Who is calling, and whether they may.

use super::{Service, failure::Failure};
use axum::http::{HeaderMap, StatusCode, header};
use mlx_core::{ErrorKind, prelude::*};

/// The name of the header that an API key may come in.
const API_KEY: &str = "x-api-key";

impl Service {
    /// Who is calling; `None` when nobody has to be known.
    pub(super) async fn authenticate(&self, headers: &HeaderMap) -> Result<Option<Principal>, Failure> {
        let Some(security) = &self.security else {
            return Ok(None);
        };
        match security.authenticate(credential(headers)?).await {
            Ok(principal) => Ok(Some(principal)),
            Err(error) if error.kind() == ErrorKind::Denied => {
                Err(Failure::unauthenticated("the credential is not known"))
            }
            Err(error) => Err(self.failed(error.context("authenticating a caller"))),
        }
    }

    /// Whether they may.
    pub(super) async fn may(&self, caller: &Option<Principal>, action: &str, resource: &str) -> Result<bool, Failure> {
        match (&self.security, caller) {
            (Some(security), Some(principal)) => security
                .authorize(principal.clone(), action, resource)
                .await
                .map_err(|error| self.failed(error.context("authorizing a caller"))),
            // A caller is unknown only where nobody has to be known.
            (security, _) => Ok(security.is_none()),
        }
    }

    /// Lets through who is known and may.
    pub(super) async fn admit(&self, headers: &HeaderMap, action: &str, resource: &str) -> Result<(), Failure> {
        let caller = self.authenticate(headers).await?;
        if self.may(&caller, action, resource).await? {
            return Ok(());
        }
        Err(Failure::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("the credential does not allow to {action} `{resource}`"),
        ))
    }
}

fn credential(headers: &HeaderMap) -> Result<Credential, Failure> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|text| text.split_once(' ')).and_then(|(scheme, token)| {
            let token = token.trim();
            (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
        });
        // The value is not quoted: it may hold a key in the wrong form.
        return match token {
            Some(token) => Ok(Credential::Bearer(token.into())),
            None => Err(Failure::unauthenticated("the header `Authorization` must be `Bearer KEY`")),
        };
    }
    match headers.get(API_KEY).map(|value| value.to_str()) {
        Some(Ok(key)) => Ok(Credential::ApiKey(key.into())),
        Some(Err(_)) => Err(Failure::unauthenticated("the header `X-API-Key` is not ASCII text")),
        None => Err(Failure::unauthenticated("send `Authorization: Bearer KEY` or `X-API-Key: KEY`")),
    }
}
