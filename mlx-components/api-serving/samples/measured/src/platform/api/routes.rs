//! Which request is answered how.

use super::{
    app::Api,
    auth::{self, Caller},
    metrics,
    models::{
        ErrorBody, ErrorDetail, ModelInfo, ModelList, PredictRequest, PredictResponse, Status,
    },
    openapi,
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Request, State, rejection::JsonRejection},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mlx_core::prelude::*;
use std::sync::Arc;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The routes, and what stands around them.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for an origin that is none.
pub fn router(api: Arc<Api>) -> Result<Router> {
    let settings = &api.settings;
    let protected = Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{name}", get(model))
        .route("/v1/models/{name}/predict", post(predict))
        .route("/metrics", get(metrics::export))
        .route_layer(middleware::from_fn_with_state(
            api.clone(),
            auth::authenticate,
        ));
    let mut router = Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/openapi.json", get(openapi::document))
        .merge(protected)
        .route_layer(middleware::from_fn_with_state(
            api.clone(),
            metrics::observe,
        ))
        .fallback(async || {
            Failure::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "there is nothing at this address",
            )
        })
        .layer(middleware::from_fn_with_state(api.clone(), deadline))
        .layer(DefaultBodyLimit::max(settings.max_body));
    if let Some(origins) = &settings.cors {
        router = router.layer(cors(origins)?);
    }
    Ok(router.with_state(api))
}

fn cors(origins: &[String]) -> Result<CorsLayer> {
    let origins = origins
        .iter()
        .map(|origin| {
            origin
                .parse()
                .with_context(|| format!("the origin `{origin}`"))
        })
        .collect::<Result<Vec<HeaderValue>>>()?;
    let origins = if origins.is_empty() {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins)
    };
    let headers = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::HeaderName::from_static("x-api-key"),
    ];
    Ok(CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers))
}

/// Ends what takes too long.
async fn deadline(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(api.settings.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the request took too long",
        )
        .into_response(),
    }
}

async fn health(State(api): State<Arc<Api>>) -> Json<Status> {
    Json(Status {
        status: "alive",
        service: api.settings.app_name.clone(),
        missing: Vec::new(),
    })
}

async fn ready(State(api): State<Arc<Api>>) -> (StatusCode, Json<Status>) {
    let missing = api.missing().await;
    let (code, status) = match missing.is_empty() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    (
        code,
        Json(Status {
            status,
            service: api.settings.app_name.clone(),
            missing,
        }),
    )
}

async fn models(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<ModelList>, Failure> {
    let models = api
        .models(&caller)
        .await
        .map_err(|error| api.failure(error))?;
    Ok(Json(ModelList { models }))
}

async fn model(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<ModelInfo>, Failure> {
    let model = api.model(&caller, &name).await;
    model.map(Json).map_err(|error| api.failure(error))
}

async fn predict(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Result<Json<PredictRequest>, JsonRejection>,
) -> Result<Json<PredictResponse>, Failure> {
    let Json(PredictRequest { rows }) = body?;
    let predictions = api
        .predict(&caller, &name, &rows)
        .await
        .map_err(|error| api.failure(error))?;
    Ok(Json(PredictResponse {
        model: name,
        predictions,
    }))
}

/// An answer that says what went wrong.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Failure {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn unauthorized() -> Self {
        let message = "show a key: `Authorization: Bearer KEY` or `X-API-Key: KEY`";
        Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }
}

impl Api {
    /// What the caller is told. Of what is not the caller's fault: nothing, but that it happened.
    pub(super) fn failure(&self, error: Error) -> Failure {
        let status = match error.kind() {
            ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Denied => StatusCode::FORBIDDEN,
            ErrorKind::Unavailable | ErrorKind::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_client_error() {
            return Failure::new(status, error.kind().as_str(), error.to_string());
        }
        self.failed(&error);
        let reason = status.canonical_reason().unwrap_or("failed");
        Failure::new(status, error.kind().as_str(), reason.to_lowercase())
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        Failure::new(rejection.status(), "malformed", rejection.body_text())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: ErrorDetail {
                code: self.code,
                message: self.message,
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
