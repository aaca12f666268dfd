//! The provider `openai` against llama.cpp's server with a model of random numbers, and against fakellm.

use super::server::{Launch, Server, beside};
use mlx_core::{BoxStream, platform::Standalone, prelude::*};
use mlx_plugins::http::ResponseError;
use std::{future::poll_fn, time::Instant};

const KEY: &str = "sk-canary-5309";

async fn llama_cpp(mode: &'static str) -> Server {
    Server::start(|port, _| Launch {
        name: "llama-cpp",
        program: "bin/python",
        arguments: [&beside("llama_cpp.py").display().to_string(), &port.to_string(), KEY, mode]
            .into_iter()
            .filter(|argument| !argument.is_empty())
            .map(str::to_owned)
            .collect(),
        variables: Vec::new(),
        ready: "/health",
    })
    .await
}

async fn provider(server: &Server, more: JsonValue) -> Standalone<dyn LlmProvider> {
    let mut config = json!({"base_url": format!("{}v1", server.url()), "api_key": KEY, "model": "tiny"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    mlx_core::registry().create("openai", config).await.unwrap()
}

async fn next(stream: &mut BoxStream<ChatEvent>) -> Option<Result<ChatEvent>> {
    poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}

fn ask(text: &str) -> ChatRequest {
    ChatRequest::new(text).temperature(0.0).seed(1).max_tokens(24)
}

#[tokio::test(flavor = "multi_thread")]
async fn llama_cpp_answers_whole_in_pieces_and_in_json() {
    let server = llama_cpp("").await;
    let llm = provider(&server, json!({})).await;
    assert!(llm.models().await.unwrap().contains(&"tiny".to_owned()));

    let whole = llm.chat(ask("Tell me about the data.")).await.unwrap();
    let usage = whole.usage.unwrap();
    assert_eq!((whole.finish.clone(), usage.output_tokens), (FinishReason::Length, 24));
    assert!(!whole.message.content.is_empty() && usage.input_tokens > 10);

    // The same words, in more than one piece, with the same count.
    let mut stream = llm.stream(ask("Tell me about the data.")).await.unwrap();
    let (mut text, mut pieces, mut end) = (String::new(), 0, None);
    while let Some(event) = next(&mut stream).await {
        match event.unwrap() {
            ChatEvent::Text(piece) => {
                text.push_str(&piece);
                pieces += 1;
            }
            ChatEvent::End { finish, usage } => end = Some((finish, usage)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((text, end), (whole.message.content, Some((FinishReason::Length, Some(usage)))));
    assert!(pieces > 5, "{pieces} pieces");

    // The grammar holds even a model of random numbers to the schema.
    let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false});
    let answer = llm.chat(ask("Is it?").max_tokens(200).json_schema("answer", schema)).await.unwrap();
    assert!(answer.json().unwrap()["ok"].is_boolean(), "{answer:?}");

    // What is wrong is said with the server's own words.
    let error = llm.chat(ask("?").json_schema("bad", json!({"type": "nonsense"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(ResponseError::of(&error).unwrap().status, 400);
    let other: Standalone<dyn LlmProvider> = provider(&server, json!({"api_key": "sk-wrong"})).await;
    let error = other.chat(ask("?")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(ResponseError::of(&error).unwrap().status, 401);
    assert!(!format!("{error:?}").contains("sk-wrong"));
    assert!(!Handle::health(&other).await.unwrap().is_healthy());
    other.shutdown().await.unwrap();
    assert!(Handle::health(&llm).await.unwrap().is_healthy());

    // Dropping the stream stops the model: the only place is free again at once.
    let mut stream = llm.stream(ask("Go on for ever.").max_tokens(100_000)).await.unwrap();
    next(&mut stream).await.unwrap().unwrap();
    drop(stream);
    let began = Instant::now();
    llm.chat(ask("Next.").max_tokens(1)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(server.log().contains("stop") || server.log().contains("cancel"), "{}", server.log());
    assert!(!server.log().contains(KEY));
    llm.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn llama_cpp_makes_embeddings() {
    let server = llama_cpp("embeddings").await;
    let llm = provider(&server, json!({})).await;
    let made = llm.embed(EmbeddingRequest::new(["the data", "of rust", "the data"])).await.unwrap();
    assert_eq!(made.vectors.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 64]);
    assert_eq!(made.vectors[0], made.vectors[2]);
    assert_ne!(made.vectors[0], made.vectors[1]);
    assert!(made.usage.unwrap().input_tokens > 0);
    llm.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loads_its_model_is_waited_for() {
    let server = Server::begin(|port, _| Launch {
        name: "llama-cpp",
        program: "bin/python",
        arguments: vec![beside("llama_cpp.py").display().to_string(), port.to_string(), KEY.to_owned()],
        variables: Vec::new(),
        ready: "/health",
    });
    // Refused at first, then 503, then answers.
    let patient = json!({"retry": {"max_attempts": 100, "max_backoff": "500ms"}, "deadline": "2m"});
    let llm = provider(&server, patient).await;
    llm.chat(ask("Hello?")).await.unwrap();
    llm.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn fakellm_calls_functions_and_refuses() {
    let server = Server::start(|port, _| Launch {
        name: "fakellm",
        program: "bin/fakellm",
        arguments: [
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--config",
            &beside("fakellm.yaml").display().to_string(),
        ]
        .map(str::to_owned)
        .into(),
        variables: Vec::new(),
        ready: "/_fakellm",
    })
    .await;
    let llm =
        provider(&server, json!({"retry": {"max_attempts": 3, "initial_backoff": "1ms", "max_backoff": "10ms"}})).await;
    let weather = Tool::new(
        "weather",
        "Says what the weather is.",
        json!({"type": "object", "properties": {"city": {"type": "string"}}}),
    );

    let request = ChatRequest::new("What is the weather in Köln?").tool(weather.clone());
    let asked = llm.chat(request.clone()).await.unwrap();
    assert_eq!(asked.finish, FinishReason::ToolCalls);
    let call = asked.message.tool_calls[0].clone();
    assert_eq!((call.name.as_str(), call.json().unwrap()), ("weather", json!({"city": "Köln"})));
    let answer =
        llm.chat(request.message(asked.message).message(ChatMessage::tool_result(&call, "rain"))).await.unwrap();
    assert_eq!(answer.message.content, "It rains in Köln.");

    // The same function, put together from the pieces of a stream.
    let mut stream = llm.stream(ChatRequest::new("And the weather in Köln now?").tool(weather)).await.unwrap();
    let mut calls = Vec::new();
    while let Some(event) = next(&mut stream).await {
        if let ChatEvent::ToolCall(call) = event.unwrap() {
            calls.push((call.name.clone(), call.json().unwrap()));
        }
    }
    assert_eq!(calls, [("weather".to_owned(), json!({"city": "Köln"}))]);

    for (text, kind, status, times) in [("busy", ErrorKind::Unavailable, 429, 3), ("broken", ErrorKind::Failed, 500, 1)]
    {
        let before = server.log().matches("POST /v1/chat/completions").count();
        let error = llm.chat(ChatRequest::new(text)).await.unwrap_err();
        assert_eq!((error.kind(), ResponseError::of(&error).unwrap().status), (kind, status), "{error}");
        assert_eq!(server.log().matches("POST /v1/chat/completions").count() - before, times, "{text}");
    }
    llm.shutdown().await.unwrap();
}
