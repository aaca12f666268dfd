//! `local`: a feature store in a SQLite database, with joins that are correct at every point in time.
//!
//! ```yaml
//! plugins:
//!   - type: feature_store
//!     name: local
//!     config:
//!       path: data/features.db
//! ```
//!
//! # The join
//! A row of the history belongs to a row of entities when it has the same entities, a time that is not after the row's,
//! and a time that is not before the row's less the view's time to live. Of those that belong to it the one with the latest
//! time counts, whole: a feature that is null in it is null. Of several with one time, the one written last counts. That
//! is the definition of [Feast](https://docs.feast.dev/getting-started/concepts/point-in-time-joins), and what `merge_asof`
//! of pandas does; the tests compare with both a search by brute force and pandas.
//!
//! When a row was written plays no other part: a row that is written late counts from its own time on.
//!
//! # What is stored where
//! One SQLite database; several processes may use it at once, on a local disk. A change is there when its method returns,
//! and survives a power failure. `PRAGMA user_version` is the version of the tables, now 1. Times are nanoseconds since
//! 1970 in UTC, from the year 1677 to 2262.
//!
//! | table | columns |
//! |---|---|
//! | `views` | `id`, `name`, `definition` (JSON), `materialized` (the end of the last materialization) |
//! | `history` | `view`, `entity` (a JSON list), `time`, `seq` (counts rows as they are written), `features` (a JSON object) |
//! | `online` | the same, one row an entity |
//!
//! Features are truth values, whole numbers of up to 64 bits with sign, numbers, texts and timestamps; entities are such
//! without numbers with fractions. NaN and infinities are kept.
//!
//! # What it does not do
//! It reads no features from a data source by itself: they are written to it. Features that are lists, such as
//! embeddings, belong into a vector database. It computes no features, and keeps the whole history.
//! A materialization without a beginning does not see rows that were written late with a time before its last end.

mod columns;
mod schema;
#[cfg(test)]
mod tests;

use self::columns::{Column, array, can_be_entity, describe, key, parse, times};
use crate::storage::{Database, Fault, blocking, make_folder, nanoseconds};
use mlx_core::{
    arrow::{
        array::RecordBatch,
        datatypes::{DataType, Field, Schema},
    },
    diagnostics::{listing, nearest},
    prelude::*,
};
use rusqlite::{OptionalExtension, Transaction};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

/// Settings of the local feature store.
#[derive(Clone, Debug, PluginConfig)]
pub struct LocalConfig {
    /// The database file, which is made if there is none.
    #[config(default = PathBuf::from("features.db"))]
    pub path: PathBuf,
    /// How long to wait while another process writes.
    #[config(default = Duration::from_secs(10))]
    pub busy_timeout: Duration,
}

/// Features in a SQLite database, joined as they were at any point in time.
#[mlx_plugin(
    type = "feature_store",
    name = "local",
    capabilities = ["offline", "online", "point_in_time", "ttl", "materialize"],
    data_formats = ["arrow"],
    swap = "overlap",
    stability = "beta"
)]
pub struct LocalFeatures {
    offline: Database,
    /// A connection of its own, so that what is served does not wait for a join.
    online: Database,
}

#[async_trait]
impl Plugin for LocalFeatures {
    type Config = LocalConfig;

    async fn initialize(config: LocalConfig, _: &InitContext) -> Result<Self> {
        blocking(move || {
            let path = std::path::absolute(&config.path)
                .with_context(|| format!("the file {:?}", config.path.display().to_string()))?;
            path.parent().map_or(Ok(()), make_folder)?;
            let open = || Database::open(path.clone(), config.busy_timeout, &schema::SCHEMA);
            Ok(LocalFeatures { offline: open()?, online: open()? })
        })
        .await
    }

    async fn health(&self) -> Result<Health> {
        Ok(match self.online.check_writable().await {
            Ok(()) => Health::healthy(),
            Err(error) if error.kind().is_transient() => Health::degraded(error.to_string()),
            Err(error) => Health::unhealthy(error.to_string()),
        })
    }
}

#[async_trait]
impl FeatureStore for LocalFeatures {
    async fn register(&self, view: FeatureView) -> Result<()> {
        check(&view)?;
        self.offline
            .write_durably(move |transaction| {
                let definition = written(&view).to_string();
                match find(transaction, &view.name)? {
                    None => transaction
                        .execute("INSERT INTO views (name, definition) VALUES (?1, ?2)", (&view.name, definition))?,
                    Some((id, there)) => {
                        compatible(&there, &view)?;
                        transaction.execute("UPDATE views SET definition = ?2 WHERE id = ?1", (id, definition))?
                    }
                };
                Ok(())
            })
            .await
    }

