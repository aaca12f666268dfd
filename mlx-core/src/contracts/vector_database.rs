//! `vector_database`: vectors that are found by how near they are.

use crate::{async_trait, contract, diagnostics::Result};
use serde_json::{Map, Value};

/// Keeps vectors with metadata, such as the embeddings of texts, and finds those nearest to another.
///
/// ```
/// # use mlx_core::prelude::*;
/// # async fn example(vectors: &dyn VectorDatabase) -> Result<()> {
/// vectors.create_collection(VectorCollection::new("texts", 3, VectorDistance::Cosine)).await?;
/// vectors.upsert("texts", vec![VectorPoint::new("a", [1.0, 0.0, 0.5]).metadata("language", "en")]).await?;
/// let query = VectorQuery::new([1.0, 0.0, 0.0], 10).filter(VectorFilter::equal("language", "en"));
/// for found in vectors.query("texts", query).await? {
///     println!("{} {}", found.id, found.score);
/// }
/// # Ok(()) }
/// ```
#[contract(
    name = "vector_database",
    cardinality = "many",
    capabilities = ["cosine", "dot", "euclidean", "exact", "approximate", "filters", "persistent"]
)]
#[async_trait]
pub trait VectorDatabase {
    /// Makes a collection. That it is there already, with the same dimension and distance, changes nothing.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it is there with others, or has an empty name or no dimension;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a distance or dimension that the database does not have.
    #[idempotent]
    async fn create_collection(&self, collection: VectorCollection) -> Result<()>;

    /// The collections, sorted by name.
    ///
    /// # Errors
    /// What the database reports.
    #[idempotent]
    async fn collections(&self) -> Result<Vec<VectorCollection>>;

    /// Removes a collection and all that is in it.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such collection.
    async fn delete_collection(&self, name: &str) -> Result<()>;

    /// Stores points, all or none. One that is there already is replaced; of several with one id the last counts. They
    /// are found by every query that begins after this returns.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such collection;
    /// [`Invalid`](crate::ErrorKind::Invalid) for a vector of another dimension, for numbers that are not finite, and
    /// for a vector of zeros where the distance is [`Cosine`](VectorDistance::Cosine).
    #[idempotent]
    async fn upsert(&self, collection: &str, points: Vec<VectorPoint>) -> Result<()>;

    /// The nearest points, the nearest first; of points that are equally near, that whose id sorts first.
    ///
    /// # Errors
    /// As [`upsert`](VectorDatabase::upsert), for the vector of the query.
    #[idempotent]
    async fn query(&self, collection: &str, query: VectorQuery) -> Result<Vec<VectorMatch>>;

    /// The points of these ids, in the order of the ids; those that are not there are left out.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such collection.
    #[idempotent]
    async fn get(&self, collection: &str, ids: Vec<String>) -> Result<Vec<VectorPoint>>;

    /// Removes the points of these ids, and returns how many there were.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such collection.
    async fn delete(&self, collection: &str, ids: Vec<String>) -> Result<u64>;

    /// Removes the points that a filter matches, and returns how many there were.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such collection;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a filter that the database does not have.
    async fn delete_where(&self, collection: &str, filter: VectorFilter) -> Result<u64>;

    /// How many points there are; with a filter, how many it matches.
    ///
    /// # Errors
    /// As [`delete_where`](VectorDatabase::delete_where).
    #[idempotent]
    async fn count(&self, collection: &str, filter: Option<VectorFilter>) -> Result<u64>;
}

/// A named set of points of one dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VectorCollection {
    /// Its name.
    pub name: String,
    /// How many numbers each vector has.
    pub dimension: usize,
    /// What is near.
    pub distance: VectorDistance,
}

impl VectorCollection {
    /// A collection.
    pub fn new(name: impl Into<String>, dimension: usize, distance: VectorDistance) -> Self {
        VectorCollection { name: name.into(), dimension, distance }
    }
}

/// What is near. The definition of each is the one of Qdrant and pgvector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VectorDistance {
    /// The cosine of the angle between two vectors, from -1 to 1. More is nearer.
    #[default]
    Cosine,
    /// The dot product. More is nearer.
    Dot,
    /// The length of the difference. Less is nearer.
    Euclidean,
}

