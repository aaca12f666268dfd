//! The routes, over a model server that doubles.

use super::*;
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
    response::Response,
};
use mlx_core::{
    Standalone,
    arrow::array::{ArrayRef, Float64Array},
    prelude::*,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};
use tower::ServiceExt;

const KEY: &str = "0123456789abcdef";

/// Knows the model `double`, whose prediction is twice the feature `x`.
#[mlx_plugin(type = "model_server", name = "test-doubling")]
struct Doubling;

#[async_trait]
impl Plugin for Doubling {
    type Config = NoConfig;

    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Doubling)
    }
}

#[async_trait]
impl ModelServer for Doubling {
    async fn load(&self, _: &str, _: Model) -> Result<()> {
        Err(Error::unsupported("this server has its one model"))
    }

    async fn unload(&self, _: &str) -> Result<()> {
        Err(Error::unsupported("this server has its one model"))
    }

    async fn predict(&self, _: &str, data: DataFrame) -> Result<DataFrame> {
        let doubled = data.f64_column("x")?.into_iter().map(|x| 2.0 * x);
        let doubled: ArrayRef = Arc::new(Float64Array::from_iter_values(doubled));
        DataFrame::from_columns([("prediction", doubled)])
    }

    async fn signature(&self, name: &str) -> Result<ModelSignature> {
        match name {
            "double" => Ok(ModelSignature {
                features: vec!["x".to_owned()],
                target: "y".to_owned(),
                classes: Vec::new(),
            }),
            _ => Err(Error::not_found("this server knows `double` only")),
        }
    }

    async fn models(&self) -> Result<Vec<String>> {
        Ok(vec!["double".to_owned()])
    }
}

/// Knows one key, whose holder may predict with `double`.
#[mlx_plugin(type = "security", name = "test-key")]
struct OneKey;

#[async_trait]
impl Plugin for OneKey {
    type Config = NoConfig;

    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(OneKey)
    }
}

#[async_trait]
impl Security for OneKey {
    async fn authenticate(&self, credential: Credential) -> Result<Principal> {
        match credential {
            Credential::ApiKey(key) | Credential::Bearer(key) if key.expose() == KEY => {
                Ok(Principal::new("tester", ["predict:double"]))
            }
            _ => Err(Error::denied("the credential is not known")),
        }
    }

    async fn authorize(&self, principal: Principal, action: &str, resource: &str) -> Result<bool> {
        let allowed: BTreeSet<String> = principal.scopes;
        Ok(allowed.contains(&format!("{action}:{resource}")))
    }
}

/// Writes down the names of what is measured.
#[mlx_plugin(type = "monitoring", name = "test-notes")]
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

#[async_trait]
impl Plugin for Notes {
    type Config = NoConfig;

    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Notes::default())
    }
}

#[async_trait]
impl Monitoring for Notes {
    async fn record(&self, measurements: Vec<Measurement>) -> Result<()> {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.extend(
            measurements
                .iter()
                .map(|one| format!("{} {:?}", one.name, one.labels)),
        );
        Ok(())
    }

    async fn export(&self) -> Result<String> {
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .join("\n"))
    }
}

struct Service {
    api: Arc<Api>,
    server: Standalone<dyn ModelServer>,
}

impl Service {
    async fn start(plugins: Plugins) -> Result<Self> {
        let server = registry()
            .create::<dyn ModelServer>("test-doubling", json!({}))
            .await?;
        let settings = Settings {
            app_name: "test".to_owned(),
            cors: Some(vec!["https://app.example.com".to_owned()]),
            max_body: 1024,
            max_rows: 3,
            timeout: Duration::from_secs(60),
        };
        let api = Api::new(settings, plugins);
        for name in ["double", "other"] {
            let deployed = Deployed {
                model: name.to_owned(),
                server: server.handle(),
            };
            api.deploy(name.to_owned(), deployed);
        }
        Ok(Service { api, server })
    }

    async fn send(&self, request: Request<Body>) -> Result<Response> {
        router(self.api.clone())?
            .oneshot(request)
            .await
            .map_err(Error::wrap)
    }

    /// The status and the JSON of an answer.
    async fn ask(&self, request: Request<Body>) -> Result<(StatusCode, JsonValue)> {
        let response = self.send(request).await?;
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20)
            .await
            .map_err(Error::wrap)?;
        Ok((status, String::from_utf8(body.to_vec())?.parse()?))
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, JsonValue)> {
        self.ask(
            Request::get(path)
                .body(Body::empty())
                .map_err(Error::wrap)?,
        )
        .await
    }

    async fn post(&self, path: &str, body: JsonValue) -> Result<(StatusCode, JsonValue)> {
        self.ask(post(path, &body)?).await
    }
}

fn post(path: &str, body: &JsonValue) -> Result<Request<Body>> {
    let request = Request::post(path).header("content-type", "application/json");
    request
        .body(Body::from(body.to_string()))
        .map_err(Error::wrap)
}

#[test]
fn predictions_are_made() -> Result<()> {
    mlx_core::block_on(async {
        let service = Service::start(Plugins::default()).await?;
        let body = json!({"rows": [{"x": 1.5, "id": "a"}, {"x": 2}]});
        let (status, answer) = service.post("/v1/models/double/predict", body).await?;
        let expected =
            json!({"model": "double", "predictions": [{"prediction": 3.0}, {"prediction": 4.0}]});
        assert_eq!((status, answer), (StatusCode::OK, expected));
        let (status, answer) = service.get("/v1/models").await?;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["models"][0]["features"], json!(["x"]));
        service.server.shutdown().await
    })
}