    async fn views(&self) -> Result<Vec<FeatureView>> {
        self.online.read(|transaction| Ok(views(transaction)?.into_iter().map(|(_, view)| view).collect())).await
    }

    async fn delete_view(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.offline
            .write_durably(move |transaction| {
                let (id, _) = view(transaction, &name)?;
                transaction.execute("DELETE FROM views WHERE id = ?1", [id])?;
                Ok(())
            })
            .await
    }

    async fn write(&self, name: &str, rows: DataFrame, target: FeatureTarget) -> Result<u64> {
        let name = name.to_owned();
        self.offline
            .write_durably(move |transaction| {
                let (id, view) = view(transaction, &name)?;
                write(transaction, id, &view, &rows.to_batch()?, target)
            })
            .await
    }

    async fn historical_features(&self, entities: DataFrame, request: FeatureRequest) -> Result<DataFrame> {
        self.offline
            .read(move |transaction| {
                let batch = entities.to_batch()?;
                let times = times(&batch, EVENT_TIMESTAMP).map_err(|why| Error::invalid(format!("entities: {why}")))?;
                let mut latest = transaction.prepare_cached(
                    "SELECT features FROM history WHERE view = ?1 AND entity = ?2 AND time BETWEEN ?3 AND ?4
                     ORDER BY time DESC, seq DESC LIMIT 1",
                )?;
                join(transaction, &batch, &request, |lookup, entity, row| {
                    let (oldest, newest) = (lookup.oldest(times[row]), times[row]);
                    Ok(latest.query_row((lookup.id, entity, oldest, newest), |row| row.get(0)).optional()?)
                })
            })
            .await
    }

    async fn materialize(&self, range: Materialization) -> Result<u64> {
        let end = nanoseconds(range.end).context("the end")?;
        let start = range.start.map(nanoseconds).transpose().context("the beginning")?;
        if start.is_some_and(|start| start > end) {
            return Err(Error::invalid("the range ends before it begins"));
        }
        self.offline
            .write_durably(move |transaction| {
                let ids: BTreeSet<i64> = match range.views.is_empty() {
                    true => views(transaction)?.into_iter().map(|(id, _)| id).collect(),
                    false => {
                        range.views.iter().map(|name| Ok(view(transaction, name)?.0)).collect::<Result<_, Fault>>()?
                    }
                };
                let mut taken = 0;
                for id in ids {
                    taken += materialize(transaction, id, start, end)?;
                }
                Ok(taken)
            })
            .await
    }

    async fn online_features(&self, entities: DataFrame, request: FeatureRequest) -> Result<DataFrame> {
        self.online_features_at(entities, request, SystemTime::now()).await
    }
}

impl LocalFeatures {
    async fn online_features_at(
        &self,
        entities: DataFrame,
        request: FeatureRequest,
        now: SystemTime,
    ) -> Result<DataFrame> {
        let now = nanoseconds(now).context("the time of the system")?;
        self.online
            .read(move |transaction| {
                let mut served = transaction
                    .prepare_cached("SELECT features FROM online WHERE view = ?1 AND entity = ?2 AND time >= ?3")?;
                join(transaction, &entities.to_batch()?, &request, |lookup, entity, _| {
                    Ok(served.query_row((lookup.id, entity, lookup.oldest(now)), |row| row.get(0)).optional()?)
                })
            })
            .await
    }
}

/// What is wrong with a view in itself.
fn check(view: &FeatureView) -> Result<()> {
    let mut wrong = Vec::new();
    let mut unsupported = Vec::new();
    if view.name.is_empty() || view.name.contains(':') {
        wrong.push("its name is empty or has a `:`".to_owned());
    }
    if view.entities.is_empty() {
        wrong.push("it has no entity".to_owned());
    }
    if view.features.is_empty() {
        wrong.push("it has no feature".to_owned());
    }
    let mut names = BTreeSet::from([view.timestamp.as_str()]);
    if view.timestamp.is_empty() {
        wrong.push("the name of its timestamp is empty".to_owned());
    }
    for FeatureField { name, data_type, .. } in view.entities.iter().chain(&view.features) {
        if name.is_empty() {
            wrong.push("a column has no name".to_owned());
        } else if !names.insert(name) {
            wrong.push(format!("two of its columns are called `{name}`"));
        }
        if columns::name(data_type).is_none() {
            unsupported.push(format!("`{name}` is of type {data_type}"));
        }
    }
    for FeatureField { name, data_type, .. } in &view.entities {
        if columns::name(data_type).is_some() && !can_be_entity(data_type) {
            wrong
                .push(format!("the entity `{name}` is of type {}, which is hardly ever the same", describe(data_type)));
        }
    }
    if !wrong.is_empty() {
        return Err(Error::invalid(format!("the view {:?}: {}", view.name, wrong.join("; "))));
    }
    if !unsupported.is_empty() {
        return Err(Error::unsupported(format!(
            "the view {:?}: {}; a column is of type {}",
            view.name,
            unsupported.join("; "),
            columns::known()
        )));
    }
    Ok(())
}

