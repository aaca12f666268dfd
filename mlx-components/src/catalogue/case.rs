//! The cases that a name is written in.

/// Words that name nothing else in Rust
/// (<https://doc.rust-lang.org/reference/keywords.html>, strict and reserved ones of the edition of 2024).
const KEYWORDS: [&str; 52] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "Self", "static", "struct", "super", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// The words of a name, in lower case: what is neither a letter nor a digit separates them, and so does a capital after a
/// small letter or before one.
fn words(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for (at, c) in characters.iter().copied().enumerate() {
        if !c.is_alphanumeric() {
            open = false;
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| characters.get(at));
        let after_small = before.is_some_and(|c| c.is_lowercase());
        let before_small =
            before.is_some_and(|c| c.is_uppercase()) && characters.get(at + 1).is_some_and(|c| c.is_lowercase());
        let begins = !open || (c.is_uppercase() && (after_small || before_small));
        match words.last_mut() {
            Some(word) if !begins => word.extend(c.to_lowercase()),
            _ => words.push(c.to_lowercase().collect()),
        }
        open = true;
    }
    words
}

/// `snake_case`.
pub fn snake(name: &str) -> String {
    words(name).join("_")
}

/// `kebab-case`.
pub fn kebab(name: &str) -> String {
    words(name).join("-")
}

/// `UpperCamelCase`.
pub fn upper_camel(name: &str) -> String {
    let capital = |word: String| {
        let mut characters = word.chars();
        characters.next().map(|first| first.to_uppercase().chain(characters).collect::<String>())
    };
    words(name).into_iter().filter_map(capital).collect()
}

/// Whether a text names something in Rust as it is: ASCII, and no keyword.
pub fn is_rust_identifier(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(plain)
        && text != "_"
        && !KEYWORDS.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_three_cases() {
        for (name, snake_case, kebab_case, camel_case) in [
            ("rest-api", "rest_api", "rest-api", "RestApi"),
            ("data_source", "data_source", "data-source", "DataSource"),
            ("HTTPServer", "http_server", "http-server", "HttpServer"),
            ("llm provider", "llm_provider", "llm-provider", "LlmProvider"),
            ("Sha256", "sha256", "sha256", "Sha256"),
            ("--", "", "", ""),
        ] {
            assert_eq!(
                (snake(name), kebab(name), upper_camel(name)),
                (snake_case.into(), kebab_case.into(), camel_case.into())
            );
        }
    }

    #[test]
    fn a_keyword_is_no_identifier() {
        assert!(KEYWORDS.iter().all(|word| !is_rust_identifier(word)));
        assert!(["a", "_a", "r2d2"].iter().all(|word| is_rust_identifier(word)));
        assert!(["", "2a", "a-b", "_", "é"].iter().all(|word| !is_rust_identifier(word)));
    }
}
