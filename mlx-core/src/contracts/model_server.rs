//! `model_server`: plugins that hold models and predict.

use super::{DataFrame, Model, ModelSignature};
use crate::{async_trait, contract, diagnostics::Result};

/// Holds loaded models and predicts with them.
#[contract(
    name = "model_server",
    cardinality = "many",
    capabilities = ["classification", "regression", "probabilities", "batch"]
)]
#[async_trait]
pub trait ModelServer {
    /// Loads a model under a name, replacing the one that had it; calls under way finish with the old one.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a foreign format.
    #[idempotent]
    async fn load(&self, name: &str, model: Model) -> Result<()>;

    /// Forgets a model.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when none has the name.
    async fn unload(&self, name: &str) -> Result<()>;

    /// Predicts one row for each row of `data`: the column `prediction`, and for a classification a column
    /// `probability_<class>` for each class.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a feature is missing or no finite number.
    #[idempotent]
    async fn predict(&self, name: &str, data: DataFrame) -> Result<DataFrame>;

    /// What a loaded model takes and gives.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when none has the name.
    #[idempotent]
    async fn signature(&self, name: &str) -> Result<ModelSignature>;

    /// The names of the loaded models, sorted.
    ///
    /// # Errors
    /// What the server reports.
    #[idempotent]
    async fn models(&self) -> Result<Vec<String>>;
}