/// Whether what is stored of a view fits its new definition.
fn compatible(there: &FeatureView, wanted: &FeatureView) -> Result<()> {
    let mut wrong = Vec::new();
    if there.entities != wanted.entities {
        wrong.push("its entities are others".to_owned());
    }
    for FeatureField { name, data_type, .. } in &there.features {
        match wanted.features.iter().find(|feature| feature.name == *name) {
            None => wrong.push(format!("it lacks the feature `{name}`")),
            Some(feature) if feature.data_type != *data_type => {
                let (before, now) = (describe(data_type), describe(&feature.data_type));
                wrong.push(format!("`{name}` was of type {before} and is of type {now}"));
            }
            Some(_) => {}
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong = wrong.join("; ");
    let what = "delete it with its data, or choose another name";
    Err(Error::invalid(format!("the view {:?} is there already, and does not fit: {wrong}: {what}", there.name)))
}

/// The definition of a view as it is stored.
fn written(view: &FeatureView) -> JsonValue {
    let fields = |fields: &[FeatureField]| -> JsonValue {
        fields.iter().map(|field| json!([field.name, columns::name(&field.data_type)])).collect()
    };
    json!({
        "entities": fields(&view.entities),
        "features": fields(&view.features),
        "timestamp": view.timestamp,
        "ttl_nanoseconds": view.ttl.map(|ttl| i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX)),
    })
}

/// The view of a stored definition.
fn read(name: String, definition: &str) -> Result<FeatureView, Fault> {
    fn fields(list: &JsonValue) -> Option<Vec<FeatureField>> {
        let field = |pair: &JsonValue| Some(FeatureField::new(pair[0].as_str()?, parse(pair[1].as_str()?)?));
        list.as_array()?.iter().map(field).collect()
    }
    let definition: JsonValue = serde_json::from_str(definition)?;
    let mut view = FeatureView::new(name);
    let read = (|| {
        view.entities = fields(&definition["entities"])?;
        view.features = fields(&definition["features"])?;
        view.timestamp = definition["timestamp"].as_str()?.to_owned();
        view.ttl = definition["ttl_nanoseconds"].as_u64().map(Duration::from_nanos);
        Some(())
    })();
    match read {
        Some(()) => Ok(view),
        None => Err(Error::failed(format!("the definition of the view {:?} is damaged", view.name)).into()),
    }
}

fn views(transaction: &Transaction<'_>) -> Result<Vec<(i64, FeatureView)>, Fault> {
    let mut query = transaction.prepare_cached("SELECT id, name, definition FROM views ORDER BY name")?;
    let mut rows = query.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(0)?, read(row.get(1)?, &row.get::<_, String>(2)?)?));
    }
    Ok(found)
}

fn find(transaction: &Transaction<'_>, name: &str) -> Result<Option<(i64, FeatureView)>, Fault> {
    let mut query = transaction.prepare_cached("SELECT id, definition FROM views WHERE name = ?1")?;
    let found: Option<(i64, String)> = query.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    found.map(|(id, definition)| Ok((id, read(name.to_owned(), &definition)?))).transpose()
}

fn view(transaction: &Transaction<'_>, name: &str) -> Result<(i64, FeatureView), Fault> {
    if let Some(found) = find(transaction, name)? {
        return Ok(found);
    }
    let known = views(transaction)?;
    Err(not_found("view", name, known.iter().map(|(_, view)| view.name.as_str())).into())
}

/// That something is not there, what may have been meant, and what is there.
fn not_found<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> Error {
    let known: Vec<&str> = known.collect();
    let near = nearest(name, known.iter().copied()).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
    let there = if known.is_empty() { "none".to_owned() } else { listing(known) };
    Error::not_found(format!("there is no {what} {name:?}{near}; there is {there}"))
}

