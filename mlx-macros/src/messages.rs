//! Every sentence that a macro can say has been said: it stands in the expected output of a fixture.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Files with texts that are not messages, and this one and its like.
const OTHERS: [&str; 4] = ["component_config/expand.rs", "component_config/tests.rs", "messages.rs", "unknown_keys.rs"];

/// Cargo always sets it; `a_file_that_cannot_be_read_is_named_as_it_was_written` does not.
const UNSAID: [&str; 1] = ["`: CARGO_MANIFEST_DIR is not set, as cargo does"];

#[test]
fn every_sentence_has_a_fixture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let said: String = files(&root.join("../tests/ui"), "stderr")
        .iter()
        .chain(&files(&root.join("../tests/ui_several"), "stderr"))
        .map(|path| read(path))
        .collect();
    let mut unsaid = BTreeSet::new();
    for path in files(&root.join("src"), "rs") {
        if OTHERS.iter().any(|other| path.ends_with(other)) {
            continue;
        }
        let text = read(&path);
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let mut texts = Vec::new();
        literals(code.parse().expect("Rust"), &mut texts);
        for sentence in texts.iter().flat_map(|text| sentences(text)) {
            if !said.contains(&sentence) && !UNSAID.contains(&&*sentence) {
                unsaid.insert(format!("{}: {sentence}", path.display()));
            }
        }
    }
    assert!(unsaid.is_empty(), "no fixture of tests/ui says\n{}", Vec::from_iter(unsaid).join("\n"));
}

/// The texts in code, without those of attributes.
fn literals(code: TokenStream, texts: &mut Vec<String>) {
    let mut after_hash = false;
    for token in code {
        match &token {
            TokenTree::Group(group) if after_hash && group.delimiter() == Delimiter::Bracket => {}
            TokenTree::Group(group) => literals(group.stream(), texts),
            TokenTree::Literal(literal) => {
                texts.extend(syn::parse_str::<syn::LitStr>(&literal.to_string()).map(|text| text.value()));
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
        after_hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#' || (after_hash && punct.as_char() == '!'));
    }
}

/// What of a format text is sure to be in the output, in parts of three words or more.
fn sentences(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let mut taken = next.len_utf8();
        match (next, rest[taken..].chars().next()) {
            ('{', Some('{')) | ('}', Some('}')) => {
                parts.last_mut().expect("a part").push(next);
                taken += 1;
            }
            ('{', _) => {
                taken = rest.find('}').map_or(rest.len(), |end| end + 1);
                parts.push(String::new());
            }
            ('\n', _) => parts.push(String::new()),
            _ => parts.last_mut().expect("a part").push(next),
        }
        rest = &rest[taken..];
    }
    // The compiler fills in `{Self}`, in what is a format text again.
    let parts = parts
        .iter()
        .flat_map(|part| part.split("{Self}"))
        .map(|part| part.trim().replace("{{", "{").replace("}}", "}"));
    parts.filter(|part| part.split_whitespace().count() > 2 && !is_form(part)).collect()
}

/// `key = value`, as a message shows of the key that it is about.
fn is_form(part: &str) -> bool {
    part.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
