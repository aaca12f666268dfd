//! Finding a file again that the user moved.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

/// What two files must at least have in common to be taken for the same file in two places. git's default, `-M50%`.
const SIMILAR: f64 = 0.5;
/// A pair is the better one only if it is so by this much.
const MARGIN: f64 = 0.05;
/// Pairs that are compared by content. With more, only files that are unchanged are found (git has `diff.renameLimit`).
const LIMIT: usize = 1_000_000;

/// How much of the larger of two texts is also in the other, by lines: 1 where both have the same lines, 0 where no line is in
/// both. Order does not count, nor does the kind of line end.
///
/// This is git's measure (`estimate_similarity` in `diffcore-rename.c`): bytes in common by the bytes of the larger file.
pub fn similarity(a: &[u8], b: &[u8]) -> f64 {
    if a == b { 1.0 } else { Lines::of(a).similarity(&Lines::of(b)) }
}

/// Finds, for the files that are missing, where they went: pairs of the missing file's path and the path it has now.
///
/// As git does: a file with the very same content is found first; then one whose [`similarity`] to the missing one is at
/// least one half. No file is taken twice. Empty files are not paired. Where two pairs are about equally similar, the one
/// whose paths have the longer end in common is taken, and where this does not tell, neither: a wrong guess would merge
/// one file into another.
pub fn renames<'p>(missing: &[(&'p str, &[u8])], candidates: &[(&'p str, &[u8])]) -> Vec<(&'p str, &'p str)> {
    let mut found = Found { from: vec![None; missing.len()], to: vec![false; candidates.len()] };

    let mut by_content: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (to, (_, content)) in candidates.iter().enumerate().filter(|(_, (_, content))| !content.is_empty()) {
        by_content.entry(content).or_default().push(to);
    }
    let pair = |from: usize, to: usize, similarity| Pair {
        from,
        to,
        similarity,
        end: common_end(missing[from].0, candidates[to].0),
    };
    let exact = missing.iter().enumerate().flat_map(|(from, (_, content))| {
        by_content.get(content).into_iter().flatten().map(move |&to| (from, to)).collect::<Vec<_>>()
    });
    found.choose(exact.map(|(from, to)| pair(from, to, 1.0)).collect());

    let left: Vec<_> =
        (0..missing.len()).filter(|&from| found.from[from].is_none() && !missing[from].1.is_empty()).collect();
    let free: Vec<_> = (0..candidates.len()).filter(|&to| !found.to[to] && !candidates[to].1.is_empty()).collect();
    if left.len().saturating_mul(free.len()) <= LIMIT {
        let lines: Vec<_> = free.iter().map(|&to| Lines::of(candidates[to].1)).collect();
        let mut similar = Vec::new();
        for from in left {
            let was = Lines::of(missing[from].1);
            let pairs = free.iter().zip(&lines).map(|(&to, lines)| pair(from, to, was.similarity(lines)));
            similar.extend(pairs.filter(|pair| pair.similarity >= SIMILAR));
        }
        found.choose(similar);
    }
    let pairs = found.from.iter().enumerate();
    pairs.filter_map(|(from, to)| to.map(|to| (missing[from].0, candidates[to].0))).collect()
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    from: usize,
    to: usize,
    similarity: f64,
    end: usize,
}

impl Pair {
    fn beats(&self, other: &Self) -> bool {
        let ahead = self.similarity - other.similarity;
        ahead > MARGIN || (ahead >= -MARGIN && self.end > other.end)
    }
}

struct Found {
    from: Vec<Option<usize>>,
    to: Vec<bool>,
}

impl Found {
    /// Takes pairs as long as there is one that beats all others for either of its files.
    fn choose(&mut self, mut pairs: Vec<Pair>) {
        pairs.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(Reverse(a.end).cmp(&Reverse(b.end))));
        loop {
            // The best pair of each file; nothing where it does not beat all others.
            let mut best_from: HashMap<usize, Vec<usize>> = HashMap::new();
            let mut best_to: HashMap<usize, Vec<usize>> = HashMap::new();
            for (at, pair) in pairs.iter().enumerate() {
                best_from.entry(pair.from).or_default().push(at);
                best_to.entry(pair.to).or_default().push(at);
            }
            let wins =
                |at: usize, rivals: &[usize]| rivals.iter().all(|&rival| rival == at || pairs[at].beats(&pairs[rival]));
            let taken: Vec<Pair> = (0..pairs.len())
                .filter(|&at| wins(at, &best_from[&pairs[at].from]) && wins(at, &best_to[&pairs[at].to]))
                .map(|at| pairs[at])
                .collect();
            if taken.is_empty() {
                return;
            }
            for pair in &taken {
                self.from[pair.from] = Some(pair.to);
                self.to[pair.to] = true;
            }
            pairs.retain(|pair| self.from[pair.from].is_none() && !self.to[pair.to]);
        }
    }
}

