//! `local`: vectors in memory, searched without approximation, and kept in a SQLite database.
//!
//! ```yaml
//! plugins:
//!   - type: vector_database
//!     name: local
//!     config:
//!       path: data/vectors.db
//! ```
//!
//! Every query compares its vector with every point that the filter matches, so the answer is exact, and takes time in
//! proportion to the points: this is for collections that fit into memory. Sums are made in double precision.
//!
//! # What is stored where
//! Without `path` everything is in memory, and ends with the process; a plugin that is swapped for another without `path`
//! gives it what it has.
//!
//! With `path`, a change is in the SQLite database when its method returns, and survives a power failure. A collection is
//! read into memory at its first query, and again when another process has changed it; several processes may use one
//! database, on a local disk. `PRAGMA user_version` is the version of the tables, now 1.
//!
//! | table | columns |
//! |---|---|
//! | `collections` | `id`, `name`, `dimension`, `distance` (`cosine`, `dot`, `euclidean`), `generation` (counts changes) |
//! | `points` | `collection`, `id`, `vector` (numbers of 4 bytes, IEEE 754, the lowest byte first), `metadata` (a JSON object) |
//!
//! # What it does not do
//! It has no approximate index, and filters see the fields of metadata themselves, not what is nested in them.

mod points;
mod schema;
#[cfg(test)]
mod tests;

use self::points::{Points, check};
use crate::storage::{Database, Fault, blocking, make_folder};
use mlx_core::{diagnostics::listing, plugin::Handover, prelude::*};
use rusqlite::{OptionalExtension, Transaction};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

/// The largest dimension that is taken: far beyond that of any embedding.
const MAX_DIMENSION: usize = 1 << 16;

/// Settings of the local vector database.
#[derive(Clone, Debug, PluginConfig)]
pub struct LocalConfig {
    /// The database file, which is made if there is none. Without it, everything is in memory alone.
    pub path: Option<PathBuf>,
    /// How long to wait while another process writes.
    #[config(default = Duration::from_secs(10))]
    pub busy_timeout: Duration,
}

/// Vectors in memory, searched without approximation, and kept in a SQLite database.
#[mlx_plugin(
    type = "vector_database",
    name = "local",
    capabilities = ["cosine", "dot", "euclidean", "exact", "filters", "persistent"],
    swap = "handover",
    stability = "beta"
)]
pub struct LocalVectors {
    database: Option<Database>,
    known: Known,
}

/// The collections in memory by name: all there are, or those of the database that were read.
type Known = Arc<RwLock<BTreeMap<String, Arc<Collection>>>>;

/// What a successor without a database gets.
struct InMemory(Known);

/// A collection in memory.
struct Collection {
    /// Its number in the database.
    id: i64,
    /// What it is, to be seen without waiting for a change.
    definition: VectorCollection,
    state: RwLock<State>,
}

struct State {
    /// How many changes of the database it has seen.
    generation: i64,
    points: Points,
}

