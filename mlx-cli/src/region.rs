//! Regions: the part of a user's file, between two comments, that components put lines into.
//!
//! ```text
//! // mlx:begin modules
//! pub mod api;
//! // mlx:end modules
//! ```
//!
//! Everything outside a region, and every line in it that no component put there, is left as it is, to the byte.

use crate::{
    merge::{self, Merge},
    position::location,
    project::ProjectPath,
};
use mlx_core::{
    Diagnostic, Error, Result,
    diagnostics::{Code, Source},
};
use std::{cmp::Ordering, ops::Range, sync::Arc};

const BEGIN: &str = "mlx:begin";
const END: &str = "mlx:end";

/// The text with `entry` in the region; `None` when it is there already.
///
/// The entry takes the indentation of the line that ends the region, and the line endings of the file. A `mod`, `use` or
/// `link!` line goes where it belongs if those of the region are sorted, anything else to the end.
///
/// # Errors
/// [`Code::NoRegion`] when the file has no such region, saying what to paste; when the region has no end, or is there twice.
pub fn insert(path: &ProjectPath, text: &str, region: &str, entry: &str) -> Result<Option<String>> {
    let found = find(path, text, region)?.ok_or_else(|| missing(path, region, entry))?;
    let entry = dedented(entry);
    if entry.is_empty() || found.position(text, &entry).is_some() {
        return Ok(None);
    }
    let at = match &entry[..] {
        [line] if is_list_line(line) => found.sorted_place(text, line),
        _ => found.end.start,
    };
    let lines = found.written(&entry);
    Ok(Some(format!("{}{lines}{}", &text[..at], &text[at..])))
}

/// The text with `is` in the place of `was` in the region, or where it belongs if it is a line of a sorted list; `None` when
/// `was` is not there.
///
/// # Errors
/// As of [`remove`].
pub fn replace(path: &ProjectPath, text: &str, region: &str, was: &str, is: &str) -> Result<Option<String>> {
    let Some(found) = find(path, text, region)? else { return Ok(None) };
    let Some(Range { start, end }) = found.position(text, &dedented(was)) else { return Ok(None) };
    let entry = dedented(is);
    let without = format!("{}{}", &text[..start], &text[end..]);
    if matches!(&entry[..], [line] if is_list_line(line)) || contains(path, &without, region, is)? {
        return Ok(Some(insert(path, &without, region, is)?.unwrap_or(without)));
    }
    Ok(Some(format!("{}{}{}", &text[..start], found.written(&entry), &text[end..])))
}

/// The text without `entry` in the region; `None` when it is not there, as the user may have removed or changed it.
///
/// # Errors
/// [`Code::NoRegion`] when the region has no end, or is there twice. A region that is not there has no entry.
pub fn remove(path: &ProjectPath, text: &str, region: &str, entry: &str) -> Result<Option<String>> {
    let Some(found) = find(path, text, region)? else { return Ok(None) };
    let place = found.position(text, &dedented(entry));
    Ok(place.map(|Range { start, end }| format!("{}{}", &text[..start], &text[end..])))
}

/// The text with the change from the entry `was` to `is` merged into what the user made of the entry; `None` when it is not
/// clear where that is, or when the user changed the same lines.
///
/// `others` are the other entries of the region: where they are as they were, they are left out of the search. Of what
/// remains, the part that is [similar](merge::similarity) to `was` is the entry. If all lines of `was` but the first are
/// indented, a line that is not begins another part.
///
/// # Errors
/// As of [`remove`].
pub fn merge(
    path: &ProjectPath,
    text: &str,
    region: &str,
    was: &str,
    is: &str,
    others: &[&str],
) -> Result<Option<String>> {
    let Some(found) = find(path, text, region)? else { return Ok(None) };
    let Some(part) = found.part(text, was, others) else { return Ok(None) };
    let (was, is) = (found.written(&dedented(was)), found.written(&dedented(is)));
    let labels = merge::Labels::default();
    match merge::three_way(was.as_bytes(), text[part.clone()].as_bytes(), is.as_bytes(), &labels) {
        Merge::Clean(merged) => {
            Ok(Some(format!("{}{}{}", &text[..part.start], String::from_utf8_lossy(&merged), &text[part.end..])))
        }
        Merge::Conflict { .. } | Merge::Binary => Ok(None),
    }
}

/// Where what the user made of the entry begins in the text, as [`merge()`] finds it; `None` where it is not clear, or gone.
///
/// # Errors
/// As of [`remove`].
pub fn place(path: &ProjectPath, text: &str, region: &str, entry: &str, others: &[&str]) -> Result<Option<usize>> {
    let Some(found) = find(path, text, region)? else { return Ok(None) };
    let place = found.position(text, &dedented(entry)).or_else(|| found.part(text, entry, others));
    Ok(place.map(|place| place.start))
}

