//! What the compiler says to a user of the macros: one mistake a file, one error a mistake.
//!
//! `TRYBUILD=overwrite cargo test -p mlx-tests --test ui` writes the messages anew; one file is tried with
//! `-- trybuild=NAME`. The messages are those of Rust 1.95; another compiler may word its own parts differently.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

#[test]
fn one_mistake_is_one_error() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/*/*.rs");
    // Compiles the files and compares.
    drop(cases);

    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for file in fixtures() {
        let expected = file.with_extension("stderr");
        let text = fs::read_to_string(&expected).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
        let errors = text.lines().filter(|line| line.starts_with("error")).count();
        assert_eq!(errors, 1, "{} holds {errors} errors", expected.display());
        let directory = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        *counts.entry(directory).or_default() += 1;
    }
    for (directory, count) in &counts {
        println!("{directory}: {count}");
    }
}

fn fixtures() -> Vec<PathBuf> {
    let list = |directory: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let directories = list(&Path::new(env!("CARGO_MANIFEST_DIR")).join("ui"));
    let files = directories.iter().flat_map(|directory| list(directory));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
