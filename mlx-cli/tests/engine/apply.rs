//! Plans are applied as a whole or not at all, wherever they are interrupted.

use mlx_cli::{
    apply::{self, Step, Steps},
    plan::Plan,
    project::{Installed, LOCK_FILE, Lock, LockedFile, MlxSource, Project, ProjectPath},
};
use mlx_core::{ErrorKind, diagnostics::Code};
use semver::Version;
use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What is in a folder: the text of files and their permissions, and `None` for folders. What the command keeps for itself
/// between two commands is left out.
type Snapshot = BTreeMap<PathBuf, Option<(Vec<u8>, u32)>>;

fn snapshot(root: &Path) -> Snapshot {
    fn walk(folder: &Path, root: &Path, found: &mut Snapshot) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if let Ok(to) = fs::read_link(&path) {
                found.insert(name, Some((to.into_os_string().into_encoded_bytes(), 0)));
            } else if path.is_dir() {
                walk(&path, root, found);
                found.insert(name, None);
            } else if name != Path::new(".mlx/lock") {
                found.insert(name, Some((fs::read(&path).unwrap(), mode(&path))));
            }
        }
    }
    let mut found = Snapshot::new();
    walk(root, root, &mut found);
    if found.keys().filter(|name| name.starts_with(".mlx")).count() == 1 {
        found.remove(Path::new(".mlx"));
    }
    found
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode()
}

#[cfg(not(unix))]
fn mode(_: &Path) -> u32 {
    0
}

fn path(text: &str) -> ProjectPath {
    ProjectPath::new(text).unwrap()
}

fn lock() -> Lock {
    Lock::new("shop", MlxSource::Path)
}

fn locked(path_of: &str, base: mlx_cli::project::Sha256) -> LockedFile {
    let version = Version::new(1, 0, 0);
    LockedFile { path: path(path_of), target: None, template: "t".to_owned(), version, rendered: base, base }
}

/// A way to a project, and a plan for it.
struct Case {
    name: &'static str,
    /// Makes the project; `None` for one that is to be made.
    files: Option<&'static [(&'static str, &'static str)]>,
    change: fn(&mut mlx_cli::project::Tree<'_>),
}

const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", "[package]\nname = \"shop\"\n"),
    ("run.sh", "#!/bin/sh\n"),
    ("src/lib.rs", "pub mod platform;\n"),
    ("src/platform/mod.rs", "// mlx:begin modules\n// mlx:end modules\n"),
    ("src/platform/old/deep/api.rs", "fn api() {}\n"),
    ("src/platform/old/deep/moved.rs", "fn moved() {}\n"),
    ("docs/keep.md", "keep\n"),
];

const CASES: &[Case] = &[
    Case {
        name: "init",
        files: None,
        change: |tree| {
            tree.write(path("Cargo.toml"), "[package]\n", "project");
            tree.write(path("src/platform/mod.rs"), "", "project");
        },
    },
    Case {
        name: "add",
        files: Some(FILES),
        change: |tree| {
            let base = tree.keep_base("pub fn app() {}\n");
            tree.write(path("src/platform/api/app.rs"), "pub fn app() {}\n", "api");
            tree.write(path("src/platform/api/mod.rs"), "pub mod app;\n", "api");
            tree.write(path("tests/api.rs"), [0xff, 0x00], "api");
            tree.write(path("src/platform/mod.rs"), "// mlx:begin modules\npub mod api;\n// mlx:end modules\n", "api");
            tree.write(path("Cargo.toml"), "[package]\nname = \"shop\"\n[dependencies]\n", "api");
            let files = vec![locked("src/platform/api/app.rs", base)];
            tree.lock_mut().put(Installed { files, ..Installed::new("api", Version::new(1, 0, 0)) });
        },
    },
    Case {
        name: "update",
        files: Some(FILES),
        change: |tree| {
            let moved = path("src/platform/old/deep/moved.rs");
            tree.rename(&moved, path("src/platform/new/moved.rs"), "update").unwrap();
            tree.rename(&path("src/platform/old/deep/api.rs"), path("src/api.rs"), "update").unwrap();
            tree.merge(path("src/api.rs"), "fn api() -> u8 { 1 }\n", "update");
            tree.merge(path("src/platform/mod.rs"), "// merged\n", "update");
            tree.write(path("run.sh"), "#!/bin/sh\nset -e\n", "update");
            let base = tree.keep_base("base");
            tree.lock_mut()
                .put(Installed { files: vec![locked("x", base)], ..Installed::new("api", Version::new(2, 0, 0)) });
        },
    },
    Case {
        name: "remove",
        files: Some(FILES),
        change: |tree| {
            tree.remove(path("src/platform/old/deep/api.rs"), "remove");
            tree.remove(path("src/platform/old/deep/moved.rs"), "remove");
            tree.remove(path("src/platform/mod.rs"), "remove");
            tree.write(path("Cargo.toml"), "[package]\n", "remove");
            tree.lock_mut().project.mlx_source = MlxSource::Git;
        },
    },
];