/// Whether the region has the entry.
///
/// # Errors
/// As of [`remove`].
pub fn contains(path: &ProjectPath, text: &str, region: &str, entry: &str) -> Result<bool> {
    let found = find(path, text, region)?;
    Ok(found.is_some_and(|found| found.position(text, &dedented(entry)).is_some()))
}

/// A region of a text.
struct Region {
    /// The lines between.
    body: Range<usize>,
    /// The line that ends it.
    end: Range<usize>,
    indentation: String,
    newline: &'static str,
}

/// Each line with its bytes, the line ending included.
fn lines(text: &str, within: Range<usize>) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut at = within.start;
    text[within].split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start..at, line)
    })
}

/// Whether the line begins or ends the region of this name.
fn marks(line: &str, mark: &str, region: &str) -> bool {
    let Some((_, rest)) = line.split_once(mark) else { return false };
    rest.starts_with([' ', '\t']) && rest.split_whitespace().next() == Some(region)
}

fn find(path: &ProjectPath, text: &str, region: &str) -> Result<Option<Region>> {
    let source = Source::new(path.as_str(), Arc::from(text));
    let malformed = |message: &str, at: Range<usize>| {
        let found = Diagnostic::error(Code::NoRegion, format!("the region `{region}` {message}"))
            .at(&location(&source, at))
            .help(format!("a region is between a line with `{BEGIN} {region}` and one with `{END} {region}`"));
        Error::from_diagnostics(path, vec![found])
    };
    let mut begin: Option<Range<usize>> = None;
    let mut found: Option<Region> = None;
    for (at, line) in lines(text, 0..text.len()) {
        if marks(line, BEGIN, region) {
            if begin.is_some() || found.is_some() {
                return Err(malformed("begins a second time", at));
            }
            begin = Some(at);
        } else if marks(line, END, region) {
            let Some(begin) = begin.take() else {
                return Err(malformed("ends without having begun", at));
            };
            found = Some(Region {
                body: begin.end..at.start,
                indentation: line[..line.len() - line.trim_start().len()].to_owned(),
                newline: if text[..begin.end].ends_with("\r\n") { "\r\n" } else { "\n" },
                end: at,
            });
        }
    }
    match begin {
        Some(begin) => Err(malformed("has no end", begin)),
        None => Ok(found),
    }
}

impl Region {
    /// The lines of an entry as they stand in the region.
    fn written(&self, entry: &[String]) -> String {
        let line = |line: &String| match line.is_empty() {
            true => self.newline.to_owned(),
            false => format!("{}{line}{}", self.indentation, self.newline),
        };
        entry.iter().map(line).collect()
    }

    /// Where the lines of the entry are, whatever their indentation.
    fn position(&self, text: &str, entry: &[String]) -> Option<Range<usize>> {
        let body: Vec<_> = lines(text, self.body.clone()).collect();
        let same = |window: &&[(Range<usize>, &str)]| {
            window.iter().zip(entry).all(|((_, line), wanted)| line.trim() == wanted.trim())
        };
        let window = body.windows(entry.len().max(1)).find(same)?;
        Some(window.first()?.0.start..window.last()?.0.end)
    }

    /// What the user made of an entry, beside the others.
    fn part(&self, text: &str, was: &str, others: &[&str]) -> Option<Range<usize>> {
        let known: Vec<Range<usize>> =
            others.iter().filter_map(|other| self.position(text, &dedented(other))).collect();
        let was = dedented(was);
        let is_inner = |line: &str| line.is_empty() || line.starts_with([' ', '\t']);
        let outlined = was.iter().skip(1).all(|line| is_inner(line));
        let mut parts: Vec<Range<usize>> = Vec::new();
        for (line, content) in lines(text, self.body.clone()) {
            if known.iter().any(|entry| entry.contains(&line.start)) {
                continue;
            }
            let inner = content.strip_prefix(&self.indentation).unwrap_or(content).trim_end_matches(['\n', '\r']);
            let begins = outlined && !is_inner(inner);
            match parts.last_mut() {
                Some(part) if part.end == line.start && !begins => part.end = line.end,
                _ => parts.push(line),
            }
        }
        let was = self.written(&was);
        let names: Vec<String> = (0..parts.len()).map(|part| part.to_string()).collect();
        let candidates: Vec<(&str, &[u8])> =
            names.iter().zip(&parts).map(|(name, part)| (name.as_str(), text[part.clone()].as_bytes())).collect();
        let place = merge::renames(&[("entry", was.as_bytes())], &candidates);
        place.first().and_then(|(_, name)| parts.get(name.parse::<usize>().ok()?)).cloned()
    }

