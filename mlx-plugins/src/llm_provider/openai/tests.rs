use super::events::Answer;
use crate::http::{
    ResponseError,
    scripted::{Act, Scripted},
};
use mlx_core::{BoxStream, platform::Standalone, prelude::*};
use std::future::poll_fn;

async fn provider(server: &Scripted, more: JsonValue) -> Standalone<dyn LlmProvider> {
    let mut config = json!({
        "base_url": format!("{}v1", server.url), "api_key": "sk-canary-1234", "model": "tiny",
        "deadline": "10s", "retry": {"max_attempts": 5, "initial_backoff": "1ms", "max_backoff": "5ms"},
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    mlx_core::registry().create("openai", config).await.unwrap()
}

fn reply(content: &str, usage: JsonValue) -> Act {
    let body = json!({
        "model": "tiny-1", "usage": usage,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
    });
    Act::json(200, &body.to_string())
}

fn events(lines: &[&str]) -> Act {
    let body = lines.iter().map(|line| format!("data: {line}\n\n")).collect::<String>();
    Act::Reply(200, vec!["Content-Type: text/event-stream".to_owned()], body.into_bytes())
}

async fn all(mut stream: BoxStream<ChatEvent>) -> Vec<Result<ChatEvent>> {
    let mut all = Vec::new();
    while let Some(event) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        all.push(event);
    }
    all
}

fn text(text: &str) -> ChatEvent {
    ChatEvent::Text(text.to_owned())
}

#[tokio::test]
async fn a_chat_is_sent_as_the_api_has_it() {
    let server = Scripted::play([reply("4", json!({"prompt_tokens": 9, "completion_tokens": 1}))]).await;
    let llm = provider(&server, json!({"organization": "org-1"})).await;
    let call = ToolCall::new("c1", "add", "{\"a\":2,\"b\":2}");
    let mut asked = ChatMessage::assistant("");
    asked.tool_calls.push(call.clone());
    let request = ChatRequest::new("2+2?")
        .system("Be brief.")
        .message(asked)
        .message(ChatMessage::tool_result(&call, "4"))
        .tool(Tool::new("add", "Adds.", json!({"type": "object"})))
        .json_schema("sum", json!({"type": "integer"}))
        .temperature(0.0)
        .max_tokens(5)
        .seed(7);
    let answer = llm.chat(request).await.unwrap();
    assert_eq!(answer.json().unwrap(), json!(4));
    assert_eq!((answer.model.as_str(), answer.usage.unwrap().total()), ("tiny-1", 10));
    let seen = &server.seen()[0];
    assert_eq!(seen.target(), "POST /v1/chat/completions");
    assert_eq!(seen.header("authorization"), Some("Bearer sk-canary-1234"));
    assert_eq!(seen.header("openai-organization"), Some("org-1"));
    let body: JsonValue = serde_json::from_slice(&seen.body).unwrap();
    let function = json!({"name": "add", "arguments": "{\"a\":2,\"b\":2}"});
    assert_eq!(
        body,
        json!({
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "2+2?"},
                {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
                {"role": "tool", "content": "4", "tool_call_id": "c1"},
            ],
            "tools": [{"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "sum", "schema": {"type": "integer"}, "strict": true}},
            "temperature": 0.0, "max_tokens": 5, "seed": 7,
        })
    );
    llm.shutdown().await.unwrap();
}

#[tokio::test]
async fn replies_of_sloppy_servers_are_read() {
    let bare =
        r#"{"choices":[{"message":{"content":null,"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}}]}"#;
    let server = Scripted::play([Act::json(200, bare)]).await;
    let llm = provider(&server, json!({})).await;
    let answer = llm.chat(ChatRequest::new("?")).await.unwrap();
    assert_eq!((answer.message.content.as_str(), answer.usage, answer.model.as_str()), ("", None, "tiny"));
    assert_eq!(answer.message.tool_calls, [ToolCall::new("call_0", "f", "{\"a\":1}")]);
    llm.shutdown().await.unwrap();
}

#[tokio::test]
async fn replies_without_an_answer_are_failures() {
    for (body, said) in [
        ("{}", "without `choices`"),
        (r#"{"choices":[]}"#, "without `choices`"),
        (r#"{"choices":[{}]}"#, "without `message`"),
        (r#"{"error":{"message":"upstream is away","code":502}}"#, "upstream is away"),
        ("nope", "not JSON"),
        (r#"{"choices":[{"message":{"tool_calls":[{}]}}]}"#, "without `function.name`"),
    ] {
        let server = Scripted::play([Act::json(200, body)]).await;
        let llm = provider(&server, json!({})).await;
        let error = llm.chat(ChatRequest::new("?")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().contains(said), "{error}");
        llm.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn refusals_are_typed_and_keep_the_key_to_themselves() {
    let openai = r#"{"error":{"message":"Incorrect API key: sk-canary-1234","type":"invalid_request_error","code":"invalid_api_key"}}"#;
    let llama = r#"{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}"#;
    for (body, code) in [(openai, "invalid_api_key"), (llama, "authentication_error")] {
        let server = Scripted::play([Act::json(401, body)]).await;
        let llm = provider(&server, json!({})).await;
        let error = llm.chat(ChatRequest::new("?")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(ResponseError::of(&error).unwrap().code, code);
        assert!(!format!("{error} {error:?}").contains("canary"));
        llm.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_a_broken_answer_is_not() {
    let server = Scripted::play([Act::json(429, ""), Act::json(503, ""), reply("ok", json!(null))]).await;
    let llm = provider(&server, json!({})).await;
    assert_eq!(llm.chat(ChatRequest::new("?")).await.unwrap().message.content, "ok");
    llm.shutdown().await.unwrap();

    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"choices\":".to_vec();
    let server = Scripted::play([Act::Cut(half), reply("paid twice", json!(null))]).await;
    let llm = provider(&server, json!({})).await;
    assert_eq!(llm.chat(ChatRequest::new("?")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(server.seen().len(), 1);
    llm.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_stream_gives_the_pieces_and_then_the_end() {
    let server = Scripted::play([events(&[
        r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"delta":{"content":"Hé"}}]}"#,
        r#"{"choices":[{"delta":{"content":"llo"}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\":1}"}}]}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
        "[DONE]",
    ])])
    .await;
    let llm = provider(&server, json!({})).await;
    let found: Vec<ChatEvent> =
        all(llm.stream(ChatRequest::new("?")).await.unwrap()).await.into_iter().map(Result::unwrap).collect();
    let usage = Some(Usage { input_tokens: 3, output_tokens: 4 });
    assert_eq!(
        found,
        [
            text("Hé"),
            text("llo"),
            ChatEvent::ToolCall(ToolCall::new("c1", "f", "{\"a\":1}")),
            ChatEvent::End { finish: FinishReason::ToolCalls, usage },
        ]
    );
    let body: JsonValue = serde_json::from_slice(&server.seen()[0].body).unwrap();
    assert_eq!((&body["stream"], &body["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
    assert_eq!(Handle::health(&llm).await.unwrap().details["tokens"], json!(7));
    llm.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so_after_what_it_had() {
    let first = r#"{"choices":[{"delta":{"content":"Hal"}}]}"#;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
    let reset = format!("{head}Content-Length: 999\r\n\r\ndata: {first}\n\n");
    let closed = format!("{head}Connection: close\r\n\r\ndata: {first}\n\n");
    let refused = format!(
        "{head}Connection: close\r\n\r\ndata: {first}\n\ndata: {{\"error\":{{\"message\":\"out of memory\"}}}}\n\n"
    );
    let garbage = format!("{head}Connection: close\r\n\r\ndata: {first}\n\ndata: {{\"choi\n\n");
    for (bytes, kind, said) in [
        (reset, ErrorKind::Unavailable, "broke off"),
        (closed, ErrorKind::Unavailable, "closed the connection"),
        (refused, ErrorKind::Failed, "out of memory"),
        (garbage, ErrorKind::Failed, "not JSON"),
    ] {
        let server = Scripted::play([Act::Cut(bytes.into_bytes())]).await;
        let llm = provider(&server, json!({})).await;
        let found = all(llm.stream(ChatRequest::new("?")).await.unwrap()).await;
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].as_ref().unwrap(), &text("Hal"));
        let error = found[1].as_ref().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        llm.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_meets_the_timeout() {
    let server = Scripted::play([Act::Silence]).await;
    let llm = provider(&server, json!({"timeout": "50ms", "retry": {"max_attempts": 1}})).await;
    let error = llm.stream(ChatRequest::new("?")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    llm.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_budget_ends_the_spending() {
    let usage = json!({"prompt_tokens": 60, "completion_tokens": 40});
    let server = Scripted::play([reply("a", usage.clone()), reply("b", usage)]).await;
    let llm = provider(&server, json!({"token_budget": 150})).await;
    llm.chat(ChatRequest::new("?")).await.unwrap();
    llm.chat(ChatRequest::new("?")).await.unwrap();
    let error = llm.chat(ChatRequest::new("?")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("150 tokens is used up (200 were used)"), "{error}");
    assert_eq!(llm.stream(ChatRequest::new("?")).await.err().unwrap().kind(), ErrorKind::Denied);
    assert_eq!(llm.embed(EmbeddingRequest::new(["a"])).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(server.seen().len(), 2, "what is refused here never leaves");
    llm.shutdown().await.unwrap();
}

#[tokio::test]
async fn embeddings_come_in_the_order_of_the_texts_or_not_at_all() {
    let swapped =
        r#"{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2.5]}],"usage":{"prompt_tokens":2}}"#;
    let server = Scripted::play([Act::json(200, swapped)]).await;
    let llm = provider(&server, json!({"embedding_model": "e"})).await;
    let made = llm.embed(EmbeddingRequest::new(["a", "b"])).await.unwrap();
    assert_eq!(made.vectors, [[1.0, 2.5], [3.0, 4.0]]);
    assert_eq!(made.usage.unwrap().total(), 2);
    let body: JsonValue = serde_json::from_slice(&server.seen()[0].body).unwrap();
    assert_eq!((&body["model"], &body["input"]), (&json!("e"), &json!(["a", "b"])));
    assert!(llm.embed(EmbeddingRequest::default()).await.unwrap().vectors.is_empty());
    llm.shutdown().await.unwrap();

    for body in [
        r#"{"data":[{"index":0,"embedding":[1]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}"#,
        r#"{"data":[{"embedding":["x"]},{"embedding":[1]}]}"#,
        r#"{"data":[{},{}]}"#,
        "{}",
    ] {
        let server = Scripted::play([Act::json(200, body)]).await;
        let llm = provider(&server, json!({})).await;
        let error = llm.embed(EmbeddingRequest::new(["a", "b"])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{body}");
        llm.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_before_it_is_sent() {
    let server = Scripted::play([]).await;
    let llm = provider(&server, json!({})).await;
    assert_eq!(llm.chat(ChatRequest::default()).await.unwrap_err().kind(), ErrorKind::Invalid);
    let hot = ChatRequest::new("?").temperature(f64::NAN);
    assert_eq!(llm.chat(hot).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(server.seen().is_empty());
    llm.shutdown().await.unwrap();
}

#[test]
fn a_stream_is_understood_wherever_it_is_cut() {
    let whole = ": keep-alive\r\n\r\nevent: message\r\ndata: {\"choices\":[{\"delta\":\r\ndata:  {\"content\":\"é🦀\"}}]}\r\n\r\n\
                 data:{\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}";
    let expected = [text("é🦀"), ChatEvent::End { finish: FinishReason::Length, usage: None }];
    for size in 1..40 {
        let mut answer = Answer::default();
        for piece in whole.as_bytes().chunks(size) {
            answer.read(piece).unwrap();
        }
        answer.end().unwrap();
        assert_eq!(answer.ready, expected, "in pieces of {size}");
    }
}
