//! `llm_provider`: large language models.

use crate::{
    async_trait, contract,
    diagnostics::{Context, Error, Result},
    handle::BoxStream,
};
use serde_json::Value;

/// Answers chats and makes embeddings, with models of its own or of a server.
///
/// ```
/// use mlx_core::prelude::*;
///
/// async fn title_of(text: &str, llm: &dyn LlmProvider) -> Result<String> {
///     let request = ChatRequest::new(text).system("Give the text a title of at most five words.").max_tokens(20);
///     Ok(llm.chat(request).await?.message.content)
/// }
/// ```
#[contract(
    name = "llm_provider",
    cardinality = "many",
    capabilities = ["chat", "streaming", "tools", "json_schema", "embeddings"]
)]
#[async_trait]
pub trait LlmProvider {
    /// Answers a chat.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a request that the model cannot take,
    /// [`Denied`](crate::ErrorKind::Denied) without permission or when the budget is used up,
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the provider is overloaded.
    #[idempotent]
    async fn chat(&self, request: ChatRequest) -> Result<ChatReply>;

    /// Answers a chat piece by piece. The last item of a complete answer is [`ChatEvent::End`]; a stream that ends
    /// without it was broken off, and says so with an error. Dropping the stream stops the model.
    ///
    /// # Errors
    /// As [`chat`](LlmProvider::chat), before the first piece; later ones are items of the stream.
    #[idempotent]
    async fn stream(&self, request: ChatRequest) -> Result<BoxStream<ChatEvent>>;

    /// Makes one vector of numbers of each text, in the order of the texts.
    ///
    /// # Errors
    /// As [`chat`](LlmProvider::chat); [`Unsupported`](crate::ErrorKind::Unsupported) without such a model.
    #[idempotent]
    async fn embed(&self, _request: EmbeddingRequest) -> Result<Embeddings> {
        Err(Error::unsupported("this provider makes no embeddings"))
    }

    /// The names of the models, sorted.
    ///
    /// # Errors
    /// What the provider reports.
    #[idempotent]
    async fn models(&self) -> Result<Vec<String>>;
}

/// A chat to be continued.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The model; the provider's default when `None`.
    pub model: Option<String>,
    /// What was said so far.
    pub messages: Vec<ChatMessage>,
    /// The functions that the model may ask for.
    pub tools: Vec<Tool>,
    /// The form of the answer.
    pub format: ChatFormat,
    /// From 0, always the likeliest word, to 2; the provider's default when `None`.
    pub temperature: Option<f64>,
    /// The longest answer, in tokens.
    pub max_tokens: Option<u32>,
    /// Makes the answer repeatable, as far as the provider can.
    pub seed: Option<u64>,
    /// Texts before which the answer ends.
    pub stop: Vec<String>,
}

impl ChatRequest {
    /// A chat that begins with what a user says.
    pub fn new(text: impl Into<String>) -> Self {
        ChatRequest { messages: vec![ChatMessage::user(text)], ..ChatRequest::default() }
    }

    /// Puts instructions to the model in front.
    #[must_use]
    pub fn system(mut self, text: impl Into<String>) -> Self {
        self.messages.insert(0, ChatMessage::new(ChatRole::System, text));
        self
    }

    /// Adds a message.
    #[must_use]
    pub fn message(mut self, message: ChatMessage) -> Self {
        self.messages.push(message);
        self
    }

    /// Sets the model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Adds a function that the model may ask for.
    #[must_use]
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Asks for JSON that fulfils a JSON Schema. The name is letters, digits, `_` and `-`.
    #[must_use]
    pub fn json_schema(mut self, name: impl Into<String>, schema: Value) -> Self {
        self.format = ChatFormat::Json { name: name.into(), schema };
        self
    }

    /// Sets the temperature.
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets the longest answer, in tokens.
    #[must_use]
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

/// The form of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ChatFormat {
    /// As the model likes.
    #[default]
    Text,
    /// JSON that fulfils a schema.
    Json {
        /// What the schema is called.
        name: String,
        /// A JSON Schema.
        schema: Value,
    },
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChatRole {
    /// Whoever set up the chat: instructions.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A function that the model asked for.
    Tool,
}

impl ChatRole {
    /// The role in one word, as all providers call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ChatRole::System => "system",
            ChatRole::User => "user",
            ChatRole::Assistant => "assistant",
            ChatRole::Tool => "tool",
        }
    }
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChatMessage {
    /// Who said it.
    pub role: ChatRole,
    /// The text.
    pub content: String,
    /// The functions that the model asks for.
    pub tool_calls: Vec<ToolCall>,
    /// The call that this is the result of, in a message of a [`Tool`](ChatRole::Tool).
    pub tool_call_id: Option<String>,
}

