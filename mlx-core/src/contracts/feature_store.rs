//! `feature_store`: the features of models, as they were at any time and as they are now.

use super::DataFrame;
use crate::{
    arrow::datatypes::DataType,
    async_trait, contract,
    diagnostics::{Error, Result, quoted},
};
use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

/// The column of times in tables that say nothing else.
pub const EVENT_TIMESTAMP: &str = "event_timestamp";

/// Keeps the features of entities (customers, drivers) with the time at which each became true, so that a model is
/// trained on what was known then, and is served what is known now. The terms are those of
/// [Feast](https://docs.feast.dev/getting-started/concepts).
///
/// There are two stores: *offline* the whole history, *online* the latest of each entity.
///
/// ```
/// # use mlx_core::{arrow::datatypes::DataType, prelude::*};
/// # async fn example(features: &dyn FeatureStore, history: DataFrame, labels: DataFrame, drivers: DataFrame) -> Result<()> {
/// let view = FeatureView::new("driver_stats")
///     .entity("driver_id", DataType::Int64)
///     .feature("trips", DataType::Int64)
///     .feature("rating", DataType::Float64)
///     .ttl(Duration::from_secs(86_400));
/// features.register(view).await?;
/// features.write("driver_stats", history, FeatureTarget::Offline).await?;
///
/// let request = FeatureRequest::new([("driver_stats", "trips"), ("driver_stats", "rating")]);
/// let training = features.historical_features(labels, request.clone()).await?;
/// features.materialize(Materialization::until(std::time::SystemTime::now())).await?;
/// let now = features.online_features(drivers, request).await?;
/// # Ok(()) }
/// ```
#[contract(
    name = "feature_store",
    cardinality = "one",
    capabilities = ["offline", "online", "point_in_time", "ttl", "materialize"]
)]
#[async_trait]
pub trait FeatureStore {
    /// Makes a view, or changes the one of the name: features may be added to it, and the time to live may be another.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a view without a name, entities or features, with a name twice, or
    /// for a change that what is stored does not fit; [`Unsupported`](crate::ErrorKind::Unsupported) for a type of data
    /// that the store does not have.
    #[idempotent]
    async fn register(&self, view: FeatureView) -> Result<()>;

    /// The views, sorted by name.
    ///
    /// # Errors
    /// What the store reports.
    #[idempotent]
    async fn views(&self) -> Result<Vec<FeatureView>>;

    /// Removes a view and all its data.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such view.
    async fn delete_view(&self, name: &str) -> Result<()>;

    /// Stores rows of a view, all or none, and returns how many there were. A row has the view's entities, its features
    /// (null where one is not known), and the time at which they became true, an Arrow timestamp; without a time zone
    /// it is in UTC. Of several rows of one entity and time, the one that was written last counts.
    ///
    /// Online, a row takes the place of the one that is there unless that has a later time.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such view;
    /// [`Invalid`](crate::ErrorKind::Invalid) for columns that are missing, of another type or not of the view, and for
    /// rows without an entity or a time.
    #[idempotent]
    async fn write(&self, view: &str, rows: DataFrame, target: FeatureTarget) -> Result<u64>;

    /// The features as they were: to each row of `entities`, which has entities and a column [`EVENT_TIMESTAMP`], the
    /// latest row of each view that has the same entities, a time at or before the row's, and at most the view's time
    /// to live before it; null where there is none. So nothing is seen that became true later.
    ///
    /// All columns of `entities` come back, rows in their order, and after them the features.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown view or feature;
    /// [`Invalid`](crate::ErrorKind::Invalid) when `entities` lacks a column, or when two columns of the result had one
    /// name (see [`FeatureRequest::full_names`]).
    #[idempotent]
    async fn historical_features(&self, entities: DataFrame, request: FeatureRequest) -> Result<DataFrame>;

    /// Takes the latest of each entity from the offline store into the online store, and returns how many rows were
    /// taken. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown view;
    /// [`Invalid`](crate::ErrorKind::Invalid) for a range that ends before it begins.
    #[idempotent]
    async fn materialize(&self, range: Materialization) -> Result<u64>;

    /// The features as they are: to each row of `entities` the one of each view in the online store; null where there
    /// is none, or where it is older than the view's time to live.
    ///
    /// All columns of `entities` come back, rows in their order, and after them the features.
    ///
    /// # Errors
    /// As [`historical_features`](FeatureStore::historical_features).
    #[idempotent]
    async fn online_features(&self, entities: DataFrame, request: FeatureRequest) -> Result<DataFrame>;
}

/// Features that are known together of the same entities.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureView {
    /// Its name.
    pub name: String,
    /// The columns that say what a row is about.
    pub entities: Vec<FeatureField>,
    /// The columns that say what is known of it.
    pub features: Vec<FeatureField>,
    /// The column with the time at which a row became true; [`EVENT_TIMESTAMP`] unless set.
    pub timestamp: String,
    /// How long a row counts after its time; for ever unless set.
    pub ttl: Option<Duration>,
}

