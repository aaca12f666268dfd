//! The merge by lines: diff3 over several diffs.

use super::{Labels, Merge};
use imara_diff::{Algorithm, Diff, IndentHeuristic, IndentLevel, Interner, Token};
use std::{collections::HashMap, iter, ops::Range};

/// The usual width of a marker.
pub(super) const MARKER: usize = 7;
/// Runs of marker characters longer than this are rulers, and no marker is made wider because of them.
const LONGEST_MARKER: usize = 200;
/// Lines of both texts together that are compared in one go. The algorithms can take time that grows with the square of
/// this; what is longer is compared in sections, so the time of the whole grows with its length.
const SECTION: usize = 4_000;
/// Equal lines before and after a section's differences that are compared with it, for hunks to be moved over.
const CONTEXT: usize = 1_000;

/// Merges the changes from `base` to `ours` with those from `base` to `theirs`.
///
/// Changes are found by lines. The two sides' changes are independent where at least one line that neither changed stands
/// between them; changes that touch are in conflict, unless both sides made the same one. That is the rule of diff3
/// (Khanna, Kunal, Pierce: *A Formal Investigation of Diff3*, 2007) as git applies it.
///
/// How lines are paired is ambiguous where they repeat (`}`, blank lines), and an unlucky pairing merges without conflict into
/// nonsense. So the merge is done with three diffs (Myers; Myers and Histogram with their hunks moved to where the indentation
/// says they belong), and is clean only if all three give the same text. Otherwise the markers of a conflict enclose what the
/// three do not agree on.
///
/// - Line ends are part of a line. If one side changed all of them (a checkout under Windows does), this is taken as
///   a change of its own, and is kept.
/// - A text that has no newline at its end keeps it that way; before a marker one is added.
/// - Markers are longer than what looks like one in the three texts.
/// - What is not UTF-8, or has a NUL, is merged only where one side alone changed it; see [`Merge::Binary`].
pub fn three_way(base: &[u8], ours: &[u8], theirs: &[u8], labels: &Labels<'_>) -> Merge {
    if let Some(text) = trivial(base, ours, theirs) {
        return Merge::Clean(text.to_vec());
    }
    if [base, ours, theirs].into_iter().any(is_binary) {
        return Merge::Binary;
    }
    let ends = [base, ours, theirs].map(LineEnds::of);
    if ends.contains(&LineEnds::Mixed)
        || (ends[0].agrees(ends[1]) && ends[0].agrees(ends[2]) && ends[1].agrees(ends[2]))
    {
        return by_lines(base, ours, theirs, labels);
    }
    let [base, ours, theirs] = [base, ours, theirs].map(to_lf);
    let target = if ends[0].agrees(ends[1]) { ends[2] } else { ends[1] };
    let ended = |text| if target == LineEnds::Crlf { to_crlf(text) } else { text };
    match by_lines(&base, &ours, &theirs, labels) {
        Merge::Clean(text) => Merge::Clean(ended(text)),
        Merge::Conflict { text, conflicts } => Merge::Conflict { text: ended(text), conflicts },
        Merge::Binary => Merge::Binary,
    }
}

/// The result where at most one side has changes, or both have the same.
pub(super) fn trivial<'a>(base: &[u8], ours: &'a [u8], theirs: &'a [u8]) -> Option<&'a [u8]> {
    if ours == theirs || base == theirs {
        Some(ours)
    } else if base == ours {
        Some(theirs)
    } else {
        None
    }
}

pub(super) fn is_binary(text: &[u8]) -> bool {
    text.contains(&0) || std::str::from_utf8(text).is_err()
}

fn by_lines(base: &[u8], ours: &[u8], theirs: &[u8], labels: &Labels<'_>) -> Merge {
    if let Some(text) = trivial(base, ours, theirs) {
        return Merge::Clean(text.to_vec());
    }
    let texts = Texts::new(base, ours, theirs);
    let compared = Variant::ALL.map(|variant| texts.compare(variant));
    let merged = compared.each_ref().map(|(ours, theirs)| texts.merge(ours, theirs));
    let outcomes = merged.each_ref().map(|regions| texts.clean(regions));
    if let Some(first) = &outcomes[0]
        && outcomes.iter().all(|outcome| outcome.as_ref() == Some(first))
    {
        return Merge::Clean(texts.bytes(first));
    }
    let [first, rest @ ..] = &compared;
    let agreed =
        rest.iter().fold(first.clone(), |agreed, (ours, theirs)| (common(&agreed.0, ours), common(&agreed.1, theirs)));
    // The regions all variants agree on; should those not be in conflict, the regions of a variant that is; should none be, but
    // all differ, one region for everything.
    let agreed = texts.merge(&agreed.0, &agreed.1);
    let regions =
        iter::once(agreed).chain(merged.into_iter().rev()).find(|regions| regions.iter().any(Region::is_conflict));
    texts.marked(&regions.unwrap_or_else(|| texts.one_conflict()), labels)
}

