//! Requests and replies as the API has them.

use crate::http::ServerMessage;
use mlx_core::prelude::*;

/// The body of a chat.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for a chat without messages, and for numbers that JSON has no words for.
pub(super) fn chat(request: &ChatRequest, model: &str, stream: bool) -> Result<JsonValue> {
    if request.messages.is_empty() {
        return Err(Error::invalid("a chat begins with a message"));
    }
    let messages: Vec<JsonValue> = request.messages.iter().map(message).collect();
    let mut body = json!({"model": request.model.as_deref().unwrap_or(model), "messages": messages});
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    if !request.tools.is_empty() {
        let tool = |tool: &Tool| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters,
            }})
        };
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if let ChatFormat::Json { name, schema } = &request.format {
        body["response_format"] =
            json!({"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": true}});
    }
    if let Some(temperature) = request.temperature {
        if !temperature.is_finite() {
            return Err(Error::invalid(format!("{temperature} is no temperature")));
        }
        body["temperature"] = json!(temperature);
    }
    // The newer name, `max_completion_tokens`, is unknown to most servers that speak this API.
    if let Some(tokens) = request.max_tokens {
        body["max_tokens"] = json!(tokens);
    }
    if let Some(seed) = request.seed {
        body["seed"] = json!(seed);
    }
    if !request.stop.is_empty() {
        body["stop"] = json!(request.stop);
    }
    Ok(body)
}

fn message(message: &ChatMessage) -> JsonValue {
    let mut body = json!({"role": message.role.as_str(), "content": message.content});
    if let Some(id) = &message.tool_call_id {
        body["tool_call_id"] = json!(id);
    }
    if !message.tool_calls.is_empty() {
        let call = |call: &ToolCall| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}});
        body["tool_calls"] = message.tool_calls.iter().map(call).collect();
    }
    body
}

/// # Errors
/// [`Failed`](ErrorKind::Failed) when there is no answer in it.
pub(super) fn reply(body: &JsonValue, asked: &str) -> Result<ChatReply> {
    // Gateways answer 200 with the error of the server behind them.
    if let Some(ServerMessage { message, .. }) = error_of(&body["error"]) {
        return Err(Error::failed(format!("the model server answered chat/completions with an error: {message}")));
    }
    let choice = body["choices"].get(0).ok_or_else(|| incomplete("chat/completions", "choices"))?;
    let said = choice.get("message").filter(|said| said.is_object());
    let said = said.ok_or_else(|| incomplete("chat/completions", "message"))?;
    let mut message = ChatMessage::assistant(said["content"].as_str().unwrap_or_default());
    for (index, call) in said["tool_calls"].as_array().into_iter().flatten().enumerate() {
        message.tool_calls.push(tool_call(call, index)?);
    }
    let model = body["model"].as_str().filter(|model| !model.is_empty()).unwrap_or(asked);
    let mut reply = ChatReply::new(message, model);
    reply.finish = finish(choice["finish_reason"].as_str().unwrap_or("stop"));
    reply.usage = usage(&body["usage"]);
    Ok(reply)
}

fn tool_call(call: &JsonValue, index: usize) -> Result<ToolCall> {
    let function = &call["function"];
    let name = function["name"].as_str().ok_or_else(|| incomplete("chat/completions", "function.name"))?;
    let arguments = match &function["arguments"] {
        JsonValue::String(text) => text.clone(),
        JsonValue::Null => "{}".to_owned(),
        // Some servers give the object itself.
        other => other.to_string(),
    };
    let id = call["id"].as_str().filter(|id| !id.is_empty()).map_or_else(|| format!("call_{index}"), str::to_owned);
    Ok(ToolCall::new(id, name, arguments))
}

pub(super) fn finish(word: &str) -> FinishReason {
    match word {
        "stop" | "eos" | "end_turn" => FinishReason::Stop,
        "length" | "max_tokens" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    }
}

pub(super) fn usage(usage: &JsonValue) -> Option<Usage> {
    Some(Usage {
        input_tokens: usage["prompt_tokens"].as_u64()?,
        // Embeddings have none.
        output_tokens: usage["completion_tokens"].as_u64().unwrap_or(0),
    })
}

/// # Errors
/// [`Failed`](ErrorKind::Failed) unless there is one vector a text, all of one length.
pub(super) fn embeddings(body: &JsonValue, texts: usize) -> Result<Embeddings> {
    let data = body["data"].as_array().ok_or_else(|| incomplete("embeddings", "data"))?;
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts];
    for (position, item) in data.iter().enumerate() {
        let index = item["index"].as_u64().map_or(position, |index| index as usize);
        let numbers = item["embedding"].as_array().ok_or_else(|| incomplete("embeddings", "embedding"))?;
        let vector: Option<Vec<f32>> = numbers.iter().map(|x| x.as_f64().map(|x| x as f32)).collect();
        let vector = vector
            .ok_or_else(|| Error::failed("the model server answered embeddings with something that is no number"))?;
        match vectors.get_mut(index) {
            Some(place) => *place = Some(vector),
            None => return Err(wrong_count(texts, data.len())),
        }
    }
    let vectors: Vec<Vec<f32>> =
        vectors.into_iter().collect::<Option<_>>().ok_or_else(|| wrong_count(texts, data.len()))?;
    if vectors.windows(2).any(|pair| pair[0].len() != pair[1].len()) {
        return Err(Error::failed("the model server answered embeddings with vectors of several lengths"));
    }
    let mut embeddings = Embeddings::new(vectors);
    embeddings.usage = usage(&body["usage"]);
    Ok(embeddings)
}

fn wrong_count(texts: usize, vectors: usize) -> Error {
    Error::failed(format!("the model server answered embeddings of {texts} texts with {vectors} vectors"))
}

pub(super) fn incomplete(operation: &str, what: &str) -> Error {
    Error::failed(format!("the model server answered {operation} without `{what}`"))
}

/// The body of a refusal: `{"error": {"message", "type", "code"}}`, or what servers make of that.
pub(super) fn failure(body: &[u8]) -> Option<ServerMessage> {
    let body: JsonValue = serde_json::from_slice(body).ok()?;
    error_of(&body["error"]).or_else(|| {
        let message = body["message"].as_str().or_else(|| body["detail"].as_str())?;
        Some(ServerMessage { code: String::new(), message: message.to_owned() })
    })
}

pub(super) fn error_of(error: &JsonValue) -> Option<ServerMessage> {
    let word = |value: &JsonValue| match value {
        JsonValue::String(text) => text.clone(),
        JsonValue::Number(number) => number.to_string(),
        _ => String::new(),
    };
    match error {
        JsonValue::String(text) => Some(ServerMessage { code: String::new(), message: text.clone() }),
        JsonValue::Object(error) => {
            let part = |key: &str| error.get(key).map(word).unwrap_or_default();
            // `code` is the more exact one, where it is a word.
            let code = match part("code") {
                code if code.is_empty() || code.parse::<f64>().is_ok() => part("type"),
                code => code,
            };
            Some(ServerMessage { code, message: part("message") })
        }
        _ => None,
    }
}
