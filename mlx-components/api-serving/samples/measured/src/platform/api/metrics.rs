//! What requests are measured by.

use super::{app::Api, auth::Caller, routes::Failure};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use mlx_core::prelude::*;
use std::{sync::Arc, time::Instant};

/// Around every route: counts its requests and measures how long they take.
pub(super) async fn observe(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let Some(monitoring) = &api.plugins.monitoring else {
        return next.run(request).await;
    };
    // Callers cannot make up names: the series would be without end.
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    };
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str)
        .to_owned();
    let started = Instant::now();
    let response = next.run(request).await;
    let seconds = started.elapsed().as_secs_f64();
    let status = response.status().as_u16().to_string();
    let measurements = vec![
        Measurement::counter("http_requests_total", 1.0)
            .label("method", method)
            .label("route", &route)
            .label("status", status)
            .help("Requests that were answered."),
        Measurement::histogram("http_request_duration_seconds", seconds)
            .label("route", route)
            .help("Time from the head of a request to the head of its answer."),
    ];
    if let Err(error) = monitoring.record(measurements).await {
        api.failed(&error.context("measuring a request"));
    }
    response
}

/// `GET /metrics`.
pub(super) async fn export(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<Response, Failure> {
    let Some(monitoring) = &api.plugins.monitoring else {
        let message = "the platform has no monitoring plugin";
        return Err(Failure::new(StatusCode::NOT_FOUND, "not_found", message));
    };
    api.require(&caller, "read", "metrics")
        .await
        .map_err(|error| api.failure(error))?;
    let text = monitoring
        .export()
        .await
        .map_err(|error| api.failure(error))?;
    let media = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media)], text).into_response())
}