/// The three texts with a conflict from the first to the last difference. For a caller who knows why they cannot be merged.
pub(super) fn conflict(base: &[u8], ours: &[u8], theirs: &[u8], labels: &Labels<'_>) -> Merge {
    let texts = Texts::new(base, ours, theirs);
    texts.marked(&texts.one_conflict(), labels)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// No line has one.
    None,
    Lf,
    Crlf,
    Mixed,
}

impl LineEnds {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut ends = Self::None;
        let mut before = 0;
        for &byte in text {
            if byte == b'\n' {
                let end = if before == b'\r' { Self::Crlf } else { Self::Lf };
                if !ends.agrees(end) {
                    return Self::Mixed;
                }
                ends = end;
            }
            before = byte;
        }
        ends
    }

    fn agrees(self, other: Self) -> bool {
        self == other || self == Self::None || other == Self::None
    }
}

pub(super) fn to_lf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if byte == b'\n' && out.last() == Some(&b'\r') {
            out.pop();
        }
        out.push(byte);
    }
    out
}

pub(super) fn to_crlf(text: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 16);
    for byte in text {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

/// A way to compare two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    Myers,
    MyersMoved,
    HistogramMoved,
}

impl Variant {
    pub(super) const ALL: [Self; 3] = [Self::Myers, Self::MyersMoved, Self::HistogramMoved];

    fn algorithm(self) -> Algorithm {
        match self {
            Self::Myers | Self::MyersMoved => Algorithm::Myers,
            Self::HistogramMoved => Algorithm::Histogram,
        }
    }

    /// Whether hunks that can be moved up and down are moved to where the indentation says they belong.
    fn moves_hunks(self) -> bool {
        self != Self::Myers
    }
}

/// Lines that are the same in both texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    before: usize,
    after: usize,
    length: usize,
}

/// Lines of the base and what a side has in their place. One of the two ranges may be empty.
struct Change {
    base: Range<usize>,
    side: Range<usize>,
}

/// A stretch of the merged text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Region {
    Base(Range<usize>),
    Ours(Range<usize>),
    Theirs(Range<usize>),
    Conflict { base: Range<usize>, ours: Range<usize>, theirs: Range<usize> },
}

impl Region {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

/// The lines of the three texts, each as a token.
pub(super) struct Texts<'a> {
    lines: Interner<&'a [u8]>,
    base: Vec<Token>,
    ours: Vec<Token>,
    theirs: Vec<Token>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(base: &'a [u8], ours: &'a [u8], theirs: &'a [u8]) -> Self {
        let mut lines = Interner::new(64);
        let [base, ours, theirs] = [base, ours, theirs]
            .map(|text| text.split_inclusive(|&byte| byte == b'\n').map(|line| lines.intern(line)).collect::<Vec<_>>());
        Self { lines, base, ours, theirs }
    }

    /// What one variant makes of the texts; nothing where it finds a conflict.
    #[cfg(test)]
    pub(super) fn merged_by(&self, variant: Variant) -> Option<Vec<u8>> {
        let (ours, theirs) = self.compare(variant);
        self.clean(&self.merge(&ours, &theirs)).map(|tokens| self.bytes(&tokens))
    }

    fn compare(&self, variant: Variant) -> (Vec<Run>, Vec<Run>) {
        (self.runs(variant, &self.ours), self.runs(variant, &self.theirs))
    }

    fn runs(&self, variant: Variant, side: &[Token]) -> Vec<Run> {
        let mut runs = Vec::new();
        for section in sections(&self.base, side, self.lines.num_tokens() as usize) {
            self.runs_of_section(variant, &self.base[section.0.clone()], &side[section.1.clone()], |run| {
                push(
                    &mut runs,
                    Run { before: section.0.start + run.before, after: section.1.start + run.after, ..run },
                );
            });
        }
        runs
    }

    fn runs_of_section(&self, variant: Variant, before: &[Token], after: &[Token], mut found: impl FnMut(Run)) {
        let (prefix, suffix) = same_ends(before, after);
        let differing = before.len() + after.len() - 2 * (prefix + suffix);
        let context = if (1..=SECTION).contains(&differing) { CONTEXT } else { 0 };
        let (start, rest) = (prefix.saturating_sub(context), suffix.saturating_sub(context));
        found(Run { before: 0, after: 0, length: start });
        if context > 0 {
            let inner = (&before[start..before.len() - rest], &after[start..after.len() - rest]);
            self.diff(variant, inner.0, inner.1, |run| {
                found(Run { before: start + run.before, after: start + run.after, ..run });
            });
        }
        found(Run { before: before.len() - rest, after: after.len() - rest, length: rest });
    }

