//! The API as GraphQL: `POST /graphql` with `{"query": "{ models { name features } }"}`.

use super::{
    app::Api,
    auth::Caller,
    models::{ModelInfo, Prediction, Row},
};
use async_graphql::{
    Context, EmptyMutation, EmptySubscription, Json, Object, Request, Response, Schema,
};
use axum::extract::State;
use mlx_core::{Error, ErrorKind, JsonValue};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

type ApiSchema = Schema<Query, EmptyMutation, EmptySubscription>;

static SCHEMA: LazyLock<ApiSchema> = LazyLock::new(|| {
    let schema = Schema::build(Query, EmptyMutation, EmptySubscription);
    schema.limit_depth(8).limit_complexity(100).finish()
});

/// What can be asked for.
struct Query;

#[Object]
impl Query {
    /// The models that you may use.
    async fn models(&self, cx: &Context<'_>) -> async_graphql::Result<Vec<ModelInfo>> {
        let (api, caller) = asked(cx)?;
        api.models(caller).await.map_err(|error| told(api, &error))
    }

    /// What a model takes and gives.
    async fn model(&self, cx: &Context<'_>, name: String) -> async_graphql::Result<ModelInfo> {
        let (api, caller) = asked(cx)?;
        api.model(caller, &name)
            .await
            .map_err(|error| told(api, &error))
    }

    /// A prediction for each row, in order. A row is an object of features by name.
    async fn predict(
        &self,
        cx: &Context<'_>,
        model: String,
        rows: Vec<Json<Row>>,
    ) -> async_graphql::Result<Vec<Prediction>> {
        let (api, caller) = asked(cx)?;
        let rows: Vec<Row> = rows.into_iter().map(|Json(row)| row).collect();
        api.predict(caller, &model, &rows)
            .await
            .map_err(|error| told(api, &error))
    }
}

#[Object(name = "Model")]
impl ModelInfo {
    /// Its name.
    async fn name(&self) -> &str {
        &self.name
    }

    /// The features that it needs.
    async fn features(&self) -> &[String] {
        &self.features
    }

    /// What it predicts.
    async fn target(&self) -> &str {
        &self.target
    }

    /// The classes; empty for a regression.
    async fn classes(&self) -> &[String] {
        &self.classes
    }
}

#[Object]
impl Prediction {
    /// A class or a number.
    async fn prediction(&self) -> Json<JsonValue> {
        Json(self.prediction.clone())
    }

    /// Of a classification, the probability of each class, by name.
    async fn probabilities(&self) -> Json<&BTreeMap<String, f64>> {
        Json(&self.probabilities)
    }
}

/// `POST /graphql`.
pub(super) async fn execute(
    State(api): State<Arc<Api>>,
    caller: Caller,
    axum::Json(request): axum::Json<Request>,
) -> axum::Json<Response> {
    axum::Json(SCHEMA.execute(request.data(api).data(caller)).await)
}

fn asked<'a>(cx: &Context<'a>) -> async_graphql::Result<(&'a Arc<Api>, &'a Caller)> {
    Ok((cx.data::<Arc<Api>>()?, cx.data::<Caller>()?))
}

/// As the REST API tells it.
fn told(api: &Api, error: &Error) -> async_graphql::Error {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Denied => {
            async_graphql::Error::new(error.to_string())
        }
        _ => {
            api.failed(error);
            async_graphql::Error::new("internal error")
        }
    }
}
