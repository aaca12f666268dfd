//! `rest-api`: the [HTTP API](crate::platform::api) as a plugin.
//!
//! A model is offered once somebody calls [`ServingPlatform::deploy`], or executes the plugin as a
//! step of a pipeline with the input `{"model": NAME}` (and `"name"`, to offer it under another
//! one). Those in `models` are offered from the start.
//!
//! It speaks HTTP/1.1 without TLS, and has no rate limits: put a proxy in front of it.

use crate::platform::api;
use mlx_core::{plugin::PluginKind, prelude::*};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Settings of the HTTP API.
#[derive(PluginConfig)]
pub struct RestApiConfig {
    /// app_name, host, port, enable_cors, allowed_origins, enable_auth, max_body_bytes, max_rows,
    /// request_timeout, shutdown_timeout.
    #[config(extends)]
    pub base: mlx_components::services::ApiServing,
    /// Models of the default model server that are offered from the start.
    #[config(default)]
    pub models: Vec<String>,
}

/// Models over HTTP.
#[mlx_plugin(
    type = "serving_platform",
    name = "rest-api",
    capabilities = ["http", "authentication", "metrics"],
    optional = ["type:model_server", "type:security", "type:monitoring"],
    data_formats = ["json"],
    // Two cannot listen at one port.
    swap = "restart"
)]
pub struct RestApi {
    api: Arc<api::Api>,
    address: SocketAddr,
    /// For the model servers, which deployments choose by id or name.
    cx: InitContext,
    stopping: CancellationToken,
    shutdown_timeout: Duration,
    server: Mutex<Option<JoinHandle<std::io::Result<()>>>>,
}

#[async_trait]
impl Plugin for RestApi {
    type Config = RestApiConfig;

    async fn initialize(config: RestApiConfig, cx: &InitContext) -> Result<Self> {
        let RestApiConfig { base, models } = config;
        let security = match base.enable_auth {
            true => Some(
                optional(cx)?
                    .context("`enable_auth` is set, and the platform has no security plugin")?,
            ),
            false => None,
        };
        let origins = base.allowed_origins.split(',').map(str::trim);
        let origins = origins
            .filter(|origin| !origin.is_empty())
            .map(str::to_owned)
            .collect();
        let settings = api::Settings {
            app_name: base.app_name,
            cors: base.enable_cors.then_some(origins),
            max_body: usize::try_from(base.max_body_bytes).context("`max_body_bytes`")?,
            max_rows: usize::try_from(base.max_rows).context("`max_rows`")?,
            timeout: base.request_timeout,
        };
        let plugins = api::Plugins {
            security,
            monitoring: optional(cx)?,
        };
        let served = api::Api::new(settings, plugins);
        for model in models {
            let server = cx
                .get_default::<dyn ModelServer>()
                .context("looking for a model server")?;
            served.deploy(model.clone(), api::Deployed { model, server });
        }
        let router = api::router(served.clone())?;
        let at = (base.host.as_str(), base.port);
        let listening = || format!("listening at {}:{}", base.host, base.port);
        let listener = TcpListener::bind(at).await.with_context(listening)?;
        let address = listener.local_addr()?;
        let stopping = CancellationToken::new();
        let stop = stopping.clone().cancelled_owned();
        let server = axum::serve(listener, router).with_graceful_shutdown(stop);
        Ok(RestApi {
            api: served,
            address,
            cx: cx.clone(),
            stopping,
            shutdown_timeout: base.shutdown_timeout,
            server: Mutex::new(Some(tokio::spawn(server.into_future()))),
        })
    }

    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        let text = |key: &str| cx.input().get(key).and_then(JsonValue::as_str);
        let model = text("model").context("the input has no `model`")?;
        let endpoint = self
            .deploy(Deployment::new(text("name").unwrap_or(model), model))
            .await?;
        Ok(ComponentResult::success().output("url", endpoint.url))
    }

    async fn health(&self) -> Result<Health> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let mut health = match server.as_ref().is_some_and(|server| !server.is_finished()) {
            true => Health::healthy(),
            false => Health::unhealthy("no connections are accepted"),
        };
        drop(server);
        health = health
            .detail("address", self.address.to_string())
            .detail("authentication", self.api.requires_key())
            .detail(
                "models",
                self.api.deployed().into_keys().collect::<Vec<_>>(),
            );
        if let Some(failure) = self.api.last_failure() {
            health = health.detail("last_failure", failure);
        }
        Ok(health)
    }

    async fn shutdown(&self) -> Result<()> {
        self.stopping.cancel();
        let server = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut server) = server else {
            return Ok(());
        };
        match tokio::time::timeout(self.shutdown_timeout, &mut server).await {
            Ok(ended) => Ok(ended.map_err(Error::wrap)??),
            Err(_) => {
                server.abort();
                Err(Error::new(
                    ErrorKind::Timeout,
                    "requests in flight were cut off",
                ))
            }
        }
    }
}

