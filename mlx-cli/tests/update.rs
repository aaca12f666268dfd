//! Projects over several versions of their templates: what the user did to the generated files is kept.
#![allow(clippy::unwrap_used)]

use mlx_cli::{
    apply,
    manifest::{Requirement, Section},
    merge::{Labels, has_markers},
    plan::Plan,
    project::{Installed, LOCK_FILE, Lock, LockedEdit, LockedFile, MlxSource, Project, ProjectPath, Sha256},
    remove::{self, Removed},
    status::{self, FileState},
    update::{self, ComponentUpdate, Generated, Outcome},
};
use mlx_core::{Error, diagnostics::Code};
use semver::Version;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn path(text: &str) -> ProjectPath {
    ProjectPath::new(text).unwrap()
}

/// A component in one version, as the catalogue would render it.
#[derive(Clone)]
struct Component {
    name: &'static str,
    version: &'static str,
    /// Template, target, content.
    files: Vec<(&'static str, &'static str, Vec<u8>)>,
    /// File, region, text.
    edits: Vec<(&'static str, &'static str, &'static str)>,
    crates: Vec<(&'static str, &'static str)>,
    instance: Option<&'static str>,
    requested: bool,
    changes: Vec<&'static str>,
}

impl Component {
    fn new(name: &'static str, version: &'static str) -> Self {
        Component {
            name,
            version,
            files: Vec::new(),
            edits: Vec::new(),
            crates: Vec::new(),
            instance: None,
            requested: true,
            changes: Vec::new(),
        }
    }

    fn file(mut self, template: &'static str, target: &'static str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((template, target, content.into()));
        self
    }

    fn edit(mut self, file: &'static str, region: &'static str, text: &'static str) -> Self {
        self.edits.push((file, region, text));
        self
    }

    fn needs_crate(mut self, name: &'static str, version: &'static str) -> Self {
        self.crates.push((name, version));
        self
    }

    fn generated(&self) -> Generated {
        let version: Version = self.version.parse().unwrap();
        let mut entry = Installed::new(self.name, version.clone());
        entry.instance = self.instance.map(str::to_owned);
        entry.plugins.extend(self.instance.map(str::to_owned));
        entry.requested = self.requested;
        for (template, target, content) in &self.files {
            let hash = Sha256::of(content);
            let template = (*template).to_owned();
            entry.files.push(LockedFile {
                path: path(target),
                target: None,
                template,
                version: version.clone(),
                rendered: hash,
                base: hash,
            });
        }
        for (file, region, text) in &self.edits {
            let (region, text) = ((*region).to_owned(), (*text).to_owned());
            entry.edits.push(LockedEdit { file: path(file), region, text });
        }
        let requirement = |(name, version): &(&str, &str)| (Section::Normal, Requirement::new(*name, *version));
        Generated {
            entry,
            contents: self.files.iter().map(|(_, target, content)| (path(target), content.clone())).collect(),
            requirements: self.crates.iter().map(requirement).collect(),
            changes: self.changes.iter().map(|change| (*change).to_owned()).collect(),
        }
    }
}

/// A project on the disk.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new(components: &[Component]) -> Self {
        let shop = Shop { folder: tempfile::tempdir().unwrap() };
        let project = Project::create(&shop.root(), Lock::new("shop", MlxSource::Path)).unwrap();
        let mut tree = project.tree();
        update::update(&mut tree, components.iter().map(Component::generated).collect()).unwrap();
        apply::apply(&project, &update::into_plan(tree, "init").unwrap()).unwrap();
        shop
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    fn project(&self) -> Project {
        Project::open(&self.root()).unwrap()
    }

    fn read(&self, path: &str) -> String {
        String::from_utf8(fs::read(self.root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))).unwrap()
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn change(&self, path: &str, was: &str, is: &str) {
        let text = self.read(path);
        assert!(text.contains(was), "{path} has no {was}");
        self.write(path, text.replacen(was, is, 1));
    }

    fn delete(&self, path: &str) {
        fs::remove_file(self.root().join(path)).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        let to = self.root().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(self.root().join(from), to).unwrap();
    }

    fn has(&self, path: &str) -> bool {
        self.root().join(path).exists()
    }

    fn update(&self, components: &[Component]) -> (Plan, Vec<ComponentUpdate>) {
        let project = self.project();
        let mut tree = project.tree();
        let updates = update::update(&mut tree, components.iter().map(Component::generated).collect()).unwrap();
        let plan = update::into_plan(tree, "update").unwrap();
        // What is applied is what is read back from JSON.
        let read = Plan::from_json(&plan.to_json().to_string()).unwrap();
        assert_eq!(read.sha256(), plan.sha256());
        apply::apply(&project, &read).unwrap();
        (plan, updates)
    }

