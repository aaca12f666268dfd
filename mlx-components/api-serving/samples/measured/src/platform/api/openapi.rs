//! The OpenAPI document of the REST API.

use super::app::Api;
use axum::{Json, extract::State};
use mlx_core::prelude::*;
use std::sync::Arc;

/// `GET /openapi.json`.
pub(super) async fn document(State(api): State<Arc<Api>>) -> Json<JsonValue> {
    let name =
        json!({"name": "name", "in": "path", "required": true, "schema": {"type": "string"}});
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {"title": api.settings.app_name, "version": env!("CARGO_PKG_VERSION")},
        "paths": {
            "/health": {"get": {"summary": "Whether the process lives", "responses": answers("Status")}},
            "/ready": {"get": {"summary": "Whether every model is loaded", "responses": answers("Status")}},
            "/v1/models": {"get": {"summary": "The models", "responses": answers("ModelList")}},
            "/v1/models/{name}": {
                "parameters": [name.clone()],
                "get": {"summary": "What a model takes and gives", "responses": answers("Model")},
            },
            "/v1/models/{name}/predict": {
                "parameters": [name],
                "post": {
                    "summary": "Predictions for rows",
                    "requestBody": {"required": true, "content": content("PredictRequest")},
                    "responses": answers("PredictResponse"),
                },
            },
        },
        "components": {"schemas": schemas()},
    });
    if api.requires_key() {
        document["components"]["securitySchemes"] = json!({
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        });
        document["security"] = json!([{"bearer": []}, {"key": []}]);
    }
    Json(document)
}

fn answers(schema: &str) -> JsonValue {
    json!({
        "200": {"description": "OK", "content": content(schema)},
        "default": {"description": "An error", "content": content("Error")},
    })
}

fn content(schema: &str) -> JsonValue {
    json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
}

/// As [`models`](super::models) has them.
fn schemas() -> JsonValue {
    let text = json!({"type": "string"});
    let list = |items: JsonValue| json!({"type": "array", "items": items});
    let of = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let object = |required: &[&str], properties: JsonValue| json!({"type": "object", "required": required, "properties": properties});
    let row = json!({"type": "object", "additionalProperties": {"type": "number"}});
    json!({
        "Status": object(&["status", "service"], json!({
            "status": {"enum": ["alive", "ready", "not_ready"]}, "service": text, "missing": list(text.clone()),
        })),
        "Model": object(&["name", "features", "target", "classes"], json!({
            "name": text, "features": list(text.clone()), "target": text, "classes": list(text.clone()),
        })),
        "ModelList": object(&["models"], json!({"models": list(of("Model"))})),
        "PredictRequest": object(&["rows"], json!({"rows": list(row.clone())})),
        "Prediction": object(&["prediction"], json!({
            "prediction": {"type": ["string", "number", "null"]}, "probabilities": row,
        })),
        "PredictResponse": object(&["model", "predictions"], json!({
            "model": text, "predictions": list(of("Prediction")),
        })),
        "Error": object(&["error"], json!({
            "error": object(&["code", "message"], json!({"code": text, "message": text})),
        })),
    })
}