/// For a platform that is given up without a stop.
impl Drop for RestApi {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

impl RestApi {
    fn endpoint(&self, name: &str) -> Endpoint {
        let url = format!("http://{}/v1/models/{name}/predict", self.address);
        Endpoint {
            name: name.to_owned(),
            url,
        }
    }
}

#[async_trait]
impl ServingPlatform for RestApi {
    async fn deploy(&self, deployment: Deployment) -> Result<Endpoint> {
        let Deployment {
            name,
            model,
            server,
            ..
        } = deployment;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !name.starts_with(|first: char| first.is_ascii_alphanumeric())
            || !name.bytes().all(plain)
        {
            return Err(Error::invalid(format!(
                "{name:?} cannot stand in an address: use ASCII letters, digits, `-`, `_` and `.`, \
                 and begin with a letter or a digit"
            )));
        }
        let server = match server {
            Some(server) => self.cx.get::<dyn ModelServer>(&server),
            None => self.cx.get_default::<dyn ModelServer>(),
        }
        .with_context(|| format!("choosing the model server of `{name}`"))?;
        server
            .signature(&model)
            .await
            .with_context(|| format!("deploying `{model}`"))?;
        let endpoint = self.endpoint(&name);
        self.api.deploy(name, api::Deployed { model, server });
        Ok(endpoint)
    }

    async fn undeploy(&self, name: &str) -> Result<()> {
        self.api.undeploy(name)
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>> {
        Ok(self
            .api
            .deployed()
            .keys()
            .map(|name| self.endpoint(name))
            .collect())
    }
}

/// The default plugin of a type, if there are any.
fn optional<C: ?Sized + PluginKind>(cx: &InitContext) -> Result<Option<Handle<C>>> {
    match cx.get_all::<C>()?.is_empty() {
        true => Ok(None),
        false => cx.get_default::<C>().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn start(config: JsonValue) -> Result<RestApi> {
        let config = mlx_core::config::from_json(config)
            .map_err(|found| Error::from_diagnostics("the settings", found))?;
        RestApi::initialize(config, &InitContext::alone("rest-api")).await
    }

    #[test]
    fn it_answers_at_its_address_until_it_is_stopped() -> Result<()> {
        mlx_core::block_on(async {
            let server = start(json!({"port": 0})).await?;
            assert!(server.health().await?.is_healthy());
            let mut connection = tokio::net::TcpStream::connect(server.address).await?;
            connection
                .write_all(b"GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                .await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
            server.shutdown().await?;
            assert!(
                tokio::net::TcpStream::connect(server.address)
                    .await
                    .is_err()
            );
            Ok(())
        })
    }

    #[test]
    fn what_cannot_be_offered_is_refused() -> Result<()> {
        mlx_core::block_on(async {
            let server = start(json!({"port": 0})).await?;
            for name in ["", ".hidden", "a/b", "a b"] {
                let error = server
                    .deploy(Deployment::new(name, "model"))
                    .await
                    .unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
            }
            // There is no model server.
            let error = server
                .deploy(Deployment::new("iris", "iris"))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(
                server.undeploy("iris").await.unwrap_err().kind(),
                ErrorKind::NotFound
            );
            assert!(server.endpoints().await?.is_empty());
            server.shutdown().await
        })
    }

    #[test]
    fn keys_need_somebody_who_knows_them() -> Result<()> {
        mlx_core::block_on(async {
            let refused = start(json!({"port": 0, "enable_auth": true})).await;
            assert!(
                refused
                    .err()
                    .context("an error")?
                    .to_string()
                    .contains("security")
            );
            Ok(())
        })
    }
}