    fn remove(&self, name: &str, needs: &[(&str, &str)]) -> Result<(Plan, Removed), Error> {
        let project = self.project();
        let mut tree = project.tree();
        let needs = |installed: &Installed| {
            let of = needs.iter().filter(|(who, _)| *who == installed.component);
            of.map(|(_, what)| (*what).to_owned()).collect()
        };
        let removed = remove::remove(&mut tree, name, needs, |_| false)?;
        let plan = tree.into_plan("remove").unwrap();
        apply::apply(&project, &plan).unwrap();
        Ok((plan, removed))
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        fn walk(folder: &Path, root: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                match path.is_dir() {
                    true => walk(&path, root, files),
                    false if name == ".mlx/lock" => {}
                    false => drop(files.insert(name, fs::read(&path).unwrap())),
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(&self.root(), &self.root(), &mut files);
        files
    }

    fn states(&self) -> BTreeMap<String, FileState> {
        let status = status::status(&self.project(), |_| None).unwrap();
        let files = status.components.into_iter().flat_map(|component| component.files);
        files.map(|file| (file.path.to_string(), file.state)).collect()
    }
}

fn outcomes(updates: &[ComponentUpdate]) -> BTreeMap<String, Outcome> {
    let files = updates.iter().flat_map(|update| &update.files);
    files.map(|file| (file.path.to_string(), file.outcome.clone())).collect()
}

fn code(error: &Error) -> Code {
    error.diagnostics()[0].code
}

const ERROR_1: &str = "\
//! Errors of the API.

#[derive(Debug)]
pub enum ApiError {
    NotFound,
    Internal,
}

impl ApiError {
    pub fn status(&self) -> u16 {
        match self {
            ApiError::NotFound => 404,
            ApiError::Internal => 500,
        }
    }
}
";

fn error_2() -> String {
    let text = ERROR_1.replace("    Internal,\n}", "    Internal,\n    Busy,\n}");
    text.replace("=> 500,\n", "=> 500,\n            ApiError::Busy => 503,\n")
}

fn numbered(from: u32, to: u32) -> String {
    (from..to).map(|n| format!("let line_{n} = {n};\n")).collect()
}

fn api_1() -> Component {
    Component::new("api-serving", "1.0.0")
        .file("pristine.rs.template", "src/api/pristine.rs", numbered(0, 10))
        .file("edited.rs.template", "src/api/edited.rs", numbered(20, 30))
        .file("error.rs.template", "src/api/error.rs", ERROR_1)
        .file("deleted.rs.template", "src/api/deleted.rs", numbered(60, 70))
        .file("conflict.rs.template", "src/api/conflict.rs", numbered(80, 90))
        .file("same.rs.template", "src/api/same.rs", numbered(100, 110))
}

fn api_2() -> Component {
    let with = |text: String, was: u32| text.replace(&format!("= {was};"), "= now();");
    let mut api = Component::new("api-serving", "2.0.0")
        .file("pristine.rs.template", "src/api/pristine.rs", with(numbered(0, 10), 3))
        .file("edited.rs.template", "src/api/edited.rs", with(numbered(20, 30), 27))
        .file("error.rs.template", "src/api/error.rs", error_2())
        .file("deleted.rs.template", "src/api/deleted.rs", with(numbered(60, 70), 63))
        .file("conflict.rs.template", "src/api/conflict.rs", with(numbered(80, 90), 85))
        .file("same.rs.template", "src/api/same.rs", numbered(100, 110))
        .file("new.rs.template", "src/api/new.rs", numbered(120, 130));
    api.changes = vec!["The server answers 503 when it is busy."];
    api
}

#[test]
fn five_kinds_of_edits_survive_an_update() {
    let shop = Shop::new(&[api_1()]);
    shop.change("src/api/edited.rs", "= 22;", "= mine();");
    shop.rename("src/api/error.rs", "src/failures.rs");
    shop.change("src/failures.rs", "//! Errors of the API.", "//! What can go wrong.");
    shop.delete("src/api/deleted.rs");
    shop.change("src/api/conflict.rs", "= 85;", "= mine();");
    shop.change("src/api/same.rs", "= 105;", "= mine();");
    assert_eq!(
        shop.states().into_values().collect::<Vec<_>>(),
        [
            FileState::Edited,
            FileState::Missing,
            FileState::Edited,
            FileState::Moved { to: path("src/failures.rs"), edited: true },
            FileState::Pristine,
            FileState::Edited,
        ]
    );

    let (plan, updates) = shop.update(&[api_2()]);
    assert_eq!(plan.conflicts, [path("src/api/conflict.rs")]);
    assert_eq!(
        outcomes(&updates).into_iter().map(|(path, outcome)| (path, outcome.as_str())).collect::<Vec<_>>(),
        [
            ("src/api/conflict.rs", "conflict"),
            ("src/api/deleted.rs", "kept-deleted"),
            ("src/api/edited.rs", "merged"),
            ("src/api/new.rs", "created"),
            ("src/api/pristine.rs", "replaced"),
            ("src/api/same.rs", "unchanged"),
            ("src/failures.rs", "merged"),
        ]
        .map(|(path, outcome)| (path.to_owned(), outcome))
    );

    assert_eq!(shop.read("src/api/pristine.rs"), numbered(0, 10).replace("= 3;", "= now();"));
    assert_eq!(
        shop.read("src/api/edited.rs"),
        numbered(20, 30).replace("= 22;", "= mine();").replace("= 27;", "= now();")
    );
    assert_eq!(shop.read("src/failures.rs"), error_2().replace("//! Errors of the API.", "//! What can go wrong."));
    assert!(!shop.has("src/api/error.rs") && !shop.has("src/api/deleted.rs"));
    assert_eq!(shop.read("src/api/same.rs"), numbered(100, 110).replace("= 105;", "= mine();"));
    assert_eq!(shop.read("src/api/new.rs"), numbered(120, 130));
    let line = |value: &str| format!("let line_85 = {value};\n");
    let conflict = format!(
        "<<<<<<< yours\n{}||||||| generated before\n{}=======\n{}>>>>>>> generated now\n",
        line("mine()"),
        line("85"),
        line("now()")
    );
    assert_eq!(shop.read("src/api/conflict.rs"), numbered(80, 90).replace(&line("85"), &conflict));

    // What was not updated is not counted as updated, and the user hears of everything.
    let lock = shop.project().lock().clone();
    let (_, deleted) = lock.owner(&path("src/api/deleted.rs")).unwrap();
    assert_eq!(deleted.version, Version::new(1, 0, 0));
    let (entry, moved) = lock.owner(&path("src/failures.rs")).unwrap();
    assert_eq!((&entry.version, &moved.version), (&Version::new(2, 0, 0), &Version::new(2, 0, 0)));
    let notes = plan.notes.join("\n");
    for part in [
        "`src/api/deleted.rs` stays deleted; its template has changed",
        "`src/api/error.rs` is now `src/failures.rs`",
        "api-serving 2.0.0: The server answers 503",
    ] {
        assert!(notes.contains(part), "{notes}");
    }
    let json = updates[0].to_json();
    let files = json["files"].as_array().unwrap();
    assert!(files.iter().any(|file| file["path"] == "src/failures.rs" && file["from"] == "src/api/error.rs"), "{json}");
}

#[test]
fn an_update_with_conflicts_waits_until_they_are_resolved() {
    let shop = Shop::new(&[api_1()]);
    shop.change("src/api/conflict.rs", "= 85;", "= mine();");
    shop.update(&[api_2()]);

    // Nothing else changes the project meanwhile.
    let project = shop.project();
    let mut tree = project.tree();
    let again = update::update(&mut tree, vec![api_2().generated()]).unwrap_err();
    assert_eq!(code(&again), Code::UpdatePending);
    let mut tree = project.tree();
    tree.write(path("x"), "x", "x");
    assert_eq!(code(&apply::apply(&project, &tree.into_plan("add").unwrap()).unwrap_err()), Code::UpdatePending);
    assert_eq!(code(&shop.remove("api-serving", &[]).unwrap_err()), Code::UpdatePending);

    let status = status::status(&project, |_| None).unwrap();
    assert_eq!((status.conflicts.len(), status.is_current()), (1, false));
    assert_eq!(status::verify(&project).unwrap()[0].code, Code::ConflictsLeft);
    let left = update::resume(&project).unwrap_err();
    assert_eq!(code(&left), Code::ConflictsLeft);
    assert!(format!("{left:?}").contains("src/api/conflict.rs"));

    shop.write("src/api/conflict.rs", numbered(80, 90).replace("= 85;", "= ours(now());"));
    let project = shop.project();
    apply::apply(&project, &update::resume(&project).unwrap()).unwrap();
    assert!(!shop.has(".mlx/update.json"));
    let project = shop.project();
    assert!(status::verify(&project).unwrap().is_empty());
    assert_eq!(code(&update::resume(&project).unwrap_err()), Code::NoPendingUpdate);
    assert_eq!(code(&update::abort(&project).unwrap_err()), Code::NoPendingUpdate);
    // The next update goes on from there.
    let (plan, _) = shop.update(&[api_2()]);
    assert!(plan.is_empty(), "{}", plan.summary());
}

#[test]
fn an_update_that_is_given_up_leaves_every_byte_as_it_was() {
    let shop = Shop::new(&[api_1()]);
    shop.change("src/api/conflict.rs", "= 85;", "= mine();");
    shop.change("src/api/edited.rs", "= 22;", "= mine();");
    shop.rename("src/api/error.rs", "src/failures.rs");
    let before = shop.files();
    let mut next = api_2();
    // The template moves a file, drops one, and has a binary one.
    next.files.retain(|(template, ..)| *template != "same.rs.template");
    next.files[0].1 = "src/api/renamed.rs";
    shop.update(&[next]);
    assert!(shop.has("src/api/renamed.rs") && !shop.has("src/api/same.rs"));
    shop.write("src/api/conflict.rs", "half resolved");
    let project = shop.project();
    let plan = update::abort(&project).unwrap();
    apply::apply(&project, &Plan::from_json(&plan.to_json().to_string()).unwrap()).unwrap();
    assert_eq!(shop.files(), before);
}

#[test]
fn giving_up_does_not_throw_other_work_away() {
    let shop = Shop::new(&[api_1()]);
    shop.change("src/api/conflict.rs", "= 85;", "= mine();");
    shop.update(&[api_2()]);
    shop.change("src/api/pristine.rs", "= 5;", "= work();");
    let refused = update::abort(&shop.project()).unwrap_err();
    assert_eq!(code(&refused), Code::Stale);
    assert!(format!("{refused:?}").contains("src/api/pristine.rs"));
    shop.change("src/api/pristine.rs", "= work();", "= 5;");
    shop.delete("src/api/conflict.rs");
    let project = shop.project();
    apply::apply(&project, &update::abort(&project).unwrap()).unwrap();
    assert_eq!(shop.read("src/api/conflict.rs"), numbered(80, 90).replace("= 85;", "= mine();"));
}

#[test]
fn what_stayed_deleted_is_offered_again_and_what_moved_is_followed_again() {
    let shop = Shop::new(&[api_1()]);
    shop.delete("src/api/deleted.rs");
    shop.rename("src/api/error.rs", "src/failures.rs");
    shop.update(&[api_2()]);
    let mut third = api_2();
    third.version = "3.0.0";
    third.files[2].2 = error_2().replace("503", "529").into_bytes();
    let (plan, updates) = shop.update(&[third.clone()]);
    assert_eq!(outcomes(&updates)["src/api/deleted.rs"], Outcome::KeptDeleted);
    assert_eq!(outcomes(&updates)["src/failures.rs"], Outcome::Replaced);
    assert_eq!(shop.read("src/failures.rs"), error_2().replace("503", "529"));
    assert!(plan.conflicts.is_empty());
    // Put back by hand, it is merged from where it was.
    shop.write("src/api/deleted.rs", numbered(60, 70).replace("= 68;", "= mine();"));
    let (_, updates) = shop.update(&[third]);
    assert_eq!(outcomes(&updates)["src/api/deleted.rs"], Outcome::Merged);
    let expected = numbered(60, 70).replace("= 68;", "= mine();").replace("= 63;", "= now();");
    assert_eq!(shop.read("src/api/deleted.rs"), expected);
    let (_, deleted) =
        shop.project().lock().owner(&path("src/api/deleted.rs")).map(|(a, b)| (a.clone(), b.clone())).unwrap();
    assert_eq!(deleted.version, Version::new(3, 0, 0));
}

#[test]
fn a_file_that_the_template_moves_is_moved_with_the_users_changes() {
    let shop = Shop::new(&[api_1()]);
    shop.change("src/api/edited.rs", "= 22;", "= mine();");
    let mut next = api_2();
    next.files[0].1 = "src/serving/pristine.rs";
    next.files[1].1 = "src/serving/edited.rs";
    next.files[2].1 = "src/serving/error.rs";
    shop.write("src/serving/error.rs", "// my own\n");
    let (plan, updates) = shop.update(&[next]);
    assert!(!shop.has("src/api/pristine.rs") && !shop.has("src/api/edited.rs"));
    let expected = numbered(20, 30).replace("= 22;", "= mine();").replace("= 27;", "= now();");
    assert_eq!(shop.read("src/serving/edited.rs"), expected);
    assert_eq!(outcomes(&updates)["src/serving/pristine.rs"], Outcome::Replaced);
    // Where a file of the user is in the way, it is updated where it was.
    assert_eq!(shop.read("src/serving/error.rs"), "// my own\n");
    assert_eq!(shop.read("src/api/error.rs"), error_2());
    assert_eq!(plan.warnings[0].code, Code::Occupied);
}

#[test]
fn what_the_template_no_longer_has_goes_unless_the_user_changed_it() {
    let shop = Shop::new(&[api_1()]);
    shop.change("src/api/edited.rs", "= 22;", "= mine();");
    shop.rename("src/api/error.rs", "src/failures.rs");
    let mut next = api_2();
    next.files.retain(|(template, ..)| *template == "same.rs.template");
    let (plan, updates) = shop.update(&[next]);
    let outcomes = outcomes(&updates);
    assert_eq!(outcomes["src/api/pristine.rs"], Outcome::Deleted);
    assert_eq!(outcomes["src/api/edited.rs"], Outcome::Released);
    assert_eq!(outcomes["src/failures.rs"], Outcome::Released);
    assert!(!shop.has("src/api/pristine.rs") && shop.has("src/failures.rs"));
    assert_eq!(shop.read("src/api/edited.rs"), numbered(20, 30).replace("= 22;", "= mine();"));
    assert!(plan.notes.iter().any(|note| note.contains("`src/api/edited.rs` is no longer part of api-serving")));
    assert_eq!(shop.project().lock().components[0].files.len(), 1);
}

#[test]
fn a_new_file_does_not_take_the_place_of_one_of_the_users() {
    let shop = Shop::new(&[api_1()]);
    shop.write("src/api/new.rs", "// my own\n");
    let (plan, updates) = shop.update(&[api_2()]);
    let beside = path("src/api/new.rs.generated-now");
    assert_eq!(outcomes(&updates)["src/api/new.rs"], Outcome::Beside(beside.clone()));
    assert_eq!(plan.conflicts, [beside]);
    assert_eq!(shop.read("src/api/new.rs"), "// my own\n");
    assert_eq!(shop.read("src/api/new.rs.generated-now"), numbered(120, 130));
    assert_eq!(code(&update::resume(&shop.project()).unwrap_err()), Code::ConflictsLeft);
    shop.delete("src/api/new.rs.generated-now");
    update::resume(&shop.project()).unwrap();
}

#[test]
fn a_file_that_is_no_text_is_kept_and_the_new_one_put_beside() {
    let model = |byte: u8| vec![0, 1, 2, byte, 0xff];
    let of = |version, byte| Component::new("ml-training", version).file("model.bin", "model.bin", model(byte));
    let shop = Shop::new(&[of("1.0.0", 3)]);
    shop.write("model.bin", model(9));
    let (plan, _) = shop.update(&[of("1.1.0", 4)]);
    assert_eq!(plan.conflicts, [path("model.bin.generated-now")]);
    assert_eq!(fs::read(shop.root().join("model.bin")).unwrap(), model(9));
    assert_eq!(fs::read(shop.root().join("model.bin.generated-now")).unwrap(), model(4));
    let project = shop.project();
    apply::apply(&project, &update::abort(&project).unwrap()).unwrap();
    assert_eq!(fs::read(shop.root().join("model.bin")).unwrap(), model(9));
    assert!(!shop.has("model.bin.generated-now"));
}

#[test]
fn a_lost_render_is_found_and_never_costs_the_users_text() {
    let shop = Shop::new(&[api_1()]);
    shop.change("src/api/edited.rs", "= 22;", "= mine();");
    fs::remove_dir_all(shop.root().join(".mlx/base")).unwrap();
    let found = status::verify(&shop.project()).unwrap();
    assert_eq!((found.len(), found[0].code), (1, Code::BaseLost), "one thing is wrong");
    assert_eq!(code(&status::diff(&shop.project(), |_| true).unwrap_err()), Code::BaseLost);
    let (_, updates) = shop.update(&[api_1()]);
    assert!(outcomes(&updates).values().all(|outcome| *outcome == Outcome::Unchanged), "{:?}", outcomes(&updates));
    assert!(status::verify(&shop.project()).unwrap().is_empty(), "what is as before is rendered again");
    assert!(status::diff(&shop.project(), |_| true).unwrap().contains("+let line_22 = mine();"));
    fs::remove_dir_all(shop.root().join(".mlx/base")).unwrap();
    let (plan, updates) = shop.update(&[api_2()]);
    assert_eq!(shop.read("src/api/edited.rs"), numbered(20, 30).replace("= 22;", "= mine();"));
    assert!(matches!(outcomes(&updates)["src/api/edited.rs"], Outcome::Beside(_)));
    // What is as it was generated needs no render to be known.
    assert_eq!(outcomes(&updates)["src/api/pristine.rs"], Outcome::Replaced);
    assert!(plan.warnings.iter().all(|warning| warning.code == Code::BaseLost));
}

#[test]
fn a_damaged_render_is_no_base() {
    let shop = Shop::new(&[api_1()]);
    let base = Sha256::of(numbered(20, 30));
    shop.write(&format!(".mlx/base/{base}"), "something else");
    assert_eq!(status::verify(&shop.project()).unwrap().len(), 1);
    shop.change("src/api/edited.rs", "= 22;", "= mine();");
    let (_, updates) = shop.update(&[api_2()]);
    assert!(matches!(outcomes(&updates)["src/api/edited.rs"], Outcome::Beside(_)));
}

const MODULES: &str = "//! Parts of the platform.\n\n// mlx:begin modules\n// mlx:end modules\n\npub fn start() {}\n";
const MANIFEST: &str = "[package]\nname = \"shop\"\nversion = \"0.1.0\"\n\n[dependencies]\nanyhow = \"1\"\n";

fn base_1() -> Component {
    Component::new("project", "1.0.0")
        .file("lib.rs", "src/platform/mod.rs", MODULES)
        .file("Cargo.toml", "Cargo.toml", MANIFEST)
        .file("plugins.json", "plugins.json", "{\"version\": 1, \"plugins\": []}\n")
}

fn metrics() -> Component {
    Component::new("monitoring", "1.0.0")
        .file("metrics.rs", "src/platform/metrics.rs", numbered(0, 5))
        .edit("src/platform/mod.rs", "modules", "pub mod metrics;")
        .needs_crate("metrics", "0.24")
}

#[test]
fn entries_of_components_in_a_file_do_not_count_as_edits() {
    let shop = Shop::new(&[base_1(), metrics()]);
    assert!(shop.read("src/platform/mod.rs").contains("pub mod metrics;"));
    assert!(shop.read("Cargo.toml").contains("metrics = \"0.24\""));
    assert!(shop.states().values().all(|state| *state == FileState::Pristine), "{:?}", shop.states());
    // The template changes right beside the region.
    let mut next = base_1();
    next.version = "1.1.0";
    next.files[0].2 = MODULES.replace("platform.\n\n//", "platform.\n\npub mod core;\n//").into_bytes();
    next.files[1].2 = MANIFEST.replace("anyhow = \"1\"\n", "anyhow = \"1\"\nbytes = \"1\"\n").into_bytes();
    let (plan, updates) = shop.update(&[next]);
    assert!(plan.conflicts.is_empty(), "{:?}", outcomes(&updates));
    assert_eq!(
        shop.read("src/platform/mod.rs"),
        "//! Parts of the platform.\n\npub mod core;\n// mlx:begin modules\npub mod metrics;\n// mlx:end modules\n\npub fn start() {}\n"
    );
    assert!(shop.read("Cargo.toml").ends_with("anyhow = \"1\"\nbytes = \"1\"\nmetrics = \"0.24\"\n"));
}

#[test]
fn entries_and_crates_follow_the_component() {
    let shop = Shop::new(&[base_1(), metrics()]);
    let mut next = Component::new("monitoring", "2.0.0")
        .file("metrics.rs", "src/platform/metrics.rs", numbered(0, 5))
        .edit("src/platform/mod.rs", "modules", "pub mod telemetry;")
        .needs_crate("tracing", "0.1");
    shop.update(&[next.clone()]);
    let modules = shop.read("src/platform/mod.rs");
    assert!(modules.contains("pub mod telemetry;") && !modules.contains("pub mod metrics;"), "{modules}");
    let manifest = shop.read("Cargo.toml");
    assert!(manifest.contains("tracing = \"0.1\"") && !manifest.contains("metrics"), "{manifest}");
    assert_eq!(shop.project().lock().find("monitoring", None).unwrap().dependencies, ["tracing"]);

    // An entry that the user changed stays, and is spoken of.
    shop.change("src/platform/mod.rs", "pub mod telemetry;", "pub(crate) mod telemetry;");
    assert!(status::verify(&shop.project()).unwrap().is_empty(), "an edit is in order");
    assert_eq!(shop.states()["src/platform/mod.rs"], FileState::Edited);
    let diff = status::diff(&shop.project(), |_| true).unwrap();
    assert!(diff.contains("\n-pub mod telemetry;\n+pub(crate) mod telemetry;\n"), "{diff}");
    next.version = "3.0.0";
    next.edits[0].2 = "pub mod signals;";
    let (plan, _) = shop.update(&[next]);
    assert_eq!(plan.warnings[0].code, Code::EntryChanged);
    assert!(shop.read("src/platform/mod.rs").contains("pub(crate) mod telemetry;"));
    assert_eq!(shop.project().lock().find("monitoring", None).unwrap().edits[0].text, "pub mod telemetry;");
}

const COMPOSITION: &str = "name: shop\nplugins:\n  # mlx:begin plugins\n  # mlx:end plugins\n";

fn source(version: &'static str, name: &'static str, text: &'static str) -> Component {
    Component::new(name, version).edit("platform.yaml", "plugins", text)
}

#[test]
fn settings_that_the_user_changed_in_an_entry_are_merged() {
    let composition = Component::new("project", "1.0.0").file("platform.yaml", "platform.yaml", COMPOSITION);
    let snowflake = "- type: data_source\n  name: snowflake\n  enabled: false\n  config:\n    warehouse: COMPUTE_WH\n    retries: 3\n    timeout: 30";
    let postgres = "- type: data_source\n  name: postgres\n  enabled: false\n  config:\n    host: localhost";
    let shop =
        Shop::new(&[composition, source("1.0.0", "snowflake", snowflake), source("1.0.0", "postgres", postgres)]);
    shop.change("platform.yaml", "COMPUTE_WH", "LARGE_WH # ours");
    shop.change("platform.yaml", "host: localhost", "host: db.internal");
    let before = shop.read("platform.yaml");
    assert!(status::verify(&shop.project()).unwrap().is_empty());
    let diff = status::diff(&shop.project(), |_| true).unwrap();
    let changed: Vec<&str> = diff.lines().skip(2).filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(changed.len(), 4, "{diff}");
    assert!(diff.contains("-      warehouse: COMPUTE_WH\n+      warehouse: LARGE_WH # ours\n"), "{diff}");
    assert!(diff.contains("-      host: localhost\n+      host: db.internal\n"), "{diff}");
    let next = "- type: data_source\n  name: snowflake\n  enabled: false\n  config:\n    warehouse: COMPUTE_WH\n    retries: 3\n    timeout: 60";
    let (plan, _) = shop.update(&[source("1.1.0", "snowflake", next)]);
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    assert_eq!(shop.read("platform.yaml"), before.replace("timeout: 30", "timeout: 60"));
    // The same line on both sides: it is the user's, who is told.
    let other = "- type: data_source\n  name: postgres\n  enabled: false\n  config:\n    host: 127.0.0.1";
    let before = shop.read("platform.yaml");
    let (plan, _) = shop.update(&[source("1.1.0", "postgres", other)]);
    assert_eq!(plan.warnings[0].code, Code::EntryChanged);
    assert_eq!(shop.read("platform.yaml"), before);
    // An entry that was deleted is not taken for the one that is like it.
    shop.write(
        "platform.yaml",
        COMPOSITION.replace("  # mlx:end", "  - type: data_source\n    name: mine\n    enabled: true\n  # mlx:end"),
    );
    let before = shop.read("platform.yaml");
    let (plan, _) = shop.update(&[source(
        "1.2.0",
        "postgres",
        "- type: data_source\n  name: postgres\n  enabled: true\n  config:\n    host: localhost",
    )]);
    assert_eq!(plan.warnings[0].code, Code::EntryChanged);
    assert_eq!(shop.read("platform.yaml"), before);
}

#[test]
fn entries_follow_a_file_that_was_moved() {
    let shop = Shop::new(&[base_1(), metrics()]);
    shop.rename("src/platform/mod.rs", "src/platform.rs");
    let mut next = base_1();
    next.version = "1.1.0";
    shop.update(&[next]);
    let mut next = metrics();
    next.version = "1.1.0";
    next.edits[0].2 = "pub mod telemetry;";
    let (plan, _) = shop.update(&[next]);
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    assert!(shop.read("src/platform.rs").contains("pub mod telemetry;"));
    assert!(status::verify(&shop.project()).unwrap().is_empty());
    shop.remove("monitoring", &[]).unwrap();
    assert_eq!(shop.read("src/platform.rs"), MODULES);
}

#[test]
fn a_file_that_goes_to_another_component_keeps_the_users_changes() {
    let shop = Shop::new(&[api_1(), metrics_without_region("1.0.0")]);
    shop.change("src/api/edited.rs", "= 22;", "= mine();");
    let mut api = api_2();
    let moved = api.files.remove(1);
    let mut other = metrics_without_region("2.0.0");
    other.files.push(moved);
    // In either order.
    let (plan, updates) = shop.update(&[other, api]);
    assert!(plan.conflicts.is_empty(), "{}", plan.summary());
    assert_eq!(outcomes(&updates)["src/api/edited.rs"], Outcome::Merged);
    let expected = numbered(20, 30).replace("= 22;", "= mine();").replace("= 27;", "= now();");
    assert_eq!(shop.read("src/api/edited.rs"), expected);
    let lock = shop.project().lock().clone();
    assert_eq!(lock.owner(&path("src/api/edited.rs")).unwrap().0.component, "monitoring");
}

fn metrics_without_region(version: &'static str) -> Component {
    Component::new("monitoring", version).file("metrics.rs", "src/platform/metrics.rs", numbered(0, 5))
}

#[test]
fn moves_in_components_that_are_not_updated_are_followed_too() {
    let shop = Shop::new(&[base_1(), metrics()]);
    shop.rename("src/platform/mod.rs", "src/platform.rs");
    let mut next = metrics();
    next.version = "1.1.0";
    next.edits[0].2 = "pub mod telemetry;";
    let (plan, _) = shop.update(&[next]);
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    assert!(shop.read("src/platform.rs").contains("pub mod telemetry;"));
    assert!(shop.states().values().all(|state| *state == FileState::Pristine), "{:?}", shop.states());
}

#[test]
fn what_lies_beside_does_not_overwrite_a_file_of_that_name() {
    let shop = Shop::new(&[api_1()]);
    shop.write("src/api/new.rs", "// my own\n");
    shop.write("src/api/new.rs.generated-now", "mine too\n");
    let (plan, _) = shop.update(&[api_2()]);
    assert_eq!(plan.conflicts, [path("src/api/new.rs.generated-now-2")]);
    assert_eq!(shop.read("src/api/new.rs.generated-now"), "mine too\n");
}

#[test]
fn what_was_changed_by_hand_is_shown() {
    let shop = Shop::new(&[base_1(), metrics(), api_1()]);
    assert_eq!(status::diff(&shop.project(), |_| true).unwrap(), "");
    shop.change("src/platform/mod.rs", "pub fn start() {}", "pub fn start() { todo() }");
    shop.rename("src/api/error.rs", "src/failures.rs");
    shop.delete("src/api/deleted.rs");
    let diff = status::diff(&shop.project(), |_| true).unwrap();
    assert!(
        diff.contains("-pub fn start() {}\n+pub fn start() { todo() }\n") && !diff.contains("+pub mod metrics"),
        "{diff}"
    );
    assert!(diff.contains("rename from src/api/error.rs\nrename to src/failures.rs\n"), "{diff}");
    assert!(diff.contains("--- a/src/api/deleted.rs\n+++ /dev/null\n"), "{diff}");
    assert_eq!(status::diff(&shop.project(), |installed| installed.component == "monitoring").unwrap(), "");
}

/// Fails all steps from one on, as if the process were gone.
struct GoneAt(usize);

impl apply::Steps for GoneAt {
    fn before(&mut self, _: &apply::Step<'_>) -> std::io::Result<()> {
        match self.0.checked_sub(1) {
            None => Err(std::io::Error::other("gone")),
            Some(left) => {
                self.0 = left;
                Ok(())
            }
        }
    }
}

/// Applies a plan in a fresh shop again and again, gone at one step after the other: the project is as before, or as after.
fn assert_all_or_nothing(make: impl Fn() -> Shop, plan: impl Fn(&Project) -> Plan) {
    let done = make();
    let before = done.files();
    apply::apply(&done.project(), &plan(&done.project())).unwrap();
    let after = done.files();
    assert_ne!(before, after);
    let (mut undone, mut finished) = (0, 0);
    for at in 0.. {
        let shop = make();
        let project = shop.project();
        let applied = apply::apply_with(&project, &plan(&project), &mut GoneAt(at));
        apply::recover(&shop.root()).unwrap();
        match shop.files() {
            files if files == before => undone += 1,
            files if files == after => finished += 1,
            _ => panic!("gone at step {at}, the project is in between"),
        }
        if applied.is_ok() {
            break;
        }
    }
    assert!(undone > 5 && finished > 1, "{undone} undone, {finished} finished");
}

#[test]
fn an_update_that_is_interrupted_is_done_or_not_begun() {
    let edited = || {
        let shop = Shop::new(&[api_1()]);
        shop.change("src/api/conflict.rs", "= 85;", "= mine();");
        shop.rename("src/api/error.rs", "src/failures.rs");
        shop.delete("src/api/deleted.rs");
        shop
    };
    let plan = |project: &Project| {
        let mut tree = project.tree();
        update::update(&mut tree, vec![api_2().generated()]).unwrap();
        update::into_plan(tree, "update").unwrap()
    };
    assert_all_or_nothing(edited, plan);
    let with_conflicts = || {
        let shop = edited();
        shop.update(&[api_2()]);
        shop
    };
    assert_all_or_nothing(with_conflicts, |project| update::abort(project).unwrap());
}

#[test]
fn a_removal_that_is_interrupted_is_done_or_not_begun() {
    let edited = || {
        let shop = Shop::new(&[base_1(), metrics()]);
        shop.change("src/platform/metrics.rs", "= 3;", "= mine();");
        shop
    };
    let plan = |project: &Project| {
        let mut tree = project.tree();
        remove::remove(&mut tree, "monitoring", |_| Vec::new(), |_| false).unwrap();
        tree.into_plan("remove").unwrap()
    };
    assert_all_or_nothing(edited, plan);
}

#[test]
fn a_checkout_with_other_line_ends_is_pristine_and_keeps_them() {
    let shop = Shop::new(&[api_1()]);
    let crlf = |text: &str| text.replace('\n', "\r\n");
    for file in ["src/api/pristine.rs", "src/api/edited.rs"] {
        shop.write(file, crlf(&shop.read(file)));
    }
    assert!(shop.states().values().all(|state| *state == FileState::Pristine));
    let (plan, _) = shop.update(&[api_2()]);
    assert!(plan.conflicts.is_empty());
    assert_eq!(shop.read("src/api/pristine.rs"), crlf(&numbered(0, 10).replace("= 3;", "= now();")));
}

#[test]
fn a_plugin_that_moved_is_found_in_plugins_json() {
    let plugin = |version, line: u32| {
        let mut plugin = Component::new("plugin-registry", version).file(
            "scaffold.rs",
            "src/platform/plugins/databricks.rs",
            numbered(0, 9).replace(&format!("= {line};"), "= plugin();"),
        );
        plugin.instance = Some("ml_platform/databricks");
        plugin
    };
    let shop = Shop::new(&[base_1(), plugin("1.0.0", 2)]);
    shop.write(
        "plugins.json",
        r#"{"version": 1, "plugins": [{"type": "ml_platform", "name": "databricks", "component": "plugin-registry",
        "component_version": "1.0.0", "path": "src/platform/plugins/databricks.rs"}]}"#,
    );
    shop.rename("src/platform/plugins/databricks.rs", "src/databricks.rs");
    shop.update(&[plugin("1.1.0", 7)]);
    let listed: mlx_core::JsonValue = shop.read("plugins.json").parse().unwrap();
    assert_eq!(listed["plugins"][0]["path"], "src/databricks.rs");
    assert_eq!(listed["plugins"][0]["component_version"], "1.1.0");

    let (_, removed) = shop.remove("ml_platform/databricks", &[]).unwrap();
    assert_eq!(removed.id, "plugin-registry (ml_platform/databricks)");
    let listed: mlx_core::JsonValue = shop.read("plugins.json").parse().unwrap();
    assert_eq!(listed["plugins"], mlx_core::json!([]));
}

