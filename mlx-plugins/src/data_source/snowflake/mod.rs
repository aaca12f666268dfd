//! `snowflake`: a Snowflake warehouse.
//!
//! ```yaml
//! plugins:
//!   - type: data_source
//!     name: snowflake
//!     config:
//!       account: myorg-account123
//!       user: ada
//!       private_key: ${env:SNOWFLAKE_PRIVATE_KEY}
//!       warehouse: ANALYTICS
//!       database: SALES
//! ```
//!
//! # Who asks
//! With a key pair, queries go through Snowflake's SQL API: set `private_key` to the private key in PEM, or
//! `private_key_path` to its file, and `private_key_passphrase` where it is encrypted. The public key is the user's
//! `RSA_PUBLIC_KEY`. A token (JSON Web Token, RS256) is good for an hour, and made anew before that.
//!
//! With a `password`, queries go through sessions, as Snowflake's own connectors have them, and results come in Arrow.
//! `protocol: connector` does so with a key as well. A user with a second factor cannot log in here. Exactly one of key
//! and password has to be there: in the component the password is required, here it may be left out.
//!
//! # Types
//! | Snowflake | Arrow |
//! |---|---|
//! | `NUMBER(p, 0)`, `p` up to 18 | `Int64` |
//! | other `NUMBER(p, s)` | `Decimal128(p, s)` |
//! | `FLOAT` | `Float64` |
//! | `VARCHAR` | `Utf8` |
//! | `BINARY` | `Binary` |
//! | `BOOLEAN` | `Boolean` |
//! | `DATE` | `Date32` |
//! | `TIME` | `Time64(Nanosecond)` |
//! | `TIMESTAMP_NTZ(s)` | `Timestamp` without a zone |
//! | `TIMESTAMP_LTZ(s)`, `TIMESTAMP_TZ(s)` | `Timestamp` in UTC |
//! | `VARIANT`, `OBJECT`, `ARRAY` and all others | their text, `Utf8` |
//!
//! Timestamps with up to six digits after the point are in microseconds, which reach all years of Snowflake; others,
//! as is Snowflake's default of nine, are in nanoseconds, which reach from 1678 to 2261. A time outside of these is an
//! error that says how to read it. The types are the same with both protocols.
//!
//! # Queries
//! An answer comes in parts, of which four are fetched at the same time. [`query_stream`](DataSource::query_stream)
//! gives them out in order and fetches no more than four ahead of the reader; [`query`](DataSource::query) collects
//! them. The number of rows is compared with what Snowflake announced: a part that is missing is an error. A query that
//! takes longer than `query_timeout`, and one whose caller is gone, is cancelled in Snowflake.
//!
//! A request that got no answer is made again with the same id, so that Snowflake executes a statement once. Each
//! statement stands alone: `use`, `alter session` and transactions have no effect on the next one through the SQL API,
//! and must not be used with sessions, because others have the session after you.
//!
//! Values for `?` are JSON: a structure becomes its text, for `parse_json(?)`. There is one statement a query.
//!
//! # Tables
//! Names of tables and columns are as in SQL: `orders` is `ORDERS`, and `"orders"` is not.
//! [`write`](DataSource::write) inserts in batches. What needs more than one goes into a table beside the target
//! first (`…__MLX_…`), so that readers see all rows or none; when the program is killed in the middle, it stays behind.
//! `Int64` becomes `NUMBER(19, 0)`, which comes back as `Decimal128(19, 0)`; a timestamp with a zone becomes
//! `TIMESTAMP_TZ`. Dates and times are written as text in ISO 8601: through the SQL API, the account's
//! `DATE_INPUT_FORMAT`, `TIME_INPUT_FORMAT` and `TIMESTAMP_INPUT_FORMAT` have to be `AUTO`, as they are by default.
//! For millions of rows, `COPY INTO` from a stage is faster.
//!
//! # What it was tested against
//! snowduck (the SQL API: answers in 20 parts, statements that run on, cancelling, parameters, errors), fakesnow
//! (sessions: types in Arrow, parameters, writing), both third-party stand-ins over DuckDB, with tables written by
//! Snowflake's own connector for Python and read here and the other way round; PyJWT verifies the tokens. It has not
//! been run against Snowflake. What the stand-ins do not have is tested against scripted answers: renewing a session,
//! chunks in storage, expired tokens, null timestamps in Arrow.

mod answer;
mod arrow_results;
mod failure;
mod key_pair;
mod names;
mod parameters;
mod sessions;
mod statements;
#[cfg(test)]
mod tests;
mod types;
mod write;

