//! Queries in sessions, as Snowflake's own connectors have them, with results in Arrow.
//!
//! The protocol is not documented; this follows the sources of the connector for Python
//! (<https://github.com/snowflakedb/snowflake-connector-python>, Apache-2.0).

use super::{
    answer::{Answer, Part, counted},
    arrow_results,
    failure::{classified, code, malformed, said},
    key_pair::KeyPair,
    parameters::Parameters,
    request_id,
    statements::PART_LIMIT,
    types::{Cell, Column, decode, schema},
};
use crate::http::{Authentication, Client, Credentials, Reply, Request, hide};
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use base64::prelude::{BASE64_STANDARD, Engine};
use mlx_core::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const LOGIN: &str = "session/v1/login-request";
const QUERY: &str = "queries/v1/query-request";

/// How the program introduces itself. Which client asks decides whether results come in Arrow, and only those of
/// Snowflake are known there.
const CLIENT: (&str, &str) = ("PythonConnector", "4.8.1");

/// The query goes on: ask again under `getResultUrl`.
const IN_PROGRESS: [&str; 2] = ["333333", "333334"];

/// The token of the session has expired, and the master token may renew it.
const EXPIRED: &str = "390112";

/// The session is no more.
const GONE: [&str; 6] = ["390103", "390104", "390110", "390111", "390113", "390114"];

/// How long a logout, or the end of a query that nobody waits for, may take.
const LOGOUT: Duration = Duration::from_secs(5);

/// Who logs in.
pub(super) enum Identity {
    Password { user: String, password: Secret<String> },
    Key { user: String, key: Box<KeyPair> },
}

/// Sessions that wait for queries, and the means to make more.
pub(super) struct Sessions {
    http: Client,
    account: String,
    identity: Identity,
    /// Database, schema, warehouse and role.
    context: Vec<(&'static str, String)>,
    timeout: Duration,
    idle: Mutex<Vec<Session>>,
    permits: Arc<Semaphore>,
    closed: AtomicBool,
}

/// A session of one user, for one query at a time.
struct Session {
    http: Client,
    tokens: Arc<Tokens>,
    /// Requests so far.
    sequence: u64,
}

/// What a session shows: its token, and the one that makes a new one.
struct Tokens {
    session: Mutex<Secret<String>>,
    master: Mutex<Secret<String>>,
}

impl Tokens {
    fn new(session: &str, master: &str) -> Arc<Self> {
        Arc::new(Tokens { session: Mutex::new(session.into()), master: Mutex::new(master.into()) })
    }
}

fn held(token: &Mutex<Secret<String>>) -> Secret<String> {
    token.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[async_trait]
impl Credentials for Tokens {
    async fn authorization(&self) -> Result<Secret<String>> {
        Ok(format!("Snowflake Token=\"{}\"", held(&self.session).expose()).into())
    }

    fn redact(&self, text: String) -> String {
        hide(hide(text, held(&self.session).expose()), held(&self.master).expose())
    }
}

/// A reply of the protocol.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    success: Option<bool>,
    #[serde(default)]
    code: Option<JsonValue>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(default)]
    sql_state: Option<String>,
    #[serde(default, rename = "rowtype")]
    row_type: JsonValue,
    #[serde(default)]
    total: Option<u64>,
    #[serde(default)]
    query_result_format: Option<String>,
    #[serde(default, borrow)]
    rowset_base64: Option<Cell<'a>>,
    #[serde(default, borrow)]
    rowset: Option<Vec<Vec<Cell<'a>>>>,
    #[serde(default)]
    chunks: Option<Vec<Chunk>>,
    #[serde(default)]
    chunk_headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    qrmk: Option<String>,
    #[serde(default)]
    get_result_url: Option<String>,
}

/// A part of a result, somewhere else.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    url: String,
    row_count: u64,
}

impl Envelope<'_> {
    fn code(&self) -> String {
        match &self.code {
            Some(JsonValue::String(code)) => code.clone(),
            Some(JsonValue::Number(code)) => code.to_string(),
            _ => String::new(),
        }
    }
}

fn envelope<'a>(operation: &str, reply: &'a Reply) -> Result<Envelope<'a>> {
    serde_json::from_slice(&reply.body).map_err(|error| malformed(operation, &error))
}