impl Case {
    /// The project, in a folder of its own.
    fn place(&self) -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("shop");
        if let Some(files) = self.files {
            for (name, text) in files {
                let file = root.join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, text).unwrap();
            }
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
            }
            fs::write(root.join(LOCK_FILE), lock().to_text().unwrap()).unwrap();
        }
        (temp, root)
    }

    fn open(&self, root: &Path) -> Project {
        match self.files {
            Some(_) => Project::open(root).unwrap(),
            None => Project::create(root, lock()).unwrap(),
        }
    }

    fn plan(&self, project: &Project) -> Plan {
        let mut tree = project.tree();
        (self.change)(&mut tree);
        tree.into_plan(self.name).unwrap()
    }

    /// The project before, and after, and how many steps lie between.
    fn ends(&self) -> (Snapshot, Snapshot, usize) {
        let (_temp, root) = self.place();
        let before = snapshot(&root);
        let project = self.open(&root);
        let mut steps = FaultAt { at: usize::MAX, and_after: false, seen: 0 };
        apply::apply_with(&project, &self.plan(&project), &mut steps).unwrap();
        let after = snapshot(&root);
        assert_ne!(before, after);
        assert!(steps.seen > 10, "{}", steps.seen);
        (before, after, steps.seen)
    }
}

/// Fails one step, or all from one on, as if the process were gone.
struct FaultAt {
    at: usize,
    and_after: bool,
    seen: usize,
}

impl Steps for FaultAt {
    fn before(&mut self, _: &Step<'_>) -> io::Result<()> {
        let step = self.seen;
        self.seen += 1;
        match step == self.at || (self.and_after && step > self.at) {
            true => Err(io::Error::other("a fault")),
            false => Ok(()),
        }
    }
}

/// Ends the process, without any destructor or buffer having its turn.
struct KillAt {
    at: usize,
    seen: usize,
}

impl Steps for KillAt {
    fn before(&mut self, _: &Step<'_>) -> io::Result<()> {
        if self.seen == self.at {
            std::process::abort();
        }
        self.seen += 1;
        Ok(())
    }
}

#[test]
fn a_plan_is_applied() {
    for case in CASES {
        let (_temp, root) = case.place();
        let project = case.open(&root);
        let plan = case.plan(&project);
        let applied = apply::apply(&project, &plan).unwrap();
        assert_eq!(applied.operations, plan.operations.len());
        for operation in &plan.operations {
            let found = fs::read(root.join(operation.path.as_str())).ok();
            match &operation.after {
                Some(content) => assert_eq!(found.as_deref(), Some(content.bytes()), "{}", operation.path),
                None => assert_eq!(found.is_some(), operation.action.as_str() == "rename", "{}", operation.path),
            }
        }
        assert!(!root.join(".mlx/tmp").exists() && !root.join(".mlx/journal").exists());
        assert!(!root.join("src/platform/old").exists() || ["init", "add"].contains(&case.name), "empty folders go");
        // What is there already is no work.
        let again = Project::open(&root).unwrap();
        assert!(apply::apply(&again, &Plan::new(case.name, "shop")).is_ok());
        assert_eq!(apply::recover(&root).unwrap(), None);
    }
}

