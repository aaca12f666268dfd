//! Models behind the API of OpenAI: its own, and the many servers that speak like it (llama.cpp, vLLM, Ollama, LiteLLM,
//! gateways).
//!
//! ```yaml
//! plugins:
//!   - type: llm_provider
//!     name: openai
//!     config:
//!       api_key: ${env:OPENAI_API_KEY}
//!       model: gpt-4.1-mini
//!       token_budget: 2000000
//! ```
//!
//! For another server, set `base_url` to its address up to and including `/v1`, and leave out `api_key` where it needs
//! none.
//!
//! The endpoints are `chat/completions`, `embeddings` and `models` of <https://platform.openai.com/docs/api-reference>.
//! Replies are read leniently: what is missing in them, as it is with many servers, is taken to be empty, as long as
//! the answer itself is there. A stream that breaks off is an error, never a shorter answer.
//!
//! # The budget
//! `token_budget` bounds the tokens of all answers since the start, as the server counts them. It is checked before a
//! request: requests under way when it is used up are finished. Where a server does not count, it has no effect, and
//! `health` says so. Tokens used so far are in the details of `health`.
//!
//! # What is not repeated
//! A chat is asked again after a status of 429 or 503 (the server has not begun) and when the connection could not be
//! made; not when it broke later, because the answer may have been paid for.
//!
//! # What it was tested against
//! llama.cpp's server (whole answers, streams, JSON by grammar, embeddings, 400, 401 and 503 while it loads), fakellm
//! (functions, 429, 500) and a server that breaks every promise. It has not been run against OpenAI itself.
//!
//! It does not do images, audio, files, the `responses` API or batches.

mod events;
#[cfg(test)]
mod tests;
mod wire;

use crate::http::{Authentication, Client, HttpConfig, Request};
use mlx_core::{BoxStream, prelude::*};
use reqwest::Url;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Settings of a provider with the API of OpenAI.
#[derive(PluginConfig)]
pub struct OpenAiConfig {
    /// The address of the API, up to and including `/v1`.
    #[config(default = Url::parse("https://api.openai.com/v1").unwrap_or_else(|_| unreachable!("a constant address")))]
    pub base_url: Url,
    /// The key, sent as a bearer token.
    pub api_key: Option<Secret<String>>,
    /// The model for requests that name none.
    #[config(non_empty)]
    pub model: String,
    /// The model for embeddings where a request names none; `model` when it is not set.
    pub embedding_model: Option<String>,
    /// The organisation that pays, for keys that belong to several.
    pub organization: Option<String>,
    /// How many tokens may be used from the start to the stop of the plugin.
    pub token_budget: Option<u64>,
    /// How to speak to the server.
    #[config(extends)]
    pub http: HttpConfig,
}

/// Models behind the API of OpenAI, of whichever server.
#[mlx_plugin(
    type = "llm_provider",
    name = "openai",
    capabilities = ["chat", "streaming", "tools", "json_schema", "embeddings"],
    swap = "overlap",
    stability = "beta"
)]
pub struct OpenAi {
    http: Client,
    model: String,
    embedding_model: String,
    account: Arc<Account>,
}

/// What has been used.
struct Account {
    budget: Option<u64>,
    used: AtomicU64,
    /// A reply came without a count.
    uncounted: AtomicBool,
}

impl Account {
    /// # Errors
    /// [`Denied`](ErrorKind::Denied) when nothing is left.
    fn check(&self) -> Result<()> {
        let used = self.used.load(Ordering::Relaxed);
        match self.budget {
            Some(budget) if used >= budget => Err(Error::denied(format!(
                "the budget of {budget} tokens is used up ({used} were used): raise `token_budget`"
            ))),
            _ => Ok(()),
        }
    }

    fn add(&self, usage: Option<Usage>) {
        match usage {
            Some(usage) => {
                self.used.fetch_add(usage.total(), Ordering::Relaxed);
            }
            None => self.uncounted.store(true, Ordering::Relaxed),
        }
    }
}

#[async_trait]
impl Plugin for OpenAi {
    type Config = OpenAiConfig;

    async fn initialize(config: OpenAiConfig, _: &InitContext) -> Result<Self> {
        let authentication = config.api_key.map_or(Authentication::None, Authentication::Bearer);
        let mut http = Client::new("the model server", config.base_url, authentication, config.http, wire::failure)?;
        if let Some(organization) = config.organization {
            let value = reqwest::header::HeaderValue::from_str(&organization)
                .map_err(|_| Error::invalid("`organization` contains a character that cannot be in an HTTP header"))?;
            http = http.header(reqwest::header::HeaderName::from_static("openai-organization"), value);
        }
        let embedding_model = config.embedding_model.unwrap_or_else(|| config.model.clone());
        let account =
            Account { budget: config.token_budget, used: AtomicU64::new(0), uncounted: AtomicBool::new(false) };
        Ok(OpenAi { http, model: config.model, embedding_model, account: Arc::new(account) })
    }

    async fn health(&self) -> Result<Health> {
        let health = match self.models().await {
            Ok(_) => match self.account.check() {
                Err(error) => Health::degraded(error.to_string()),
                Ok(()) if self.account.budget.is_some() && self.account.uncounted.load(Ordering::Relaxed) => {
                    Health::degraded("the server does not count tokens, so that `token_budget` has no effect")
                }
                Ok(()) => Health::healthy(),
            },
            // Not every server lists its models.
            Err(error) if error.kind() == ErrorKind::NotFound => Health::healthy(),
            Err(error) => Health::unhealthy(error.to_string()),
        };
        Ok(health.detail("tokens", self.account.used.load(Ordering::Relaxed)))
    }
}

#[async_trait]
impl LlmProvider for OpenAi {
    async fn chat(&self, request: ChatRequest) -> Result<ChatReply> {
        self.account.check()?;
        let body = wire::chat(&request, &self.model, false)?;
        let reply =
            self.http.send(Request::post("chat/completions", "chat/completions", &body).retry_refused()).await?;
        let reply = wire::reply(&reply.json()?, request.model.as_deref().unwrap_or(&self.model))?;
        self.account.add(reply.usage);
        Ok(reply)
    }

    async fn stream(&self, request: ChatRequest) -> Result<BoxStream<ChatEvent>> {
        self.account.check()?;
        let body = wire::chat(&request, &self.model, true)?;
        let response =
            self.http.open(Request::post("chat/completions", "chat/completions", &body).retry_refused()).await?;
        let account = self.account.clone();
        Ok(events::stream(response, self.http.timeout(), move |usage| account.add(usage)))
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        self.account.check()?;
        if request.texts.is_empty() {
            return Ok(Embeddings::default());
        }
        let model = request.model.as_deref().unwrap_or(&self.embedding_model);
        let body = json!({"model": model, "input": request.texts, "encoding_format": "float"});
        // The same texts give the same vectors.
        let reply = self.http.send(Request::post("embeddings", "embeddings", &body).idempotent()).await?;
        let embeddings = wire::embeddings(&reply.json()?, request.texts.len())?;
        self.account.add(embeddings.usage);
        Ok(embeddings)
    }

    async fn models(&self) -> Result<Vec<String>> {
        let reply = self.http.send(Request::get("models", "models")).await?.json()?;
        let list = reply["data"].as_array().ok_or_else(|| wire::incomplete("models", "data"))?;
        let mut models: Vec<String> = list.iter().filter_map(|model| model["id"].as_str().map(str::to_owned)).collect();
        models.sort();
        Ok(models)
    }
}
