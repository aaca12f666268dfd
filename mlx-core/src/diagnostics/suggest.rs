//! "Did you mean": the known name nearest to a misspelt one.

/// The name among `known` that is nearest to `given`, if it is near enough to be a likely misspelling: at most a
/// third of its length in edits (insertion, deletion, substitution, transposition), case and `-`/`_` apart.
///
/// Ties go to the name that sorts first, so that the answer does not depend on the order of `known`.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given: Vec<char> = fold(given).collect();
    let letters_given = letters(&given);
    let mut candidate = Vec::new();
    let mut rows = Rows::default();
    known
        .into_iter()
        .filter_map(|name| {
            candidate.clear();
            candidate.extend(fold(name));
            let limit = (candidate.len().max(given.len()) / 3).max(1);
            // An edit changes whether two letters occur at most.
            if (letters_given ^ letters(&candidate)).count_ones() as usize > 2 * limit {
                return None;
            }
            let distance = rows.distance(&given, &candidate, limit)?;
            // Two short names that share nothing are not misspellings of each other.
            (distance < candidate.len()).then_some((distance, name))
        })
        .min()
        .map(|(_, name)| name)
}

fn fold(name: &str) -> impl Iterator<Item = char> {
    name.chars().take(128).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() })
}

/// Which letters occur, one bit for all those that are alike in their last six bits.
fn letters(name: &[char]) -> u64 {
    name.iter().fold(0, |letters, c| letters | 1 << (u32::from(*c) % 64))
}

/// The last three rows of the table of distances, kept from name to name.
#[derive(Default)]
struct Rows {
    before: Vec<usize>,
    above: Vec<usize>,
    row: Vec<usize>,
}

impl Rows {
    /// The optimal string alignment distance, or `None` when it exceeds `limit`.
    fn distance(&mut self, a: &[char], b: &[char], limit: usize) -> Option<usize> {
        if a.len().abs_diff(b.len()) > limit {
            return None;
        }
        let Rows { before, above, row } = self;
        for list in [&mut *before, above, row] {
            list.clear();
            list.extend(0..=b.len());
        }
        for i in 1..=a.len() {
            row[0] = i;
            for j in 1..=b.len() {
                let substitution = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
                row[j] = substitution.min(above[j] + 1).min(row[j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    row[j] = row[j].min(before[j - 2] + 1);
                }
            }
            std::mem::swap(before, above);
            std::mem::swap(above, row);
        }
        Some(above[b.len()]).filter(|distance| *distance <= limit)
    }
}

/// A name or value in backticks, for messages; what is very long is cut short.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// `a, b and c`, each in backticks, for lists in messages; at most 24 names, then how many more there are.
pub fn listing<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let shown = names.len().min(24);
    let mut text = names[..shown].iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > shown {
        text.push_str(&format!(" and {} more", names.len() - shown));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_typo_and_rejects_a_stranger() {
        let known = ["databricks", "outerbounds", "sagemaker"];
        assert_eq!(nearest("databrick", known), Some("databricks"));
        assert_eq!(nearest("DataBricks", known), Some("databricks"));
        assert_eq!(nearest("sagemkaer", known), Some("sagemaker"));
        assert_eq!(nearest("snowflake", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn separators_do_not_count() {
        assert_eq!(nearest("api_keys", ["api-keys"]), Some("api-keys"));
    }

    #[test]
    fn a_tie_goes_to_the_first_by_name() {
        assert_eq!(nearest("cat", ["cut", "bat"]), Some("bat"));
    }

    #[test]
    fn one_letter_names_are_not_each_others_typos() {
        assert_eq!(nearest("a", ["b"]), None);
    }
}