    fn diff(&self, variant: Variant, before: &[Token], after: &[Token], mut found: impl FnMut(Run)) {
        // The algorithms keep tables as long as there are tokens.
        let mut numbers = HashMap::new();
        let mut texts = Vec::new();
        let [before, after] = [before, after].map(|tokens| {
            let number = |&token: &Token| {
                *numbers.entry(token).or_insert_with(|| {
                    texts.push(self.lines[token]);
                    Token(texts.len() as u32 - 1)
                })
            };
            tokens.iter().map(number).collect::<Vec<_>>()
        });
        let mut diff = Diff::default();
        diff.compute_with(variant.algorithm(), &before, &after, texts.len() as u32);
        if variant.moves_hunks() {
            let level = |token: Token| IndentLevel::for_ascii_line(texts[token.0 as usize].iter().copied(), 8);
            diff.postprocess_with(&before, &after, IndentHeuristic::new(level));
        }
        let (mut at_before, mut at_after) = (0, 0);
        for hunk in diff.hunks() {
            found(Run { before: at_before, after: at_after, length: hunk.before.start as usize - at_before });
            (at_before, at_after) = (hunk.before.end as usize, hunk.after.end as usize);
        }
        found(Run { before: at_before, after: at_after, length: before.len() - at_before });
    }

    fn merge(&self, ours: &[Run], theirs: &[Run]) -> Vec<Region> {
        let mut regions = Vec::new();
        let mut ours = Side::new(changes(ours, self.base.len(), self.ours.len()));
        let mut theirs = Side::new(changes(theirs, self.base.len(), self.theirs.len()));
        let mut at = 0;
        while let Some(start) = ours.next_start().into_iter().chain(theirs.next_start()).min() {
            let (ours_start, theirs_start) = (ours.position(start), theirs.position(start));
            let mut end = start;
            loop {
                let taken = (ours.take_up_to(end), theirs.take_up_to(end));
                let Some(further) = taken.0.max(taken.1) else { break };
                end = end.max(further);
            }
            if at < start {
                regions.push(Region::Base(at..start));
            }
            regions.push(self.region(start..end, ours_start..ours.position(end), theirs_start..theirs.position(end)));
            at = end;
        }
        if at < self.base.len() {
            regions.push(Region::Base(at..self.base.len()));
        }
        regions
    }

    fn region(&self, base: Range<usize>, ours: Range<usize>, theirs: Range<usize>) -> Region {
        let (was, mine, other) = (&self.base[base.clone()], &self.ours[ours.clone()], &self.theirs[theirs.clone()]);
        if mine == other || was == other {
            Region::Ours(ours)
        } else if was == mine {
            Region::Theirs(theirs)
        } else {
            Region::Conflict { base, ours, theirs }
        }
    }

    /// The lines of the merged text, if nothing is in conflict.
    fn clean(&self, regions: &[Region]) -> Option<Vec<Token>> {
        let mut tokens = Vec::with_capacity(self.base.len());
        for region in regions {
            tokens.extend_from_slice(match region {
                Region::Base(lines) => &self.base[lines.clone()],
                Region::Ours(lines) => &self.ours[lines.clone()],
                Region::Theirs(lines) => &self.theirs[lines.clone()],
                Region::Conflict { .. } => return None,
            });
        }
        Some(tokens)
    }

    fn bytes(&self, tokens: &[Token]) -> Vec<u8> {
        tokens.iter().flat_map(|&token| self.lines[token]).copied().collect()
    }

    /// One conflict between the lines that all three texts begin and end with.
    fn one_conflict(&self) -> Vec<Region> {
        let (base, ours, theirs) = (&self.base, &self.ours, &self.theirs);
        let with_ours = same_ends(base, ours);
        let with_theirs = same_ends(base, theirs);
        let prefix = with_ours.0.min(with_theirs.0);
        let rest = base.len().min(ours.len()).min(theirs.len()) - prefix;
        let suffix = with_ours.1.min(with_theirs.1).min(rest);
        vec![
            Region::Base(0..prefix),
            Region::Conflict {
                base: prefix..base.len() - suffix,
                ours: prefix..ours.len() - suffix,
                theirs: prefix..theirs.len() - suffix,
            },
            Region::Base(base.len() - suffix..base.len()),
        ]
    }