#[test]
fn a_step_that_fails_leaves_everything_as_it_was() {
    for case in CASES {
        let (before, after, count) = case.ends();
        for at in 0..count {
            let (_temp, root) = case.place();
            let project = case.open(&root);
            let plan = case.plan(&project);
            let mut steps = FaultAt { at, and_after: false, seen: 0 };
            let applied = apply::apply_with(&project, &plan, &mut steps);
            apply::recover(&root).unwrap();
            let found = snapshot(&root);
            match applied {
                Ok(_) => assert!(found == after, "{} at {at}: the change is done", case.name),
                Err(error) => assert!(found == before, "{} at {at}: {error:?}", case.name),
            }
        }
    }
}

#[test]
fn a_fault_that_stays_is_recovered_from_later() {
    for case in CASES {
        let (before, after, count) = case.ends();
        let (mut undone, mut finished) = (0, 0);
        for at in 0..count {
            let (_temp, root) = case.place();
            let project = case.open(&root);
            let plan = case.plan(&project);
            let _ = apply::apply_with(&project, &plan, &mut FaultAt { at, and_after: true, seen: 0 });
            apply::recover(&root).unwrap();
            let found = snapshot(&root);
            assert!(found == before || found == after, "{} at {at}", case.name);
            undone += usize::from(found == before);
            finished += usize::from(found == after);
            assert!(apply::recover(&root).unwrap().is_none(), "nothing is left to recover");
        }
        assert!(undone > 0 && finished > 0, "{}: {undone} undone, {finished} finished", case.name);
    }
}

#[test]
fn a_process_that_is_killed_leaves_the_project_recoverable() {
    for case in CASES {
        let (before, after, count) = case.ends();
        for at in 0..count {
            let (_temp, root) = case.place();
            child(case, &root, "apply", at);
            apply::recover(&root).unwrap();
            let found = snapshot(&root);
            assert!(found == before || found == after, "{} at {at}", case.name);
        }
    }
}

#[test]
fn a_recovery_that_is_killed_can_be_repeated() {
    for case in CASES {
        let (before, after, count) = case.ends();
        for at in (0..count).step_by(3) {
            for second in (0..12).step_by(2) {
                let (_temp, root) = case.place();
                let project = case.open(&root);
                let plan = case.plan(&project);
                // Stops while it undoes as well as while it finishes.
                let steps = &mut FaultAt { at, and_after: second % 4 == 0, seen: 0 };
                let _ = apply::apply_with(&project, &plan, steps);
                drop(project);
                let mut steps = FaultAt { at: second, and_after: true, seen: 0 };
                let _ = apply::recover_with(&root, &mut steps);
                apply::recover(&root).unwrap();
                let found = snapshot(&root);
                assert!(found == before || found == after, "{} at {at} and {second}", case.name);
            }
        }
        let (_temp, root) = case.place();
        child(case, &root, "apply", count - 8);
        child(case, &root, "recover", 1);
        apply::recover(&root).unwrap();
        let found = snapshot(&root);
        assert!(found == before || found == after, "{}", case.name);
    }
}

/// Runs this test binary again, to be killed.
fn child(case: &Case, root: &Path, what: &str, at: usize) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "apply::killed", "--ignored", "--nocapture"]);
    command
        .env("ENGINE_CASE", case.name)
        .env("ENGINE_ROOT", root)
        .env("ENGINE_AT", at.to_string())
        .env("ENGINE_DO", what);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(!status.success() || what == "recover", "{} at {at} was not killed", case.name);
}