    /// Where a line of a list belongs.
    fn sorted_place(&self, text: &str, line: &str) -> usize {
        let body: Vec<_> = lines(text, self.body.clone()).collect();
        let listed: Vec<usize> = (0..body.len()).filter(|&i| is_list_line(body[i].1.trim())).collect();
        let sorted = listed.windows(2).all(|pair| order(body[pair[0]].1, body[pair[1]].1) != Ordering::Greater);
        let Some(&next) = listed.iter().find(|&&i| order(body[i].1, line) == Ordering::Greater).filter(|_| sorted)
        else {
            return self.end.start;
        };
        // Comments and attributes belong to the line below them.
        let belongs = |line: &str| line.trim().starts_with("//") || line.trim().starts_with("#[");
        let first = (0..next).rev().take_while(|&i| belongs(body[i].1)).last().unwrap_or(next);
        body[first].0.start
    }
}

/// A line of which the order does not matter to the compiler.
fn is_list_line(line: &str) -> bool {
    let bare = bare(line);
    bare.ends_with(';') && (["mod ", "use "].iter().any(|word| bare.starts_with(word)) || bare.contains("link!("))
}

fn bare(line: &str) -> &str {
    let line = line.trim();
    line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line)
}

/// The order in which rustfmt of the edition 2024 puts modules: numbers by their value, underscores first.
fn order(a: &str, b: &str) -> Ordering {
    fn pieces(line: &str) -> Vec<(u32, u128)> {
        let mut pieces: Vec<(u32, u128)> = Vec::new();
        let mut digits = false;
        for c in bare(line).chars().filter(|c| *c != ';') {
            match (c.to_digit(10), pieces.last_mut()) {
                (Some(digit), Some((_, number))) if digits => {
                    *number = number.saturating_mul(10).saturating_add(digit.into());
                }
                (Some(digit), _) => pieces.push(('0'.into(), digit.into())),
                (None, _) if c == '_' => pieces.push((1, 0)),
                (None, _) => pieces.push((c.into(), 0)),
            }
            digits = c.is_ascii_digit();
        }
        pieces
    }
    pieces(a).cmp(&pieces(b))
}

/// The lines without their common indentation, and without empty ones around them.
fn dedented(entry: &str) -> Vec<String> {
    let lines: Vec<&str> = entry.lines().map(str::trim_end).collect();
    let first = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !line.is_empty()).map_or(first, |at| at + 1);
    let lines = &lines[first..last];
    let indentation = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let common = lines.iter().filter(|line| !line.is_empty()).map(indentation).min().unwrap_or(0);
    lines.iter().map(|line| line.get(common..).unwrap_or_default().to_owned()).collect()
}

fn missing(path: &ProjectPath, region: &str, entry: &str) -> Error {
    let (leader, close) = comment(path);
    let mut snippet = format!("{leader} {BEGIN} {region}{close}\n");
    dedented(entry).iter().for_each(|line| snippet.push_str(&format!("{line}\n")));
    snippet.push_str(&format!("{leader} {END} {region}{close}"));
    let found = Diagnostic::error(Code::NoRegion, format!("`{path}` has no region `{region}`"))
        .help(format!("paste this where it is to be:\n{snippet}"));
    Error::from_diagnostics(path, vec![found])
}

