//! `serving_platform`: plugins that offer models over a network.

use crate::{async_trait, contract, diagnostics::Result};

/// Offers the models of a [`ModelServer`](super::ModelServer) to clients, over HTTP for example.
#[contract(name = "serving_platform", cardinality = "many", capabilities = ["http", "grpc", "graphql", "authentication", "metrics"])]
#[async_trait]
pub trait ServingPlatform {
    /// Offers a model that a model server has loaded.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when no server has the model.
    #[idempotent]
    async fn deploy(&self, deployment: Deployment) -> Result<Endpoint>;

    /// Stops to offer a model.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when it was not offered.
    async fn undeploy(&self, name: &str) -> Result<()>;

    /// What is offered, sorted by name.
    ///
    /// # Errors
    /// What the platform reports.
    #[idempotent]
    async fn endpoints(&self) -> Result<Vec<Endpoint>>;
}

/// A model to offer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deployment {
    /// The name in the address.
    pub name: String,
    /// The name that the model server knows the model by.
    pub model: String,
    /// The model server, by id or name; the default one when `None`.
    pub server: Option<String>,
}

impl Deployment {
    /// Offer `model` as `name`.
    pub fn new(name: impl Into<String>, model: impl Into<String>) -> Self {
        Deployment { name: name.into(), model: model.into(), server: None }
    }

    /// Chooses the model server.
    #[must_use]
    pub fn server(mut self, name: impl Into<String>) -> Self {
        self.server = Some(name.into());
        self
    }
}

/// Where a model is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The deployment's name.
    pub name: String,
    /// The address to send predictions to.
    pub url: String,
}
