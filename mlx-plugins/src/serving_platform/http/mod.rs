//! Models over HTTP.
//!
//! ```yaml
//! plugins:
//!   - type: serving_platform
//!     name: http
//!     config:
//!       address: 127.0.0.1:8080
//!       timeout: 5s
//!       require_authentication: true
//!   - type: model_server
//!     name: local
//!   - type: security
//!     name: api-keys
//!     config:
//!       keys:
//!         - { name: dashboard, key: "${env:DASHBOARD_KEY}", scopes: ["predict:iris"] }
//!   - type: monitoring
//!     name: prometheus
//! ```
//!
//! | request | answer |
//! |---|---|
//! | `GET /health` | 200 while the process lives |
//! | `GET /ready` | 200 when every deployed model is loaded, else 503 |
//! | `GET /v1/models` | the deployed models, those the caller may use |
//! | `GET /v1/models/{name}` | what a model takes and gives |
//! | `POST /v1/models/{name}/predict` | predictions |
//! | `GET /metrics` | what the monitoring plugin exports, if there is one |
//!
//! A prediction takes rows, `{"rows": [{"petal_length": 1.4, …}, …]}`, or columns,
//! `{"columns": {"petal_length": [1.4, …], …}}`, and gives
//! `{"model": "iris", "predictions": [{"prediction": "setosa", "probabilities": {"setosa": 0.98, …}}, …]}`.
//! Values that the model does not know are ignored, so that a row may carry its own id. A number that JSON cannot
//! express (NaN) is given as null.
//!
//! Every error that the plugin itself answers is `{"error": {"code": "…", "message": "…"}}`, with `features` where
//! some are at fault. What is not HTTP at all is answered by the protocol's own layer, without a body.
//!
//! With `require_authentication`, all but `/health` and `/ready` need `Authorization: Bearer KEY` or `X-API-Key: KEY`.
//! The security plugin is asked whether the caller may `predict` the model, or `read` the resource `metrics`.
//!
//! A model is offered once somebody calls [`ServingPlatform::deploy`]. Deployments are kept in memory.
//!
//! While the platform runs, the plugin can be replaced by itself with other settings, and no request is lost. The
//! deployments stay. At the same address the successor takes over the listening socket and the open connections: requests
//! that have begun are finished as they began, the next one on the same connection is answered by the successor. At another
//! address it listens anew; the old one accepts no more connections, goes on to answer on those that are open, with
//! `Connection: close`, for half of `shutdown_timeout`, and then closes them. A connection is read and written within the
//! `timeout` that held when it was accepted.
//!
//! It speaks HTTP/1.1 without TLS: put a proxy in front of it, or keep it on the loopback interface. It has no rate
//! limits and no cross-origin headers.

mod authentication;
mod body;
mod failure;
mod metrics;
mod payload;
mod routes;
mod server;
mod stalled;
#[cfg(test)]
mod tests;

use metrics::Recorder;
use mlx_core::{
    handle::Handle,
    plugin::{Handover, PluginKind},
    prelude::*,
};
use server::{Front, Server};
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Settings of the HTTP server.
#[derive(PluginConfig)]
pub struct HttpConfig {
    /// Where to listen. Port 0 takes any free one, which the endpoints and the health report name.
    #[config(default = SocketAddr::from(([127, 0, 0, 1], 8080)))]
    pub address: SocketAddr,
    /// Bytes that the body of a request may have.
    #[config(default = 1 << 20, range(1..=1_073_741_824))]
    pub max_body: usize,
    /// Rows that a request may have.
    #[config(default = 10_000, range(1..))]
    pub max_rows: usize,
    /// Connections that may be open at once; further clients wait.
    #[config(default = 1024, range(1..=65_536))]
    pub max_connections: usize,
    /// Time that a request may take: its head, its body, and the answer each.
    #[config(default = Duration::from_secs(10))]
    pub timeout: Duration,
    /// Time that requests in flight have to finish when the plugin stops.
    #[config(default = Duration::from_secs(10))]
    pub shutdown_timeout: Duration,
    /// Whether callers have to show a credential that the security plugin knows.
    #[config(default = false)]
    pub require_authentication: bool,
}

