//! A model registry on an MLflow server.
//!
//! ```yaml
//! plugins:
//!   - type: model_registry
//!     name: mlflow
//!     config:
//!       url: http://mlflow.example:5000
//!       token: ${env:MLFLOW_TOKEN}
//! ```
//!
//! # From nothing to a run
//! The plugin is a feature of `mlx-plugins`, and the program links the crate, with `mlx_core::link!(mlx_plugins);`:
//!
//! ```toml
//! [dependencies]
//! mlx-core = { path = "…/mlx/mlx-core" }
//! mlx-plugins = { path = "…/mlx/mlx-plugins", features = ["model-registry-mlflow"] }
//! ```
//!
//! A server on this machine, then at `http://127.0.0.1:5000`, needs no `token`:
//!
//! ```console
//! $ pip install mlflow
//! $ mlflow server
//! ```
//!
//! # What is stored where
//! A model is a *logged model* of MLflow 3, in the experiment of the run that made it, or in
//! [`experiment`](MlflowRegistryConfig::experiment) when it was made by none or by a run of another system. Its artifacts are
//! `model.bin`, the bytes, and `MLmodel`, which describes them with a flavor `mlx`: MLflow's own programs show and
//! download both (`mlflow.artifacts.download_artifacts("models:/churn@champion")`).
//!
//! The version of the registered model has the caller's tags, and these:
//!
//! | tag | |
//! |---|---|
//! | `mlx.sha256` | the SHA-256 of the bytes; loading computes it anew, so that a byte that changed is an error, not a wrong prediction |
//! | `mlx.metrics` | the measurements, as JSON |
//! | `mlx.run_id` | the run, where it is none of this server |
//!
//! The version is made last: when anything before it fails, there is none. An answer that is lost does not make a second one.
//!
//! # What MLflow does differently
//! - Names of models are without `/`, `:`, backslashes, control characters and both kinds of quotes at once. Names of
//!   aliases are letters, digits, `_` and `-`; `latest` and `v1`, `v2` … are MLflow's own.
//! - Names of tags have up to 250 letters, digits and `_ - . / : space`; their values have up to 100,000 characters.
//! - Times have milliseconds.
//! - Deleting a version leaves the logged model and its files, as MLflow's own client does, because other versions may
//!   have been copied from it.
//! - Versions that others have registered are listed, with an empty checksum, and can be given aliases; they are not loaded.
//! - Stages, which MLflow has deprecated, are neither read nor set: use aliases.
//! - Files go through the server (`mlflow server --artifacts-destination …`, the default).
//!
//! # What it was tested against
//! MLflow's own server 3.17.2 on SQLite, open, with its basic authentication, and behind a proxy that wants a bearer
//! token; read back with MLflow's own Python client. It has not been run against Databricks; servers before version 3 have no logged models.

#[cfg(test)]
mod tests;

use super::record::{checksum, missing, unknown_model};
use crate::{
    http::Request,
    mlflow::{
        Folder, MlflowConfig, Server, check_names, incomplete, integer, is, number, pairs, quoted, text, time,
        wire_number,
    },
};
use mlx_core::prelude::*;
use reqwest::Method;
use std::collections::BTreeMap;

const SHA256: &str = "mlx.sha256";
const METRICS: &str = "mlx.metrics";
const RUN: &str = "mlx.run_id";

/// The file with the bytes.
const BYTES: &str = "model.bin";

/// The file that describes them, in the place where MLflow looks for it.
const DESCRIPTION: &str = "MLmodel";

/// The name of what is described there.
const FLAVOR: &str = "mlx";

/// How many models or versions are asked for at once.
const PAGE: u32 = 200;

/// Settings of the model registry on an MLflow server.
#[derive(PluginConfig)]
pub struct MlflowRegistryConfig {
    /// How to reach the server.
    #[config(extends)]
    pub server: MlflowConfig,
    /// The experiment of models that no run of the server has made; it is made with the first of them.
    #[config(default = "models", non_empty)]
    pub experiment: String,
}