    fn marked(&self, regions: &[Region], labels: &Labels<'_>) -> Merge {
        let width = self.marker_width();
        let end: &[u8] =
            if self.ours.iter().chain(&self.theirs).next().is_some_and(|&line| self.lines[line].ends_with(b"\r\n")) {
                b"\r\n"
            } else {
                b"\n"
            };
        let mut text = Vec::new();
        let mut conflicts = 0;
        for region in regions {
            match region {
                Region::Base(lines) => text.extend(self.bytes(&self.base[lines.clone()])),
                Region::Ours(lines) => text.extend(self.bytes(&self.ours[lines.clone()])),
                Region::Theirs(lines) => text.extend(self.bytes(&self.theirs[lines.clone()])),
                Region::Conflict { base, ours, theirs } => {
                    conflicts += 1;
                    let parts: [(u8, &str, &[Token]); 4] = [
                        (b'<', labels.ours, &self.ours[ours.clone()]),
                        (b'|', labels.base, &self.base[base.clone()]),
                        (b'=', "", &self.theirs[theirs.clone()]),
                        (b'>', labels.theirs, &[]),
                    ];
                    for (marker, label, lines) in parts {
                        text.extend(iter::repeat_n(marker, width));
                        if !label.is_empty() {
                            text.push(b' ');
                            text.extend(label.bytes());
                        }
                        text.extend(end);
                        let lines = self.bytes(lines);
                        text.extend(&lines);
                        if !lines.is_empty() && !lines.ends_with(b"\n") {
                            text.extend(end);
                        }
                    }
                }
            }
        }
        Merge::Conflict { text, conflicts }
    }

    fn marker_width(&self) -> usize {
        let widths = (0..self.lines.num_tokens()).map(|line| marker_run(self.lines[Token(line)]));
        widths.filter(|width| (MARKER..LONGEST_MARKER).contains(width)).max().map_or(MARKER, |width| width + 1)
    }
}

/// How many of the same marker character the line begins with.
pub(super) fn marker_run(line: &[u8]) -> usize {
    match line.first() {
        Some(first @ (b'<' | b'|' | b'=' | b'>')) => line.iter().take_while(|&byte| byte == first).count(),
        _ => 0,
    }
}

/// A side's changes, in order, and where a line of the base is in it.
struct Side {
    changes: iter::Peekable<std::vec::IntoIter<Change>>,
    /// End of the last change taken: in the base, and in this side.
    last: (usize, usize),
}

impl Side {
    fn new(changes: Vec<Change>) -> Self {
        Self { changes: changes.into_iter().peekable(), last: (0, 0) }
    }

    fn next_start(&mut self) -> Option<usize> {
        self.changes.peek().map(|change| change.base.start)
    }

    /// Takes the next change if it begins at or before `end`, and tells where it ends.
    fn take_up_to(&mut self, end: usize) -> Option<usize> {
        let change = self.changes.next_if(|change| change.base.start <= end)?;
        self.last = (change.base.end, change.side.end);
        Some(change.base.end)
    }

    /// Where the line `base`, at or after the last change and at or before the next, is in this side.
    fn position(&self, base: usize) -> usize {
        self.last.1 + (base - self.last.0)
    }
}

/// What lies between the runs.
fn changes(runs: &[Run], base: usize, side: usize) -> Vec<Change> {
    let end = Run { before: base, after: side, length: 0 };
    let mut at = (0, 0);
    let mut changes = Vec::new();
    for run in runs.iter().chain([&end]) {
        if at != (run.before, run.after) {
            changes.push(Change { base: at.0..run.before, side: at.1..run.after });
        }
        at = (run.before + run.length, run.after + run.length);
    }
    changes
}

/// Adds a run, to the last one if it continues that.
fn push(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        _ if run.length == 0 => {}
        Some(last) if (last.before + last.length, last.after + last.length) == (run.before, run.after) => {
            last.length += run.length;
        }
        _ => runs.push(run),
    }
}

/// The pairs of lines that are in both lists of runs.
fn common(left: &[Run], right: &[Run]) -> Vec<Run> {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut runs = Vec::new();
    while let (Some(&&a), Some(&&b)) = (left.peek(), right.peek()) {
        let (a_end, b_end) = (a.before + a.length, b.before + b.length);
        let start = a.before.max(b.before);
        if a.after + b.before == b.after + a.before {
            let length = a_end.min(b_end).saturating_sub(start);
            push(&mut runs, Run { before: start, after: a.after + (start - a.before), length });
        }
        if a_end <= b_end {
            left.next();
        } else {
            right.next();
        }
    }
    runs
}

/// How many lines are the same at the beginning, and of the others at the end.
fn same_ends(before: &[Token], after: &[Token]) -> (usize, usize) {
    let same = |pair: &(&Token, &Token)| pair.0 == pair.1;
    let prefix = before.iter().zip(after).take_while(same).count();
    let suffix = before[prefix..].iter().rev().zip(after[prefix..].iter().rev()).take_while(same).count();
    (prefix, suffix)
}