#[test]
fn removing_keeps_what_was_changed_aside_and_leaves_the_rest_as_before() {
    let shop = Shop::new(&[base_1()]);
    let before = shop.files();
    shop.update(&[metrics()]);
    let (_, removed) = shop.remove("monitoring", &[]).unwrap();
    assert_eq!(removed.deleted, [path("src/platform/metrics.rs")]);
    assert_eq!(removed.dependencies, ["metrics"]);
    assert_eq!(shop.files(), before);

    shop.update(&[metrics()]);
    shop.change("src/platform/metrics.rs", "= 3;", "= mine();");
    shop.write(
        "src/main.rs",
        "// platform::metrics is mentioned in a comment\nfn main() {\n    shop::platform::metrics::run();\n}\n",
    );
    let (plan, removed) = shop.remove("monitoring", &[]).unwrap();
    assert_eq!(removed.kept, [(path("src/platform/metrics.rs"), path("src/platform/metrics.rs.kept"))]);
    assert_eq!(shop.read("src/platform/metrics.rs.kept"), numbered(0, 5).replace("= 3;", "= mine();"));
    assert!(!shop.has("src/platform/metrics.rs"));
    assert_eq!(plan.warnings[0].code, Code::StillMentioned);
    assert!(plan.warnings[0].message.contains("`src/main.rs`, line 3"), "{}", plan.warnings[0].message);
}