/// Keeps versions of models on an MLflow server.
#[mlx_plugin(
    type = "model_registry",
    name = "mlflow",
    capabilities = ["versioning", "aliases", "artifacts"],
    swap = "overlap",
    stability = "beta"
)]
pub struct MlflowRegistry {
    server: Server,
    experiment: String,
}

#[async_trait]
impl Plugin for MlflowRegistry {
    type Config = MlflowRegistryConfig;

    async fn initialize(config: MlflowRegistryConfig, _: &InitContext) -> Result<Self> {
        let server = Server::new(config.server)?;
        // A wrong address or token is known now rather than with the first model.
        server.get("registered-models/search", &[("max_results", "1")]).await?;
        Ok(MlflowRegistry { server, experiment: config.experiment })
    }

    async fn health(&self) -> Result<Health> {
        Ok(self.server.health().await)
    }
}

#[async_trait]
impl ModelRegistry for MlflowRegistry {
    async fn register(&self, entry: ModelEntry) -> Result<ModelVersion> {
        check_model_name(&entry.name)?;
        check_names("a tag", entry.tags.keys())?;
        if let Some(tag) = entry.tags.keys().find(|tag| [SHA256, METRICS, RUN].contains(&tag.as_str())) {
            return Err(Error::invalid(format!("the tag {tag:?} is set by the registry: use another name")));
        }
        let experiment = match &entry.run_id {
            Some(run) => self.experiment_of(run).await?,
            None => None,
        };
        // MLflow refuses the id of a run that it does not know.
        let run = entry.run_id.as_deref().filter(|_| experiment.is_some());
        let experiment = match experiment {
            Some(experiment) => experiment,
            None => self.server.experiment_or_new(&self.experiment).await?,
        };
        match self.server.post("registered-models/create", &json!({"name": entry.name}), true).await {
            Err(error) if !is(&error, "RESOURCE_ALREADY_EXISTS") => return Err(error),
            _ => {}
        }
        let mut body = json!({
            "experiment_id": experiment,
            "name": logged_name(&entry.name),
            "tags": [{"key": "mlx.format", "value": entry.model.format}],
        });
        if let Some(run) = run {
            body["source_run_id"] = json!(run);
        }
        // Begun twice, one of the two stays unfinished, and nobody points at it.
        let reply = self.server.post("logged-models", &body, true).await?;
        let info = &reply["model"]["info"];
        let id = text(info, "model_id", "logged-models")?;
        let location = text(info, "artifact_uri", "logged-models")?;
        let run = run.map(str::to_owned);
        match self.store(entry, &id, &location, run.as_deref()).await {
            Ok(version) => Ok(version),
            Err(error) => {
                // What cannot be taken back does no harm: it is not a version.
                let path = format!("api/2.0/mlflow/logged-models/{id}");
                let _ = self.server.send(Request::new("logged-models/delete", Method::DELETE, path)).await;
                Err(error)
            }
        }
    }

    async fn version(&self, name: &str, version: VersionRef) -> Result<ModelVersion> {
        let found = match &version {
            VersionRef::Latest => {
                let model = self.registered(name).await?;
                // One of each stage.
                let versions = model["latest_versions"].as_array().into_iter().flatten();
                let newest = versions.max_by_key(|version| integer(&version["version"]));
                let mut newest = newest.map(|version| read_version(version, "registered-models/get")).transpose()?;
                if let Some(newest) = &mut newest {
                    newest.aliases = aliases(&model, newest.version);
                }
                return newest.ok_or_else(|| unknown_model(name));
            }
            VersionRef::Number(number) => match i64::try_from(*number) {
                Ok(_) => self.numbered(name, *number).await,
                // MLflow fails at what its database cannot count.
                Err(_) => Err(Error::not_found("beyond all versions")),
            },
            VersionRef::Alias(alias) => {
                let query = [("name", name), ("alias", alias.as_str())];
                self.server
                    .get("registered-models/alias", &query)
                    .await
                    .and_then(|reply| read_version(&reply["model_version"], "registered-models/alias"))
            }
        };
        match found {
            Ok(found) => Ok(found),
            Err(error) => Err(self.missing(error, name, &version).await),
        }
    }