impl ChatMessage {
    /// A text by somebody.
    pub fn new(role: ChatRole, content: impl Into<String>) -> Self {
        ChatMessage { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None }
    }

    /// What the user says.
    pub fn user(content: impl Into<String>) -> Self {
        ChatMessage::new(ChatRole::User, content)
    }

    /// What the model said.
    pub fn assistant(content: impl Into<String>) -> Self {
        ChatMessage::new(ChatRole::Assistant, content)
    }

    /// The result of a function that the model asked for.
    pub fn tool_result(call: &ToolCall, content: impl Into<String>) -> Self {
        ChatMessage { tool_call_id: Some(call.id.clone()), ..ChatMessage::new(ChatRole::Tool, content) }
    }
}

/// A function that a model may ask for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tool {
    /// Its name: letters, digits, `_` and `-`.
    pub name: String,
    /// What it does, and when to use it.
    pub description: String,
    /// Its arguments, as a JSON Schema of an object.
    pub parameters: Value,
}

impl Tool {
    /// A function.
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: Value) -> Self {
        Tool { name: name.into(), description: description.into(), parameters }
    }
}

/// A model asks for a function.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolCall {
    /// The id by which the result is given.
    pub id: String,
    /// The function.
    pub name: String,
    /// Its arguments, as the model wrote them: meant to be JSON, and not always so.
    pub arguments: String,
}

impl ToolCall {
    /// A call.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() }
    }

    /// The arguments, read.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when they are no JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.arguments).with_context(|| format!("reading the arguments of `{}`", self.name))
    }
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// It was complete.
    #[default]
    Stop,
    /// It reached the greatest length.
    Length,
    /// The model waits for functions.
    ToolCalls,
    /// The provider refused the rest.
    ContentFilter,
    /// Anything else, in the provider's word.
    Other(String),
}

/// Tokens that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

impl Usage {
    /// All tokens.
    pub const fn total(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChatReply {
    /// What the model says.
    pub message: ChatMessage,
    /// Why it ended.
    pub finish: FinishReason,
    /// What it took; `None` when the provider does not count.
    pub usage: Option<Usage>,
    /// The model that answered.
    pub model: String,
}

impl ChatReply {
    /// A complete answer.
    pub fn new(message: ChatMessage, model: impl Into<String>) -> Self {
        ChatReply { message, finish: FinishReason::Stop, usage: None, model: model.into() }
    }

    /// The answer, read as JSON.
    ///
    /// # Errors
    /// [`Failed`](crate::ErrorKind::Failed) when the model did not write JSON; why it ended is part of the message.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.message.content).map_err(|error| {
            let why = match &self.finish {
                FinishReason::Length => "; it was cut off at the greatest length",
                FinishReason::ContentFilter => "; the provider refused the rest",
                _ => "",
            };
            Error::failed(format!("the answer of {} is not JSON: {error}{why}", self.model))
        })
    }
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// More text.
    Text(String),
    /// The model asks for a function; given once its arguments are complete.
    ToolCall(ToolCall),
    /// The answer is complete.
    End {
        /// Why it ended.
        finish: FinishReason,
        /// What it took; `None` when the provider does not count.
        usage: Option<Usage>,
    },
}

/// Texts to make vectors of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddingRequest {
    /// The model; the provider's default when `None`.
    pub model: Option<String>,
    /// The texts.
    pub texts: Vec<String>,
}

impl EmbeddingRequest {
    /// Texts for the default model.
    pub fn new(texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        EmbeddingRequest { model: None, texts: texts.into_iter().map(Into::into).collect() }
    }

    /// Sets the model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}

/// Vectors of texts.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Embeddings {
    /// One vector a text, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// What they took; `None` when the provider does not count.
    pub usage: Option<Usage>,
}

impl Embeddings {
    /// Vectors that nobody counted the tokens of.
    pub fn new(vectors: Vec<Vec<f32>>) -> Self {
        Embeddings { vectors, usage: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn an_answer_that_is_no_json_says_why_it_ended() {
        let mut reply = ChatReply::new(ChatMessage::assistant("{\"a\": 1}"), "tiny");
        assert_eq!(reply.json().unwrap(), serde_json::json!({"a": 1}));
        reply.message.content.pop();
        reply.finish = FinishReason::Length;
        let error = reply.json().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().ends_with("it was cut off at the greatest length"), "{error}");
    }

    #[test]
    fn a_result_names_the_call_it_answers() {
        let call = ToolCall::new("call-1", "weather", "{\"city\": \"Köln\"}");
        assert_eq!(call.json().unwrap()["city"], "Köln");
        let message = ChatMessage::tool_result(&call, "rain");
        assert_eq!((message.role, message.tool_call_id.as_deref()), (ChatRole::Tool, Some("call-1")));
        assert!(ToolCall::new("", "f", "{").json().is_err());
    }
}
