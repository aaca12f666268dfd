//! An answer that comes in pieces, as server-sent events:
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use super::wire;
use mlx_core::{BoxStream, prelude::*};
use reqwest::Response;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll, ready};

/// How long one event may be.
const EVENT_LIMIT: usize = 8 << 20;

/// The pieces of an answer. `count` is told what it took, once, when it is complete.
pub(super) fn stream(
    response: Response,
    silence: Duration,
    count: impl FnOnce(Option<Usage>) + Send + 'static,
) -> BoxStream<ChatEvent> {
    Box::pin(Pieces {
        next: Some(Box::pin(chunk(response))),
        silence,
        answer: Answer::default(),
        failed: None,
        count: Some(Box::new(count)),
    })
}

type Chunk = (reqwest::Result<Option<Vec<u8>>>, Response);

async fn chunk(mut response: Response) -> Chunk {
    let chunk = response.chunk().await.map(|chunk| chunk.map(|bytes| bytes.to_vec()));
    (chunk, response)
}

/// Dropping it drops the response, which closes the connection: the server stops.
struct Pieces {
    next: Option<Pin<Box<dyn Future<Output = Chunk> + Send>>>,
    silence: Duration,
    answer: Answer,
    failed: Option<Error>,
    count: Option<Box<dyn FnOnce(Option<Usage>) + Send>>,
}

impl futures_core::Stream for Pieces {
    type Item = Result<ChatEvent>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Result<ChatEvent>>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.answer.ready.pop_front() {
                if let ChatEvent::End { usage, .. } = &event {
                    this.next = None;
                    if let Some(count) = this.count.take() {
                        count(*usage);
                    }
                }
                return Poll::Ready(Some(Ok(event)));
            }
            // What was understood before comes first.
            if let Some(error) = this.failed.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(next) = &mut this.next else { return Poll::Ready(None) };
            let (chunk, response) = ready!(next.as_mut().poll(cx));
            this.next = None;
            let read = match chunk {
                Ok(Some(bytes)) => this.answer.read(&bytes).map(|()| true),
                Ok(None) => this.answer.end().map(|()| false),
                Err(error) if error.is_timeout() => Err(Error::timeout(format!(
                    "the model server was silent for {:?} in the middle of an answer",
                    this.silence
                ))),
                Err(error) => Err(Error::unavailable(format!("the answer broke off: {}", error.without_url()))),
            };
            match read {
                Ok(true) => this.next = Some(Box::pin(self::chunk(response))),
                Ok(false) => {}
                Err(error) => this.failed = Some(error),
            }
        }
    }
}

/// What has been understood so far.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) ready: VecDeque<ChatEvent>,
    /// A line that is not complete yet.
    line: Vec<u8>,
    /// The `data` of an event that is not complete yet.
    data: String,
    /// The functions asked for, by index: id, name, arguments.
    calls: BTreeMap<u64, (String, String, String)>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    ended: bool,
}

impl Answer {
    /// Takes some bytes, wherever they were cut.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<()> {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > EVENT_LIMIT {
                    return Err(Error::failed(format!("an event of more than {EVENT_LIMIT} bytes")));
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            let line = std::str::from_utf8(line).map_err(|_| Error::failed("the answer is not UTF-8"))?;
            self.line(line)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<()> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return if data.is_empty() { Ok(()) } else { self.event(&data) };
        }
        // Other fields, and comments that keep the connection alive, say nothing of the answer.
        if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            if self.data.len() > EVENT_LIMIT {
                return Err(Error::failed(format!("an event of more than {EVENT_LIMIT} bytes")));
            }
        }
        Ok(())
    }

    fn event(&mut self, data: &str) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        if data == "[DONE]" {
            return self.complete();
        }
        let event: JsonValue = serde_json::from_str(data)
            .map_err(|error| Error::failed(format!("an event that is not JSON (column {})", error.column())))?;
        if let Some(said) = wire::error_of(&event["error"]) {
            return Err(Error::failed(format!("the model server ended the answer: {}", said.message)));
        }
        if let Some(usage) = wire::usage(&event["usage"]) {
            self.usage = Some(usage);
        }
        let Some(choice) = event["choices"].get(0) else { return Ok(()) };
        let delta = &choice["delta"];
        if let Some(text) = delta["content"].as_str().filter(|text| !text.is_empty()) {
            self.ready.push_back(ChatEvent::Text(text.to_owned()));
        }
        for (position, call) in delta["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let index = call["index"].as_u64().unwrap_or(position as u64);
            let (id, name, arguments) = self.calls.entry(index).or_default();
            if let Some(text) = call["id"].as_str().filter(|text| !text.is_empty()) {
                *id = text.to_owned();
            }
            name.push_str(call["function"]["name"].as_str().unwrap_or_default());
            arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
        if let Some(word) = choice["finish_reason"].as_str() {
            self.finish = Some(wire::finish(word));
        }
        Ok(())
    }

    /// The connection has ended. Some servers leave out the last `[DONE]`, none the reason why they ended.
    pub(super) fn end(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        if let Ok(line) = std::str::from_utf8(&line) {
            self.line(line.trim_end())?;
            self.line("")?;
        }
        match (self.ended, &self.finish) {
            (true, _) => Ok(()),
            (false, Some(_)) => self.complete(),
            (false, None) => Err(Error::unavailable("the answer broke off: the model server closed the connection")),
        }
    }

    fn complete(&mut self) -> Result<()> {
        self.ended = true;
        for (index, (id, name, arguments)) in std::mem::take(&mut self.calls) {
            if name.is_empty() {
                return Err(Error::failed("the model asked for a function without a name"));
            }
            let id = if id.is_empty() { format!("call_{index}") } else { id };
            let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
            self.ready.push_back(ChatEvent::ToolCall(ToolCall::new(id, name, arguments)));
        }
        let finish = self.finish.take().unwrap_or_default();
        self.ready.push_back(ChatEvent::End { finish, usage: self.usage });
        Ok(())
    }
}