/// How a comment begins and ends in a file of this kind.
fn comment(path: &ProjectPath) -> (&'static str, &'static str) {
    match path.file_name().rsplit('.').next().unwrap_or_default() {
        "rs" | "js" | "ts" | "proto" | "jsonc" => ("//", ""),
        "md" | "html" | "xml" => ("<!--", " -->"),
        "sql" => ("--", ""),
        _ => ("#", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ProjectPath {
        ProjectPath::new(text).unwrap()
    }

    fn add(text: &str, entry: &str) -> Option<String> {
        insert(&path("src/mod.rs"), text, "modules", entry).unwrap()
    }

    #[test]
    fn an_entry_is_put_in_once() {
        let text = "//! Docs.\n// mlx:begin modules\n// mlx:end modules\nfn mine() {}";
        let once = add(text, "pub mod api;").unwrap();
        assert_eq!(once, "//! Docs.\n// mlx:begin modules\npub mod api;\n// mlx:end modules\nfn mine() {}");
        assert_eq!(add(&once, "pub mod api;\n"), None);
        assert!(contains(&path("src/mod.rs"), &once, "modules", "pub mod api;").unwrap());
        assert_eq!(remove(&path("src/mod.rs"), &once, "modules", "pub mod api;").unwrap().as_deref(), Some(text));
        assert_eq!(remove(&path("src/mod.rs"), text, "modules", "pub mod api;").unwrap(), None);
        assert_eq!(add(text, " \n"), None);
    }

    #[test]
    fn a_sorted_list_stays_sorted_and_another_one_as_it_is() {
        let region = |lines: &str| format!("// mlx:begin modules\n{lines}// mlx:end modules\n");
        for (before, entry, after) in [
            ("pub mod a;\npub mod c;\n", "pub mod b;", "pub mod a;\npub mod b;\npub mod c;\n"),
            ("pub mod b;\n", "pub mod a;", "pub mod a;\npub mod b;\n"),
            ("pub mod c;\npub mod a;\n", "pub mod b;", "pub mod c;\npub mod a;\npub mod b;\n"),
            ("mod a2;\nmod a10;\n", "mod a9;", "mod a2;\nmod a9;\nmod a10;\n"),
            ("mod a1;\n", "mod a_b;", "mod a_b;\nmod a1;\n"),
            (
                "mod a;\n// About c.\n#[cfg(unix)]\nmod c;\n",
                "pub mod b;",
                "mod a;\npub mod b;\n// About c.\n#[cfg(unix)]\nmod c;\n",
            ),
            ("mlx_core::link!(z);\n", "mlx_core::link!(a);", "mlx_core::link!(a);\nmlx_core::link!(z);\n"),
            ("z();\n", "a();", "z();\na();\n"),
        ] {
            assert_eq!(add(&region(before), entry), Some(region(after)), "{entry}");
        }
    }

    #[test]
    fn indentation_and_line_endings_are_those_of_the_file() {
        let text = "plugins:\r\n  # mlx:begin plugins\r\n  # mlx:end plugins\r\nrest: 1";
        let entry = "    - type: x\n\n      config:\n        a: 1\n";
        let after = insert(&path("p.yaml"), text, "plugins", entry).unwrap().unwrap();
        assert_eq!(
            after,
            "plugins:\r\n  # mlx:begin plugins\r\n  - type: x\r\n\r\n    config:\r\n      a: 1\r\n  # mlx:end plugins\r\nrest: 1"
        );
        assert_eq!(insert(&path("p.yaml"), &after, "plugins", entry).unwrap(), None);
        assert_eq!(remove(&path("p.yaml"), &after, "plugins", entry).unwrap().as_deref(), Some(text));
    }

    #[test]
    fn a_missing_region_says_what_to_paste() {
        for (file, expected) in [
            ("src/mod.rs", "// mlx:begin modules\npub mod api;\n// mlx:end modules"),
            ("p.yaml", "# mlx:begin modules\npub mod api;\n# mlx:end modules"),
            ("a.md", "<!-- mlx:begin modules -->\npub mod api;\n<!-- mlx:end modules -->"),
        ] {
            let error = insert(&path(file), "// mlx:begin modules_too\n", "modules", "pub mod api;").unwrap_err();
            assert_eq!(error.diagnostics()[0].code, Code::NoRegion);
            assert!(error.diagnostics()[0].help[0].ends_with(expected), "{error:?}");
        }
        assert_eq!(remove(&path("p.yaml"), "", "modules", "x").unwrap(), None);
    }

    #[test]
    fn a_malformed_region_is_refused_with_its_position() {
        for (text, expected, line) in [
            ("\n// mlx:begin modules\n", "has no end", 2),
            ("// mlx:end modules\n", "ends without having begun", 1),
            ("// mlx:begin modules\n// mlx:begin modules\n// mlx:end modules\n", "begins a second time", 2),
            (
                "// mlx:begin modules\n// mlx:end modules\n// mlx:begin modules\n// mlx:end modules\n",
                "begins a second time",
                3,
            ),
        ] {
            let error = insert(&path("src/mod.rs"), text, "modules", "mod a;").unwrap_err();
            let found = &error.diagnostics()[0];
            assert!(found.message.contains(expected), "{error:?}");
            assert_eq!(found.location.as_ref().unwrap().line, line);
            assert!(remove(&path("src/mod.rs"), text, "modules", "mod a;").is_err());
        }
    }

    #[test]
    fn other_regions_are_not_touched() {
        let text = "// mlx:begin links\n// mlx:end links\n    // mlx:begin modules\n    // mlx:end modules";
        assert_eq!(
            add(text, "mod a;").unwrap(),
            "// mlx:begin links\n// mlx:end links\n    // mlx:begin modules\n    mod a;\n    // mlx:end modules"
        );
    }
}