#[test]
fn what_others_need_is_not_removed() {
    let mut config = Component::new("config-management", "1.0.0")
        .file("c.rs", "src/config.rs", "pub fn c() {}\n")
        .needs_crate("metrics", "0.24");
    config.requested = false;
    let shop = Shop::new(&[base_1(), config, metrics()]);
    let needs = [("monitoring", "config-management")];
    let before = shop.files();
    let refused = shop.remove("config-management", &needs).unwrap_err();
    assert_eq!(code(&refused), Code::StillNeeded);
    assert!(format!("{refused:?}").contains("mlx remove monitoring"), "{refused:?}");
    let unknown = shop.remove("monitorin", &needs).unwrap_err();
    assert_eq!(code(&unknown), Code::NotInstalled);
    assert!(format!("{unknown:?}").contains("did you mean `monitoring`?"), "{unknown:?}");
    assert_eq!(shop.files(), before);

    let (_, removed) = shop.remove("monitoring", &needs).unwrap();
    assert_eq!(removed.unneeded, ["config-management"]);
    assert!(removed.dependencies.is_empty() && shop.read("Cargo.toml").contains("metrics"), "another needs the crate");
    shop.remove("config-management", &needs).unwrap();
    assert!(!shop.read("Cargo.toml").contains("metrics"));
}