#[test]
#[ignore = "a child process of the tests above"]
fn killed() {
    let Ok(name) = env::var("ENGINE_CASE") else { return };
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let root = PathBuf::from(env::var("ENGINE_ROOT").unwrap());
    let mut steps = KillAt { at: env::var("ENGINE_AT").unwrap().parse().unwrap(), seen: 0 };
    if env::var("ENGINE_DO").unwrap() == "recover" {
        apply::recover_with(&root, &mut steps).unwrap();
        return;
    }
    let project = case.open(&root);
    apply::apply_with(&project, &case.plan(&project), &mut steps).unwrap();
}

#[test]
fn what_changed_since_the_plan_is_refused_and_nothing_is_written() {
    let add = &CASES[1];
    type Edit = fn(&Path);
    let edits: [(&str, Edit); 4] = [
        ("has appeared", |root| {
            fs::create_dir_all(root.join("src/platform/api")).unwrap();
            fs::write(root.join("src/platform/api/app.rs"), "mine").unwrap();
        }),
        ("has changed", |root| fs::write(root.join("Cargo.toml"), "mine").unwrap()),
        ("is gone", |root| fs::remove_file(root.join("src/platform/mod.rs")).unwrap()),
        ("has changed", |root| fs::write(root.join(LOCK_FILE), "mine").unwrap()),
    ];
    for (expected, edit) in edits {
        let (_temp, root) = add.place();
        let project = add.open(&root);
        let plan = add.plan(&project);
        edit(&root);
        let before = snapshot(&root);
        let error = apply::apply(&project, &plan).unwrap_err();
        assert_eq!(error.diagnostics()[0].code, Code::Stale, "{error:?}");
        assert!(error.to_string().contains(expected), "{error:?}");
        assert_eq!(snapshot(&root), before);
    }
}

#[test]
fn a_plan_of_another_project_is_refused() {
    let (_temp, root) = CASES[1].place();
    let project = CASES[1].open(&root);
    let mut plan = CASES[1].plan(&project);
    plan.project = "other".to_owned();
    assert_eq!(apply::apply(&project, &plan).unwrap_err().diagnostics()[0].code, Code::BadPlan);
}

#[test]
#[cfg(unix)]
fn nothing_outside_the_project_is_written() {
    use std::os::unix::fs::symlink;
    for target in ["outside", "absent"] {
        let (temp, root) = CASES[1].place();
        let outside = temp.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let project = CASES[1].open(&root);
        let plan = CASES[1].plan(&project);
        // The folder appears after the plan was made; it leads outside, or to nothing.
        symlink(Path::new("../../..").join(target), root.join("src/platform/api")).unwrap();
        let before = snapshot(&root);
        let error = apply::apply(&project, &plan).unwrap_err();
        assert_eq!(error.diagnostics()[0].code, Code::UnsafePath, "{error:?}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!(snapshot(&root), before);
    }
    // What the command keeps for itself may not lead outside either.
    for kept in [".mlx", ".mlx/tmp", ".mlx/lock", ".mlx/base"] {
        let (temp, root) = CASES[1].place();
        let outside = temp.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "p").unwrap();
        if kept != ".mlx" {
            fs::create_dir(root.join(".mlx")).unwrap();
        }
        let to = if kept == ".mlx/lock" { outside.join("precious") } else { outside.clone() };
        symlink(to, root.join(kept)).unwrap();
        let project = CASES[1].open(&root);
        let planned = std::panic::catch_unwind(|| {
            let mut tree = project.tree();
            (CASES[1].change)(&mut tree);
            tree.into_plan("add")
        });
        let applied = planned.unwrap().and_then(|plan| apply::apply(&project, &plan));
        assert!(applied.is_err(), "{kept}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{kept}");
        assert_eq!(fs::read(outside.join("precious")).unwrap(), b"p", "{kept}");
        assert!(!root.join("tests/api.rs").exists(), "{kept}");
    }
}

