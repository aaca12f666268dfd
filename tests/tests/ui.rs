//! What the compiler says to a user of the macros: one mistake a file, one error a mistake.
//!
//! `TRYBUILD=overwrite cargo test -p mlx-tests --test ui` writes the messages anew, and the tables of
//! `docs/macros/reference.md` from them; one file is tried with `-- one_mistake trybuild=NAME`. The messages are those of
//! Rust 1.95; another compiler may word its own parts differently.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

#[test]
fn one_mistake_is_one_error() {
    component_files();
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/*/*.rs");
    // Compiles the files and compares.
    drop(cases);

    let fixtures = fixtures();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for fixture in &fixtures {
        assert_eq!(fixture.errors, 1, "{} holds {} errors", fixture.name, fixture.errors);
        *counts.entry(fixture.directory()).or_default() += 1;
    }
    for (directory, count) in &counts {
        println!("{directory}: {count}");
    }
    println!("together: {}", fixtures.len());
    is_described(&fixtures);
}

/// The crate that trybuild makes of the fixtures has a folder of its own, and `component_config!` reads from there.
fn component_files() {
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tests/trybuild/mlx-tests");
    let folder = "ui/component_config";
    fs::create_dir_all(project.join(folder)).expect("a folder");
    for path in files(&package().join(folder), "json") {
        let name = path.file_name().expect("a file has a name");
        fs::copy(&path, project.join(folder).join(name)).expect("a copy");
    }
    fs::write(project.join(folder).join("too_large.json"), vec![b' '; (1 << 20) + 1]).expect("a large file");
}

/// The tables of the reference have a row for each fixture, with the mistake and the message that are in it.
fn is_described(fixtures: &[Fixture]) {
    let path = package().with_file_name("docs/macros/reference.md");
    let reference = read(&path);
    if env::var("TRYBUILD").is_ok_and(|mode| mode == "overwrite") {
        fs::write(&path, with_tables(&reference, fixtures)).expect("the reference");
        return;
    }
    let rows: BTreeSet<&str> = reference.lines().filter(|line| is_rule(line)).collect();
    let count = reference.lines().filter(|line| is_rule(line)).count();
    assert_eq!(count, rows.len(), "a rule stands twice in {}", path.display());
    let expected: BTreeMap<String, &Fixture> = fixtures.iter().map(|fixture| (fixture.row(), fixture)).collect();
    for (row, fixture) in &expected {
        assert!(rows.contains(&**row), "{} has no row\n{row}\nfor {}", path.display(), fixture.name);
    }
    for row in rows {
        assert!(expected.contains_key(row), "no fixture has the message of the row\n{row}");
    }
}

/// A row of a table that names a fixture.
fn is_rule(line: &str) -> bool {
    line.starts_with("| ") && line.contains(" | `` ") && line.ends_with("` |")
}

/// The reference with its tables written anew: each stands after `<!-- the fixtures of NAME -->`.
fn with_tables(reference: &str, fixtures: &[Fixture]) -> String {
    let mut text = String::new();
    for line in reference.lines().filter(|line| !is_rule(line)) {
        text += line;
        text.push('\n');
        // Under the heading of the table.
        let Some(directory) = line.strip_prefix("|---|---|---| <!-- ").and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        for fixture in fixtures.iter().filter(|fixture| fixture.directory() == directory) {
            text += &fixture.row();
            text.push('\n');
        }
    }
    text
}

struct Fixture {
    /// As in `contract/missing_name`.
    name: String,
    /// What its first line says.
    mistake: String,
    /// The first line of the error.
    message: String,
    errors: usize,
}

impl Fixture {
    fn read(path: &Path) -> Fixture {
        let parts: Vec<_> = path.with_extension("").iter().rev().take(2).map(|part| part.to_owned()).collect();
        let name = format!("{}/{}", parts[1].to_string_lossy(), parts[0].to_string_lossy());
        let first = read(path).lines().next().and_then(|line| line.strip_prefix("//! ").map(str::to_owned));
        let mistake = first.unwrap_or_else(|| panic!("{name} does not say what its mistake is"));
        let expected = read(&path.with_extension("stderr"));
        let errors: Vec<&str> = expected.lines().filter(|line| line.starts_with("error")).collect();
        let message = errors.first().and_then(|line| line.split_once(": ")).map(|(_, message)| message.to_owned());
        let message = message.unwrap_or_else(|| panic!("{name} has no error"));
        Fixture { name, mistake, message, errors: errors.len() }
    }

    fn directory(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    fn row(&self) -> String {
        let escaped = |text: &str| text.replace('|', "\\|");
        format!("| {} | `` {} `` | `{}` |", escaped(&self.mistake), escaped(&self.message), self.name)
    }
}

fn fixtures() -> Vec<Fixture> {
    let directories = fs::read_dir(package().join("ui")).expect("a folder");
    let directories = directories.map(|entry| entry.expect("an entry").path());
    let mut all: Vec<_> = directories.flat_map(|directory| files(&directory, "rs")).collect();
    all.sort();
    all.iter().map(|path| Fixture::read(path)).collect()
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