#[test]
fn what_needs_it_is_listed_in_an_order_in_which_it_can_be_removed() {
    let part = |name: &'static str| Component::new(name, "1.0.0").file("a.rs", name, format!("// {name}\n"));
    let plugin =
        Component { instance: Some("serving_platform/rest"), requested: false, ..Component::new("api", "1.0.0") };
    let shop = Shop::new(&[part("registry"), part("api"), plugin, part("shop-front"), part("ui")]);
    let needs = [("api", "registry"), ("shop-front", "registry"), ("shop-front", "api"), ("ui", "shop-front")];
    let refused = shop.remove("registry", &needs).unwrap_err();
    let order: Vec<String> = (refused.diagnostics().iter())
        .map(|found| found.help[0].rsplit_once("mlx remove ").unwrap().1.trim_end_matches('`').to_owned())
        .collect();
    assert_eq!(order, ["ui", "shop-front", "api"], "the plugin goes with its component");
    order.iter().for_each(|name| drop(shop.remove(name, &needs).unwrap()));
    assert_eq!(shop.project().lock().component_names(), ["registry"]);
}

#[test]
fn unresolved_conflicts_of_git_are_not_written_over() {
    let shop = Shop::new(&[base_1()]);
    let conflict = "<<<<<<< HEAD\na = \"1\"\n=======\na = \"2\"\n>>>>>>> branch\n";
    for file in ["src/platform/mod.rs", "Cargo.toml", LOCK_FILE] {
        let was = shop.read(file);
        shop.write(file, format!("{was}{conflict}"));
        let before = shop.files();
        let line = was.lines().count() + 1;
        let failed = Project::open(&shop.root()).and_then(|project| {
            let mut tree = project.tree();
            update::update(&mut tree, vec![metrics().generated()])?;
            update::into_plan(tree, "add")
        });
        let failed = failed.unwrap_err();
        assert_eq!(code(&failed), Code::ConflictsLeft, "{failed:?}");
        let message = &failed.diagnostics()[0].message;
        assert_eq!(*message, format!("`{file}`, line {line}: unresolved conflict of git"));
        assert_eq!(shop.files(), before);
        shop.write(file, was);
    }
    // A heading is no conflict.
    shop.change("src/platform/mod.rs", "pub fn start", "// Start\n// =====\n/*\n=======\n*/\npub fn start");
    shop.update(&[metrics()]);
}

