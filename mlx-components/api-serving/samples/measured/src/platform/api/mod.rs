//! The HTTP API: predictions of the platform's models as REST.
//!
//! | request | answer |
//! |---|---|
//! | `GET /health` | 200 while the process lives |
//! | `GET /ready` | 200 when every model that is offered is loaded, else 503 |
//! | `GET /openapi.json` | this table for programs |
//! | `GET /v1/models` | the models that the caller may use |
//! | `GET /v1/models/{name}` | what a model takes and gives |
//! | `POST /v1/models/{name}/predict` | predictions for `{"rows": [{"feature": 1.5, …}, …]}` |
//! | `GET /metrics` | what the monitoring plugin exports |
//!
//! With `enable_auth`, the addresses below `/v1` and `/graphql` need `Authorization: Bearer KEY` or
//! `X-API-Key: KEY`, and the security plugin is asked whether the caller may `predict` the model;
//! `/metrics` needs the right to `read` `metrics`.

mod app;
mod auth;
mod metrics;
mod models;
mod openapi;
mod routes;

pub use app::{Api, Deployed, Plugins, Settings};
pub use auth::Caller;
pub use models::{
    ErrorBody, ErrorDetail, ModelInfo, ModelList, PredictRequest, PredictResponse, Prediction, Row,
    Status,
};
pub use routes::router;

#[cfg(test)]
mod tests;