/// Stores rows, each with a number after those of all rows before it.
fn write(
    transaction: &Transaction<'_>,
    id: i64,
    view: &FeatureView,
    batch: &RecordBatch,
    target: FeatureTarget,
) -> Result<u64, Fault> {
    let mut wrong = Vec::new();
    let fields = || view.entities.iter().chain(&view.features);
    let known: Vec<&str> = fields().map(|field| field.name.as_str()).chain([view.timestamp.as_str()]).collect();
    for (index, field) in batch.schema().fields().iter().enumerate() {
        let name = field.name().as_str();
        if !known.contains(&name) {
            let near = nearest(name, known.iter().copied()).map(|near| format!(" (did you mean `{near}`?)"));
            wrong.push(format!("the column `{name}` is none of the view{}", near.unwrap_or_default()));
        } else if batch.schema().fields().iter().take(index).any(|other| other.name() == name) {
            wrong.push(format!("two columns are called `{name}`"));
        }
    }
    let mut columns = |fields: &[FeatureField]| -> Vec<Column> {
        let column = |field: &FeatureField| match Column::of(batch, &field.name, &field.data_type) {
            Ok(column) => Some(column),
            Err(why) => {
                wrong.push(why);
                None
            }
        };
        fields.iter().filter_map(column).collect()
    };
    let (entities, features) = (columns(&view.entities), columns(&view.features));
    let times = times(batch, &view.timestamp).unwrap_or_else(|why| {
        wrong.push(why);
        Vec::new()
    });
    let mut keys = Vec::with_capacity(batch.num_rows());
    if wrong.is_empty() {
        for row in 0..batch.num_rows() {
            match key(&entities, row) {
                Some(key) => keys.push(key),
                None => {
                    wrong.push(format!("row {row} has no entity"));
                    break;
                }
            }
        }
    }
    if !wrong.is_empty() {
        return Err(Error::invalid(format!("rows of the view {:?}: {}", view.name, wrong.join("; "))).into());
    }
    let rows = i64::try_from(keys.len()).unwrap_or(i64::MAX);
    let last: i64 =
        transaction.query_row("UPDATE counter SET value = value + ?1 RETURNING value", [rows], |row| row.get(0))?;
    let mut offline = transaction.prepare_cached("INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut online = transaction.prepare_cached(
        "INSERT INTO online VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE
         SET time = excluded.time, seq = excluded.seq, features = excluded.features
         WHERE (excluded.time, excluded.seq) > (online.time, online.seq)",
    )?;
    for (row, (seq, (key, time))) in (last - rows + 1..).zip(keys.iter().zip(times)).enumerate() {
        let values = view.features.iter().zip(&features);
        let values: serde_json::Map<String, JsonValue> =
            values.map(|(field, column)| (field.name.clone(), column.value(row))).collect();
        let row = (id, key, time, seq, JsonValue::Object(values).to_string());
        if target != FeatureTarget::Online {
            offline.execute((row.0, row.1, row.2, row.3, &row.4))?;
        }
        if target != FeatureTarget::Offline {
            online.execute((row.0, row.1, row.2, row.3, &row.4))?;
        }
    }
    Ok(keys.len() as u64)
}

/// Takes the latest of each entity of a view over.
fn materialize(transaction: &Transaction<'_>, id: i64, start: Option<i64>, end: i64) -> Result<u64, Fault> {
    let last: Option<i64> =
        transaction.query_row("SELECT materialized FROM views WHERE id = ?1", [id], |row| row.get(0))?;
    let start = start.or(last).unwrap_or(i64::MIN);
    let taken = transaction
        .prepare_cached(
            "INSERT INTO online SELECT view, entity, time, seq, features FROM (
                 SELECT *, row_number() OVER (PARTITION BY entity ORDER BY time DESC, seq DESC) AS place
                 FROM history WHERE view = ?1 AND time BETWEEN ?2 AND ?3
             ) WHERE place = 1
             ON CONFLICT DO UPDATE SET time = excluded.time, seq = excluded.seq, features = excluded.features
             WHERE (excluded.time, excluded.seq) > (online.time, online.seq)",
        )?
        .execute((id, start, end))?;
    transaction
        .execute("UPDATE views SET materialized = max(coalesce(materialized, ?2), ?2) WHERE id = ?1", (id, end))?;
    Ok(taken as u64)
}