use crate::http::{Authentication, Client, HttpConfig};
use answer::Answer;
use failure::SYSTEM;
use key_pair::KeyPair;
use mlx_core::{BoxStream, arrow::datatypes::SchemaRef, prelude::*};
use parameters::Parameters;
use reqwest::{
    Url,
    header::{ACCEPT, HeaderName, HeaderValue},
};
use sessions::{Identity, Sessions};
use statements::Statements;
use std::{path::PathBuf, sync::Arc};
use write::Columns;

/// The most values that are bound to one statement, in the SQL API and in a session.
const VALUES: usize = 16_000;
const COLUMN_VALUES: usize = 65_000;

/// Settings of a Snowflake warehouse.
#[derive(PluginConfig)]
#[config(validate = one_key)]
pub struct SnowflakeConfig {
    /// The component's settings. The password may be left out where there is a private key.
    #[config(extends, default(password = ""))]
    pub base: mlx_components::data_sources::Snowflake,
    /// Sessions, and so queries at the same time; queries through the SQL API are not counted.
    #[config(default = 5, range(1..=64))]
    pub connection_pool_size: u32,
    /// Seconds before a query is cancelled.
    #[config(default = 300, range(1..=604_800))]
    pub query_timeout: u32,
    /// The user's private key in PEM: PKCS#8, encrypted or not, or PKCS#1.
    pub private_key: Option<Secret<String>>,
    /// The file of the private key.
    pub private_key_path: Option<PathBuf>,
    /// What the private key is encrypted with.
    pub private_key_passphrase: Option<Secret<String>>,
    /// The role; the user's default role when it is not set.
    pub role: Option<String>,
    /// How to ask; `sql_api` with a private key and `connector` with a password when it is not set.
    pub protocol: Option<Protocol>,
    /// The address, where it is not `https://ACCOUNT.snowflakecomputing.com`: a private link, or a proxy.
    pub base_url: Option<Url>,
    /// How to speak to the server. It answers a query after up to 45 seconds.
    #[config(extends, default(timeout = "60s", deadline = "180s"))]
    pub http: HttpConfig,
}

/// How to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PluginConfig)]
#[config(rename_all = "snake_case")]
pub enum Protocol {
    /// The SQL API, with a key pair. Documented by Snowflake; results in JSON.
    SqlApi,
    /// Sessions, as Snowflake's connectors have them; results in Arrow.
    Connector,
}

fn one_key(config: &SnowflakeConfig) -> Result<(), &'static str> {
    match (&config.private_key, &config.private_key_path, &config.private_key_passphrase) {
        (Some(_), Some(_), _) => Err("set either `private_key` or `private_key_path`"),
        (None, None, Some(_)) => Err("`private_key_passphrase` needs a `private_key` or a `private_key_path`"),
        (None, None, None) if config.protocol == Some(Protocol::SqlApi) => {
            Err("`protocol: sql_api` needs a `private_key` or a `private_key_path`: it takes no password")
        }
        _ => Ok(()),
    }
}

/// Snowflake cloud data warehouse.
#[mlx_plugin(
    type = "data_source",
    name = "snowflake",
    capabilities = ["sql", "bind_parameters", "write", "catalog"],
    conflicts_with = ["bigquery"],
    data_formats = ["arrow"],
    swap = "overlap",
    stability = "beta"
)]
pub struct Snowflake {
    transport: Transport,
    schema: String,
    target: String,
}

enum Transport {
    Statements(Statements),
    Sessions(Arc<Sessions>),
}

#[async_trait]
impl Plugin for Snowflake {
    type Config = SnowflakeConfig;

