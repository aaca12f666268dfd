//! Queries through the SQL API: <https://docs.snowflake.com/en/developer-guide/sql-api/reference>.

use super::{
    answer::{Answer, Part, counted},
    failure::{classified, malformed},
    parameters::Parameters,
    request_id,
    types::{Cell, Column, decode, schema},
};
use crate::http::{Client, Reply, Request};
use mlx_core::prelude::*;
use reqwest::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

const STATEMENTS: &str = "api/v2/statements";

/// How long to wait before the second look at a statement that runs, and the longest wait between two looks.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The most bytes of a part. Snowflake's have some ten megabytes.
pub(super) const PART_LIMIT: usize = 1 << 30;

/// Says that the answer is longer than the SQL API gives out.
const TOO_LONG: &str = "391908";

/// The statements of one user.
pub(super) struct Statements {
    http: Arc<Client>,
    /// Database, schema, warehouse and role, and the deadline.
    context: serde_json::Map<String, JsonValue>,
    timeout: Duration,
}

/// A reply about a statement.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    statement_handle: Option<String>,
    #[serde(default)]
    statement_handles: Option<Vec<String>>,
    #[serde(default)]
    result_set_meta_data: Option<JsonValue>,
    #[serde(default, borrow)]
    data: Option<Vec<Vec<Cell<'a>>>>,
}

/// The rows of a part.
#[derive(Deserialize)]
struct Rows<'a> {
    #[serde(borrow)]
    data: Vec<Vec<Cell<'a>>>,
}

impl Statements {
    /// `context` has the fields of the request's body that are the same for every statement.
    pub(super) fn new(http: Client, mut context: serde_json::Map<String, JsonValue>, timeout: Duration) -> Self {
        context.insert("timeout".to_owned(), timeout.as_secs().into());
        Statements { http: Arc::new(http), context, timeout }
    }

    /// Runs a statement, and waits until it is done.
    ///
    /// # Errors
    /// What Snowflake says, [`Timeout`](ErrorKind::Timeout) when the query takes longer than it may.
    pub(super) async fn run(&self, sql: &str, parameters: &Parameters) -> Result<Answer> {
        let mut body = self.context.clone();
        body.insert("statement".to_owned(), sql.into());
        if !parameters.is_empty() {
            body.insert("bindings".to_owned(), parameters.bindings());
        }
        let mut running = Running::new(self.http.clone(), body.into())?;
        match tokio::time::timeout(self.timeout, running.finish()).await {
            Ok(reply) => self.answer(&reply?),
            Err(_) => Err(super::past_its_time(self.timeout)),
        }
    }

    fn answer(&self, reply: &Reply) -> Result<Answer> {
        let described: Described<'_> =
            serde_json::from_slice(&reply.body).map_err(|error| malformed(STATEMENTS, &error))?;
        if described.statement_handles.is_some_and(|handles| !handles.is_empty()) {
            return Err(Error::unsupported("the query has several statements: send them one by one"));
        }
        if described.code.as_deref() == Some(TOO_LONG) {
            return Err(Error::unsupported(
                "the answer is longer than Snowflake's SQL API gives out: ask for less of it",
            ));
        }
        let incomplete = |what: &str| Error::failed(format!("Snowflake answered {STATEMENTS} without `{what}`"));
        let meta = described.result_set_meta_data.ok_or_else(|| incomplete("resultSetMetaData"))?;
        let columns: Arc<[Column]> = Column::read_all(&meta["rowType"])?.into();
        let schema = schema(&columns);
        let rows = described.data.ok_or_else(|| incomplete("data"))?;
        let parts = meta["partitionInfo"].as_array().map_or(&[][..], Vec::as_slice);
        let count = |part: &JsonValue| part["rowCount"].as_u64().ok_or_else(|| incomplete("rowCount"));
        let first = parts.first().map(count).transpose()?;
        let first = counted(vec![decode(&columns, &schema, &rows)?], first)?;
        let mut rest = Vec::new();
        for (index, part) in parts.iter().enumerate().skip(1) {
            let handle = described.statement_handle.as_deref().ok_or_else(|| incomplete("statementHandle"))?;
            let request = Request::get("api/v2/statements (a part)", path(handle, "")?)
                .query("partition", index.to_string())
                .limit(PART_LIMIT);
            let (rows, http, columns, schema) = (count(part)?, self.http.clone(), columns.clone(), schema.clone());
            let part: Part = Box::pin(async move {
                let reply = http.send(request).await.map_err(classified)?;
                let part: Rows<'_> =
                    serde_json::from_slice(&reply.body).map_err(|error| malformed(STATEMENTS, &error))?;
                counted(vec![decode(&columns, &schema, &part.data)?], Some(rows))
            });
            rest.push((rows, part));
        }
        Answer::new(schema, first, rest, meta["numRows"].as_u64())
    }
}

