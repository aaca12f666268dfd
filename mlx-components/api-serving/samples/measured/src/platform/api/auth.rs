//! Who calls, and what they may do.

use super::{app::Api, routes::Failure};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::Response,
};
use mlx_core::prelude::*;
use std::{convert::Infallible, sync::Arc};

/// Who calls; `None` where nobody is asked.
#[derive(Clone, Debug, Default)]
pub struct Caller(pub Option<Principal>);

/// The one whose key was found good.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts
            .extensions
            .get::<Caller>()
            .cloned()
            .unwrap_or_default())
    }
}

/// Around the routes that need a key: turns away those who have none that is known.
pub(super) async fn authenticate(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    if let Some(security) = &api.plugins.security {
        let Some(credential) = credential(request.headers()) else {
            return Err(Failure::unauthorized());
        };
        match security.authenticate(credential).await {
            Ok(principal) => request.extensions_mut().insert(Caller(Some(principal))),
            Err(error) if error.kind() == ErrorKind::Denied => return Err(Failure::unauthorized()),
            Err(error) => return Err(api.failure(error)),
        };
    }
    Ok(next.run(request).await)
}

fn credential(headers: &HeaderMap) -> Option<Credential> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(key) = text("x-api-key") {
        return Some(Credential::ApiKey(Secret::new(key.to_owned())));
    }
    let (scheme, token) = text(header::AUTHORIZATION.as_str())?.split_once(' ')?;
    let token = Secret::new(token.trim().to_owned());
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(Credential::Bearer(token))
}

impl Api {
    pub(super) async fn may(&self, caller: &Caller, action: &str, resource: &str) -> Result<bool> {
        match (&self.plugins.security, &caller.0) {
            (None, _) => Ok(true),
            (Some(security), Some(principal)) => {
                security
                    .authorize(principal.clone(), action, resource)
                    .await
            }
            // No route without `authenticate` asks.
            (Some(_), None) => Ok(false),
        }
    }

    pub(super) async fn require(
        &self,
        caller: &Caller,
        action: &str,
        resource: &str,
    ) -> Result<()> {
        match self.may(caller, action, resource).await? {
            true => Ok(()),
            false => Err(Error::denied(format!("you may not {action} `{resource}`"))),
        }
    }
}