    async fn initialize(config: SnowflakeConfig, _: &InitContext) -> Result<Self> {
        let base = config.base;
        let url = match config.base_url {
            Some(url) => url,
            None => address(&base.account)?,
        };
        let target = format!("{}/{}/{}", base.account, base.database, base.schema);
        let names = [
            ("warehouse", names::unquoted(&base.warehouse)?),
            ("database", names::unquoted(&base.database)?),
            ("schema", names::unquoted(&base.schema)?),
        ];
        let role = config.role.as_deref().map(names::unquoted).transpose()?;
        let timeout = Duration::from_secs(config.query_timeout.into());
        let pem = match (config.private_key, config.private_key_path) {
            (Some(key), _) => Some(key),
            (None, Some(path)) => {
                let doing = || format!("reading the private key in {}", path.display());
                let read = tokio::task::spawn_blocking({
                    let path = path.clone();
                    move || std::fs::read_to_string(path)
                });
                Some(Secret::new(read.await.map_err(Error::wrap)?.with_context(doing)?))
            }
            (None, None) => None,
        };
        let key = match pem {
            Some(_) if !base.password.expose().is_empty() => {
                return Err(Error::invalid("set either a private key or `password`"));
            }
            Some(pem) => {
                let (account, user, passphrase) =
                    (base.account.clone(), base.user.clone(), config.private_key_passphrase);
                // Deriving a key from a passphrase takes its time on purpose.
                let made = tokio::task::spawn_blocking(move || {
                    KeyPair::new(
                        &account,
                        &user,
                        pem.expose(),
                        passphrase.as_ref().map(|passphrase| passphrase.expose().as_str()),
                    )
                });
                Some(made.await.map_err(Error::wrap)??)
            }
            None if base.password.expose().is_empty() => {
                return Err(Error::invalid(
                    "nothing says who asks: set `private_key`, `private_key_path` or `password`",
                ));
            }
            None => None,
        };
        let client = |authentication| {
            let client = Client::new(SYSTEM, url, authentication, config.http, failure::message)?;
            Ok::<_, Error>(client.header(ACCEPT, HeaderValue::from_static("application/json")))
        };
        let transport = match (key, config.protocol) {
            (Some(key), None | Some(Protocol::SqlApi)) => {
                let http = client(Authentication::Renewed(Arc::new(key)))?.header(
                    HeaderName::from_static("x-snowflake-authorization-token-type"),
                    HeaderValue::from_static("KEYPAIR_JWT"),
                );
                let names = names.into_iter().chain(role.map(|role| ("role", role)));
                let context: serde_json::Map<String, JsonValue> =
                    names.map(|(key, name)| (key.to_owned(), name.into())).collect();
                Transport::Statements(Statements::new(http, context, timeout))
            }
            (key, _) => {
                let (user, password) = (base.user, base.password);
                let identity = match key {
                    Some(key) => Identity::Key { user, key: Box::new(key) },
                    None => Identity::Password { user, password },
                };
                let [(_, warehouse), (_, database), (_, schema)] = names.clone();
                let mut context = vec![("warehouse", warehouse), ("databaseName", database), ("schemaName", schema)];
                context.extend(role.map(|role| ("roleName", role)));
                let (http, size) = (client(Authentication::None)?, config.connection_pool_size as usize);
                Transport::Sessions(Arc::new(Sessions::new(http, base.account, identity, context, timeout, size)))
            }
        };
        let schema = names::unquoted(&base.schema)?;
        let snowflake = Snowflake { transport, schema, target };
        // A wrong account or key is known now rather than with the first query.
        snowflake.version().await?;
        Ok(snowflake)
    }

    async fn health(&self) -> Result<Health> {
        Ok(match self.version().await {
            Ok(version) => Health::healthy().detail("version", version),
            Err(error) => Health::unhealthy(error.to_string()),
        })
    }

    async fn shutdown(&self) -> Result<()> {
        if let Transport::Sessions(sessions) = &self.transport {
            sessions.close().await;
        }
        Ok(())
    }
}

#[async_trait]
impl DataSource for Snowflake {
    async fn connect(&self) -> Result<ConnectionInfo> {
        Ok(ConnectionInfo::new(SYSTEM, self.version().await?, self.target.as_str()))
    }

    async fn query(&self, sql: &str) -> Result<DataFrame> {
        self.query_with(sql, Vec::new()).await
    }

    async fn query_with(&self, sql: &str, parameters: Vec<JsonValue>) -> Result<DataFrame> {
        self.run(sql, &parameters.into()).await?.whole().await
    }

    async fn query_stream(&self, sql: &str, parameters: Vec<JsonValue>) -> Result<BoxStream<DataFrame>> {
        Ok(self.run(sql, &parameters.into()).await?.stream())
    }