/// The path of a statement.
fn path(handle: &str, after: &str) -> Result<String> {
    match handle.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        true => Ok(format!("{STATEMENTS}/{handle}{after}")),
        false => Err(Error::failed("Snowflake named a statement in a way that no address can have")),
    }
}

/// A statement that is being executed. Dropping it cancels it.
struct Running {
    http: Arc<Client>,
    id: String,
    body: JsonValue,
    /// What is known of it on the other side.
    state: State,
}

enum State {
    /// Nothing was sent, or it is over.
    Idle,
    /// It was sent, and there is no answer.
    Sent,
    /// It runs under this handle.
    Known(String),
}

impl Running {
    fn new(http: Arc<Client>, body: JsonValue) -> Result<Self> {
        Ok(Running { http, id: request_id()?, body, state: State::Idle })
    }

    /// The reply with the first part of the answer.
    async fn finish(&mut self) -> Result<Reply> {
        self.state = State::Sent;
        let mut sent = self.http.send(submission(&self.body, &self.id)).await;
        let mut wait = FIRST_WAIT;
        loop {
            let reply = match sent {
                Ok(reply) if reply.status == StatusCode::ACCEPTED => reply,
                // A statement that could not be asked after still runs, if its handle is known: then dropping this
                // cancels it. One that was refused is over, and so is one whose answer is here.
                Err(error) if error.kind().is_transient() && matches!(self.state, State::Known(_)) => {
                    return Err(error);
                }
                over => {
                    self.state = State::Idle;
                    return over.map_err(classified);
                }
            };
            if let State::Sent = self.state {
                let handle = handle(&reply)?;
                self.state = State::Known(handle);
            }
            tokio::time::sleep(wait).await;
            wait = wait.mul_f64(1.5).min(LONGEST_WAIT);
            let State::Known(handle) = &self.state else { return Err(Error::internal("a statement without a handle")) };
            sent = self.http.send(Request::get(STATEMENTS, path(handle, "")?).limit(PART_LIMIT)).await;
        }
    }
}

/// The request that begins a statement. With the same id it can be made again: Snowflake executes it once.
fn submission(body: &JsonValue, id: &str) -> Request {
    Request::post(STATEMENTS, STATEMENTS, body)
        .query("requestId", id)
        .query_again("retry", "true")
        .idempotent()
        .limit(PART_LIMIT)
}

fn handle(reply: &Reply) -> Result<String> {
    let reply = reply.json()?;
    let handle = reply["statementHandle"].as_str();
    handle
        .map(str::to_owned)
        .ok_or_else(|| Error::failed(format!("Snowflake answered {STATEMENTS} without `statementHandle`")))
}

impl Drop for Running {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Idle);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if let State::Idle = state {
            return;
        }
        let (http, id, body) = (self.http.clone(), std::mem::take(&mut self.id), self.body.take());
        // Nobody is left to be told that it failed; the statement has its deadline on the other side as well.
        runtime.spawn(async move {
            let handle = match state {
                State::Known(handle) => handle,
                // Asking again with the same id tells the handle, and does not execute it a second time.
                _ => {
                    let again = submission(&body, &id).query("retry", "true").query("async", "true");
                    match http.send(again).await {
                        Ok(reply) if reply.status == StatusCode::ACCEPTED => handle(&reply)?,
                        _ => return Ok(()),
                    }
                }
            };
            http.send(Request::post("cancel", path(&handle, "/cancel")?, &json!({})).idempotent()).await.map(drop)
        });
    }
}
