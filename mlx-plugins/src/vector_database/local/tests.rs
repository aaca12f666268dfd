use super::*;
use mlx_core::{Composition, platform::Standalone};
use std::path::Path;

type Vectors = Standalone<dyn VectorDatabase>;

async fn open(config: JsonValue) -> Vectors {
    registry().create::<dyn VectorDatabase>("local", config).await.unwrap()
}

async fn in_memory() -> Vectors {
    open(json!({})).await
}

async fn in_file(path: &Path) -> Vectors {
    open(json!({"path": path})).await
}

fn ids(found: &[VectorMatch]) -> Vec<&str> {
    found.iter().map(|found| found.id.as_str()).collect()
}

async fn refused<T>(what: impl Future<Output = Result<T>>) -> (ErrorKind, String) {
    let error = what.await.err().expect("an error");
    (error.kind(), error.to_string())
}

/// Numbers that look random and are the same each time (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % below
    }

    /// Few different ones, so that points are equally near.
    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        let mut vector: Vec<f32> = (0..dimension).map(|_| self.next(7) as f32 - 3.0).collect();
        vector[0] += 0.5;
        vector
    }
}

/// The definition: all scores, sorted.
fn oracle(points: &BTreeMap<String, VectorPoint>, distance: VectorDistance, query: &VectorQuery) -> Vec<(String, f64)> {
    let sum = |terms: &mut dyn Iterator<Item = f64>| terms.sum::<f64>();
    let dot = |a: &[f32], b: &[f32]| sum(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)));
    let mut all: Vec<(String, f64)> = points
        .values()
        .filter(|point| query.filter.as_ref().is_none_or(|filter| filter.matches(&point.metadata)))
        .map(|VectorPoint { id, vector, .. }| {
            let score = match distance {
                VectorDistance::Dot => dot(vector, &query.vector),
                VectorDistance::Cosine => {
                    dot(vector, &query.vector) / (dot(vector, vector).sqrt() * dot(&query.vector, &query.vector).sqrt())
                }
                _ => {
                    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
                    sum(&mut vector.iter().zip(&query.vector).map(square)).sqrt()
                }
            };
            (id.clone(), score)
        })
        .collect();
    all.sort_by(|(a_id, a), (b_id, b)| {
        let order = if distance == VectorDistance::Euclidean { a.total_cmp(b) } else { b.total_cmp(a) };
        order.then_with(|| a_id.cmp(b_id))
    });
    all.retain(|(_, score)| match (query.threshold, distance) {
        (None, _) => true,
        (Some(threshold), VectorDistance::Euclidean) => *score <= threshold,
        (Some(threshold), _) => *score >= threshold,
    });
    all.truncate(query.limit);
    all
}

/// Random changes and queries; what is found is what the definition says.
async fn as_the_definition(vectors: &Vectors, distance: VectorDistance, seed: u64) {
    let mut numbers = Numbers(seed);
    // The whole lanes and what is left of them.
    let dimension = 1 + numbers.next(20) as usize;
    vectors.create_collection(VectorCollection::new("c", dimension, distance)).await.unwrap();
    let mut points: BTreeMap<String, VectorPoint> = BTreeMap::new();
    for _ in 0..60 {
        match numbers.next(10) {
            0..=3 => {
                let batch: Vec<VectorPoint> = (0..1 + numbers.next(12))
                    .map(|_| {
                        let id = numbers.next(60).to_string();
                        VectorPoint::new(id, numbers.vector(dimension)).metadata("kind", numbers.next(4))
                    })
                    .collect();
                points.extend(batch.iter().map(|point| (point.id.clone(), point.clone())));
                vectors.upsert("c", batch).await.unwrap();
            }
            4 => {
                let ids: Vec<String> = (0..numbers.next(8)).map(|_| numbers.next(60).to_string()).collect();
                let before = points.len();
                points.retain(|id, _| !ids.contains(id));
                let deleted = vectors.delete("c", ids).await.unwrap();
                assert_eq!(deleted as usize, before - points.len());
            }
            5 => {
                let filter = VectorFilter::equal("kind", numbers.next(40));
                let before = points.len();
                points.retain(|_, point| !filter.matches(&point.metadata));
                let deleted = vectors.delete_where("c", filter).await.unwrap();
                assert_eq!(deleted as usize, before - points.len());
            }
            _ => {
                let mut query = VectorQuery::new(numbers.vector(dimension), numbers.next(20) as usize).with_vectors();
                if numbers.next(2) == 0 {
                    query = query.filter(VectorFilter::at_most("kind", numbers.next(4) as f64));
                }
                if numbers.next(4) == 0 {
                    query = query.threshold(numbers.next(5) as f64);
                }
                let found = vectors.query("c", query.clone()).await.unwrap();
                let expected = oracle(&points, distance, &query);
                assert_eq!(found.len(), expected.len(), "{distance:?} {seed}");
                for (found, (_, score)) in found.iter().zip(&expected) {
                    assert!((found.score - score).abs() < 1e-12, "{distance:?} {seed}: {found:?} {score}");
                    let point = &points[&found.id];
                    assert_eq!(found.vector.as_ref(), Some(&point.vector));
                    assert_eq!(found.metadata, point.metadata);
                }
                // Cosines of parallel vectors differ by rounding, so only exact scores have one order.
                if distance != VectorDistance::Cosine {
                    let expected: Vec<&str> = expected.iter().map(|(id, _)| id.as_str()).collect();
                    assert_eq!(ids(&found), expected, "{distance:?} {seed}");
                }
            }
        }
        assert_eq!(vectors.count("c", None).await.unwrap() as usize, points.len());
    }
}

