//! A provider that says what it was told to say: for tests, and for work without a model.
//!
//! ```yaml
//! plugins:
//!   - type: llm_provider
//!     name: scripted
//!     config:
//!       replies:
//!         - when: weather
//!           text: It rains.
//!         - text: I do not know.
//! ```
//!
//! The first reply whose `when` occurs in the last message is given. A stream comes word by word. Embeddings are made
//! of the text's letters: the same for the same text, and of no meaning.
//!
//! Tokens are counted as words.

use mlx_core::{BoxStream, prelude::*};
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{self, Poll},
};

/// Settings of the scripted provider.
#[derive(PluginConfig)]
pub struct ScriptedConfig {
    /// What it says.
    #[config(non_empty)]
    pub replies: Vec<ScriptedReply>,
    /// The length of its embeddings.
    #[config(default = 8, range(1..=4096))]
    pub dimensions: usize,
}

/// Something to say.
#[derive(Clone, PluginConfig)]
pub struct ScriptedReply {
    /// A text that must occur in the last message, in whatever case; any message does without it.
    pub when: Option<String>,
    /// The answer.
    pub text: String,
}

/// Says what it was told to say, for tests and for work without a model.
#[mlx_plugin(
    type = "llm_provider",
    name = "scripted",
    capabilities = ["chat", "streaming", "embeddings"],
    stability = "stable"
)]
pub struct Scripted {
    replies: Vec<ScriptedReply>,
    dimensions: usize,
}

#[async_trait]
impl Plugin for Scripted {
    type Config = ScriptedConfig;

    async fn initialize(config: ScriptedConfig, _: &InitContext) -> Result<Self> {
        Ok(Scripted { replies: config.replies, dimensions: config.dimensions })
    }
}

#[async_trait]
impl LlmProvider for Scripted {
    async fn chat(&self, request: ChatRequest) -> Result<ChatReply> {
        let text = self.answer(&request)?;
        let mut reply = ChatReply::new(ChatMessage::assistant(text), "scripted");
        reply.usage = Some(usage(&request, text));
        Ok(reply)
    }

    async fn stream(&self, request: ChatRequest) -> Result<BoxStream<ChatEvent>> {
        let text = self.answer(&request)?;
        let mut events: VecDeque<_> = text.split_inclusive(' ').map(|word| ChatEvent::Text(word.to_owned())).collect();
        events.push_back(ChatEvent::End { finish: FinishReason::Stop, usage: Some(usage(&request, text)) });
        Ok(Box::pin(Events(events)))
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        Ok(Embeddings::new(request.texts.iter().map(|text| self.vector(text)).collect()))
    }

    async fn models(&self) -> Result<Vec<String>> {
        Ok(vec!["scripted".to_owned()])
    }
}

impl Scripted {
    fn answer(&self, request: &ChatRequest) -> Result<&str> {
        let said = request.messages.last().ok_or_else(|| Error::invalid("a chat begins with a message"))?;
        let said = said.content.to_lowercase();
        let fits = |reply: &&ScriptedReply| reply.when.as_ref().is_none_or(|when| said.contains(&when.to_lowercase()));
        match self.replies.iter().find(fits) {
            Some(reply) => Ok(&reply.text),
            None => Err(Error::not_found("the script has no reply to the last message: add one without `when`")),
        }
    }

    /// A vector of length one.
    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0f32; self.dimensions];
        for (position, letter) in text.chars().enumerate() {
            vector[(u32::from(letter) as usize).wrapping_add(position) % self.dimensions] += 1.0;
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|x| *x /= length);
        }
        vector
    }
}

fn usage(request: &ChatRequest, answer: &str) -> Usage {
    let words = |text: &str| text.split_whitespace().count() as u64;
    Usage {
        input_tokens: request.messages.iter().map(|message| words(&message.content)).sum(),
        output_tokens: words(answer),
    }
}

struct Events(VecDeque<ChatEvent>);

impl futures_core::Stream for Events {
    type Item = Result<ChatEvent>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Result<ChatEvent>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    async fn scripted() -> mlx_core::platform::Standalone<dyn LlmProvider> {
        let config = json!({"replies": [{"when": "Weather", "text": "It rains."}, {"when": "time", "text": "Noon."}]});
        mlx_core::registry().create("scripted", config).await.unwrap()
    }

    #[tokio::test]
    async fn the_first_reply_that_fits_is_given() {
        let llm = scripted().await;
        let reply = llm.chat(ChatRequest::new("what weather at this time?").system("Be brief.")).await.unwrap();
        assert_eq!((reply.message.content.as_str(), reply.finish), ("It rains.", FinishReason::Stop));
        assert_eq!(reply.usage, Some(Usage { input_tokens: 7, output_tokens: 2 }));
        let error = llm.chat(ChatRequest::new("why?")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(llm.chat(ChatRequest::default()).await.unwrap_err().kind(), ErrorKind::Invalid);
        llm.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_end() {
        let llm = scripted().await;
        let mut stream = llm.stream(ChatRequest::new("the weather")).await.unwrap();
        let mut events = Vec::new();
        while let Some(event) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            events.push(event.unwrap());
        }
        let usage = Some(Usage { input_tokens: 2, output_tokens: 2 });
        assert_eq!(
            events,
            [
                ChatEvent::Text("It ".to_owned()),
                ChatEvent::Text("rains.".to_owned()),
                ChatEvent::End { finish: FinishReason::Stop, usage }
            ]
        );
        llm.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn embeddings_are_those_of_the_text() {
        let llm = scripted().await;
        let made = llm.embed(EmbeddingRequest::new(["a", "b", "a", ""])).await.unwrap().vectors;
        assert_eq!(made.len(), 4);
        assert!(made.iter().all(|vector| vector.len() == 8));
        assert_eq!(made[0], made[2]);
        assert_ne!(made[0], made[1]);
        llm.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_script_without_replies_is_refused() {
        let refused = mlx_core::registry().create::<dyn LlmProvider>("scripted", json!({"replies": []})).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
}