/// Models over HTTP.
#[mlx_plugin(
    type = "serving_platform",
    name = "http",
    capabilities = ["http", "authentication", "metrics"],
    requires = ["type:model_server"],
    optional = ["type:security", "type:monitoring"],
    integration_points = ["model_server", "security", "monitoring"],
    data_formats = ["json"],
    swap = "handover",
    stability = "beta"
)]
pub struct Http {
    service: Arc<Service>,
    server: Arc<Server>,
    front: Arc<Front>,
    /// The server of the one before, at another address.
    before: Weak<Server>,
}

/// What a successor gets.
struct Predecessor {
    server: Arc<Server>,
    deployments: Deployments,
}

type Deployments = Arc<RwLock<BTreeMap<String, Deployed>>>;

/// What requests are answered from.
struct Service {
    max_body: usize,
    max_rows: usize,
    timeout: Duration,
    /// Where the listener really is.
    address: SocketAddr,
    /// For the model servers, which deployments choose by id or name.
    peers: InitContext,
    /// Present when callers have to be known.
    security: Option<Handle<dyn Security>>,
    monitoring: Option<Handle<dyn Monitoring>>,
    recorder: Option<Recorder>,
    deployments: Deployments,
    /// Cancelled when no new request is taken.
    stopping: CancellationToken,
    /// The last failure that was not the caller's; callers are not told what it was.
    last_failure: Mutex<Option<String>>,
}

/// A model that is offered.
#[derive(Clone)]
struct Deployed {
    /// The name that the server knows it by.
    model: String,
    server: Handle<dyn ModelServer>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({})", self.service.address)
    }
}

#[async_trait]
impl Plugin for Http {
    type Config = HttpConfig;

    async fn initialize(config: HttpConfig, cx: &InitContext) -> Result<Self> {
        for (name, duration) in [("timeout", config.timeout), ("shutdown_timeout", config.shutdown_timeout)] {
            if duration.is_zero() {
                return Err(Error::invalid(format!("`{name}` is zero: nothing could ever be answered")));
            }
        }
        // With several and no default, each deployment names its own.
        if cx.get_all::<dyn ModelServer>()?.len() < 2 {
            cx.get_default::<dyn ModelServer>().context("looking for a model server to predict with")?;
        }
        let security = match config.require_authentication {
            false => None,
            true => Some(only::<dyn Security>(cx)?.ok_or_else(|| {
                Error::invalid(
                    "`require_authentication` is set and there is no security plugin: \
                     add one, such as `api-keys`, to the composition",
                )
            })?),
        };
        let monitoring = only::<dyn Monitoring>(cx)?;
        let before = cx.handed_over::<Predecessor>();
        let deployments = before.as_ref().map(|before| before.deployments.clone()).unwrap_or_default();
        let limits = server::Limits {
            connections: config.max_connections,
            timeout: config.timeout,
            grace: config.shutdown_timeout,
        };
        let service = |address| {
            Arc::new(Service {
                max_body: config.max_body,
                max_rows: config.max_rows,
                timeout: config.timeout,
                address,
                peers: cx.clone(),
                security,
                recorder: monitoring.clone().map(Recorder::start),
                monitoring,
                deployments,
                stopping: CancellationToken::new(),
                last_failure: Mutex::default(),
            })
        };
        let front = |service: &Arc<Service>| Front::new(routes::router(service.clone()), limits);
        match before {
            Some(Predecessor { server, .. }) if server.is_at(config.address) => {
                let service = service(server.address());
                let front = front(&service);
                server.follow(&front);
                Ok(Http { service, server, front, before: Weak::new() })
            }
            before => {
                let mut made = None;
                let server = Server::start(config.address, |address| {
                    let service = service(address);
                    let front = front(&service);
                    made = Some((service, front.clone()));
                    front
                });
                let server = server.await?;
                let (service, front) = made.context("the server has nobody to answer")?;
                let before = before.map_or_else(Weak::new, |before| {
                    before.server.move_to(&front);
                    Arc::downgrade(&before.server)
                });
                Ok(Http { service, server, front, before })
            }
        }
    }

