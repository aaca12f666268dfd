//! `sample-openai` of this project: the plugin `openai` of `mlx-plugins`, with settings of its own.
//!
//! Every call goes to the plugin inside. Change what should be different here: settings, what a method does before and
//! after the call, what `health` looks at.

use mlx_core::prelude::*;
use mlx_plugins::llm_provider::openai as shipped;

/// Settings of [`Openai`].
#[derive(PluginConfig)]
pub struct OpenaiConfig {
    /// The settings of the plugin inside.
    #[config(extends)]
    pub base: shipped::OpenAiConfig,
    // Settings of the project's own go here:
    //
    // /// Who is told when something is wrong.
    // #[config(default = "data-team", non_empty)]
    // pub owner: String,
}

/// OpenAI's language models, or a server that speaks its protocol.
#[mlx_plugin(
    type = "llm_provider",
    name = "sample-openai",
    capabilities = ["chat", "streaming", "tools", "json_schema", "embeddings"],
)]
pub struct Openai {
    inner: shipped::OpenAi,
}

#[async_trait]
impl Plugin for Openai {
    type Config = OpenaiConfig;

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
impl LlmProvider for Openai {
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

    const NAME: &str = "sample-openai";

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
        for (name, inherited) in settings("openai") {
            assert_eq!(own.get(&name), Some(&inherited), "{name}");
        }
    }
}