impl VectorDistance {
    /// The distance in one word: `cosine`, `dot`, `euclidean`.
    pub const fn as_str(self) -> &'static str {
        match self {
            VectorDistance::Cosine => "cosine",
            VectorDistance::Dot => "dot",
            VectorDistance::Euclidean => "euclidean",
        }
    }

    /// Whether the score `a` is nearer than `b`.
    pub fn is_nearer(self, a: f64, b: f64) -> bool {
        match self {
            VectorDistance::Cosine | VectorDistance::Dot => a > b,
            VectorDistance::Euclidean => a < b,
        }
    }
}

/// A vector with an id and metadata.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct VectorPoint {
    /// Its id, which no other point of the collection has.
    pub id: String,
    /// The vector.
    pub vector: Vec<f32>,
    /// What is known of it, and can be filtered by: a field is a text, a number, a truth value, or a list of such.
    pub metadata: Map<String, Value>,
}

impl VectorPoint {
    /// A point without metadata.
    pub fn new(id: impl Into<String>, vector: impl Into<Vec<f32>>) -> Self {
        VectorPoint { id: id.into(), vector: vector.into(), metadata: Map::new() }
    }

    /// Adds a field of metadata.
    #[must_use]
    pub fn metadata(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(field.into(), value.into());
        self
    }
}

/// What to look for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VectorQuery {
    /// The vector that others are to be near to.
    pub vector: Vec<f32>,
    /// How many points to find at most.
    pub limit: usize,
    /// Only points that this matches.
    pub filter: Option<VectorFilter>,
    /// Only points with this score or a nearer one.
    pub threshold: Option<f64>,
    /// Whether the vectors of the points are wanted too.
    pub with_vectors: bool,
}

impl VectorQuery {
    /// The `limit` points nearest to `vector`.
    pub fn new(vector: impl Into<Vec<f32>>, limit: usize) -> Self {
        VectorQuery { vector: vector.into(), limit, filter: None, threshold: None, with_vectors: false }
    }

    /// Leaves out what the filter does not match, before the nearest are taken.
    #[must_use]
    pub fn filter(mut self, filter: VectorFilter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Leaves out what is not at least this near: for [`Euclidean`](VectorDistance::Euclidean) the greatest score, else
    /// the least.
    #[must_use]
    pub fn threshold(mut self, score: f64) -> Self {
        self.threshold = Some(score);
        self
    }

    /// Asks for the vectors too.
    #[must_use]
    pub fn with_vectors(mut self) -> Self {
        self.with_vectors = true;
        self
    }
}

/// A point that was found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VectorMatch {
    /// Its id.
    pub id: String,
    /// How near it is, as the collection's [`VectorDistance`] says.
    pub score: f64,
    /// What is known of it.
    pub metadata: Map<String, Value>,
    /// Its vector, where it was asked for.
    pub vector: Option<Vec<f32>>,
}

impl VectorMatch {
    /// A point that was found.
    pub fn new(id: impl Into<String>, score: f64, metadata: Map<String, Value>) -> Self {
        VectorMatch { id: id.into(), score, metadata, vector: None }
    }
}

/// A condition on the metadata of a point. [`matches`](Self::matches) defines it.
///
/// Where a field is a list, a condition holds if it does for one of the items. Numbers are compared as numbers: `1` is
/// `1.0`. Nothing that is compared with another kind of value holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum VectorFilter {
    /// The field has one of these values.
    In {
        /// The field.
        field: String,
        /// The values.
        values: Vec<Value>,
    },
    /// The field is a number between these, both included.
    Range {
        /// The field.
        field: String,
        /// The least number, if there is one.
        least: Option<f64>,
        /// The greatest number, if there is one.
        most: Option<f64>,
    },
    /// The field is there, and not null.
    Exists {
        /// The field.
        field: String,
    },
    /// All of these hold; nothing is left out where there are none.
    All(Vec<VectorFilter>),
    /// One of these holds; everything is left out where there are none.
    Any(Vec<VectorFilter>),
    /// This does not hold.
    Not(Box<VectorFilter>),
}

impl VectorFilter {
    /// The field has this value.
    pub fn equal(field: impl Into<String>, value: impl Into<Value>) -> Self {
        VectorFilter::one_of(field, [value])
    }

