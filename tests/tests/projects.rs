//! Projects as users have them, in workspaces of their own, built by cargo and run.
//!
//! Each is copied below the target folder, beside a copy of the workspace's Cargo.lock, so that it is built from the same
//! crates and nothing is looked up in a registry. All share one target folder.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in the repository")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A project below the target folder.
struct Project {
    folder: PathBuf,
}

impl Project {
    /// A project of `tests/projects`.
    fn new(name: &str) -> Self {
        Project::with(name, BTreeMap::new())
    }

    /// A project of `tests/projects` with some files more.
    fn with(name: &str, mut files: BTreeMap<PathBuf, String>) -> Self {
        let source = root().join("tests/projects").join(name);
        for path in all_files(&source) {
            let text = read(&source.join(&path));
            // Its dependencies are where they were.
            let text = if path.ends_with("Cargo.toml") {
                text.replace("\"../../../", &format!("\"{}/", slashed(root())))
            } else {
                text
            };
            files.insert(path, text);
        }
        files.insert("Cargo.lock".into(), read(&root().join("Cargo.lock")));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects").join(name);
        write(&folder, &files);
        Project { folder }
    }

    fn cargo(&self, arguments: &[&str]) -> Output {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(arguments)
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects-target"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TERM_COLOR", "never");
        cargo.output().unwrap_or_else(|error| panic!("cargo {arguments:?}: {error}"))
    }

    /// What cargo, or the program that it runs, prints.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.cargo(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "cargo {arguments:?} in {}:\n{err}\n{out}", self.folder.display());
        let (used, known) = (checksums(&self.folder.join("Cargo.lock")), checksums(&root().join("Cargo.lock")));
        let other: Vec<&String> = used.difference(&known).collect();
        assert!(other.is_empty(), "crates that the workspace does not have: {other:?}");
        out.replace("\r\n", "\n")
    }
}

/// The files of a folder that belong to a project, as paths in it.
fn all_files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let entry = entry.unwrap();
        let name = PathBuf::from(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if name != Path::new("target") {
                found.extend(all_files(&entry.path()).iter().map(|path| name.join(path)));
            }
        } else {
            found.insert(name);
        }
    }
    found
}

