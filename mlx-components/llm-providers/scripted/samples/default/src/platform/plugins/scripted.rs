//! `sample-scripted` of this project: the plugin `scripted` of `mlx-plugins`, with settings of its own.
//!
//! Every call goes to the plugin inside. Change what should be different here: settings, what a method does before and
//! after the call, what `health` looks at.

use mlx_core::prelude::*;
use mlx_plugins::llm_provider::scripted as shipped;

/// Settings of [`Scripted`].
#[derive(PluginConfig)]
pub struct ScriptedConfig {
    /// The settings of the plugin inside.
    #[config(extends)]
    pub base: shipped::ScriptedConfig,
    // Settings of the project's own go here:
    //
    // /// Who is told when something is wrong.
    // #[config(default = "data-team", non_empty)]
    // pub owner: String,
}

/// A language model that says what it was told to say, for tests and for work without a model.
#[mlx_plugin(
    type = "llm_provider",
    name = "sample-scripted",
    capabilities = ["chat", "streaming", "embeddings"],
)]
pub struct Scripted {
    inner: shipped::Scripted,
}

#[async_trait]
impl Plugin for Scripted {
    type Config = ScriptedConfig;

    async fn initialize(config: Self::Config, cx: &InitContext) -> Result<Self> {
        let inner = Plugin::initialize(config.base, cx).await?;
        Ok(Self { inner })
    }

    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        Plugin::execute(&self.inner, cx).await
    }

    async fn health(&self) -> Result<Health> {
        Plugin::health(&self.inner).await
    }

    async fn shutdown(&self) -> Result<()> {
        Plugin::shutdown(&self.inner).await
    }
}

#[async_trait]
impl LlmProvider for Scripted {
    async fn chat(&self, request: ChatRequest) -> Result<ChatReply> {
        LlmProvider::chat(&self.inner, request).await
    }

    async fn stream(&self, request: ChatRequest) -> Result<BoxStream<ChatEvent>> {
        LlmProvider::stream(&self.inner, request).await
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        LlmProvider::embed(&self.inner, request).await
    }

    async fn models(&self) -> Result<Vec<String>> {
        LlmProvider::models(&self.inner).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with which the plugin starts.
    fn settings() -> JsonValue {
        json!({
            "replies": [{"text":"Hello."}],
        })
    }

    const NAME: &str = "sample-scripted";

    #[test]
    fn it_is_registered() {
        let plugin = registry()
            .get("llm_provider", NAME)
            .expect("the plugin is linked");
        assert_eq!(plugin.metadata().declared.file, file!());
        assert_eq!(registry().problems(), []);
    }

    #[test]
    fn it_has_the_settings_of_the_plugin_inside() {
        let settings = |name: &str| {
            let schema = registry()
                .schema("llm_provider", name)
                .expect("the plugin is linked");
            schema
                .get("properties")
                .and_then(JsonValue::as_object)
                .cloned()
                .unwrap_or_default()
        };
        let own = settings(NAME);
        for (name, inherited) in settings("scripted") {
            assert_eq!(own.get(&name), Some(&inherited), "{name}");
        }
    }

    #[test]
    fn it_starts_and_works() -> Result<()> {
        mlx_core::block_on(async {
            let plugin = registry()
                .create::<dyn LlmProvider>(NAME, settings())
                .await?;
            let reply = plugin.chat(ChatRequest::new("Hello")).await?;
            assert!(!reply.message.content.is_empty());
            plugin.shutdown().await
        })
    }
}