/// A column of a [`FeatureView`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

impl FeatureField {
    /// A column.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        FeatureField { name: name.into(), data_type }
    }
}

impl FeatureView {
    /// A view without columns.
    pub fn new(name: impl Into<String>) -> Self {
        FeatureView {
            name: name.into(),
            entities: Vec::new(),
            features: Vec::new(),
            timestamp: EVENT_TIMESTAMP.to_owned(),
            ttl: None,
        }
    }

    /// Adds a column that says what a row is about.
    #[must_use]
    pub fn entity(mut self, name: impl Into<String>, data_type: DataType) -> Self {
        self.entities.push(FeatureField::new(name, data_type));
        self
    }

    /// Adds a feature.
    #[must_use]
    pub fn feature(mut self, name: impl Into<String>, data_type: DataType) -> Self {
        self.features.push(FeatureField::new(name, data_type));
        self
    }

    /// Sets the column with the time.
    #[must_use]
    pub fn timestamp(mut self, name: impl Into<String>) -> Self {
        self.timestamp = name.into();
        self
    }

    /// Sets how long a row counts after its time.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// Where rows are written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FeatureTarget {
    /// To the history.
    #[default]
    Offline,
    /// To what is served.
    Online,
    /// To both.
    Both,
}

/// A feature of a view, written `view:feature`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct FeatureRef {
    /// The view.
    pub view: String,
    /// The feature.
    pub feature: String,
}

impl FeatureRef {
    /// A feature of a view.
    pub fn new(view: impl Into<String>, feature: impl Into<String>) -> Self {
        FeatureRef { view: view.into(), feature: feature.into() }
    }
}

impl<V: Into<String>, F: Into<String>> From<(V, F)> for FeatureRef {
    fn from((view, feature): (V, F)) -> Self {
        FeatureRef::new(view, feature)
    }
}

impl fmt::Display for FeatureRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.view, self.feature)
    }
}

impl FromStr for FeatureRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((view, feature)) if !view.is_empty() && !feature.is_empty() => Ok(FeatureRef::new(view, feature)),
            _ => Err(Error::invalid(format!("{} is no feature: it is written `view:feature`", quoted(text)))),
        }
    }
}

/// The features that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureRequest {
    /// The features, in the order of their columns.
    pub features: Vec<FeatureRef>,
    /// Whether a column is called `view__feature` rather than `feature`.
    pub full_names: bool,
}

impl FeatureRequest {
    /// These features: pairs of a view and a feature, or [`FeatureRef`]s.
    pub fn new<F: Into<FeatureRef>>(features: impl IntoIterator<Item = F>) -> Self {
        FeatureRequest { features: features.into_iter().map(Into::into).collect(), full_names: false }
    }

    /// Calls the columns `view__feature`, for features of several views that have the same name.
    #[must_use]
    pub fn full_names(mut self) -> Self {
        self.full_names = true;
        self
    }

    /// The name of a feature's column.
    pub fn column(&self, feature: &FeatureRef) -> String {
        match self.full_names {
            true => format!("{}__{}", feature.view, feature.feature),
            false => feature.feature.clone(),
        }
    }
}

/// Which part of the history is taken into the online store; both ends belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Materialization {
    /// The views; all where there are none.
    pub views: Vec<String>,
    /// The beginning; unless set, of each view where its last materialization ended, or its whole history.
    pub start: Option<SystemTime>,
    /// The end.
    pub end: SystemTime,
}

impl Materialization {
    /// What has come since the last one, of all views.
    pub fn until(end: SystemTime) -> Self {
        Materialization { views: Vec::new(), start: None, end }
    }

    /// Sets the beginning.
    #[must_use]
    pub fn from(mut self, start: SystemTime) -> Self {
        self.start = Some(start);
        self
    }

    /// Adds a view.
    #[must_use]
    pub fn view(mut self, name: impl Into<String>) -> Self {
        self.views.push(name.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_written_with_its_view() {
        let feature: FeatureRef = "driver_stats:trips".parse().unwrap();
        assert_eq!(feature, FeatureRef::from(("driver_stats", "trips")));
        assert_eq!(feature.to_string(), "driver_stats:trips");
        for wrong in ["", "trips", ":trips", "driver_stats:"] {
            assert_eq!(wrong.parse::<FeatureRef>().unwrap_err().kind(), crate::ErrorKind::Invalid, "{wrong}");
        }
    }

    #[test]
    fn columns_have_short_or_full_names() {
        let request = FeatureRequest::new([("a", "x")]);
        assert_eq!(request.column(&request.features[0]), "x");
        let request = request.full_names();
        assert_eq!(request.column(&request.features[0]), "a__x");
    }
}