impl Collection {
    fn new(id: i64, generation: i64, points: Points) -> Arc<Self> {
        let definition = points.collection.clone();
        Arc::new(Collection { id, definition, state: RwLock::new(State { generation, points }) })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A collection in the database.
struct Row {
    id: i64,
    generation: i64,
    collection: VectorCollection,
}

#[async_trait]
impl Plugin for LocalVectors {
    type Config = LocalConfig;

    async fn initialize(config: LocalConfig, cx: &InitContext) -> Result<Self> {
        let Some(path) = config.path else {
            let known = cx.handed_over::<InMemory>().map_or_else(Known::default, |InMemory(known)| known);
            return Ok(LocalVectors { database: None, known });
        };
        let database = blocking(move || {
            let path =
                std::path::absolute(&path).with_context(|| format!("the file {:?}", path.display().to_string()))?;
            path.parent().map_or(Ok(()), make_folder)?;
            Database::open(path, config.busy_timeout, &schema::SCHEMA)
        })
        .await?;
        Ok(LocalVectors { database: Some(database), known: Known::default() })
    }

    async fn health(&self) -> Result<Health> {
        let Some(database) = &self.database else { return Ok(Health::healthy()) };
        Ok(match database.check_writable().await {
            Ok(()) => Health::healthy(),
            Err(error) if error.kind().is_transient() => Health::degraded(error.to_string()),
            Err(error) => Health::unhealthy(error.to_string()),
        })
    }

    async fn hand_over(&self) -> Result<Handover> {
        Ok(match self.database {
            None => Handover::new().with(InMemory(self.known.clone())),
            Some(_) => Handover::new(),
        })
    }
}

#[async_trait]
impl VectorDatabase for LocalVectors {
    async fn create_collection(&self, collection: VectorCollection) -> Result<()> {
        if collection.name.is_empty() {
            return Err(Error::invalid("the name of a collection is empty"));
        }
        if !(1..=MAX_DIMENSION).contains(&collection.dimension) {
            let message =
                format!("a collection has vectors of 1 to {MAX_DIMENSION} numbers, not {}", collection.dimension);
            return Err(Error::invalid(message));
        }
        distance(collection.distance.as_str())?;
        let Some(database) = &self.database else {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            return match known.get(&collection.name) {
                Some(there) => same(&there.definition, &collection),
                None => {
                    let points = Points::new(collection.clone());
                    known.insert(collection.name, Collection::new(0, 0, points));
                    Ok(())
                }
            };
        };
        database
            .write_durably(move |transaction| {
                if let Some(there) = find(transaction, &collection.name)? {
                    return Ok(same(&there.collection, &collection)?);
                }
                transaction.execute(
                    "INSERT INTO collections (name, dimension, distance, generation) VALUES (?1, ?2, ?3, 0)",
                    (&collection.name, integer(collection.dimension), collection.distance.as_str()),
                )?;
                Ok(())
            })
            .await
    }

    async fn collections(&self) -> Result<Vec<VectorCollection>> {
        match &self.database {
            None => {
                let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
                Ok(known.values().map(|collection| collection.definition.clone()).collect())
            }
            Some(database) => {
                database
                    .read(|transaction| Ok(rows(transaction)?.into_iter().map(|row| row.collection).collect()))
                    .await
            }
        }
    }

    async fn delete_collection(&self, name: &str) -> Result<()> {
        let owned = name.to_owned();
        if let Some(database) = &self.database {
            database
                .write_durably(move |transaction| {
                    let Row { id, .. } = row(transaction, &owned)?;
                    transaction.execute("DELETE FROM collections WHERE id = ?1", [id])?;
                    Ok(())
                })
                .await?;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match known.remove(name) {
            None if self.database.is_none() => Err(unknown(name, known.keys().map(String::as_str))),
            _ => Ok(()),
        }
    }

    async fn upsert(&self, collection: &str, points: Vec<VectorPoint>) -> Result<()> {
        if points.is_empty() {
            return self.current(collection).await.map(|_| ());
        }
        let Some(database) = &self.database else {
            let collection = self.current(collection).await?;
            return blocking(move || {
                let mut state = collection.write();
                check_all(&state.points.collection, &points)?;
                state.points.upsert(points);
                Ok(())
            })
            .await;
        };
        let name = collection.to_owned();
        let (row, points) = database
            .write_durably(move |transaction| {
                let row = row(transaction, &name)?;
                check_all(&row.collection, &points)?;
                let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO points VALUES (?1, ?2, ?3, ?4)")?;
                for point in &points {
                    let vector: Vec<u8> = point.vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                    insert.execute((row.id, &point.id, vector, serde_json::to_string(&point.metadata)?))?;
                }
                Ok((changed(transaction, row)?, points))
            })
            .await?;
        self.follow(row, move |known| known.upsert(points)).await
    }

    async fn query(&self, collection: &str, query: VectorQuery) -> Result<Vec<VectorMatch>> {
        let collection = self.current(collection).await?;
        blocking(move || {
            let state = collection.read();
            check(&state.points.collection, &query.vector).map_err(Error::invalid)?;
            Ok(state.points.query(&query))
        })
        .await
    }

    async fn get(&self, collection: &str, ids: Vec<String>) -> Result<Vec<VectorPoint>> {
        let collection = self.current(collection).await?;
        blocking(move || Ok(collection.read().points.get(&ids))).await
    }

    async fn delete(&self, collection: &str, ids: Vec<String>) -> Result<u64> {
        self.delete_chosen(collection, Chosen::Ids(ids)).await
    }

    async fn delete_where(&self, collection: &str, filter: VectorFilter) -> Result<u64> {
        self.delete_chosen(collection, Chosen::Matching(filter)).await
    }

    async fn count(&self, collection: &str, filter: Option<VectorFilter>) -> Result<u64> {
        let collection = self.current(collection).await?;
        blocking(move || Ok(collection.read().points.count(filter.as_ref()))).await
    }
}

/// Which points are meant.
enum Chosen {
    Ids(Vec<String>),
    Matching(VectorFilter),
}

impl LocalVectors {
    /// The collection as it is now.
    async fn current(&self, name: &str) -> Result<Arc<Collection>> {
        let Some(database) = &self.database else {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            return known.get(name).cloned().ok_or_else(|| unknown(name, known.keys().map(String::as_str)));
        };
        let (name, known) = (name.to_owned(), self.known.clone());
        database
            .read(move |transaction| {
                let row = row(transaction, &name)?;
                let there = known.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
                if let Some(there) = there
                    && there.id == row.id
                    && there.read().generation == row.generation
                {
                    return Ok(there);
                }
                let points = load(transaction, &row)?;
                let read = Collection::new(row.id, row.generation, points);
                known.write().unwrap_or_else(PoisonError::into_inner).insert(name, read.clone());
                Ok(read)
            })
            .await
    }

    /// Makes a change of the database in memory too, where the collection is there as it was before the change. If it
    /// is not, the next query reads it anew.
    async fn follow(&self, row: Row, change: impl FnOnce(&mut Points) + Send + 'static) -> Result<()> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&row.collection.name).cloned();
        let Some(known) = known.filter(|known| known.id == row.id) else { return Ok(()) };
        blocking(move || {
            let mut state = known.write();
            if state.generation + 1 == row.generation {
                change(&mut state.points);
                state.generation = row.generation;
            }
            Ok(())
        })
        .await
    }

    async fn delete_chosen(&self, collection: &str, chosen: Chosen) -> Result<u64> {
        let Some(database) = &self.database else {
            let collection = self.current(collection).await?;
            return blocking(move || {
                let points = &mut collection.write().points;
                let ids = match chosen {
                    Chosen::Ids(ids) => ids,
                    Chosen::Matching(filter) => points.ids(&filter),
                };
                Ok(points.delete(ids.iter().map(String::as_str)))
            })
            .await;
        };
        let name = collection.to_owned();
        let (row, ids, deleted) = database
            .write_durably(move |transaction| {
                let row = row(transaction, &name)?;
                let ids = match chosen {
                    Chosen::Ids(ids) => ids,
                    Chosen::Matching(filter) => matching(transaction, &row, &filter)?,
                };
                let mut delete = transaction.prepare_cached("DELETE FROM points WHERE collection = ?1 AND id = ?2")?;
                let mut deleted = 0;
                for id in &ids {
                    deleted += delete.execute((row.id, id))? as u64;
                }
                let row = if deleted > 0 { changed(transaction, row)? } else { row };
                Ok((row, ids, deleted))
            })
            .await?;
        if deleted > 0 {
            let change = move |known: &mut Points| {
                known.delete(ids.iter().map(String::as_str));
            };
            self.follow(row, change).await?;
        }
        Ok(deleted)
    }
}

fn same(there: &VectorCollection, wanted: &VectorCollection) -> Result<()> {
    if there == wanted {
        return Ok(());
    }
    let describe = |one: &VectorCollection| format!("{} numbers by {} distance", one.dimension, one.distance.as_str());
    Err(Error::invalid(format!(
        "the collection {:?} is there already, with {} and not {}: delete it, or choose another name",
        there.name,
        describe(there),
        describe(wanted)
    )))
}

fn check_all(collection: &VectorCollection, points: &[VectorPoint]) -> Result<()> {
    let wrong: Vec<String> = points
        .iter()
        .filter_map(|point| check(collection, &point.vector).err().map(|why| format!("{:?}: {why}", point.id)))
        .collect();
    match &wrong[..] {
        [] => Ok(()),
        [one] => Err(Error::invalid(format!("the point {one}"))),
        [first, ..] => Err(Error::invalid(format!("{} points are wrong, the first is {first}", wrong.len()))),
    }
}

fn unknown<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Error {
    let known: Vec<&str> = known.into_iter().collect();
    let known = if known.is_empty() { "none".to_owned() } else { listing(known) };
    Error::not_found(format!("there is no collection {name:?}; there is {known}"))
}

/// The distance of a name in the database, and whether it is one of those that the search knows.
fn distance(name: &str) -> Result<VectorDistance> {
    let known = [VectorDistance::Cosine, VectorDistance::Dot, VectorDistance::Euclidean];
    let found = known.into_iter().find(|distance| distance.as_str() == name);
    found.ok_or_else(|| Error::unsupported(format!("this database has no distance `{name}`")))
}

fn integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn rows(transaction: &Transaction<'_>) -> Result<Vec<Row>, Fault> {
    let mut query = transaction
        .prepare_cached("SELECT id, generation, name, dimension, distance FROM collections ORDER BY name")?;
    let mut rows = query.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let dimension = usize::try_from(row.get::<_, i64>(3)?).unwrap_or_default();
        let distance = distance(&row.get::<_, String>(4)?)?;
        let collection = VectorCollection::new(row.get::<_, String>(2)?, dimension, distance);
        found.push(Row { id: row.get(0)?, generation: row.get(1)?, collection });
    }
    Ok(found)
}

fn find(transaction: &Transaction<'_>, name: &str) -> Result<Option<Row>, Fault> {
    let mut query =
        transaction.prepare_cached("SELECT id, generation, dimension, distance FROM collections WHERE name = ?1")?;
    let found: Option<(i64, i64, i64, String)> =
        query.query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).optional()?;
    let Some((id, generation, dimension, metric)) = found else { return Ok(None) };
    let dimension = usize::try_from(dimension).unwrap_or_default();
    let collection = VectorCollection::new(name, dimension, distance(&metric)?);
    Ok(Some(Row { id, generation, collection }))
}

fn row(transaction: &Transaction<'_>, name: &str) -> Result<Row, Fault> {
    match find(transaction, name)? {
        Some(row) => Ok(row),
        None => {
            let rows = rows(transaction)?;
            Err(unknown(name, rows.iter().map(|row| row.collection.name.as_str())).into())
        }
    }
}

/// Counts a change.
fn changed(transaction: &Transaction<'_>, row: Row) -> Result<Row, Fault> {
    let generation = row.generation + 1;
    transaction.execute("UPDATE collections SET generation = ?2 WHERE id = ?1", (row.id, generation))?;
    Ok(Row { generation, ..row })
}

/// All points of a collection.
fn load(transaction: &Transaction<'_>, row: &Row) -> Result<Points, Fault> {
    let mut points = Points::new(row.collection.clone());
    let mut query = transaction.prepare_cached("SELECT id, vector, metadata FROM points WHERE collection = ?1")?;
    let mut rows = query.query([row.id])?;
    while let Some(found) = rows.next()? {
        let id: String = found.get(0)?;
        let bytes: Vec<u8> = found.get(1)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let vector: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let damaged = |why: &str| {
            let name = &row.collection.name;
            Error::failed(format!("the point {id:?} of the collection {name:?} is damaged: {why}; store it again"))
        };
        if !rest.is_empty() {
            return Err(damaged("a number is cut off").into());
        }
        check(&row.collection, &vector).map_err(|why| damaged(&why))?;
        let metadata = serde_json::from_str(&found.get::<_, String>(2)?).map_err(|why| damaged(&why.to_string()))?;
        let mut point = VectorPoint::new(id, vector);
        point.metadata = metadata;
        points.upsert(vec![point]);
    }
    Ok(points)
}

/// The ids of the points that a filter matches, in the database.
fn matching(transaction: &Transaction<'_>, row: &Row, filter: &VectorFilter) -> Result<Vec<String>, Fault> {
    let mut query = transaction.prepare_cached("SELECT id, metadata FROM points WHERE collection = ?1")?;
    let mut rows = query.query([row.id])?;
    let mut ids = Vec::new();
    while let Some(found) = rows.next()? {
        if filter.matches(&serde_json::from_str(&found.get::<_, String>(1)?)?) {
            ids.push(found.get(0)?);
        }
    }
    Ok(ids)
}
