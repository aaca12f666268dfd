//! "Did you mean": the known name nearest to a mistyped one.

/// Nobody mistypes a longer name by a letter or two; also bounds the quadratic distance.
const LONGEST: usize = 64;

/// The first of the known names that is nearest to `got`, if one is near enough.
///
/// Near enough is one edit in three letters, and always one. An edit inserts, deletes or replaces a
/// letter or exchanges two neighbours (Damerau and Levenshtein; no part is edited twice). Case
/// does not count, nor does `-` in place of `_`.
pub(crate) fn nearest<'a>(got: &str, known: &[&'a str]) -> Option<&'a str> {
    let got = folded(got)?;
    let limit = (got.len() / 3).max(1);
    let mut best: Option<(usize, &'a str)> = None;
    for &name in known {
        let Some(letters) = folded(name) else {
            continue;
        };
        if letters.len().abs_diff(got.len()) > limit {
            continue;
        }
        let distance = distance(&got, &letters);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// The letters that are compared; none if there are too many, or nothing to compare.
fn folded(name: &str) -> Option<Vec<char>> {
    let mut letters = Vec::new();
    for c in name.chars() {
        if letters.len() == LONGEST {
            return None;
        }
        letters.push(if c == '-' { '_' } else { c.to_ascii_lowercase() });
    }
    (!letters.is_empty()).then_some(letters)
}

/// Neither is longer than [`LONGEST`].
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = [0; LONGEST + 1];
    let mut last = [0; LONGEST + 1];
    for (j, edits) in last.iter_mut().enumerate() {
        *edits = j;
    }
    for i in 0..a.len() {
        let mut row = [i + 1; LONGEST + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(a: &str, b: &str) -> usize {
        let letters = |s: &str| s.chars().collect::<Vec<_>>();
        distance(&letters(a), &letters(b))
    }

    #[test]
    fn each_kind_of_edit_costs_one() {
        assert_eq!(edits("secret", "secret"), 0);
        assert_eq!(edits("secrt", "secret"), 1);
        assert_eq!(edits("seccret", "secret"), 1);
        assert_eq!(edits("sekret", "secret"), 1);
        assert_eq!(edits("sceret", "secret"), 1);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        // A transposed pair is not edited again: three, where the unrestricted distance is two.
        assert_eq!(edits("ca", "abc"), 3);
    }

    #[test]
    fn distance_is_symmetric() {
        for (a, b) in [("requird", "required"), ("ab", "ba"), ("x", "yz"), ("größe", "groesse")] {
            assert_eq!(edits(a, b), edits(b, a), "{a} {b}");
        }
    }

    #[test]
    fn a_typo_finds_its_word() {
        let known = ["default", "required", "secret", "type"];
        assert_eq!(nearest("requird", &known), Some("required"));
        assert_eq!(nearest("tpye", &known), Some("type"));
        assert_eq!(nearest("DEFAULT", &known), Some("default"));
        assert_eq!(nearest("min-length", &["min_length"]), Some("min_length"));
    }

    #[test]
    fn a_different_word_finds_nothing() {
        let known = ["default", "required", "secret", "type"];
        assert_eq!(nearest("warehouse", &known), None);
        assert_eq!(nearest("ab", &["xy"]), None);
        assert_eq!(nearest("", &["a"]), None);
        assert_eq!(nearest("a", &[]), None);
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(nearest("cat", &["bat", "hat"]), Some("bat"));
        assert_eq!(nearest("cat", &["hat", "bat"]), Some("hat"));
        assert_eq!(nearest("cats", &["hats", "cats"]), Some("cats"));
    }

    #[test]
    fn a_very_long_name_costs_nothing() {
        let long = "a".repeat(1 << 20);
        assert_eq!(nearest(&long, &[&long]), None);
        let longest = "a".repeat(LONGEST);
        assert_eq!(nearest(&longest, &[&longest]), Some(&*longest));
    }
}