const DISTANCES: [VectorDistance; 3] = [VectorDistance::Cosine, VectorDistance::Dot, VectorDistance::Euclidean];

#[tokio::test]
async fn what_is_found_in_memory_is_what_the_definition_says() {
    for seed in 1..=60 {
        for distance in DISTANCES {
            let vectors = in_memory().await;
            as_the_definition(&vectors, distance, seed).await;
            vectors.shutdown().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_found_in_a_file_is_what_the_definition_says() {
    let folder = tempfile::tempdir().unwrap();
    for (seed, distance) in DISTANCES.into_iter().enumerate() {
        let path = folder.path().join(format!("sub/{seed}.db"));
        let vectors = in_file(&path).await;
        as_the_definition(&vectors, distance, 100 + seed as u64).await;
        // What is in memory is what is in the file.
        let all = VectorQuery::new(vec![1.0; vectors.collections().await.unwrap()[0].dimension], 1000).with_vectors();
        let before = vectors.query("c", all.clone()).await.unwrap();
        vectors.shutdown().await.unwrap();
        let again = in_file(&path).await;
        assert_eq!(again.query("c", all).await.unwrap(), before);
        again.shutdown().await.unwrap();
    }
}

/// Figures of scikit-learn; see `tests/reference/README.md`.
#[tokio::test]
async fn neighbours_are_those_of_scikit_learn() {
    let file = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let reference: JsonValue = serde_json::from_str(&file("neighbours.json")).unwrap();
    let means: Vec<f64> = reference["means"].as_array().unwrap().iter().map(|mean| mean.as_f64().unwrap()).collect();
    let points: Vec<VectorPoint> = file("wine.csv")
        .lines()
        .skip(1)
        .enumerate()
        .map(|(row, line)| {
            let values: Vec<&str> = line.split(',').collect();
            let (cultivar, numbers) = values.split_last().unwrap();
            let centred = |(number, mean): (&&str, &f64)| (f64::from(number.parse::<f32>().unwrap()) - mean) as f32;
            let vector: Vec<f32> = numbers.iter().zip(&means).map(centred).collect();
            VectorPoint::new(row.to_string(), vector).metadata("cultivar", *cultivar)
        })
        .collect();
    let vectors = in_memory().await;
    for distance in DISTANCES {
        vectors.create_collection(VectorCollection::new(distance.as_str(), 13, distance)).await.unwrap();
        vectors.upsert(distance.as_str(), points.clone()).await.unwrap();
    }
    let searches = reference["searches"].as_array().unwrap();
    assert_eq!(searches.len(), 24);
    for search in searches {
        let rows: Vec<String> = search["rows"].as_array().unwrap().iter().map(ToString::to_string).collect();
        let point = &points[search["query"].as_u64().unwrap() as usize];
        let mut query = VectorQuery::new(point.vector.clone(), rows.len());
        if let Some(cultivar) = search["cultivar"].as_str() {
            query = query.filter(VectorFilter::equal("cultivar", cultivar));
        }
        let found = vectors.query(search["distance"].as_str().unwrap(), query).await.unwrap();
        assert_eq!(ids(&found), rows, "{search}");
        for (found, score) in found.iter().zip(search["scores"].as_array().unwrap()) {
            let score = score.as_f64().unwrap();
            let tolerance = 1e-11 * score.abs().max(1.0);
            assert!((found.score - score).abs() <= tolerance, "{found:?} {score}");
        }
    }
    vectors.shutdown().await.unwrap();
}

#[tokio::test]
async fn both_ways_of_keeping_refuse_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for vectors in [in_memory().await, in_file(&folder.path().join("v.db")).await] {
        let collection = |dimension| VectorCollection::new("c", dimension, VectorDistance::Cosine);
        for wrong in [collection(0), collection(MAX_DIMENSION + 1), VectorCollection::new("", 1, VectorDistance::Dot)] {
            assert_eq!(refused(vectors.create_collection(wrong)).await.0, ErrorKind::Invalid);
        }
        let (kind, message) = refused(vectors.count("c", None)).await;
        assert_eq!(kind, ErrorKind::NotFound);
        assert!(message.contains("there is none"), "{message}");
        vectors.create_collection(collection(2)).await.unwrap();
        vectors.create_collection(collection(2)).await.unwrap();
        let (kind, message) = refused(vectors.create_collection(collection(3))).await;
        assert!(kind == ErrorKind::Invalid && message.contains("2 numbers by cosine distance"), "{message}");
        let dot = VectorCollection::new("c", 2, VectorDistance::Dot);
        assert_eq!(refused(vectors.create_collection(dot)).await.0, ErrorKind::Invalid);

        let good = VectorPoint::new("good", [1.0, 0.0]);
        for (wrong, why) in [
            (vec![1.0], "1 numbers"),
            (vec![1.0, f32::NAN], "number 1 of the vector is NaN"),
            (vec![f32::INFINITY, 1.0], "inf"),
            (vec![0.0, -0.0], "no direction"),
        ] {
            let points = vec![good.clone(), VectorPoint::new("bad", wrong.clone())];
            let (kind, message) = refused(vectors.upsert("c", points)).await;
            assert!(kind == ErrorKind::Invalid && message.contains(why) && message.contains("bad"), "{message}");
            assert_eq!(refused(vectors.query("c", VectorQuery::new(wrong, 1))).await.0, ErrorKind::Invalid);
        }
        let several = vec![VectorPoint::new("a", [1.0]), good.clone(), VectorPoint::new("b", [1.0])];
        assert!(refused(vectors.upsert("c", several)).await.1.contains("2 points are wrong, the first is \"a\""));
        // All or none.
        assert_eq!(vectors.count("c", None).await.unwrap(), 0);

        let not_found = ErrorKind::NotFound;
        assert_eq!(refused(vectors.upsert("x", vec![])).await.0, not_found);
        assert_eq!(refused(vectors.upsert("x", vec![good])).await.0, not_found);
        assert_eq!(refused(vectors.query("x", VectorQuery::new([1.0], 1))).await.0, not_found);
        assert_eq!(refused(vectors.get("x", vec![])).await.0, not_found);
        assert_eq!(refused(vectors.delete("x", vec![])).await.0, not_found);
        assert_eq!(refused(vectors.delete_where("x", VectorFilter::All(vec![]))).await.0, not_found);
        let (kind, message) = refused(vectors.delete_collection("x")).await;
        assert!(kind == not_found && message.contains("there is `c`"), "{message}");
        vectors.delete_collection("c").await.unwrap();
        assert_eq!(vectors.collections().await.unwrap(), []);
        vectors.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn points_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for vectors in [in_memory().await, in_file(&folder.path().join("v.db")).await] {
        for name in ["b", "a"] {
            vectors.create_collection(VectorCollection::new(name, 2, VectorDistance::Dot)).await.unwrap();
        }
        let names: Vec<String> = vectors.collections().await.unwrap().into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["a", "b"]);
        let first =
            VectorPoint::new("é", [f32::MAX, f32::MIN_POSITIVE]).metadata("x", 0.1 + 0.2).metadata("l", json!([1]));
        let second = VectorPoint::new("", [0.0, 0.0]);
        vectors.upsert("a", vec![first.clone(), second.clone()]).await.unwrap();
        let ids = vec![String::new(), "none".to_owned(), "é".to_owned()];
        assert_eq!(vectors.get("a", ids).await.unwrap(), [second, first]);
        // The products of large numbers do not overflow.
        let found = vectors.query("a", VectorQuery::new([f32::MAX, 0.0], 1)).await.unwrap();
        assert!(found[0].id == "é" && found[0].score.is_finite() && found[0].vector.is_none());
        assert_eq!(vectors.count("b", None).await.unwrap(), 0);
        vectors.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn several_may_use_one_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.db");
    let (one, other) = (in_file(&path).await, in_file(&path).await);
    let nearest = async |vectors: &Vectors| {
        let found = vectors.query("c", VectorQuery::new([1.0], 1)).await.unwrap();
        found.first().map(|found| (found.id.clone(), found.score))
    };
    one.create_collection(VectorCollection::new("c", 1, VectorDistance::Dot)).await.unwrap();
    for (n, (writer, reader)) in
        [(&one, &other), (&other, &one), (&other, &one), (&one, &other)].into_iter().enumerate()
    {
        writer.upsert("c", vec![VectorPoint::new(n.to_string(), [n as f32 + 1.0])]).await.unwrap();
        for vectors in [reader, writer] {
            assert_eq!(nearest(vectors).await, Some((n.to_string(), n as f64 + 1.0)));
        }
    }
    assert_eq!(other.delete("c", vec!["3".to_owned()]).await.unwrap(), 1);
    assert_eq!(nearest(&one).await, Some(("2".to_owned(), 3.0)));
    // Another collection of the same name is another collection.
    other.delete_collection("c").await.unwrap();
    assert_eq!(refused(one.count("c", None)).await.0, ErrorKind::NotFound);
    other.create_collection(VectorCollection::new("c", 1, VectorDistance::Euclidean)).await.unwrap();
    assert_eq!(nearest(&one).await, None);
    one.shutdown().await.unwrap();
    other.shutdown().await.unwrap();
}

#[tokio::test]
async fn damage_on_the_disk_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.db");
    for (change, why) in [
        ("UPDATE points SET vector = x'0102'", "cut off"),
        ("UPDATE points SET vector = x'01020304'", "1 numbers"),
        ("UPDATE points SET vector = x'0000c07f0000c07f'", "NaN"),
        ("UPDATE points SET metadata = '{'", "damaged"),
    ] {
        let vectors = in_file(&path).await;
        vectors.create_collection(VectorCollection::new("c", 2, VectorDistance::Dot)).await.unwrap();
        vectors.upsert("c", vec![VectorPoint::new("p", [1.0, 2.0])]).await.unwrap();
        vectors.shutdown().await.unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch(change).unwrap();
        let vectors = in_file(&path).await;
        let (kind, message) = refused(vectors.count("c", None)).await;
        assert_eq!(kind, ErrorKind::Failed, "{message}");
        assert!(message.contains(why) && message.contains("\"p\""), "{message}");
        // Storing it again mends it.
        vectors.upsert("c", vec![VectorPoint::new("p", [1.0, 2.0])]).await.unwrap();
        assert_eq!(vectors.count("c", None).await.unwrap(), 1);
        vectors.shutdown().await.unwrap();
    }
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("UPDATE collections SET distance = 'hamming'").unwrap();
    let vectors = in_file(&path).await;
    assert_eq!(refused(vectors.count("c", None)).await.0, ErrorKind::Unsupported);
    vectors.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_in_memory_survives_a_swap() {
    let composition = "plugins: [{type: vector_database, name: local, config: {busy_timeout: 1s}}]";
    let platform = registry().activate(Composition::from_yaml(composition).unwrap()).await.unwrap();
    let vectors = platform.get::<dyn VectorDatabase>("local").unwrap();
    vectors.create_collection(VectorCollection::new("c", 1, VectorDistance::Dot)).await.unwrap();
    vectors.upsert("c", vec![VectorPoint::new("p", [1.0])]).await.unwrap();
    let next = Composition::from_yaml(&composition.replace("1s", "2s")).unwrap();
    platform.apply(&next).await.unwrap();
    assert_eq!(vectors.count("c", None).await.unwrap(), 1);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_place_that_cannot_be_used_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a database, but long enough to be looked at".repeat(50)).unwrap();
    for path in [file.clone(), file.join("v.db")] {
        let error = registry().create::<dyn VectorDatabase>("local", json!({"path": path})).await.unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