    async fn write(&self, table: &str, data: DataFrame, mode: WriteMode) -> Result<u64> {
        let (target, columns) = (names::table(table)?, Columns::of(data.schema())?);
        let definitions = columns.definitions();
        let batches: Vec<_> = data.batches().iter().filter(|batch| batch.num_rows() > 0).collect();
        let small = batches.len() <= 1 && data.num_rows() <= self.rows(&columns);
        match mode {
            WriteMode::Append => {
                self.execute(&format!("create table if not exists {target} ({definitions})")).await?;
                if small {
                    return self.insert(&target, &columns, &data).await;
                }
            }
            WriteMode::Create => match self.table_schema(table).await {
                Ok(_) => return Err(Error::invalid(format!("the table {target} exists already"))),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
            WriteMode::Replace => {}
        }
        let beside = names::table_with(table, &format!("__MLX_{}", crate::random::random_id()?.to_uppercase()))?;
        self.execute(&format!("create transient table {beside} ({definitions})")).await?;
        let written = self.move_in(&target, &beside, &columns, &data, mode).await;
        let dropped = self.execute(&format!("drop table if exists {beside}")).await;
        let written = written?;
        dropped.with_context(|| format!("the rows are written; dropping {beside}"))?;
        Ok(written)
    }

    async fn tables(&self) -> Result<Vec<String>> {
        let mut schema = Parameters::default();
        schema.push("TEXT", Some(self.schema.clone()));
        let sql = "select table_name from information_schema.tables where table_schema = ?";
        let found = self.run(sql, &schema).await?.whole().await?;
        let name = found.column_names().next().unwrap_or_default().to_owned();
        let names = found.string_column(&name)?;
        let mut names: Vec<String> = names.iter().flatten().map(|name| names::shown(name)).collect();
        names.sort();
        Ok(names)
    }

    async fn table_schema(&self, table: &str) -> Result<SchemaRef> {
        let sql = format!("select * from {} limit 0", names::table(table)?);
        Ok(self.run(&sql, &Parameters::default()).await?.schema().clone())
    }
}

impl Snowflake {
    async fn run(&self, sql: &str, parameters: &Parameters) -> Result<Answer> {
        match &self.transport {
            Transport::Statements(statements) => statements.run(sql, parameters).await,
            Transport::Sessions(sessions) => sessions.run(sql, parameters).await,
        }
    }

    async fn execute(&self, sql: &str) -> Result<()> {
        self.run(sql, &Parameters::default()).await.map(drop)
    }

    async fn version(&self) -> Result<String> {
        let answer = self.run("select current_version()", &Parameters::default()).await?.whole().await?;
        answer.cell(0, 0).ok_or_else(|| Error::failed("Snowflake does not say its version"))
    }

    /// The most rows of one `insert`.
    fn rows(&self, columns: &Columns) -> usize {
        let values = match self.transport {
            Transport::Statements(_) => VALUES,
            Transport::Sessions(_) => COLUMN_VALUES,
        };
        (values / columns.len()).max(1)
    }

    async fn insert(&self, table: &str, columns: &Columns, data: &DataFrame) -> Result<u64> {
        let most = self.rows(columns);
        let mut written = 0;
        for batch in data.batches() {
            for first in (0..batch.num_rows()).step_by(most) {
                let batch = batch.slice(first, most.min(batch.num_rows() - first));
                let (values, rows) = (write::values(&batch)?, batch.num_rows());
                let (sql, parameters) = match self.transport {
                    Transport::Statements(_) => (columns.insert(table, rows), write::by_row(values, rows)),
                    Transport::Sessions(_) => (columns.insert(table, 1), write::by_column(values)),
                };
                let said = self.run(&sql, &parameters).await?.whole().await?.cell(0, 0);
                match said.and_then(|said| said.parse::<usize>().ok()) {
                    Some(inserted) if inserted != rows => {
                        return Err(Error::failed(format!("Snowflake inserted {inserted} rows of {rows}")));
                    }
                    _ => written += rows as u64,
                }
            }
        }
        Ok(written)
    }

    /// Fills the table beside the target, and then the target from it, at once.
    async fn move_in(
        &self,
        target: &str,
        beside: &str,
        columns: &Columns,
        data: &DataFrame,
        mode: WriteMode,
    ) -> Result<u64> {
        let written = self.insert(beside, columns, data).await?;
        let names = columns.names();
        self.execute(&match mode {
            WriteMode::Append => format!("insert into {target} ({names}) select {names} from {beside}"),
            WriteMode::Create => format!("create table {target} as select * from {beside}"),
            WriteMode::Replace => format!("create or replace table {target} as select * from {beside}"),
        })
        .await?;
        Ok(written)
    }
}

/// The address of an account.
fn address(account: &str) -> Result<Url> {
    let wrong = || {
        Error::invalid(format!(
            "`{account}` is no account: it is what stands before `.snowflakecomputing.com`, such as `myorg-account123`"
        ))
    };
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'.');
    if account.is_empty() || !account.bytes().all(plain) || account.to_ascii_lowercase().contains("snowflakecomputing")
    {
        return Err(wrong());
    }
    // Names of hosts have no underscores.
    let host = account.to_ascii_lowercase().replace('_', "-");
    Url::parse(&format!("https://{host}.snowflakecomputing.com")).map_err(|_| wrong())
}

/// A new id of a request, as RFC 9562 has them (version 4).
fn request_id() -> Result<String> {
    let random = crate::random::random_id()?;
    Ok(format!("{}-{}-4{}-8{}-{}", &random[..8], &random[8..12], &random[13..16], &random[17..20], &random[20..]))
}

fn past_its_time(timeout: Duration) -> Error {
    Error::timeout(format!(
        "the query took longer than {} seconds and was cancelled: `query_timeout` is how long it may take",
        timeout.as_secs()
    ))
}
