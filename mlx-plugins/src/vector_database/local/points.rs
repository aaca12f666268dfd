//! The points of one collection in memory, and the search among them.

use mlx_core::prelude::*;
use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashMap},
};

/// Sums that are added up beside each other, so that the compiler can use vector instructions.
const LANES: usize = 8;

pub(super) struct Points {
    pub(super) collection: VectorCollection,
    ids: Vec<String>,
    metadata: Vec<serde_json::Map<String, JsonValue>>,
    /// One after another.
    vectors: Vec<f32>,
    /// The length of each vector; empty unless the distance needs it.
    lengths: Vec<f64>,
    positions: HashMap<String, usize>,
}

/// The vectors that a collection takes.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid), with what is wrong.
pub(super) fn check(collection: &VectorCollection, vector: &[f32]) -> Result<(), String> {
    let VectorCollection { dimension, distance, .. } = collection;
    if vector.len() != *dimension {
        return Err(format!("the vector has {} numbers, and the collection takes {dimension}", vector.len()));
    }
    if let Some(position) = vector.iter().position(|number| !number.is_finite()) {
        return Err(format!("number {position} of the vector is {}", vector[position]));
    }
    if *distance == VectorDistance::Cosine && vector.iter().all(|number| *number == 0.0) {
        return Err("a vector of zeros has no direction, which the cosine needs".to_owned());
    }
    Ok(())
}

impl Points {
    pub(super) fn new(collection: VectorCollection) -> Self {
        Points {
            collection,
            ids: Vec::new(),
            metadata: Vec::new(),
            vectors: Vec::new(),
            lengths: Vec::new(),
            positions: HashMap::new(),
        }
    }

    /// Puts in points that were checked.
    pub(super) fn upsert(&mut self, points: Vec<VectorPoint>) {
        let dimension = self.collection.dimension;
        for VectorPoint { id, vector, metadata, .. } in points {
            let length = (self.collection.distance == VectorDistance::Cosine).then(|| dot(&vector, &vector).sqrt());
            match self.positions.get(&id) {
                Some(&at) => {
                    self.vectors[at * dimension..(at + 1) * dimension].copy_from_slice(&vector);
                    self.metadata[at] = metadata;
                    if let Some(length) = length {
                        self.lengths[at] = length;
                    }
                }
                None => {
                    self.positions.insert(id.clone(), self.ids.len());
                    self.ids.push(id);
                    self.vectors.extend_from_slice(&vector);
                    self.metadata.push(metadata);
                    self.lengths.extend(length);
                }
            }
        }
    }

    /// Takes points out, and says how many there were.
    pub(super) fn delete<'i>(&mut self, ids: impl IntoIterator<Item = &'i str>) -> u64 {
        let dimension = self.collection.dimension;
        let mut deleted = 0;
        for id in ids {
            let Some(at) = self.positions.remove(id) else { continue };
            deleted += 1;
            let last = self.ids.len() - 1;
            self.ids.swap_remove(at);
            self.metadata.swap_remove(at);
            if !self.lengths.is_empty() {
                self.lengths.swap_remove(at);
            }
            self.vectors.copy_within(last * dimension.., at * dimension);
            self.vectors.truncate(last * dimension);
            if let Some(moved) = self.ids.get(at) {
                self.positions.insert(moved.clone(), at);
            }
        }
        deleted
    }

    pub(super) fn get(&self, ids: &[String]) -> Vec<VectorPoint> {
        let positions = ids.iter().filter_map(|id| self.positions.get(id).copied());
        positions
            .map(|at| {
                let mut point = VectorPoint::new(self.ids[at].clone(), self.vector(at));
                point.metadata = self.metadata[at].clone();
                point
            })
            .collect()
    }

    pub(super) fn count(&self, filter: Option<&VectorFilter>) -> u64 {
        self.matching(filter).count() as u64
    }

    /// The ids of the points that a filter matches.
    pub(super) fn ids(&self, filter: &VectorFilter) -> Vec<String> {
        self.matching(Some(filter)).map(|at| self.ids[at].clone()).collect()
    }

    /// The points that are nearest to a vector that was checked.
    pub(super) fn query(&self, query: &VectorQuery) -> Vec<VectorMatch> {
        let distance = self.collection.distance;
        let length = dot(&query.vector, &query.vector).sqrt();
        let score = |at: usize| {
            let vector = self.vector(at);
            match distance {
                // Rounding can lead out of the range by the last bit.
                VectorDistance::Cosine => (dot(vector, &query.vector) / (self.lengths[at] * length)).clamp(-1.0, 1.0),
                VectorDistance::Euclidean => difference(vector, &query.vector).sqrt(),
                _ => dot(vector, &query.vector),
            }
        };
        // The farthest of those that are kept is on top.
        let mut nearest: BinaryHeap<Candidate<'_>> = BinaryHeap::with_capacity(query.limit.min(self.ids.len()) + 1);
        for at in self.matching(query.filter.as_ref()) {
            let score = score(at);
            if query.threshold.is_some_and(|threshold| score.is_nan() || distance.is_nearer(threshold, score)) {
                continue;
            }
            // Adding zero makes one of both zeros.
            let rank = if distance.is_nearer(1.0, 0.0) { -score } else { score } + 0.0;
            nearest.push(Candidate { rank, id: &self.ids[at], at, score });
            if nearest.len() > query.limit {
                nearest.pop();
            }
        }
        let found = nearest.into_sorted_vec().into_iter();
        found
            .map(|Candidate { id, at, score, .. }| {
                let mut found = VectorMatch::new(id, score, self.metadata[at].clone());
                found.vector = query.with_vectors.then(|| self.vector(at).to_vec());
                found
            })
            .collect()
    }

    fn vector(&self, at: usize) -> &[f32] {
        let dimension = self.collection.dimension;
        &self.vectors[at * dimension..(at + 1) * dimension]
    }

    fn matching(&self, filter: Option<&VectorFilter>) -> impl Iterator<Item = usize> {
        let matches = move |at: &usize| filter.is_none_or(|filter| filter.matches(&self.metadata[*at]));
        (0..self.ids.len()).filter(matches)
    }
}

/// A point that may be among the nearest. Less is nearer.
struct Candidate<'p> {
    rank: f64,
    id: &'p str,
    at: usize,
    score: f64,
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.total_cmp(&other.rank).then_with(|| self.id.cmp(other.id))
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate<'_> {}

/// The dot product. In double precision the products of finite numbers cannot overflow.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |a, b| f64::from(a) * f64::from(b))
}

/// The square of the length of the difference.
fn difference(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |a, b| {
        let difference = f64::from(a) - f64::from(b);
        difference * difference
    })
}

fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f64) -> f64 {
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in whole_a.iter().zip(whole_b) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(a, b)| term(*a, *b)).sum();
    sums.iter().sum::<f64>() + rest
}