    async fn load(&self, name: &str, version: VersionRef) -> Result<Model> {
        let found = self.version(name, version).await?;
        let what = format!("version {} of the model {name:?}", found.version);
        if found.sha256.is_empty() {
            return Err(Error::unsupported(format!(
                "{what} was registered by another program: it has no tag `{SHA256}`, and its format is not known here"
            )));
        }
        let number = found.version.to_string();
        let query = [("name", name), ("version", number.as_str())];
        let location = self.server.get("model-versions/get-download-uri", &query).await?;
        let location = text(&location, "artifact_uri", "model-versions/get-download-uri")?;
        let folder = Folder::at(&location, &what)?;
        let lost = |error: Error| match error.kind() {
            ErrorKind::NotFound => Error::failed(format!("the files of {what} are missing on the server: {error}")),
            _ => error,
        };
        let description = self.server.download(&folder, DESCRIPTION).await.map_err(lost)?;
        let bytes = self.server.download(&folder, BYTES).await.map_err(lost)?;
        let (bytes, sha256) = hashed(bytes).await?;
        if sha256 != found.sha256 {
            return Err(Error::failed(format!(
                "{what} is damaged: its SHA-256 is {sha256}, and it was stored with {}; register the model again",
                found.sha256
            )));
        }
        read_description(&description, bytes)
            .ok_or_else(|| Error::failed(format!("the file `{DESCRIPTION}` of {what} is damaged; register it again")))
    }

    async fn models(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let found = self.pages("registered-models/search", &[], "registered_models").await?;
        // A name whose versions are deleted stays, so that their numbers are not used again.
        for model in found.iter().filter(|model| model["latest_versions"].as_array().is_some_and(|v| !v.is_empty())) {
            names.push(text(model, "name", "registered-models/search")?);
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
        let model = self.registered(name).await?;
        let filter = format!("name = {}", quoted(name)?);
        let query = [("filter", filter.as_str()), ("order_by", "version_number DESC")];
        let mut versions = Vec::new();
        for found in self.pages("model-versions/search", &query, "model_versions").await? {
            let mut version = read_version(&found, "model-versions/search")?;
            version.aliases = aliases(&model, version.version);
            versions.push(version);
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.version));
        // One that was registered between two pages moves the others.
        versions.dedup_by_key(|version| version.version);
        if versions.is_empty() { Err(unknown_model(name)) } else { Ok(versions) }
    }

    async fn set_alias(&self, name: &str, alias: &str, version: u64) -> Result<()> {
        if alias.is_empty() {
            return Err(Error::invalid("the name of an alias is empty"));
        }
        // Its answer to a version that does not exist depends on the rest of the request.
        self.version(name, VersionRef::Number(version)).await?;
        let body = json!({"name": name, "alias": alias, "version": version.to_string()});
        self.server.post("registered-models/alias", &body, true).await.map(drop)
    }