/// A reply that says it succeeded, or that it goes on.
fn checked(http: &Client, operation: &'static str, reply: Reply) -> Result<Reply> {
    let envelope = envelope(operation, &reply)?;
    let code = envelope.code();
    if envelope.success == Some(true) || IN_PROGRESS.contains(&code.as_str()) {
        return Ok(reply);
    }
    let state = envelope.data.as_ref().and_then(|data| data.sql_state.as_deref()).unwrap_or_default();
    let said = said(&code, state, envelope.message.as_deref().unwrap_or_default());
    Err(http.refused(operation, reply.status, said))
}

impl Sessions {
    pub(super) fn new(
        http: Client,
        account: String,
        identity: Identity,
        context: Vec<(&'static str, String)>,
        timeout: Duration,
        size: usize,
    ) -> Self {
        Sessions {
            http,
            account,
            identity,
            context,
            timeout,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(size)),
            closed: AtomicBool::new(false),
        }
    }

    /// Runs a statement in a session that is free, and waits until it is done.
    ///
    /// # Errors
    /// What Snowflake says, [`Timeout`](ErrorKind::Timeout) when the query takes longer than it may, the wait for a
    /// session included.
    pub(super) async fn run(self: &Arc<Self>, sql: &str, parameters: &Parameters) -> Result<Answer> {
        let run = async {
            let permit = self.permits.clone().acquire_owned().await;
            let permit = permit.map_err(|_| Error::new(ErrorKind::Stopped, "the sessions are closed"))?;
            let free = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let session = match free {
                Some(session) => session,
                None => self.login().await?,
            };
            let mut query = Query::new(self.clone(), session, permit, sql)?;
            let reply = query.finish(parameters).await?;
            query.over();
            self.answer(&reply)
        };
        match tokio::time::timeout(self.timeout, run).await {
            Ok(answer) => answer.map_err(classified),
            Err(_) => Err(super::past_its_time(self.timeout)),
        }
    }