    /// The field has one of these values.
    pub fn one_of<V: Into<Value>>(field: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        VectorFilter::In { field: field.into(), values: values.into_iter().map(Into::into).collect() }
    }

    /// The field is this number or more.
    pub fn at_least(field: impl Into<String>, least: f64) -> Self {
        VectorFilter::Range { field: field.into(), least: Some(least), most: None }
    }

    /// The field is this number or less.
    pub fn at_most(field: impl Into<String>, most: f64) -> Self {
        VectorFilter::Range { field: field.into(), least: None, most: Some(most) }
    }

    /// The field is there, and not null.
    pub fn exists(field: impl Into<String>) -> Self {
        VectorFilter::Exists { field: field.into() }
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: VectorFilter) -> Self {
        VectorFilter::All(vec![self, other])
    }

    /// One of both holds.
    #[must_use]
    pub fn or(self, other: VectorFilter) -> Self {
        VectorFilter::Any(vec![self, other])
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        VectorFilter::Not(Box::new(self))
    }

    /// Whether it holds for a point with this metadata.
    pub fn matches(&self, metadata: &Map<String, Value>) -> bool {
        let any = |field: &str, holds: &dyn Fn(&Value) -> bool| match metadata.get(field) {
            Some(Value::Array(items)) => items.iter().any(holds),
            Some(value) => holds(value),
            None => false,
        };
        match self {
            VectorFilter::In { field, values } => any(field, &|value| values.iter().any(|wanted| same(value, wanted))),
            VectorFilter::Range { field, least, most } => any(field, &|value| {
                value.as_f64().is_some_and(|number| {
                    least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
                })
            }),
            VectorFilter::Exists { field } => metadata.get(field).is_some_and(|value| !value.is_null()),
            VectorFilter::All(filters) => filters.iter().all(|filter| filter.matches(metadata)),
            VectorFilter::Any(filters) => filters.iter().any(|filter| filter.matches(metadata)),
            VectorFilter::Not(filter) => !filter.matches(metadata),
        }
    }
}

/// Whether two values are the same, where `1` is `1.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.is_f64(), b.is_f64()) {
            (false, false) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters_mean_what_they_say() {
        let metadata = json!({"n": 1, "x": 2.5, "s": "a", "t": true, "l": ["a", 7], "none": null, "e": []});
        let metadata = metadata.as_object().unwrap();
        type F = VectorFilter;
        for (filter, expected) in [
            (F::equal("n", 1), true),
            (F::equal("n", 1.0), true),
            (F::equal("n", "1"), false),
            (F::equal("n", true), false),
            (F::equal("t", true), true),
            (F::equal("l", 7), true),
            (F::equal("l", "b"), false),
            (F::equal("none", Value::Null), true),
            (F::equal("missing", Value::Null), false),
            (F::one_of("s", ["b", "a"]), true),
            (F::one_of::<&str>("s", []), false),
            (F::at_least("x", 2.5), true),
            (F::at_least("x", 2.6), false),
            (F::at_most("l", 7.0), true),
            (F::at_most("s", 7.0), false),
            (F::at_least("missing", 0.0), false),
            (F::at_least("n", f64::NAN), false),
            (F::exists("e"), true),
            (F::exists("none"), false),
            (F::exists("missing"), false),
            (F::All(vec![]), true),
            (F::Any(vec![]), false),
            (F::equal("s", "a").and(F::equal("n", 2)), false),
            (F::equal("s", "a").or(F::equal("n", 2)), true),
            (F::equal("n", 2).negated(), true),
        ] {
            assert_eq!(filter.matches(metadata), expected, "{filter:?}");
        }
    }

    #[test]
    fn large_whole_numbers_are_not_rounded() {
        let metadata = json!({"id": 9_007_199_254_740_993_i64});
        let equal = |n: i64| VectorFilter::equal("id", n).matches(metadata.as_object().unwrap());
        assert!(equal(9_007_199_254_740_993) && !equal(9_007_199_254_740_992));
    }

    #[test]
    fn near_is_more_or_less() {
        assert!(VectorDistance::Cosine.is_nearer(0.9, 0.1) && VectorDistance::Euclidean.is_nearer(0.1, 0.9));
        assert!(!VectorDistance::Dot.is_nearer(1.0, 1.0) && !VectorDistance::Euclidean.is_nearer(1.0, 1.0));
    }
}
