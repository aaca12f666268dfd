//! Compositions with random mutations: whatever the text, reading and resolving it ends soon and without a panic, and
//! what is said about it lies in the text. The seed is fixed; `fuzz/` goes further.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::Composition;
use mlx_tests::compositions::{cases, scrutinize};
use std::{
    fs,
    time::{Duration, Instant},
};

/// An xorshift generator (Marsaglia, 2003), so that every run mutates alike.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap()
    }
}

/// What is put into a text: what means something to a reader, or should mean nothing.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    ",",
    "\"",
    "'",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "  ",
    "#",
    "&a ",
    "*a",
    "!t ",
    "|\n",
    ">\n",
    "? ",
    "---\n",
    "...\n",
    "%",
    "@",
    "`",
    "<<: *a\n",
    "${env:HOST}",
    "${",
    "}",
    "$${",
    "${vault:token}",
    ":-",
    "null",
    "true",
    "1e999",
    "-1",
    "0x1F",
    ".nan",
    "99999999999999999999",
    "1h30m",
    "[redacted]",
    "plugins:\n",
    "type: store\n",
    "name: warehouse\n",
    "config: ",
    "\u{0}",
    "\u{7}",
    "\u{feff}",
    "\u{202e}",
    "表",
    "e\u{301}",
    "👩‍🔬",
    "\\u12",
    "\\",
    "\u{2028}",
    "\u{85}",
];

fn mutate(text: &str, random: &mut Random) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(4) {
        let at = random.below(characters.len() + 1);
        let end = (at + random.below(12)).min(characters.len());
        match random.below(4) {
            0 => drop(characters.drain(at..end)),
            1 => {
                let copy: Vec<char> = characters[at..end].to_vec();
                let to = random.below(characters.len() + 1);
                characters.splice(to..to, copy);
            }
            2 => characters.truncate(at.max(1)),
            _ => drop(characters.splice(at..at, PIECES[random.below(PIECES.len())].chars())),
        }
    }
    characters.into_iter().collect()
}

#[test]
fn no_text_makes_the_readers_panic_or_hang() {
    let folders = ["compositions/good", "compositions/bad"].iter().flat_map(|folder| cases(folder).unwrap());
    let texts: Vec<(bool, String)> = folders
        .filter_map(|case| Some((case.path.extension()? == "json", fs::read_to_string(&case.path).ok()?)))
        .filter(|(_, text)| text.len() < 4096)
        .collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut slowest = (Duration::ZERO, String::new());
    for round in 0..3000 {
        let (is_json, text) = &texts[round % texts.len()];
        let text = mutate(text, &mut random);
        let began = Instant::now();
        scrutinize(&text, if *is_json { Composition::from_json(&text) } else { Composition::from_yaml(&text) });
        if began.elapsed() > slowest.0 {
            slowest = (began.elapsed(), text);
        }
    }
    // Thousands of times what it takes, for a machine that is busy.
    assert!(slowest.0 < Duration::from_secs(10), "{:?} for {:?}", slowest.0, slowest.1);
}