#[test]
fn mistakes_of_the_caller_are_said() -> Result<()> {
    mlx_core::block_on(async {
        let service = Service::start(Plugins::default()).await?;
        let path = "/v1/models/double/predict";
        for (body, expected) in [
            (
                json!({"rows": [{"x": 1}, {"y": 1}]}),
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            (
                json!({"rows": [{"x": "one"}]}),
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            (
                json!({"rows": [{}, {}, {}, {}]}),
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            (json!({"row": []}), StatusCode::UNPROCESSABLE_ENTITY),
            (
                json!({"rows": [], "pad": "x".repeat(2000)}),
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
        ] {
            let (status, answer) = service.post(path, body).await?;
            assert_eq!(status, expected, "{answer}");
            assert!(answer["error"]["message"].is_string(), "{answer}");
        }
        let (_, answer) = service
            .post(path, json!({"rows": [{"x": 1}, {"y": 1}]}))
            .await?;
        assert_eq!(answer["error"]["message"], "`x` is missing in row 1");
        let (status, _) = service.get("/v1/models/nothing").await?;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let (status, _) = service.get("/nowhere").await?;
        assert_eq!(status, StatusCode::NOT_FOUND);
        service.server.shutdown().await
    })
}

#[test]
fn the_service_is_ready_when_its_models_are() -> Result<()> {
    mlx_core::block_on(async {
        let service = Service::start(Plugins::default()).await?;
        assert_eq!(service.get("/health").await?.0, StatusCode::OK);
        let (status, answer) = service.get("/ready").await?;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer["missing"], json!(["other"]));
        service.api.undeploy("other")?;
        assert_eq!(service.get("/ready").await?.0, StatusCode::OK);
        service.server.shutdown().await
    })
}

#[test]
fn a_key_is_asked_for() -> Result<()> {
    mlx_core::block_on(async {
        let security = registry()
            .create::<dyn Security>("test-key", json!({}))
            .await?;
        let plugins = Plugins {
            security: Some(security.handle()),
            ..Plugins::default()
        };
        let service = Service::start(plugins).await?;
        let body = json!({"rows": [{"x": 1}]});
        let ask = async |path: &str, header: &'static str, key: String| {
            let mut request = post(path, &body)?;
            request
                .headers_mut()
                .insert(header, key.parse().map_err(Error::wrap)?);
            Ok::<_, Error>(service.ask(request).await?.0)
        };
        let (double, other) = ("/v1/models/double/predict", "/v1/models/other/predict");
        assert_eq!(
            service.post(double, body.clone()).await?.0,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(
            ask(double, "x-api-key", "wrong".to_owned()).await?,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(
            ask(double, "x-api-key", KEY.to_owned()).await?,
            StatusCode::OK
        );
        assert_eq!(
            ask(double, "authorization", format!("Bearer {KEY}")).await?,
            StatusCode::OK
        );
        assert_eq!(
            ask(other, "x-api-key", KEY.to_owned()).await?,
            StatusCode::FORBIDDEN
        );
        assert_eq!(service.get("/health").await?.0, StatusCode::OK);
        service.server.shutdown().await?;
        security.shutdown().await
    })
}

#[test]
fn browsers_may_call_from_the_origins_that_are_allowed() -> Result<()> {
    mlx_core::block_on(async {
        let service = Service::start(Plugins::default()).await?;
        for (origin, allowed) in [
            ("https://app.example.com", true),
            ("https://evil.example", false),
        ] {
            let request = Request::get("/health").header("origin", origin);
            let response = service
                .send(request.body(Body::empty()).map_err(Error::wrap)?)
                .await?;
            assert_eq!(
                response
                    .headers()
                    .contains_key("access-control-allow-origin"),
                allowed
            );
        }
        service.server.shutdown().await
    })
}

#[test]
fn the_document_names_the_routes() -> Result<()> {
    mlx_core::block_on(async {
        let service = Service::start(Plugins::default()).await?;
        let (status, document) = service.get("/openapi.json").await?;
        assert_eq!(status, StatusCode::OK);
        assert!(document["paths"]["/v1/models/{name}/predict"]["post"].is_object());
        service.server.shutdown().await
    })
}

#[test]
fn requests_are_measured() -> Result<()> {
    mlx_core::block_on(async {
        let monitoring = registry()
            .create::<dyn Monitoring>("test-notes", json!({}))
            .await?;
        let plugins = Plugins {
            monitoring: Some(monitoring.handle()),
            ..Plugins::default()
        };
        let service = Service::start(plugins).await?;
        assert_eq!(
            service.get("/v1/models/nothing").await?.0,
            StatusCode::NOT_FOUND
        );
        let request = Request::get("/metrics")
            .body(Body::empty())
            .map_err(Error::wrap)?;
        let body = to_bytes(service.send(request).await?.into_body(), 1 << 20).await;
        let notes = String::from_utf8(body.map_err(Error::wrap)?.to_vec())?;
        assert!(notes.contains("http_requests_total"), "{notes}");
        assert!(
            notes.contains("/v1/models/{name}") && notes.contains("404"),
            "{notes}"
        );
        service.server.shutdown().await?;
        monitoring.shutdown().await
    })
}