    async fn health(&self) -> Result<Health> {
        let service = &self.service;
        let mut health = match self.server.is_running() {
            true => Health::healthy(),
            false => Health::unhealthy("no connections are accepted"),
        };
        health = health
            .detail("address", service.address.to_string())
            .detail("authentication", service.security.is_some())
            .detail("deployments", service.deployments().len())
            .detail("connections", self.server.connections());
        if let Some(recorder) = &service.recorder {
            health = health.detail("dropped_measurements", recorder.dropped());
            if let Some(failure) = recorder.failure() {
                health = health.detail("monitoring_failure", failure);
            }
        }
        if let Some(failure) = service.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            health = health.detail("last_failure", failure);
        }
        Ok(health)
    }

    async fn shutdown(&self) -> Result<()> {
        self.withdraw();
        let stopping = &self.service.stopping;
        let left = self.server.leave(&self.front, || stopping.cancel()).await;
        stopping.cancel();
        if let Some(recorder) = &self.service.recorder {
            recorder.stop().await;
        }
        left
    }

    async fn hand_over(&self) -> Result<Handover> {
        let (server, deployments) = (self.server.clone(), self.service.deployments.clone());
        Ok(Handover::new().with(Predecessor { server, deployments }))
    }
}

impl Http {
    /// Lets the one before keep its address, if it is still there: then this one was never published.
    fn withdraw(&self) {
        if let Some(before) = self.before.upgrade() {
            before.forsake(&self.front);
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.withdraw();
        self.server.forsake(&self.front);
    }
}

#[async_trait]
impl ServingPlatform for Http {
    async fn deploy(&self, deployment: Deployment) -> Result<Endpoint> {
        let Deployment { name, model, server, .. } = deployment;
        let service = &self.service;
        if service.stopping.is_cancelled() {
            return Err(Error::stopped("the HTTP server is stopping"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(1..=128).contains(&name.len()) || !name.bytes().all(plain) || name.starts_with('.') {
            return Err(Error::invalid(format!(
                "{name:?} cannot be the name of a deployment: it stands in an address, so it has up to 128 ASCII \
                 letters, digits, `-`, `_` and `.`, and does not begin with `.`"
            )));
        }
        let server = match server {
            Some(server) => service.peers.get::<dyn ModelServer>(&server),
            None => service.peers.get_default::<dyn ModelServer>(),
        }
        .with_context(|| format!("choosing the model server of `{name}`"))?;
        server.signature(&model).await.with_context(|| format!("deploying `{model}` as `{name}`"))?;
        let endpoint = service.endpoint(&name);
        let mut deployments = service.deployments.write().unwrap_or_else(PoisonError::into_inner);
        deployments.insert(name, Deployed { model, server });
        Ok(endpoint)
    }

    async fn undeploy(&self, name: &str) -> Result<()> {
        let mut deployments = self.service.deployments.write().unwrap_or_else(PoisonError::into_inner);
        match deployments.remove(name) {
            Some(_) => Ok(()),
            None => {
                let known = mlx_core::diagnostics::listing(deployments.keys().map(String::as_str));
                Err(Error::not_found(format!("no model is deployed as `{name}`; deployed: {known}")))
            }
        }
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>> {
        Ok(self.service.deployments().keys().map(|name| self.service.endpoint(name)).collect())
    }
}

impl Service {
    /// What is offered now.
    fn deployments(&self) -> BTreeMap<String, Deployed> {
        self.deployments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn deployed(&self, name: &str) -> Option<Deployed> {
        self.deployments.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn endpoint(&self, name: &str) -> Endpoint {
        Endpoint { name: name.to_owned(), url: format!("http://{}/v1/models/{name}/predict", self.address) }
    }
}

/// The plugin of a type, if there are any. Several without a default are an error: the choice would be a guess.
fn only<C: ?Sized + PluginKind>(cx: &InitContext) -> Result<Option<Handle<C>>> {
    match cx.get_all::<C>()?.is_empty() {
        true => Ok(None),
        false => cx.get_default::<C>().map(Some),
    }
}