/// Cuts two long texts at lines that correspond, into sections of at most [`SECTION`] lines where there are such lines:
/// those that are in each of the two just once, in the same order in both (patience diff, Bram Cohen).
fn sections(before: &[Token], after: &[Token], tokens: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let (prefix, suffix) = same_ends(before, after);
    let whole = (before.len(), after.len());
    if whole.0 + whole.1 - 2 * (prefix + suffix) <= SECTION {
        return vec![(0..whole.0, 0..whole.1)];
    }
    let inner = (prefix..whole.0 - suffix, prefix..whole.1 - suffix);
    let mut cuts = vec![(0, 0)];
    let mut last = (prefix, prefix);
    if prefix > 0 {
        cuts.push(last);
    }
    for anchor in anchors(before, after, inner, tokens).into_iter().chain([(whole.0 - suffix, whole.1 - suffix)]) {
        let from = cuts.last().copied().unwrap_or_default();
        let length = |from: (usize, usize)| anchor.0 - from.0 + anchor.1 - from.1;
        if length(from) > SECTION && last != from {
            cuts.push(last);
        }
        if length(last) > SECTION {
            cuts.push(anchor);
        }
        last = anchor;
    }
    for cut in [last, whole] {
        if cuts.last() != Some(&cut) {
            cuts.push(cut);
        }
    }
    cuts.windows(2).map(|cut| (cut[0].0..cut[1].0, cut[0].1..cut[1].1)).collect()
}

