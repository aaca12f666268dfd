//! One client a plugin.

use super::{
    Authentication, HttpConfig, ResponseError, ServerMessage,
    retry::{is_refused, is_transient, retry_after},
};
use mlx_core::{JsonValue, prelude::*, resilience::RetryOn};
use reqwest::{
    Certificate, Method, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use std::time::{Duration, Instant, SystemTime};

/// How much of a reply is read when a request does not say otherwise.
const REPLY_LIMIT: usize = 64 << 20;

/// How much of what a server says about a failure is read, and repeated.
const FAILURE_LIMIT: usize = 64 << 10;
const MESSAGE_LENGTH: usize = 500;

/// Headers in which servers name a request, the first that is there counts.
const REQUEST_IDS: [&str; 3] = ["x-request-id", "request-id", "x-correlation-id"];

/// Speaks to one server, as one client, through one pool of connections.
pub(crate) struct Client {
    system: &'static str,
    http: reqwest::Client,
    base: Url,
    authentication: Authentication,
    headers: HeaderMap,
    config: HttpConfig,
    failure: fn(&[u8]) -> Option<ServerMessage>,
}

/// One call.
pub(crate) struct Request {
    operation: &'static str,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    /// What is added to the query of every attempt but the first.
    again: Option<(&'static str, &'static str)>,
    headers: HeaderMap,
    body: Vec<u8>,
    repeat: Repeat,
    deadline: Option<Duration>,
    limit: usize,
}

/// When a call may be made again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Repeat {
    Never,
    /// When the server has certainly not begun with it.
    Refused,
    /// Whenever it may help.
    Always,
}

/// An answer with a status of success.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    system: &'static str,
    operation: &'static str,
}

/// An attempt without an answer.
struct Failure {
    error: Error,
    /// Whether the server may have got the request.
    reached: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, reached: false }
    }
}

enum Answer {
    Whole(Reply),
    Open(Response),
}

impl Request {
    /// A call of `path`, which is joined to the path of the base address. `operation` is how errors name it.
    /// Repeating a `GET`, `HEAD`, `PUT` or `DELETE` is safe by RFC 9110, section 9.2.2; of others the plugin has to
    /// say so.
    pub(crate) fn new(operation: &'static str, method: Method, path: impl Into<String>) -> Self {
        let repeat = if method.is_idempotent() { Repeat::Always } else { Repeat::Never };
        Request {
            operation,
            method,
            path: path.into(),
            query: Vec::new(),
            again: None,
            headers: HeaderMap::new(),
            body: Vec::new(),
            repeat,
            deadline: None,
            limit: REPLY_LIMIT,
        }
    }

    pub(crate) fn get(operation: &'static str, path: impl Into<String>) -> Self {
        Request::new(operation, Method::GET, path)
    }

    /// A `POST` of a JSON document.
    pub(crate) fn post(operation: &'static str, path: impl Into<String>, body: &JsonValue) -> Self {
        Request::new(operation, Method::POST, path).body("application/json", body.to_string().into_bytes())
    }