/// How many names two paths have in common at their end.
fn common_end(a: &str, b: &str) -> usize {
    a.rsplit('/').zip(b.rsplit('/')).take_while(|(a, b)| a == b).count()
}

/// The lines of a text: a hash of each with the bytes of all of its occurrences.
struct Lines {
    bytes: usize,
    lines: HashMap<u64, usize>,
}

impl Lines {
    fn of(text: &[u8]) -> Self {
        let mut lines = HashMap::new();
        let mut bytes = 0;
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let mut hasher = DefaultHasher::new();
            line.hash(&mut hasher);
            *lines.entry(hasher.finish()).or_default() += line.len() + 1;
            bytes += line.len() + 1;
        }
        Self { bytes, lines }
    }

    fn similarity(&self, other: &Self) -> f64 {
        let (small, large) = if self.bytes <= other.bytes { (self, other) } else { (other, self) };
        if large.bytes == 0 {
            return 1.0;
        }
        // What cannot be similar enough by its length alone needs no look.
        let common: usize =
            small.lines.iter().map(|(line, &bytes)| bytes.min(large.lines.get(line).copied().unwrap_or(0))).sum();
        common as f64 / large.bytes as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n";

    fn found(
        missing: &[(&'static str, &str)],
        candidates: &[(&'static str, &str)],
    ) -> Vec<(&'static str, &'static str)> {
        let bytes = |files: &[(&'static str, &str)]| {
            files.iter().map(|(p, t)| (*p, t.to_string().into_bytes())).collect::<Vec<_>>()
        };
        let (missing, candidates) = (bytes(missing), bytes(candidates));
        fn slices<'a>(files: &'a [(&'static str, Vec<u8>)]) -> Vec<(&'static str, &'a [u8])> {
            files.iter().map(|(p, t)| (*p, t.as_slice())).collect()
        }
        renames(&slices(&missing), &slices(&candidates))
    }

    #[test]
    fn similarity_is_the_share_of_the_larger_file() {
        assert_eq!(similarity(b"", b""), 1.0);
        assert_eq!(similarity(b"a\n", b""), 0.0);
        assert_eq!(similarity(b"aa\nbb\n", b"bb\naa\n"), 1.0);
        assert_eq!(similarity(b"aa\nbb\n", b"aa\r\nbb\r\n"), 1.0);
        assert_eq!(similarity(b"aa\nbb\n", b"aa\ncc\n"), 0.5);
        assert_eq!(similarity(b"aa\n", b"aa\naa\naa\naa\n"), 0.25);
        assert_eq!(similarity(b"aa\nbb\n", b"cc\ndd\n"), 0.0);
    }

    #[test]
    fn a_moved_file_is_found_with_and_without_edits() {
        assert_eq!(
            found(&[("src/error.rs", A)], &[("src/other.rs", "x\n"), ("src/errors.rs", A)]),
            [("src/error.rs", "src/errors.rs")]
        );
        let edited = A.replace("three", "3").replace("six\n", "");
        assert_eq!(
            found(&[("src/error.rs", A)], &[("lib/failures.rs", &edited)]),
            [("src/error.rs", "lib/failures.rs")]
        );
    }

    #[test]
    fn what_is_too_different_is_another_file() {
        assert!(found(&[("a", A)], &[("b", "one\ntwo\nthree\n-----\n-----\n-----\n-----\n-----\n-----\n")]).is_empty());
        assert!(found(&[("a/mod.rs", "")], &[("b/mod.rs", "")]).is_empty(), "empty files say nothing");
    }

    #[test]
    fn two_copies_are_told_apart_by_their_paths_or_not_at_all() {
        let copies = [("src/new/error.rs", A), ("src/copy.rs", A)];
        assert_eq!(found(&[("src/error.rs", A)], &copies), [("src/error.rs", "src/new/error.rs")]);
        assert!(found(&[("src/error.rs", A)], &[("src/one.rs", A), ("src/two.rs", A)]).is_empty());
    }

    #[test]
    fn a_folder_of_similar_files_moves_together() {
        let missing = [("src/a/mod.rs", A), ("src/b/mod.rs", A)];
        let moved = [("lib/b/mod.rs", A), ("lib/a/mod.rs", A)];
        assert_eq!(found(&missing, &moved), [("src/a/mod.rs", "lib/a/mod.rs"), ("src/b/mod.rs", "lib/b/mod.rs")]);
    }

    #[test]
    fn no_file_is_taken_twice() {
        let edited = format!("{A}nine\n");
        assert_eq!(found(&[("src/a.rs", A), ("src/b.rs", A)], &[("lib/a.rs", &edited)]), [("src/a.rs", "lib/a.rs")]);
        assert_eq!(
            found(&[("src/a.rs", A), ("src/b.rs", &edited)], &[("x.rs", A), ("y.rs", &edited)]),
            [("src/a.rs", "x.rs"), ("src/b.rs", "y.rs")],
            "the same content first, though both are similar to both"
        );
    }
}