/// A view whose features are wanted.
struct Lookup {
    id: i64,
    view: FeatureView,
    /// The features, and where their columns are in the result.
    wanted: Vec<(usize, FeatureField)>,
    /// The entities of each row.
    keys: Vec<Option<String>>,
}

impl Lookup {
    /// The time before which rows are too old at a time.
    fn oldest(&self, time: i64) -> i64 {
        match self.view.ttl {
            Some(ttl) => time.saturating_sub(i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX)),
            None => i64::MIN,
        }
    }
}

/// Puts the features beside the entities. `find` gives the stored features of an entity for a row.
fn join(
    transaction: &Transaction<'_>,
    entities: &RecordBatch,
    request: &FeatureRequest,
    mut find: impl FnMut(&Lookup, &str, usize) -> Result<Option<String>, Fault>,
) -> Result<DataFrame, Fault> {
    let (lookups, fields) = lookups(transaction, entities, request)?;
    let rows = entities.num_rows();
    let mut values: Vec<Vec<Option<JsonValue>>> = fields.iter().map(|_| Vec::with_capacity(rows)).collect();
    for lookup in &lookups {
        for (row, key) in lookup.keys.iter().enumerate() {
            let found = match key {
                Some(key) => find(lookup, key, row)?,
                None => None,
            };
            let mut found: serde_json::Map<String, JsonValue> = match found {
                Some(text) => serde_json::from_str(&text)?,
                None => serde_json::Map::new(),
            };
            for (column, field) in &lookup.wanted {
                values[*column].push(found.get_mut(&field.name).map(JsonValue::take));
            }
        }
    }
    let (mut arrays, mut all) = (entities.columns().to_vec(), entities.schema().fields().to_vec());
    for ((name, data_type), values) in fields.into_iter().zip(values) {
        let column = array(&values, &data_type).map_err(|error| {
            Error::failed(format!("a stored value of `{name}` is damaged: {error}; write the row again"))
        })?;
        arrays.push(column);
        all.push(Arc::new(Field::new(name, data_type, true)));
    }
    let schema = Arc::new(Schema::new_with_metadata(all, entities.schema().metadata().clone()));
    let batch = RecordBatch::try_new_with_options(
        schema.clone(),
        arrays,
        &mlx_core::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows)),
    )
    .map_err(Error::from)?;
    Ok(DataFrame::new(schema, vec![batch])?)
}

/// The columns that a request adds, and their types.
type NewColumns = Vec<(String, DataType)>;

/// The views that a request needs, and the columns that it adds.
fn lookups(
    transaction: &Transaction<'_>,
    entities: &RecordBatch,
    request: &FeatureRequest,
) -> Result<(Vec<Lookup>, NewColumns), Fault> {
    let mut views: BTreeMap<&str, Lookup> = BTreeMap::new();
    let mut columns = NewColumns::new();
    let mut wrong = Vec::new();
    for (position, reference) in request.features.iter().enumerate() {
        let lookup = match views.entry(&reference.view) {
            std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let (id, view) = view(transaction, &reference.view)?;
                free.insert(Lookup { id, view, wanted: Vec::new(), keys: Vec::new() })
            }
        };
        let features = &lookup.view.features;
        let Some(field) = features.iter().find(|field| field.name == reference.feature) else {
            let known = features.iter().map(|field| field.name.as_str());
            let what = format!("feature of the view {:?} called", reference.view);
            return Err(not_found(&what, &reference.feature, known).into());
        };
        let column = request.column(reference);
        if columns.iter().any(|(name, _)| *name == column) || entities.column_by_name(&column).is_some() {
            wrong.push(format!("two columns of the result would be called `{column}`: ask for full names"));
        }
        columns.push((column, field.data_type.clone()));
        lookup.wanted.push((position, field.clone()));
    }
    for lookup in views.values_mut() {
        let mut keys = Vec::new();
        for field in &lookup.view.entities {
            match Column::of(entities, &field.name, &field.data_type) {
                Ok(column) => keys.push(column),
                Err(why) => wrong.push(format!("{why} (an entity of the view {:?})", lookup.view.name)),
            }
        }
        lookup.keys = (0..entities.num_rows()).map(|row| key(&keys, row)).collect();
    }
    if wrong.is_empty() {
        return Ok((views.into_values().collect(), columns));
    }
    Err(Error::invalid(format!("entities: {}", wrong.join("; "))).into())
}
