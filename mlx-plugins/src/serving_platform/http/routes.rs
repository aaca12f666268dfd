//! Which request is answered how.

use super::{
    Deployed, Service, body,
    failure::{Failure, FailureCode},
    metrics::Sample,
    payload,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Json, Response},
    routing::{get, post},
};
use mlx_core::prelude::*;
use serde_json::Value;
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, PoisonError},
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

type Name = Result<Path<String>, PathRejection>;

/// Bytes of JSON from which on it is handled off the asynchronous threads: about a millisecond of work.
const LARGE: usize = 64 << 10;

/// Rows that an answer predicted, for the measurements.
#[derive(Clone, Copy)]
struct Predicted(usize);

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/health", get(alive))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/models", get(models))
        .route("/v1/models/{name}", get(model))
        .route("/v1/models/{name}/predict", post(predict))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "unknown_route", "there is nothing at this address"))
        .method_not_allowed_fallback(async || {
            Failure::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "wrong_method",
                "this address takes another method; see the header `Allow`",
            )
        })
        .layer(middleware::from_fn_with_state(service.clone(), observe))
        .with_state(service)
}

/// Around every answer: measures it, contains panics, and answers nothing new while the server stops.
async fn observe(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method(request.method());
    let path = request.uri().path();
    let route = route(path);
    let model = path.strip_prefix("/v1/models/").and_then(|rest| rest.split('/').next());
    let model = model.filter(|name| service.deployed(name).is_some()).map(str::to_owned);
    let response = if service.stopping.is_cancelled() && route != "/health" {
        Failure::stopping().into_response()
    } else {
        contained(next.run(request))
            .await
            .unwrap_or_else(|| service.failed(Error::internal(format!("answering {route} panicked"))).into_response())
    };
    if let Some(recorder) = &service.recorder {
        let extensions = response.extensions();
        recorder.record(Sample {
            method,
            route,
            status: response.status().as_u16(),
            failure: extensions.get::<FailureCode>().map(|failure| failure.0),
            model,
            duration: started.elapsed(),
            rows: extensions.get::<Predicted>().map_or(0, |predicted| predicted.0),
        });
    }
    response
}

/// The output, or `None` when the future panicked.
async fn contained<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    // The future is not polled again after a panic, so nobody sees what it left half done.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(step) => step.map(Some),
        Err(_) => std::task::Poll::Ready(None),
    })
    .await
}

/// A word for each address: callers must not be able to make up new ones for the measurements.
fn route(path: &str) -> &'static str {
    match path {
        "/health" => "/health",
        "/ready" => "/ready",
        "/metrics" => "/metrics",
        "/v1/models" => "/v1/models",
        _ => match path.strip_prefix("/v1/models/").map(|rest| rest.split_once('/')) {
            Some(None) => "/v1/models/{name}",
            Some(Some((_, "predict"))) => "/v1/models/{name}/predict",
            _ => "unknown",
        },
    }
}

/// A word for each method, for the same reason.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

async fn alive() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

async fn ready(State(service): State<Arc<Service>>) -> Result<Json<Value>, Failure> {
    service.within(Instant::now() + service.timeout, service.check_ready()).await?;
    Ok(Json(json!({"status": "ready"})))
}

async fn metrics(State(service): State<Arc<Service>>, headers: HeaderMap) -> Result<Response, Failure> {
    let exporting = async {
        service.admit(&headers, "read", "metrics").await?;
        let Some(monitoring) = &service.monitoring else {
            return Err(Failure::new(StatusCode::NOT_FOUND, "no_monitoring", "the server has no monitoring plugin"));
        };
        monitoring.export().await.map_err(|error| service.failed(error.context("exporting the measurements")))
    };
    let text = service.within(Instant::now() + service.timeout, exporting).await?;
    // OpenMetrics must end so; the older format has no such end.
    let media = match text.ends_with("# EOF\n") {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    };
    Ok(([(header::CONTENT_TYPE, media)], text).into_response())
}

async fn models(State(service): State<Arc<Service>>, headers: HeaderMap) -> Result<Json<Value>, Failure> {
    let listing = async {
        let caller = service.authenticate(&headers).await?;
        let mut models = Vec::new();
        for name in service.deployments().into_keys() {
            if service.may(&caller, "predict", &name).await? {
                let url = service.endpoint(&name).url;
                models.push(json!({"name": name, "url": url}));
            }
        }
        Ok(Json(json!({ "models": models })))
    };
    service.within(Instant::now() + service.timeout, listing).await
}