#[test]
fn the_other_process_is_named() {
    /// Tries the same change while the first is half way.
    struct Second<'p>(&'p Project, &'p Plan, Option<mlx_core::Error>);
    impl Steps for Second<'_> {
        fn before(&mut self, step: &Step<'_>) -> io::Result<()> {
            if matches!(step, Step::Sync(_)) {
                self.2 = apply::apply(self.0, self.1).err();
            }
            Ok(())
        }
    }
    let (_temp, root) = CASES[1].place();
    let project = CASES[1].open(&root);
    let plan = CASES[1].plan(&project);
    let mut steps = Second(&project, &plan, None);
    apply::apply_with(&project, &plan, &mut steps).unwrap();
    let error = steps.2.unwrap();
    assert_eq!((error.kind(), error.diagnostics()[0].code), (ErrorKind::Unavailable, Code::Busy));
    let expected = format!("process {}, `mlx add` is changing the project", std::process::id());
    assert!(error.to_string().contains(&expected), "{error}");
}

#[test]
fn a_recovery_overwrites_nothing() {
    let case = &CASES[2];
    let (before, after, count) = case.ends();
    let mut refused = 0;
    for at in 0..count {
        let (_temp, root) = case.place();
        let project = case.open(&root);
        let plan = case.plan(&project);
        let _ = apply::apply_with(&project, &plan, &mut FaultAt { at, and_after: true, seen: 0 });
        if !root.join(".mlx/journal").exists() {
            continue;
        }
        // The interrupted project says so to who opens it.
        assert_eq!(Project::open(&root).unwrap_err().diagnostics()[0].code, Code::Unrecovered);
        fs::write(root.join("run.sh"), "mine").unwrap();
        let error = apply::recover(&root).unwrap_err();
        assert_eq!(error.diagnostics()[0].code, Code::Unrecovered);
        assert!(error.to_string().contains("`run.sh`"), "{error}");
        assert_eq!(fs::read_to_string(root.join("run.sh")).unwrap(), "mine");
        fs::remove_file(root.join("run.sh")).unwrap();
        apply::recover(&root).unwrap().unwrap();
        let found = snapshot(&root);
        assert!(found == before || found == after, "at {at}");
        refused += 1;
    }
    assert!(refused > 5);
}

#[test]
fn a_staged_content_that_was_lost_is_undone() {
    let case = &CASES[1];
    let (before, _, count) = case.ends();
    let mut undone = 0;
    for at in 0..count {
        let (_temp, root) = case.place();
        let project = case.open(&root);
        let plan = case.plan(&project);
        let _ = apply::apply_with(&project, &plan, &mut FaultAt { at, and_after: true, seen: 0 });
        let staged = |entry: io::Result<fs::DirEntry>| {
            Some(entry.ok()?.path()).filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("new-"))
        };
        let Ok(entries) = fs::read_dir(root.join(".mlx/tmp")) else { continue };
        if !root.join(".mlx/journal").exists() {
            continue;
        }
        // As after a power cut: a name without content.
        let Some(lost) = entries.filter_map(staged).next() else { continue };
        fs::write(&lost, "").unwrap();
        let recovered = apply::recover(&root).unwrap().unwrap();
        assert!(!recovered.finished);
        assert!(snapshot(&root) == before, "at {at}");
        undone += 1;
    }
    assert!(undone > 3, "{undone}");
}

#[test]
fn a_damaged_journal_is_an_error() {
    for text in [
        "",
        "{",
        r#"{"version":2,"command":"add","folders":[],"changes":[]}"#,
        r#"{"version":1,"command":"add","folders":["../x"],"changes":[]}"#,
        r#"{"version":1,"command":"add","folders":[],"changes":[{"path":"../x","before":null,"after":null}]}"#,
    ] {
        let (_temp, root) = CASES[1].place();
        fs::create_dir(root.join(".mlx")).unwrap();
        fs::write(root.join(".mlx/journal"), text).unwrap();
        let before = snapshot(&root);
        assert_eq!(apply::recover(&root).unwrap_err().diagnostics()[0].code, Code::Unrecovered, "{text}");
        assert_eq!(snapshot(&root), before);
    }
}