/// Makes the folder have these files and no others. Those that are as they should be are left alone: cargo builds again
/// what was written again.
fn write(folder: &Path, files: &BTreeMap<PathBuf, String>) {
    for path in all_files(folder) {
        if !files.contains_key(&path) {
            fs::remove_file(folder.join(path)).unwrap();
        }
    }
    for (path, text) in files {
        let path = folder.join(path);
        if fs::read_to_string(&path).is_ok_and(|found| found == *text) {
            continue;
        }
        fs::create_dir_all(path.parent().expect("a file stands in a folder")).unwrap();
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// As it is written in Cargo.toml on every system.
fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// Each registered crate of a Cargo.lock, by its contents.
fn checksums(lock: &Path) -> BTreeSet<String> {
    read(lock).lines().filter(|line| line.starts_with("checksum = ")).map(str::to_owned).collect()
}

/// What `app` of `linking` prints.
const LINKED: &str = r#"plugin vector_store/approximate 1.2.3 (named_plugins 1.2.3, named_plugins/src/approximate.rs:8)
plugin vector_store/exact 1.2.3 (named_plugins 1.2.3, named_plugins/src/exact.rs:16)
plugin vector_store/quantized 1.2.3 (behind_facade 1.2.3, behind_facade/src/lib.rs:8)
problems 0
exact [0, 1, 2]
quantized [10]
"#;

/// In whatever order the linker has the crates, and whatever it is allowed to leave out.
fn plugins_of_named_crates_are_found(project: &Project, profile: &str) {
    let printed = project.run(&["run", "--quiet", "--profile", profile, "--bin", "app"]);
    let (found, report) = printed.split_at_checked(LINKED.len()).unwrap_or((&printed, ""));
    assert_eq!(found.replace('\\', "/"), LINKED, "built as {profile}");
    // The crate of `remote` is in Cargo.toml, and no code names it.
    for part in ["error[MLX0050]", "no plugin of type `vector_store` is named `remote`", "`mlx_core::link!("] {
        assert!(report.contains(part), "{part} is not in\n{report}");
    }
}

fn mistakes_in_linking_are_reported_and_refused(project: &Project, profile: &str) {
    let printed = project.run(&["run", "--quiet", "--profile", profile, "--bin", "broken"]).replace('\\', "/");
    let problems: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("problem ")).collect();
    assert_eq!(
        problems,
        [
            "error[MLX0071]: `link!(empty_crate)` at app/src/bin/broken.rs:7 names a crate that registers no plugin",
            "error[MLX0070]: two plugins of type `vector_store` are named `exact`",
        ],
        "built as {profile}"
    );
    for refused in ["activate: ", "create: "] {
        let (_, report) = printed.split_once(refused).unwrap_or_else(|| panic!("{refused} is not in\n{printed}"));
        for part in [
            "error[MLX0071]: `link!(empty_crate)` at app/src/bin/broken.rs:7",
            "clashing_plugins (clashing_plugins 1.2.3, clashing_plugins/src/lib.rs:8)",
            "named_plugins::exact (named_plugins 1.2.3, named_plugins/src/exact.rs:16)",
        ] {
            assert!(report.contains(part), "{part} is not in\n{report}");
        }
    }
}

#[test]
fn linking() {
    let project = Project::new("linking");
    // `release` is the whole program optimised as one, which leaves out the most.
    for profile in ["dev", "release"] {
        plugins_of_named_crates_are_found(&project, profile);
        mistakes_in_linking_are_reported_and_refused(&project, profile);
    }
    project.run(&["test", "--quiet", "--package", "named_plugins", "--lib"]);
}

#[test]
fn two_versions_of_the_core_are_refused() {
    let output = Project::new("two-cores").cargo(&["tree"]);
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{report}");
    assert!(report.contains("links to the native library `mlx_core_registry`"), "{report}");
}

#[test]
fn editions() {
    Project::new("editions").run(&["test", "--quiet", "--workspace", "--lib"]);
}

#[test]
fn newcomer() {
    let readme = root().join("README.md");
    let readme = if readme.exists() { readme } else { root().join("tests/projects/newcomer/README.md") };
    let mut files = blocks(&read(&readme), "newcomer");
    let output = files.remove(Path::new("output"));
    let (Some(output), true) = (output, files.contains_key(Path::new("src/main.rs"))) else {
        panic!(
            "{} has no `<!-- newcomer: src/main.rs -->` and `<!-- newcomer: output -->`, each before a code block",
            readme.display()
        );
    };
    assert_eq!(Project::with("newcomer", files).run(&["run", "--quiet"]), output);
}

/// The code blocks of a Markdown text that follow a comment `<!-- MARK: PATH -->`, those of the same path one after
/// the other.
fn blocks(markdown: &str, mark: &str) -> BTreeMap<PathBuf, String> {
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let path = line.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
        let path = path.and_then(|rest| rest.trim().strip_prefix(mark)).and_then(|rest| rest.strip_prefix(':'));
        let Some(path) = path.map(str::trim) else { continue };
        let fence = lines.find(|line| !line.trim().is_empty()).unwrap_or_default();
        assert!(fence.starts_with("```"), "`{line}` stands before no code block");
        let text = files.entry(path.into()).or_default();
        for line in lines.by_ref().take_while(|line| *line != "```") {
            text.push_str(line);
            text.push('\n');
        }
    }
    files
}

#[test]
fn blocks_of_one_path_make_up_one_file() {
    let text = "<!-- n: a.rs -->\n```rust\n1\n```\ntext\n```rust\nno\n```\n<!-- n: b -->\n\n```\n\n2\n```\n<!-- n: a.rs -->\n```rust\n3\n```\n";
    let files = blocks(text, "n");
    assert_eq!(
        files.iter().map(|(path, text)| (path.to_str().unwrap(), text.as_str())).collect::<Vec<_>>(),
        [("a.rs", "1\n3\n"), ("b", "\n2\n")]
    );
}