#[test]
fn a_status_tells_what_is_outdated_and_what_is_the_users() {
    let shop = Shop::new(&[api_1()]);
    shop.write("src/mine.rs", "fn mine() {}\n");
    let status = status::status(&shop.project(), |_| Some(Version::new(2, 0, 0))).unwrap();
    assert_eq!(status.components[0].available, Some(Version::new(2, 0, 0)));
    assert_eq!(status.foreign, [path("src/mine.rs")]);
    assert!(!status.is_current());
    assert!(status::status(&shop.project(), |_| Some(Version::new(1, 0, 0))).unwrap().is_current());
    shop.delete("src/api/deleted.rs");
    shop.update(&[api_2()]);
    let status = status::status(&shop.project(), |_| None).unwrap();
    let behind: Vec<_> = status.components[0].files.iter().filter(|file| file.behind).collect();
    assert_eq!((behind.len(), behind[0].path.as_str(), behind[0].state.as_str()), (1, "src/api/deleted.rs", "missing"));
    let json = status.to_json();
    assert_eq!(json["components"][0]["component"], "api-serving");
    assert_eq!(json["current"], false);
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
}

/// Whatever the user does to the files, no line that the user wrote is gone after an update, and giving up restores all.
#[test]
fn nothing_of_the_users_is_lost() {
    let files = ["pristine", "edited", "error", "deleted", "conflict", "same"];
    let mut random = Random(11);
    let mut conflicts = 0;
    for case in 0..60 {
        let shop = Shop::new(&[api_1()]);
        let mut written = Vec::new();
        for file in files {
            let mut at = format!("src/api/{file}.rs");
            for step in 0..random.below(3) {
                match random.below(5) {
                    0 => {
                        let to = format!("src/moved_{}/{file}_{step}.rs", random.below(3));
                        shop.rename(&at, &to);
                        at = to;
                    }
                    1 if written.iter().all(|(_, there)| *there != at) => {
                        shop.delete(&at);
                        break;
                    }
                    _ => {
                        let text = shop.read(&at);
                        let mut lines: Vec<&str> = text.lines().collect();
                        let line = format!("let user_{case}_{file}_{step} = ();");
                        let place = random.below(lines.len() + 1);
                        if random.below(2) == 0 && place < lines.len() && !lines[place].contains("user_") {
                            lines[place] = &line;
                        } else {
                            lines.insert(place, &line);
                        }
                        shop.write(&at, lines.join("\n") + "\n");
                        written.push((line.clone(), at.clone()));
                    }
                }
            }
        }
        let before = shop.files();
        let (plan, _) = shop.update(&[api_2()]);
        let all: String = shop
            .files()
            .iter()
            .filter(|(path, _)| path.starts_with("src/"))
            .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
            .collect();
        for (line, _) in &written {
            assert!(all.contains(line), "{line} of case {case} is lost");
        }
        if plan.conflicts.is_empty() {
            assert!(shop.files().values().all(|text| !has_markers(text, &Labels::default())));
        } else {
            conflicts += 1;
            let project = shop.project();
            apply::apply(&project, &update::abort(&project).unwrap()).unwrap();
            assert_eq!(shop.files(), before);
        }
    }
    assert!(conflicts > 5, "{conflicts}");
}

#[test]
fn the_lock_is_what_decides_and_is_checked() {
    let shop = Shop::new(&[api_1()]);
    let lock = shop.read(LOCK_FILE);
    shop.update(&[api_2()]);
    assert_ne!(shop.read(LOCK_FILE), lock);
    let (plan, updates) = shop.update(&[api_2()]);
    assert!(plan.is_empty());
    assert!(updates[0].files.iter().all(|file| file.outcome == Outcome::Unchanged));
}