    pub(crate) fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// Adds to the query of every attempt but the first, for servers that want to know.
    pub(crate) fn query_again(mut self, key: &'static str, value: &'static str) -> Self {
        self.again = Some((key, value));
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn body(mut self, content_type: &'static str, body: Vec<u8>) -> Self {
        self.headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body;
        self
    }

    /// Says that carrying it out twice does no harm.
    pub(crate) fn idempotent(mut self) -> Self {
        self.repeat = Repeat::Always;
        self
    }

    /// Says that it may be made again when the server has not begun with it: it could not be reached, or answered with a
    /// status of 429 or 503.
    pub(crate) fn retry_refused(mut self) -> Self {
        self.repeat = self.repeat.max(Repeat::Refused);
        self
    }

    /// Sets another deadline than that of the settings.
    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets how many bytes the reply may have.
    pub(crate) fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
}

impl Client {
    /// A client of the server at `base`. `system` is how errors name it, `failure` reads the body of its refusals.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for an address that is not `http` or `https` or contains credentials, and for
    /// certificates that cannot be read.
    pub(crate) fn new(
        system: &'static str,
        mut base: Url,
        authentication: Authentication,
        config: HttpConfig,
        failure: fn(&[u8]) -> Option<ServerMessage>,
    ) -> Result<Self> {
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(Error::invalid(format!("the address of {system} has to begin with `http://` or `https://`")));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Error::invalid(format!(
                "the address of {system} contains credentials, which logs and errors would show: use the settings for them"
            )));
        }
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(&config)?)
            .user_agent(concat!("mlx/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.timeout)
            .read_timeout(config.timeout)
            // A server that redirects would be given the credentials of another.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .with_context(|| format!("making the HTTP client of {system}"))?;
        Ok(Client { system, http, base, authentication, headers: HeaderMap::new(), config, failure })
    }

    /// Adds a header to every request.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same client with other credentials. Both share their connections.
    pub(crate) fn with_authentication(&self, authentication: Authentication) -> Self {
        Client {
            system: self.system,
            http: self.http.clone(),
            base: self.base.clone(),
            authentication,
            headers: self.headers.clone(),
            config: self.config.clone(),
            failure: self.failure,
        }
    }

    /// How long the server may be silent.
    pub(crate) fn timeout(&self) -> Duration {
        self.config.timeout
    }

    /// The address, always with a `/` at its end.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Makes a call and reads its whole reply.
    ///
    /// # Errors
    /// By what went wrong: [`Unavailable`](ErrorKind::Unavailable) when the server is not reached or the connection
    /// breaks, [`Timeout`](ErrorKind::Timeout) past a deadline, else by the status, with a [`ResponseError`].
    pub(crate) async fn send(&self, request: Request) -> Result<Reply> {
        match self.within(&request, self.attempts(&request, true)).await? {
            Answer::Whole(reply) => Ok(reply),
            Answer::Open(_) => Err(Error::internal("a reply was not read")),
        }
    }

    /// Makes a call and leaves its body to be read as it comes. The deadline is for the head of the reply only.
    ///
    /// # Errors
    /// As [`send`](Client::send).
    pub(crate) async fn open(&self, request: Request) -> Result<Response> {
        match self.within(&request, self.attempts(&request, false)).await? {
            Answer::Open(response) => Ok(response),
            Answer::Whole(_) => Err(Error::internal("a reply was read that was to be left open")),
        }
    }

    async fn within<T>(&self, request: &Request, call: impl Future<Output = Result<T>>) -> Result<T> {
        let deadline = request.deadline.unwrap_or(self.config.deadline);
        match tokio::time::timeout(deadline, call).await {
            Ok(result) => result,
            Err(_) => {
                Err(Error::timeout(format!("{} did not answer {} within {deadline:?}", self.system, request.operation)))
            }
        }
    }

    async fn attempts(&self, request: &Request, whole: bool) -> Result<Answer> {
        let ends = Instant::now() + request.deadline.unwrap_or(self.config.deadline);
        let retry = self.config.retry;
        let mut attempt = 1;
        loop {
            let (error, needed, wait) = match self.attempt(request, attempt).await {
                Ok(response) if response.status().is_success() && !whole => return Ok(Answer::Open(response)),
                Ok(response) if response.status().is_success() => match self.read(request, response).await {
                    Ok(reply) => return Ok(Answer::Whole(reply)),
                    Err(error) if retry.covers(error.kind()) => (error, Repeat::Always, None),
                    Err(error) => return Err(error),
                },
                Ok(response) => {
                    let status = response.status();
                    let wait = retry_after(response.headers(), SystemTime::now());
                    let error = self.refusal(request, response).await.into_error();
                    match status {
                        // Nothing was done, and the next attempt has other credentials.
                        StatusCode::UNAUTHORIZED if attempt == 1 && self.authentication.refused() => {
                            (error, Repeat::Never, None)
                        }
                        status if is_refused(status) => (error, Repeat::Refused, wait),
                        status if is_transient(status) => (error, Repeat::Always, wait),
                        _ if retry.on == RetryOn::Any && retry.covers(error.kind()) => (error, Repeat::Always, wait),
                        _ => return Err(error),
                    }
                }
                Err(Failure { error, .. }) if !retry.covers(error.kind()) => return Err(error),
                Err(Failure { error, reached: false }) => (error, Repeat::Refused, None),
                Err(Failure { error, reached: true }) => (error, Repeat::Always, None),
            };
            if request.repeat < needed || attempt >= retry.max_attempts {
                return Err(error);
            }
            let pause = retry.pause(attempt).max(wait.unwrap_or_default());
            attempt += 1;
            if ends.checked_duration_since(Instant::now()).is_none_or(|left| left <= pause) {
                let why = format!("after {} attempts, with no time left for another", attempt - 1);
                return Err(error.context(why));
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, request: &Request, attempt: u32) -> Result<Response, Failure> {
        let mut url = self
            .base
            .join(&request.path)
            .map_err(|_| Error::internal(format!("{} has no address", request.operation)))?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        if let Some((key, value)) = request.again.filter(|_| attempt > 1) {
            url.query_pairs_mut().append_pair(key, value);
        }
        let mut headers = self.headers.clone();
        headers.extend(request.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        if let Some(authorization) = self.authentication.header().await? {
            headers.insert(AUTHORIZATION, authorization);
        }
        let sent = self.http.request(request.method.clone(), url).headers(headers).body(request.body.clone()).send();
        sent.await.map_err(|error| {
            let reached = !error.is_connect();
            Failure { error: self.broken(request.operation, error), reached }
        })
    }

    async fn read(&self, request: &Request, response: Response) -> Result<Reply> {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match self.body(request.operation, response, request.limit).await? {
            Some(body) => body,
            None => {
                return Err(Error::failed(format!(
                    "{} answered {} with more than {} bytes",
                    self.system, request.operation, request.limit
                )));
            }
        };
        Ok(Reply { status, headers, body, system: self.system, operation: request.operation })
    }

    /// The whole body, or nothing when it is longer than `limit`.
    async fn body(&self, operation: &'static str, mut response: Response, limit: usize) -> Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(operation, error))? {
            if body.len() + chunk.len() > limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }

    async fn refusal(&self, request: &Request, response: Response) -> ResponseError {
        let status = response.status();
        let id = REQUEST_IDS.iter().find_map(|name| response.headers().get(*name)?.to_str().ok()).unwrap_or_default();
        let request_id = brief(id);
        // The status is known; whatever else can be had is a courtesy.
        let body = self.body(request.operation, response, FAILURE_LIMIT).await.ok().flatten().unwrap_or_default();
        let said = (self.failure)(&body).unwrap_or_else(|| ServerMessage {
            code: String::new(),
            message: match std::str::from_utf8(&body) {
                // A page for people says nothing in one line.
                Ok(text) if !text.trim_start().starts_with('<') => text.to_owned(),
                _ => String::new(),
            },
        });
        self.response_error(request.operation, status.as_u16(), said, request_id)
    }

    fn response_error(
        &self,
        operation: &'static str,
        status: u16,
        said: ServerMessage,
        request_id: String,
    ) -> ResponseError {
        ResponseError {
            system: self.system,
            operation,
            status,
            code: brief(&self.authentication.redact(said.code)),
            message: brief(&self.authentication.redact(said.message)),
            request_id,
        }
    }

    /// A refusal by a server that says so with a status of success.
    pub(crate) fn refused(&self, operation: &'static str, status: StatusCode, said: ServerMessage) -> Error {
        self.response_error(operation, status.as_u16(), said, String::new()).into_error()
    }

    /// A call that got no answer, or half of one.
    pub(crate) fn broken(&self, operation: &'static str, error: reqwest::Error) -> Error {
        let system = self.system;
        // The address may have been given with a token in it, and the user knows it.
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let cause = self.authentication.redact(cause.to_string());
        match () {
            () if error.is_timeout() => {
                Error::timeout(format!("{system} was silent for {:?} during {operation}", self.config.timeout))
            }
            () if error.is_connect() => Error::unavailable(format!(
                "{system} cannot be reached at {}: {cause}",
                self.base.origin().ascii_serialization()
            )),
            () if error.is_builder() => Error::invalid(format!("{operation} cannot be asked of {system}: {cause}")),
            () => Error::unavailable(format!("the connection to {system} broke during {operation}: {cause}")),
        }
    }
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// [`Failed`](ErrorKind::Failed) when it is none, without quoting it.
    pub(crate) fn json(&self) -> Result<JsonValue> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::failed(format!(
                "{} answered {} with something that is not JSON (line {}, column {})",
                self.system,
                self.operation,
                error.line(),
                error.column()
            ))
        })
    }
}

/// One line of bounded length.
fn brief(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MESSAGE_LENGTH) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// TLS by rustls and ring, with the certificates of the operating system.
fn tls(config: &HttpConfig) -> Result<rustls::ClientConfig> {
    use rustls_platform_verifier::Verifier;
    use std::sync::Arc;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = Vec::new();
    if let Some(path) = &config.ca_certificates {
        let doing = || format!("reading the certificates in {}", path.display());
        let pem = std::fs::read(path).with_context(doing)?;
        for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(&pem) {
            let certificate: rustls::pki_types::CertificateDer<'static> =
                certificate.map_err(|error| Error::invalid(error.to_string())).with_context(doing)?;
            // Refuses what is PEM and no certificate.
            Certificate::from_der(&certificate).map_err(Error::wrap).with_context(doing)?;
            roots.push(certificate);
        }
        if roots.is_empty() {
            return Err(Error::invalid("it contains no certificate").context(doing()));
        }
    }
    let verifier = Verifier::new_with_extra_roots(roots, provider.clone()).map_err(Error::wrap)?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::wrap)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}