async fn model(State(service): State<Arc<Service>>, name: Name, headers: HeaderMap) -> Result<Json<Value>, Failure> {
    let name = plain(name)?;
    let describing = async {
        service.admit(&headers, "predict", &name).await?;
        let (_, signature) = service.find(&name).await?;
        let ModelSignature { features, target, classes } = signature;
        let url = service.endpoint(&name).url;
        Ok(Json(json!({"name": name, "features": features, "target": target, "classes": classes, "url": url})))
    };
    service.within(Instant::now() + service.timeout, describing).await
}

async fn predict(State(service): State<Arc<Service>>, name: Name, request: Request) -> Result<Response, Failure> {
    let name = plain(name)?;
    let deadline = Instant::now() + service.timeout;
    let (Parts { headers, .. }, mut body) = request.into_parts();
    let taken = async {
        let (deployed, signature) = service.within(deadline, service.open(&headers, &name)).await?;
        let bytes = body::read(&mut body, service.max_body, deadline).await?;
        Ok::<_, Failure>((deployed, signature, bytes))
    };
    match taken.await {
        Ok::<_, Failure>((deployed, signature, bytes)) => {
            service.within(deadline, service.predict(name, deployed, signature, bytes)).await
        }
        Err(failure) => {
            if failure.status != StatusCode::REQUEST_TIMEOUT {
                body::discard(&mut body, &headers, service.max_body).await;
            }
            Err(failure)
        }
    }
}

fn plain(name: Name) -> Result<String, Failure> {
    name.map(|Path(name)| name).map_err(|_| Failure::malformed("the name of the model is not UTF-8"))
}

impl Service {
    /// Keeps a failure of the inside for the health report, and makes what the caller is told.
    pub(super) fn failed(&self, error: Error) -> Failure {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        Failure::of(&error).unwrap_or_else(Failure::internal)
    }

    async fn within<T>(&self, deadline: Instant, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        timeout_at(deadline, work).await.unwrap_or_else(|_| Err(Failure::deadline()))
    }

    async fn check_ready(&self) -> Result<(), Failure> {
        let not_ready = |message: String| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", message);
        for (name, Deployed { model, server }) in self.deployments() {
            match server.signature(&model).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(not_ready(format!("the model of `{name}` is not loaded")));
                }
                Err(error) => {
                    self.failed(error.context(format!("checking whether `{name}` is ready")));
                    return Err(not_ready(format!("the model server of `{name}` does not answer")));
                }
            }
        }
        Ok(())
    }

    /// What a prediction begins with, before anything of its body is read.
    async fn open(&self, headers: &HeaderMap, name: &str) -> Result<(Deployed, ModelSignature), Failure> {
        self.admit(headers, "predict", name).await?;
        body::check_type(headers)?;
        self.find(name).await
    }

    async fn find(&self, name: &str) -> Result<(Deployed, ModelSignature), Failure> {
        let deployed = self.deployed(name).ok_or_else(|| Failure::unknown_model(name))?;
        match deployed.server.signature(&deployed.model).await {
            Ok(signature) => Ok((deployed, signature)),
            Err(error) => Err(self.of_server(name, error)),
        }
    }

    async fn predict(
        &self,
        name: String,
        deployed: Deployed,
        signature: ModelSignature,
        body: Vec<u8>,
    ) -> Result<Response, Failure> {
        let (max_rows, size) = (self.max_rows, body.len());
        let (table, signature) =
            off(size, move || payload::table(&body, &signature, max_rows).map(|table| (table, signature)))
                .await
                .map_err(|error| self.failed(error))??;
        let rows = table.as_ref().map_or(0, DataFrame::num_rows);
        let predicted = match table {
            Some(table) => {
                let predicting = deployed.server.predict(&deployed.model, table);
                Some(predicting.await.map_err(|error| self.of_server(&name, error))?)
            }
            None => None,
        };
        let answer = off(size, move || payload::answer(&name, predicted.as_ref(), &signature, rows))
            .await
            .and_then(|answer| answer)
            .map_err(|error| self.failed(error.context("writing predictions")))?;
        let mut response = ([(header::CONTENT_TYPE, "application/json")], Body::from(answer)).into_response();
        response.extensions_mut().insert(Predicted(rows));
        Ok(response)
    }

    /// What the caller is told of a model server's error.
    fn of_server(&self, name: &str, error: Error) -> Failure {
        match error.kind() {
            ErrorKind::Invalid => Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_features", error.to_string()),
            // Deployed here, and unloaded there since.
            ErrorKind::NotFound => Failure::unknown_model(name),
            _ => self.failed(error.context(format!("predicting with `{name}`"))),
        }
    }
}

/// Runs work on `size` bytes where it does not hold up other requests.
async fn off<T: Send + 'static>(size: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if size < LARGE {
        return Ok(work());
    }
    spawn_blocking(work).await.context("handling a large request")
}