fn anchors(
    before: &[Token],
    after: &[Token],
    inner: (Range<usize>, Range<usize>),
    tokens: usize,
) -> Vec<(usize, usize)> {
    const NONE: usize = usize::MAX;
    const MANY: usize = usize::MAX - 1;
    let [in_before, in_after] = [(before, inner.0), (after, inner.1)].map(|(text, range)| {
        let mut places = vec![NONE; tokens];
        for at in range {
            let place = &mut places[text[at].0 as usize];
            *place = if *place == NONE { at } else { MANY };
        }
        places
    });
    let mut pairs: Vec<(usize, usize)> =
        in_before.into_iter().zip(in_after).filter(|pair| pair.0.max(pair.1) < MANY).collect();
    pairs.sort_unstable();
    // The longest increasing subsequence: piles of patience sorting, each card knowing the top of the pile before.
    let mut tops: Vec<usize> = Vec::new();
    let mut previous = vec![NONE; pairs.len()];
    for (card, &(_, at)) in pairs.iter().enumerate() {
        let pile = tops.partition_point(|&top| pairs[top].1 < at);
        if pile > 0 {
            previous[card] = tops[pile - 1];
        }
        if pile == tops.len() {
            tops.push(card);
        } else {
            tops[pile] = card;
        }
    }
    let last = tops.last().copied();
    let mut chain: Vec<_> = iter::successors(last, |&card| Some(previous[card]).filter(|&card| card != NONE))
        .map(|card| pairs[card])
        .collect();
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, process::Command, thread};

    fn merge(base: &str, ours: &str, theirs: &str) -> Merge {
        three_way(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &Labels::default())
    }

    fn clean(text: &str) -> Merge {
        Merge::Clean(text.as_bytes().to_vec())
    }

    fn marked(text: &str, conflicts: usize) -> Merge {
        Merge::Conflict { text: text.as_bytes().to_vec(), conflicts }
    }

    #[test]
    fn changes_in_different_places_are_both_kept() {
        assert_eq!(merge("a\nb\nc\nd\ne\n", "a\nB\nc\nd\ne\n", "a\nb\nc\nD\ne\n"), clean("a\nB\nc\nD\ne\n"));
        assert_eq!(merge("a\nb\nc\n", "0\na\nb\nc\n", "a\nb\nc\nd\n"), clean("0\na\nb\nc\nd\n"));
        assert_eq!(merge("a\nb\nc\nd\ne\n", "a\nc\nd\ne\n", "a\nb\nc\nd\n"), clean("a\nc\nd\n"));
    }

    #[test]
    fn the_same_change_on_both_sides_is_no_conflict() {
        assert_eq!(merge("a\nb\nc\nd\n", "A\nb\nX\nd\n", "a\nb\nX\nd\n"), clean("A\nb\nX\nd\n"));
        assert_eq!(merge("a\nb\nc\n", "a\nc\n", "a\nc\nd\n"), clean("a\nc\nd\n"));
    }

    #[test]
    fn a_place_that_both_changed_is_shown_with_what_it_was() {
        let text = "a\n<<<<<<< yours\nours\n||||||| generated before\nb\n=======\ntheirs\n>>>>>>> generated now\nc\n";
        assert_eq!(merge("a\nb\nc\n", "a\nours\nc\n", "a\ntheirs\nc\n"), marked(text, 1));
        assert!(super::super::has_markers(text.as_bytes(), &Labels::default()));
    }

    #[test]
    fn changes_that_touch_are_in_conflict() {
        for (base, ours, theirs) in [
            ("a\nb\nc\nd\n", "a\nB\nc\nd\n", "a\nb\nC\nd\n"),
            ("a\nb\nc\n", "a\nB\nc\n", "a\nb\nx\nc\n"),
            ("a\nb\n", "a\nx\nb\n", "a\ny\nb\n"),
            ("a\n", "a\nx\n", "a\ny\n"),
            ("", "x\n", "y\n"),
        ] {
            assert!(
                matches!(merge(base, ours, theirs), Merge::Conflict { conflicts: 1, .. }),
                "{base:?} {ours:?} {theirs:?}"
            );
        }
    }

    #[test]
    fn a_deletion_against_a_change_is_in_conflict() {
        let text = "a\n<<<<<<< yours\n||||||| generated before\nb\n=======\nB\n>>>>>>> generated now\nc\n";
        assert_eq!(merge("a\nb\nc\n", "a\nc\n", "a\nB\nc\n"), marked(text, 1));
        assert!(matches!(merge("a\nb\n", "", "a\nB\n"), Merge::Conflict { .. }));
    }

    #[test]
    fn every_place_is_counted() {
        let result = merge("a\n-\n-\nb\n-\n-\nc\n", "1\n-\n-\nb\n-\n-\n1\n", "2\n-\n-\nb\n-\n-\n2\n");
        assert!(matches!(result, Merge::Conflict { conflicts: 2, .. }), "{result:?}");
    }

    #[test]
    fn line_ends_are_kept() {
        assert_eq!(merge("a\r\nb\r\nc\r\n", "A\r\nb\r\nc\r\n", "a\r\nb\r\nC\r\n"), clean("A\r\nb\r\nC\r\n"));
        assert_eq!(
            merge("a\nb\nc\n", "A\r\nb\r\nc\r\n", "a\nb\nC\n"),
            clean("A\r\nb\r\nC\r\n"),
            "the user's are all CRLF"
        );
        assert_eq!(merge("a\nb\nc\n", "A\nb\nc\n", "a\r\nb\r\nC\r\n"), clean("A\r\nb\r\nC\r\n"), "the template's are");
        assert_eq!(merge("a\r\nb\r\nc\r\n", "A\nb\nc\n", "a\r\nb\r\nC\r\n"), clean("A\nb\nC\n"));
        assert_eq!(merge("a\nb\nc\n", "a\r\nb\r\nc\r\n", "a\nb\nC\n"), clean("a\r\nb\r\nC\r\n"));
        assert_eq!(
            merge("a\nb\nc\nd\n", "a\nb\r\nc\nd\n", "a\nb\nc\nD\n"),
            clean("a\nb\r\nc\nD\n"),
            "one line's is a change of it"
        );
        let Merge::Conflict { text, .. } = merge("a\r\n", "b\r\n", "c\r\n") else { panic!("a conflict") };
        assert_eq!(LineEnds::of(&text), LineEnds::Crlf);
    }

    #[test]
    fn a_text_without_a_newline_at_its_end_stays_so() {
        assert_eq!(merge("a\nb\nc", "A\nb\nc", "a\nb\nc"), clean("A\nb\nc"));
        assert_eq!(merge("a\nb\nc", "A\nb\nc", "a\nb\nc\n"), clean("A\nb\nc\n"));
        assert_eq!(merge("a\nb\nc\n", "a\nb\nc", "A\nb\nc\n"), clean("A\nb\nc"));
        let text = "<<<<<<< yours\nb\n||||||| generated before\na\n=======\nc\n>>>>>>> generated now\n";
        assert_eq!(merge("a", "b", "c"), marked(text, 1));
    }

    #[test]
    fn what_looks_like_a_marker_makes_ours_longer() {
        let Merge::Conflict { text, .. } = merge("=======\na\n", "=======\nb\n>>>>>>>> x\n", "=======\nc\n") else {
            panic!("a conflict")
        };
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.starts_with("=======\n<<<<<<<<< yours\nb\n>>>>>>>> x\n||||||||| generated before\na\n=========\nc\n"),
            "{text}"
        );
        let ruler = "=".repeat(LONGEST_MARKER + 1);
        let Merge::Conflict { text, .. } = merge(&ruler, "b\n", "c\n") else { panic!("a conflict") };
        assert!(text.starts_with(b"<<<<<<< yours\n"));
    }

    #[test]
    fn what_is_no_text_gets_no_markers() {
        let labels = Labels::default();
        assert_eq!(three_way(b"a\0", b"b\0", b"c\0", &labels), Merge::Binary);
        assert_eq!(three_way(b"a", b"\xff", b"c", &labels), Merge::Binary);
        assert_eq!(three_way(b"a\0", b"b\0", b"a\0", &labels), Merge::Clean(b"b\0".to_vec()));
        assert_eq!(three_way(b"a\0", b"a\0", b"\xff", &labels), Merge::Clean(b"\xff".to_vec()));
    }

    #[test]
    fn what_the_variants_do_not_agree_on_is_a_conflict_and_never_empty() {
        // `one_conflict` must hold what differs, whatever the texts have in common.
        for (base, ours, theirs) in [("a\nb\na\n", "a\n", "a\na\n"), ("", "a\n", "b\n"), ("a\na\n", "a\na\na\n", "a\n")]
        {
            let texts = Texts::new(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
            let Merge::Conflict { text, conflicts: 1 } = texts.marked(&texts.one_conflict(), &Labels::default()) else {
                panic!("one conflict")
            };
            assert_eq!(sides(&text), [ours, base, theirs].map(str::to_owned));
        }
    }

    /// The three texts that a text with markers was made from, as far as the places in conflict go.
    fn sides(text: &[u8]) -> [String; 3] {
        let mut sides = [String::new(), String::new(), String::new()];
        let mut within = None;
        for line in std::str::from_utf8(text).unwrap().split_inclusive('\n') {
            let next = match (within, line.as_bytes()[0]) {
                (None, b'<') => Some(0),
                (Some(0), b'|') => Some(1),
                (Some(1), b'=') => Some(2),
                (Some(2), b'>') => None,
                _ => {
                    match within {
                        Some(side) => sides[side].push_str(line),
                        None => sides.iter_mut().for_each(|side| side.push_str(line)),
                    }
                    continue;
                }
            };
            within = next;
        }
        assert_eq!(within, None);
        sides
    }

    /// SplitMix64 (Steele, Lea, Flood, 2014).
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) % limit as u64) as usize
        }

        fn line(&mut self) -> String {
            match self.below(10) {
                0 | 1 => "}\n".to_owned(),
                2 => "    }\n".to_owned(),
                3 => "\n".to_owned(),
                4 => "        return;\n".to_owned(),
                5 => format!("fn f{}() {{\n", self.below(6)),
                6 => format!("    if x{} {{\n", self.below(3)),
                _ => format!("        call({});\n", self.below(12)),
            }
        }

        /// A text as from a program with many equal lines.
        fn program(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            for function in 0..1 + self.below(8) {
                lines.push(format!("fn f{function}() {{\n"));
                for _ in 0..self.below(3) {
                    lines.push(format!("    if x{} {{\n", self.below(3)));
                    for _ in 0..self.below(3) {
                        lines.push(format!("        call({});\n", self.below(12)));
                    }
                    lines.push("    }\n".to_owned());
                }
                lines.push("}\n".to_owned());
                if self.below(3) > 0 {
                    lines.push("\n".to_owned());
                }
            }
            lines
        }

        fn edited(&mut self, lines: &[String]) -> Vec<String> {
            let mut lines = lines.to_vec();
            for _ in 0..1 + self.below(3) {
                let at = self.below(lines.len() + 1);
                let end = (at + 1 + self.below(3)).min(lines.len());
                match self.below(4) {
                    0 => drop(lines.drain(at..end)),
                    1 => lines.splice(at..end, [self.line()]).for_each(drop),
                    2 => lines.insert(at, self.line()),
                    // Another block, as one adds a function or a branch.
                    _ => {
                        let block = [self.line(), self.line(), "    }\n".to_owned(), "}\n".to_owned()];
                        lines.splice(at..at, block).for_each(drop);
                    }
                }
            }
            lines
        }

        fn case(&mut self) -> [String; 3] {
            let base = self.program();
            [base.concat(), self.edited(&base).concat(), self.edited(&base).concat()]
        }
    }

    fn cases() -> Vec<[String; 3]> {
        let mut random = Random(7);
        (0..3_000).map(|_| random.case()).collect()
    }

    #[test]
    fn a_clean_result_is_what_all_variants_agree_on() {
        let mut counts = [0, 0];
        for [base, ours, theirs] in cases() {
            let result = merge(&base, &ours, &theirs);
            assert_eq!(merge(&base, &ours, &base), clean(&ours));
            assert_eq!(merge(&base, &base, &theirs), clean(&theirs));
            assert_eq!(merge(&base, &ours, &ours), clean(&ours));
            let swapped = merge(&base, &theirs, &ours);
            match &result {
                Merge::Clean(text) => {
                    counts[0] += 1;
                    assert_eq!(swapped, result, "{base}");
                    if trivial(base.as_bytes(), ours.as_bytes(), theirs.as_bytes()).is_none() {
                        let texts = Texts::new(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
                        for variant in Variant::ALL {
                            assert_eq!(texts.merged_by(variant).as_ref(), Some(text), "{variant:?}");
                        }
                    }
                }
                Merge::Conflict { text, conflicts } => {
                    counts[1] += 1;
                    assert!(matches!(swapped, Merge::Conflict { conflicts: other, .. } if other == *conflicts));
                    assert!(*conflicts > 0 && super::super::has_markers(text, &Labels::default()));
                    let [_, was, _] = sides(text);
                    // Outside the conflicts stands what is merged, inside what each side has: no line of a side is lost.
                    for (side, of) in [(0, &ours), (2, &theirs)] {
                        let side = &sides(text)[side];
                        for line in of.lines() {
                            let kept = side.lines().filter(|other| *other == line).count();
                            assert!(kept > 0 || base.contains(line), "{line} of\n{of}\nis not in\n{side}\n{was}");
                        }
                    }
                }
                Merge::Binary => panic!("text"),
            }
        }
        println!("{} clean, {} in conflict", counts[0], counts[1]);
        assert!(counts[0] > 500 && counts[1] > 500, "{counts:?}");
    }

    #[test]
    fn a_clean_result_is_the_one_of_git() {
        let cases = cases();
        let folder = tempfile::tempdir().unwrap();
        let counts = thread::scope(|scope| {
            let parts = cases.chunks(cases.len().div_ceil(4)).enumerate().map(|(part, cases)| {
                let folder = folder.path().join(part.to_string());
                scope.spawn(move || {
                    fs::create_dir(&folder).unwrap();
                    let mut counts = [[0_u32; 2]; 2];
                    for [base, ours, theirs] in cases {
                        for (name, text) in [("base", base), ("ours", ours), ("theirs", theirs)] {
                            fs::write(folder.join(name), text).unwrap();
                        }
                        let git = Command::new("git")
                            .args(["merge-file", "-p", "--diff3", "ours", "base", "theirs"])
                            .current_dir(&folder)
                            .output()
                            .expect("git is needed for this test");
                        let result = merge(base, ours, theirs);
                        let ours_clean = matches!(result, Merge::Clean(_));
                        counts[usize::from(ours_clean)][usize::from(git.status.success())] += 1;
                        if ours_clean && git.status.success() {
                            assert_eq!(
                                result,
                                Merge::Clean(git.stdout),
                                "base:\n{base}\nours:\n{ours}\ntheirs:\n{theirs}"
                            );
                        }
                    }
                    counts
                })
            });
            let parts: Vec<_> = parts.collect();
            parts
                .into_iter()
                .map(|part| part.join().unwrap())
                .fold([[0; 2]; 2], |sum, part| [0, 1].map(|ours| [0, 1].map(|git| sum[ours][git] + part[ours][git])))
        });
        let [[neither, git], [ours, both]] = counts;
        println!("clean in both, and equal: {both}; in neither: {neither}; in git alone: {git}; here alone: {ours}");
        assert!(both > 500);
    }

    #[test]
    fn long_texts_take_time_that_grows_with_their_length() {
        let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
        let distinct = lines(20_000, &|n| format!("line {n}\n"));
        let first = distinct.replacen("line 1\n", "ours\n", 1);
        let last = distinct.replacen("line 19999\n", "theirs\n", 1);
        assert_eq!(merge(&distinct, &first, &last), clean(&first.replacen("line 19999\n", "theirs\n", 1)));
        // Every fourth line is another; no two lines are the same on both sides; a few lines over and over.
        let alternating = lines(20_000, &|n| if n % 4 != 1 { format!("line {n}\n") } else { format!("other {n}\n") });
        assert!(matches!(merge(&distinct, &alternating, &last), Merge::Clean(_)));
        let other = lines(20_000, &|n| format!("other {n}\n"));
        assert!(matches!(merge(&distinct, &other, &last), Merge::Conflict { conflicts: 1, .. }));
        let few = |seed: u64| {
            let mut random = Random(seed);
            (0..20_000).map(|_| random.line()).collect::<String>()
        };
        assert!(matches!(merge(&few(1), &few(2), &few(3)), Merge::Conflict { .. }));
        let equal = "x\n".repeat(200_000);
        assert_eq!(merge(&equal, &format!("a\n{equal}"), &format!("{equal}b\n")), clean(&format!("a\n{equal}b\n")));
    }

    #[test]
    fn sections_cover_both_texts_and_are_cut_at_equal_lines() {
        let base: String = (0..9_000).map(|n| format!("line {n}\n")).collect();
        let ours: String =
            (0..9_000).map(|n| if n % 5 == 0 { format!("mine {n}\n") } else { format!("line {n}\n") }).collect();
        let texts = Texts::new(base.as_bytes(), ours.as_bytes(), b"");
        let sections = sections(&texts.base, &texts.ours, texts.lines.num_tokens() as usize);
        assert!(sections.len() > 1);
        let mut at = (0, 0);
        for (before, after) in sections {
            assert_eq!((before.start, after.start), at);
            assert!(before.len() + after.len() <= SECTION);
            assert!(before.start == 0 || texts.base[before.start] == texts.ours[after.start]);
            at = (before.end, after.end);
        }
        assert_eq!(at, (9_000, 9_000));
    }
}
