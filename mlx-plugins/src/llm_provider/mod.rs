//! Large language models.

#[cfg(feature = "llm-provider-openai")]
pub mod openai;
#[cfg(feature = "llm-provider-scripted")]
pub mod scripted;
