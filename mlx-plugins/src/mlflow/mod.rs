//! What the plugins that speak to an MLflow server have in common: how to reach it, its words for things, its files.
//!
//! The REST API is that of <https://mlflow.org/docs/latest/rest-api.html>, which Databricks serves as well.

mod artifacts;
mod values;

pub(crate) use artifacts::Folder;
pub(crate) use values::*;

use crate::http::{Authentication, Client, HttpConfig, Reply, Request, ResponseError, ServerMessage};
use mlx_core::prelude::*;
use reqwest::Url;

/// Where an MLflow server is, and who asks.
#[derive(PluginConfig)]
#[config(validate = one_identity)]
pub struct MlflowConfig {
    /// The address of the server, such as `http://mlflow.example:5000`.
    #[config(env = "MLFLOW_TRACKING_URI")]
    pub url: Url,
    /// The user, for a server with basic authentication.
    #[config(env = "MLFLOW_TRACKING_USERNAME")]
    pub username: Option<String>,
    /// The user's password.
    #[config(env = "MLFLOW_TRACKING_PASSWORD")]
    pub password: Option<Secret<String>>,
    /// A bearer token, as Databricks and many proxies take it.
    #[config(env = "MLFLOW_TRACKING_TOKEN")]
    pub token: Option<Secret<String>>,
    /// How to speak to it.
    #[config(extends)]
    pub http: HttpConfig,
}

fn one_identity(config: &MlflowConfig) -> Result<(), &'static str> {
    match (&config.username, &config.password, &config.token) {
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => Err("set either `token`, or `username` and `password`"),
        (Some(_), None, None) => Err("`username` needs a `password`"),
        (None, Some(_), None) => Err("`password` needs a `username`"),
        _ => Ok(()),
    }
}

/// A server of MLflow.
pub(crate) struct Server {
    http: Client,
}

impl Server {
    pub(crate) fn new(config: MlflowConfig) -> Result<Self> {
        let authentication = match (config.username, config.password, config.token) {
            (_, _, Some(token)) => Authentication::Bearer(token),
            (Some(user), Some(password), None) => Authentication::Basic { user, password },
            _ => Authentication::None,
        };
        Ok(Server { http: Client::new("MLflow", config.url, authentication, config.http, failure)? })
    }

    /// Where people look at it.
    pub(crate) fn url(&self) -> &Url {
        self.http.base()
    }

    /// Asks a question.
    pub(crate) async fn get(&self, operation: &'static str, query: &[(&'static str, &str)]) -> Result<JsonValue> {
        let mut request = Request::get(operation, format!("api/2.0/mlflow/{operation}"));
        for (key, value) in query {
            request = request.query(key, *value);
        }
        self.http.send(request).await?.json()
    }

    /// Changes something. `again` says that doing so twice is as good as once.
    pub(crate) async fn post(&self, operation: &'static str, body: &JsonValue, again: bool) -> Result<JsonValue> {
        let request = Request::post(operation, format!("api/2.0/mlflow/{operation}"), body);
        self.http.send(if again { request.idempotent() } else { request }).await?.json()
    }

    /// Any other request.
    pub(crate) async fn send(&self, request: Request) -> Result<Reply> {
        self.http.send(request).await
    }

    /// The id of an experiment.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is none of the name.
    pub(crate) async fn experiment(&self, name: &str) -> Result<String> {
        let found = self.get("experiments/get-by-name", &[("experiment_name", name)]).await;
        match found {
            Ok(reply) => text(&reply["experiment"], "experiment_id", "experiments/get-by-name"),
            Err(error) if error.kind() == ErrorKind::NotFound || name.is_empty() => {
                Err(Error::not_found(format!("there is no experiment {name:?}")))
            }
            Err(error) => Err(error),
        }
    }

    /// The id of an experiment, which is made if there is none of the name.
    pub(crate) async fn experiment_or_new(&self, name: &str) -> Result<String> {
        match self.experiment(name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found,
        }
        match self.post("experiments/create", &json!({"name": name}), true).await {
            Ok(reply) => text(&reply, "experiment_id", "experiments/create"),
            // Somebody else was quicker, or the answer to the first attempt was lost.
            Err(error) if is(&error, "RESOURCE_ALREADY_EXISTS") => self.experiment(name).await,
            Err(error) => Err(error),
        }
    }

    /// Whether it answers, knows the caller, and in which version it is.
    pub(crate) async fn health(&self) -> Health {
        let version = match self.http.send(Request::get("version", "version")).await {
            Ok(reply) => version(&reply.body).to_owned(),
            // Databricks has no such page.
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Health::unhealthy(error.to_string()),
        };
        // The version is shown to everybody; this is not.
        let known = self.post("experiments/search", &json!({"max_results": 1}), true).await;
        match known {
            Ok(_) if version.is_empty() => Health::healthy(),
            Ok(_) => Health::healthy().detail("version", version),
            Err(error) => Health::unhealthy(error.to_string()),
        }
    }
}

/// A version as it is shown: what is none may be anything, also what the server was told.
fn version(body: &[u8]) -> &str {
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    if text.len() <= 32 && text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(fits) { text } else { "" }
}

/// Whether the server said so in these words.
pub(crate) fn is(error: &Error, code: &str) -> bool {
    ResponseError::of(error).is_some_and(|response| response.code == code)
}

fn failure(body: &[u8]) -> Option<ServerMessage> {
    let body: JsonValue = serde_json::from_slice(body).ok()?;
    let code = body["error_code"].as_str()?;
    // What follows is of the server's database.
    let message = body["message"].as_str().unwrap_or_default().split("Error: (").next().unwrap_or_default();
    Some(ServerMessage { code: code.to_owned(), message: message.trim_end().to_owned() })
}

/// What is missing in a reply that should have it.
pub(crate) fn incomplete(operation: &str, what: &str) -> Error {
    Error::failed(format!("MLflow answered {operation} without `{what}`"))
}