    /// Ends the sessions, now or when their queries are over.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        let logouts: Vec<_> = idle.into_iter().map(|session| tokio::spawn(session.logout())).collect();
        for logout in logouts {
            // A session that cannot be ended ends by itself.
            let _ = logout.await;
        }
    }

    async fn login(&self) -> Result<Session> {
        let (os, version) = (std::env::consts::OS, env!("CARGO_PKG_VERSION"));
        let mut data = json!({
            "CLIENT_APP_ID": CLIENT.0,
            "CLIENT_APP_VERSION": CLIENT.1,
            "CLIENT_ENVIRONMENT": {"APPLICATION": "mlx", "APPLICATION_VERSION": version, "OS": os},
            "ACCOUNT_NAME": self.account,
            "SESSION_PARAMETERS": {
                "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
                "STATEMENT_TIMEOUT_IN_SECONDS": self.timeout.as_secs(),
                // As dates and times are written here, whatever the account is set to.
                "DATE_INPUT_FORMAT": "AUTO", "TIME_INPUT_FORMAT": "AUTO", "TIMESTAMP_INPUT_FORMAT": "AUTO",
                "BINARY_INPUT_FORMAT": "HEX",
            },
        });
        let (user, secret) = match &self.identity {
            Identity::Password { user, password } => {
                data["PASSWORD"] = password.expose().as_str().into();
                (user, password.clone())
            }
            Identity::Key { user, key } => {
                let token = key.token(SystemTime::now())?;
                data["AUTHENTICATOR"] = "SNOWFLAKE_JWT".into();
                data["TOKEN"] = token.expose().as_str().into();
                (user, token)
            }
        };
        data["LOGIN_NAME"] = user.as_str().into();
        let http = self.http.with_authentication(Authentication::InBody(secret));
        // A session too many does no harm, and ends by itself.
        let mut request =
            Request::post(LOGIN, LOGIN, &json!({"data": data})).query("requestId", request_id()?).idempotent();
        for (key, value) in &self.context {
            request = request.query(key, value.as_str());
        }
        let reply = checked(&http, LOGIN, http.send(request).await?)?.json()?;
        let token = reply["data"]["token"]
            .as_str()
            .ok_or_else(|| Error::failed(format!("Snowflake answered {LOGIN} without `token`")))?;
        let tokens = Tokens::new(token, reply["data"]["masterToken"].as_str().unwrap_or_default());
        let http = self.http.with_authentication(Authentication::Renewed(tokens.clone()));
        Ok(Session { http, tokens, sequence: 0 })
    }

    /// Takes a session back.
    fn give_back(&self, session: Session) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at under the lock, as `close` empties it after it has said so.
        if !self.closed.load(Ordering::SeqCst) {
            idle.push(session);
            return;
        }
        drop(idle);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(session.logout());
        }
    }

    fn answer(&self, reply: &Reply) -> Result<Answer> {
        let data = envelope(QUERY, reply)?.data;
        let data = data.ok_or_else(|| Error::failed(format!("Snowflake answered {QUERY} without `data`")))?;
        let columns: Arc<[Column]> = Column::read_all(&data.row_type)?.into();
        let schema = schema(&columns);
        let arrow = data.query_result_format.as_deref() == Some("arrow");
        let first = match (&data.rowset_base64, &data.rowset) {
            (Some(Cell(Some(text))), _) if arrow => {
                let bytes = BASE64_STANDARD.decode(text.as_bytes());
                let bytes =
                    bytes.map_err(|_| Error::failed(format!("Snowflake answered {QUERY} with damaged base64")))?;
                arrow_results::read(&columns, &schema, &bytes)?
            }
            (_, Some(rows)) => vec![decode(&columns, &schema, rows)?],
            // All of it is in the chunks.
            _ => Vec::new(),
        };
        let mut headers: Vec<(String, String)> = data.chunk_headers.unwrap_or_default().into_iter().collect();
        if let (true, Some(key)) = (headers.is_empty(), data.qrmk) {
            // What the storage of a result is encrypted with.
            headers.push(("x-amz-server-side-encryption-customer-algorithm".to_owned(), "AES256".to_owned()));
            headers.push(("x-amz-server-side-encryption-customer-key".to_owned(), key));
        }
        let storage = Arc::new(self.http.with_authentication(Authentication::None));
        let mut rest = Vec::new();
        for chunk in data.chunks.unwrap_or_default() {
            let request = self.download(&chunk, &headers)?;
            let (columns, schema, storage) = (columns.clone(), schema.clone(), storage.clone());
            let part: Part = Box::pin(async move {
                let reply = storage.send(request).await?;
                counted(chunk_rows(arrow, &columns, &schema, &reply.body)?, Some(chunk.row_count))
            });
            rest.push((chunk.row_count, part));
        }
        Answer::new(schema, first, rest, data.total)
    }

    /// The request of a chunk: its address is complete, and needs no credentials of ours.
    fn download(&self, chunk: &Chunk, headers: &[(String, String)]) -> Result<Request> {
        let plain = self.http.base().scheme() == "http";
        if !(chunk.url.starts_with("https://") || plain && chunk.url.starts_with("http://")) {
            return Err(Error::failed("Snowflake keeps a part of the answer where it cannot be fetched from over TLS"));
        }
        let mut request = Request::get("a part of the answer", chunk.url.as_str()).limit(PART_LIMIT);
        for (name, value) in headers {
            let (Ok(name), Ok(mut value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
            else {
                return Err(Error::failed("Snowflake asks for a header that cannot be sent"));
            };
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        Ok(request)
    }
}

/// The rows of a chunk, in Arrow, or as rows of JSON without brackets around them.
fn chunk_rows(arrow: bool, columns: &[Column], schema: &SchemaRef, body: &[u8]) -> Result<Vec<RecordBatch>> {
    if arrow {
        return arrow_results::read(columns, schema, body);
    }
    let body = [b"[", body, b"]"].concat();
    let rows: Vec<Vec<Cell<'_>>> =
        serde_json::from_slice(&body).map_err(|error| malformed("a part of the answer", &error))?;
    Ok(vec![decode(columns, schema, &rows)?])
}

impl Session {
    async fn send(&mut self, request: Request) -> Result<Reply> {
        let reply = self.http.send(request).await?;
        checked(&self.http, QUERY, reply)
    }

    /// A new token for the same session.
    async fn renew(&self) -> Result<()> {
        const RENEW: &str = "session/token-request";
        let (session, master) = (held(&self.tokens.session), held(&self.tokens.master));
        let asking = Tokens::new(master.expose(), session.expose());
        let http = self.http.with_authentication(Authentication::Renewed(asking));
        let body = json!({"oldSessionToken": session.expose(), "requestType": "RENEW"});
        let request = Request::post(RENEW, RENEW, &body).query("requestId", request_id()?).idempotent();
        let reply = checked(&http, RENEW, http.send(request).await?)?.json()?;
        let token = |key: &str| reply["data"][key].as_str();
        let Some(renewed) = token("sessionToken") else {
            return Err(Error::failed(format!("Snowflake answered {RENEW} without `sessionToken`")));
        };
        *self.tokens.session.lock().unwrap_or_else(PoisonError::into_inner) = renewed.into();
        if let Some(master) = token("masterToken") {
            *self.tokens.master.lock().unwrap_or_else(PoisonError::into_inner) = master.into();
        }
        Ok(())
    }

    async fn logout(self) {
        let request = Request::post("session", "session", &json!({})).query("delete", "true").deadline(LOGOUT);
        let _ = self.http.send(request).await;
    }
}

/// A query that is being executed. Dropping it cancels it.
struct Query {
    sessions: Arc<Sessions>,
    /// There until it is over.
    session: Option<(Session, OwnedSemaphorePermit)>,
    id: String,
    sql: String,
    /// Whether it may be running.
    sent: bool,
}

impl Query {
    fn new(sessions: Arc<Sessions>, session: Session, permit: OwnedSemaphorePermit, sql: &str) -> Result<Self> {
        Ok(Query { sessions, session: Some((session, permit)), id: request_id()?, sql: sql.to_owned(), sent: false })
    }

    async fn finish(&mut self, parameters: &Parameters) -> Result<Reply> {
        let mut renewed = false;
        loop {
            let (session, _) = self.session.as_mut().ok_or_else(|| Error::internal("a query without a session"))?;
            session.sequence += 1;
            let mut body = json!({
                "sqlText": self.sql,
                "asyncExec": false,
                "sequenceId": session.sequence,
                "describeOnly": false,
            });
            if !parameters.is_empty() {
                body["bindings"] = parameters.bindings();
            }
            // With the same id Snowflake executes it once.
            let request = Request::post(QUERY, QUERY, &body)
                .query("requestId", self.id.as_str())
                .query_again("retryCount", "1")
                .header(reqwest::header::ACCEPT, HeaderValue::from_static("application/snowflake"))
                .idempotent()
                .limit(PART_LIMIT);
            self.sent = true;
            let outcome = follow(session, request).await;
            let Err(error) = outcome else { return outcome };
            match code(&error) {
                EXPIRED if !renewed && session.renew().await.is_ok() => {}
                code if !renewed && (code == EXPIRED || GONE.contains(&code)) => {
                    *session = self.sessions.login().await?;
                }
                code => {
                    // What has a code was refused by Snowflake, and is over.
                    self.sent = code.is_empty();
                    return Err(error);
                }
            }
            renewed = true;
        }
    }

    /// Nothing is left to be cancelled.
    fn over(mut self) {
        self.sent = false;
    }
}

/// The reply to a request, and to those that ask what became of it.
async fn follow(session: &mut Session, request: Request) -> Result<Reply> {
    let mut reply = session.send(request).await?;
    loop {
        let envelope = envelope(QUERY, &reply)?;
        if !IN_PROGRESS.contains(&envelope.code().as_str()) {
            return Ok(reply);
        }
        let next = envelope.data.and_then(|data| data.get_result_url);
        let next = next.ok_or_else(|| Error::failed(format!("Snowflake answered {QUERY} without `getResultUrl`")))?;
        // A path of the same server: what is not would be given the token.
        let path = next.strip_prefix('/').filter(|path| !path.starts_with('/'));
        let path = path.ok_or_else(|| Error::failed(format!("Snowflake answered {QUERY} with a strange address")))?;
        let asked = Request::get(QUERY, path)
            .header(reqwest::header::ACCEPT, HeaderValue::from_static("application/snowflake"))
            .limit(PART_LIMIT);
        // It is the server who waits before it answers.
        tokio::time::sleep(Duration::from_millis(20)).await;
        reply = session.send(asked).await?;
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        let Some((session, permit)) = self.session.take() else { return };
        let (sessions, sent) = (self.sessions.clone(), self.sent);
        if !sent {
            sessions.give_back(session);
            drop(permit);
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let body = json!({"sqlText": std::mem::take(&mut self.sql), "requestId": std::mem::take(&mut self.id)});
        // The session is not used before that is done; nobody is left to be told that it failed.
        runtime.spawn(async move {
            const ABORT: &str = "queries/v1/abort-request";
            if let Ok(id) = request_id() {
                let request = Request::post(ABORT, ABORT, &body).query("requestId", id).deadline(LOGOUT).idempotent();
                let _ = session.http.send(request).await;
            }
            sessions.give_back(session);
            drop(permit);
        });
    }
}