    async fn delete_version(&self, name: &str, version: u64) -> Result<()> {
        self.version(name, VersionRef::Number(version)).await?;
        let body = json!({"name": name, "version": version.to_string()}).to_string().into_bytes();
        let path = "api/2.0/mlflow/model-versions/delete";
        let request = Request::new("model-versions/delete", Method::DELETE, path).body("application/json", body);
        match self.server.send(request).await {
            // It was there a moment ago: an answer was lost, or somebody else was quicker.
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl MlflowRegistry {
    /// The experiment of a run, if it is one of this server.
    async fn experiment_of(&self, run: &str) -> Result<Option<String>> {
        match self.server.get("runs/get", &[("run_id", run)]).await {
            Ok(reply) => text(&reply["run"]["info"], "experiment_id", "runs/get").map(Some),
            // Newer versions refuse what cannot be an id.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores the files of a logged model, and makes a version of it.
    async fn store(&self, entry: ModelEntry, id: &str, location: &str, run: Option<&str>) -> Result<ModelVersion> {
        let ModelEntry { name, mut model, run_id, metrics, tags, .. } = entry;
        let folder = Folder::at(location, &format!("the model {name:?}"))?;
        let (bytes, sha256) = hashed(std::mem::take(&mut model.bytes)).await?;
        let description = description(&model, id, run, &sha256, bytes.len());
        self.server.upload(&folder, BYTES, bytes).await?;
        self.server.upload(&folder, DESCRIPTION, description).await?;
        let path = format!("api/2.0/mlflow/logged-models/{id}");
        let ready = json!({"model_id": id, "status": "LOGGED_MODEL_READY"}).to_string().into_bytes();
        let ready = Request::new("logged-models/finalize", Method::PATCH, path).body("application/json", ready);
        self.server.send(ready.idempotent()).await?;

        let mut all: Vec<JsonValue> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        all.push(json!({"key": SHA256, "value": sha256}));
        if !metrics.is_empty() {
            let metrics: BTreeMap<_, _> = metrics.iter().map(|(name, value)| (name, wire_number(*value))).collect();
            all.push(json!({"key": METRICS, "value": json!(metrics).to_string()}));
        }
        let mut body = json!({"name": name, "source": location, "model_id": id});
        match run {
            Some(run) => body["run_id"] = json!(run),
            None => all.extend(run_id.map(|run| json!({"key": RUN, "value": run}))),
        }
        body["tags"] = JsonValue::Array(all);
        let made = match self.server.post("model-versions/create", &body, false).await {
            Err(error) if error.kind().is_transient() => match self.made(&name, location).await? {
                Some(version) => version,
                None => self.server.post("model-versions/create", &body, false).await?["model_version"].take(),
            },
            reply => reply?["model_version"].take(),
        };
        read_version(&made, "model-versions/create")
    }

    /// The version with these files, if there is one.
    async fn made(&self, name: &str, location: &str) -> Result<Option<JsonValue>> {
        let filter = format!("name = {} and source_path = {}", quoted(name)?, quoted(location)?);
        let query = [("filter", filter.as_str()), ("max_results", "1")];
        let mut reply = self.server.get("model-versions/search", &query).await?;
        Ok(reply["model_versions"].get_mut(0).map(JsonValue::take))
    }

    async fn registered(&self, name: &str) -> Result<JsonValue> {
        match self.server.get("registered-models/get", &[("name", name)]).await {
            Ok(mut reply) => Ok(reply["registered_model"].take()),
            // What cannot be a name is none.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => Err(unknown_model(name)),
            Err(error) => Err(error),
        }
    }

    async fn numbered(&self, name: &str, version: u64) -> Result<ModelVersion> {
        let version = version.to_string();
        let reply = self.server.get("model-versions/get", &[("name", name), ("version", &version)]).await?;
        read_version(&reply["model_version"], "model-versions/get")
    }

    /// Says of what is not there what there is.
    async fn missing(&self, error: Error, name: &str, version: &VersionRef) -> Error {
        match error.kind() {
            // An alias that does not exist is invalid to MLflow.
            ErrorKind::NotFound | ErrorKind::Invalid => match self.versions(name).await {
                Ok(known) => missing(name, version, &known),
                Err(error) => error,
            },
            _ => error,
        }
    }

    /// Everything in `list`, over all pages.
    async fn pages(
        &self,
        operation: &'static str,
        query: &[(&'static str, &str)],
        list: &str,
    ) -> Result<Vec<JsonValue>> {
        let (mut found, mut page, size) = (Vec::new(), String::new(), PAGE.to_string());
        loop {
            let mut query = query.to_vec();
            query.push(("max_results", &size));
            if !page.is_empty() {
                query.push(("page_token", &page));
            }
            let mut reply = self.server.get(operation, &query).await?;
            if let JsonValue::Array(more) = reply[list].take() {
                found.extend(more);
            }
            match reply["next_page_token"].as_str() {
                // A server that answers with the same page would keep us here for ever.
                Some(next) if !next.is_empty() && next != page => page = next.to_owned(),
                _ => return Ok(found),
            }
        }
    }
}

/// Bytes with their checksum; computing it takes long with a large model.
async fn hashed(bytes: Vec<u8>) -> Result<(Vec<u8>, String)> {
    let hashed = tokio::task::spawn_blocking(move || {
        let sha256 = checksum(&bytes);
        (bytes, sha256)
    });
    hashed.await.context("computing the SHA-256 of a model")
}

/// The rule of `mlflow.utils.validation`, and of its filters.
fn check_model_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid("the name of a model is empty"));
    }
    if name.contains(['/', ':']) || name.chars().any(char::is_control) || quoted(name).is_err() {
        return Err(Error::invalid(format!(
            "{name:?} cannot be the name of a model in MLflow: it may not contain `/`, `:`, backslashes, control \
             characters, or both kinds of quotes"
        )));
    }
    Ok(())
}

/// Names of logged models allow less than those of registered ones.
fn logged_name(name: &str) -> String {
    name.replace(['.', '%', '"', '\''], "_")
}

/// The file `MLmodel`: YAML, of which JSON is a part.
fn description(model: &Model, id: &str, run: Option<&str>, sha256: &str, size: usize) -> Vec<u8> {
    let mut description = json!({
        "flavors": {FLAVOR: {
            "format": model.format,
            "data": BYTES,
            "sha256": sha256,
            "features": model.signature.features,
            "target": model.signature.target,
            "classes": model.signature.classes,
        }},
        "metadata": model.metadata,
        "model_id": id,
        "model_size_bytes": size,
    });
    if let Some(run) = run {
        description["run_id"] = json!(run);
    }
    description.to_string().into_bytes()
}

fn read_description(description: &[u8], bytes: Vec<u8>) -> Option<Model> {
    let description: JsonValue = serde_json::from_slice(description).ok()?;
    let flavor = &description["flavors"][FLAVOR];
    let words = |list: &JsonValue| -> Option<Vec<String>> {
        list.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let metadata = description["metadata"].as_object()?;
    Some(Model {
        format: flavor["format"].as_str()?.to_owned(),
        bytes,
        signature: ModelSignature {
            features: words(&flavor["features"])?,
            target: flavor["target"].as_str()?.to_owned(),
            classes: words(&flavor["classes"])?,
        },
        metadata: metadata
            .iter()
            .map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect::<Option<_>>()?,
    })
}

fn read_version(version: &JsonValue, operation: &str) -> Result<ModelVersion> {
    let name = text(version, "name", operation)?;
    let counted = integer(&version["version"]).and_then(|number| u64::try_from(number).ok());
    let counted = counted.ok_or_else(|| incomplete(operation, "version"))?;
    let created = time(integer(&version["creation_timestamp"]).unwrap_or(0));
    let mut tags = pairs(&version["tags"]);
    let mut found = ModelVersion::new(name, counted, created, tags.remove(SHA256).unwrap_or_default());
    let foreign = tags.remove(RUN);
    found.run_id = version["run_id"].as_str().filter(|run| !run.is_empty()).map(str::to_owned).or(foreign);
    let metrics = tags.remove(METRICS).and_then(|text| serde_json::from_str::<JsonValue>(&text).ok());
    for (name, value) in metrics.as_ref().and_then(JsonValue::as_object).into_iter().flatten() {
        found.metrics.extend(number(value).map(|value| (name.clone(), value)));
    }
    found.tags = tags;
    let aliases = version["aliases"].as_array().into_iter().flatten();
    found.aliases = aliases.filter_map(|alias| alias.as_str().map(str::to_owned)).collect();
    found.aliases.sort();
    Ok(found)
}

/// The aliases of a version, in the record of a registered model.
fn aliases(model: &JsonValue, version: u64) -> Vec<String> {
    let all = model["aliases"].as_array().into_iter().flatten();
    let mut aliases: Vec<String> = all
        .filter(|alias| integer(&alias["version"]).is_some_and(|points| u64::try_from(points) == Ok(version)))
        .filter_map(|alias| alias["alias"].as_str().map(str::to_owned))
        .collect();
    aliases.sort();
    aliases
}
