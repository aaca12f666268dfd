//! Catalogues that somebody wrote to do harm, or by mistake: each is refused, with its code and message, and nothing outside the
//! folder is ever read.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_components::catalogue::{Catalogue, Component, render};
use mlx_core::{
    JsonValue,
    diagnostics::{Code, Diagnostic, Source},
    json,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A folder with a catalogue in it, and a file beside it that nobody may read.
struct Folder(tempfile::TempDir);

const CANARY: &str = "canary-7f3a";

impl Folder {
    fn new() -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path()).unwrap();
        fs::create_dir(folder.outside()).unwrap();
        fs::write(folder.outside().join("component.json"), component("stolen", json!({"description": CANARY})))
            .unwrap();
        fs::write(folder.outside().join("a.template"), CANARY).unwrap();
        folder
    }

    /// With the component `part` that has this beside a name, a version, a description and a type.
    fn with(more: JsonValue) -> Self {
        let folder = Folder::new();
        folder.write("part/component.json", component("part", more));
        folder
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("catalogue")
    }

    fn outside(&self) -> PathBuf {
        self.0.path().join("outside")
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The findings, each as its code and message. Paths of this machine are written `…`.
    fn refused(&self) -> Vec<(Code, String)> {
        let error = Catalogue::open(&self.path()).expect_err("it should be refused");
        let report = format!("{error:?}");
        assert!(!report.contains(CANARY), "something outside was read: {report}");
        assert!(
            error.diagnostics().iter().all(|found| found.code.number() < 130 || !found.help.is_empty()),
            "{report}"
        );
        let root = self.0.path().display().to_string();
        let plain = |found: &Diagnostic| (found.code, found.message.replace(&root, "…"));
        error.diagnostics().iter().map(plain).collect()
    }
}

fn component(name: &str, more: JsonValue) -> String {
    let mut file = json!({"name": name, "version": "1.0.0", "description": "A part", "type": "service"});
    let fields = more.as_object().unwrap().clone();
    file.as_object_mut().unwrap().extend(fields);
    format!("{file:#}")
}

fn template(target: &str) -> JsonValue {
    json!({"name": "a.template", "target": target})
}

/// What is found in a component with this beside the rest.
fn found_with(more: JsonValue) -> Vec<(Code, String)> {
    let folder = Folder::with(more);
    folder.write("part/templates/a.template", "text");
    folder.refused()
}

#[track_caller]
fn assert_refused(found: &[(Code, String)], code: Code, message: &str) {
    assert_eq!(found, [(code, message.to_owned())]);
}

#[test]
fn a_good_catalogue_is_accepted() {
    let folder = Folder::with(json!({"templates": [template("src/a.rs")]}));
    folder.write("part/templates/a.template", "text");
    folder.write("part/notes.txt", "no part of it");
    folder.write(".git/config", "of version control");
    let catalogue = Catalogue::open(&folder.path()).unwrap();
    let names: Vec<&str> = catalogue.components().map(|component| &*component.name).collect();
    assert_eq!(names, ["part"]);
    let files: Vec<&str> = catalogue.find("part").unwrap().files().map(|(path, _)| path).collect();
    assert_eq!(files, ["component.json", "templates/a.template"]);
}

#[test]
fn targets_that_leave_the_project_are_refused() {
    for (target, reason) in [
        ("../x", "leaves the folder: `..`"),
        ("a/../../x", "leaves the folder: `..`"),
        ("{{ component.name }}/../../x", "leaves the folder: `..`"),
        ("/etc/passwd", "is absolute"),
        ("C:/x", "has a drive letter"),
        (r"C:\x", "has a backslash: folders are separated by `/`"),
        (r"..\x", "has a backslash: folders are separated by `/`"),
        ("a\0b", "has the control character U+0000"),
        ("a\u{1b}[2Jb", "has the control character U+001B"),
        ("%2e%2e/x", "has a `%`: a path is written as it is, not encoded"),
        ("%252e%252e/x", "has a `%`: a path is written as it is, not encoded"),
        ("src/CON.rs", "has the part `CON.rs`, which is a device on Windows"),
        ("src/a.", "has the part `a.`, whose last character Windows drops"),
        ("src/a ", "has the part `a `, whose last character Windows drops"),
        ("src/é.rs", "has letters beyond ASCII, which systems spell in several ways"),
        ("--config=x", "has the part `--config=x`, which begins with `-`, as an option does"),
        ("", "is empty"),
        (".git/hooks/pre-commit", "has the part `.git`, which belongs to git"),
        (".cargo/config.toml", "has the part `.cargo`, which no component writes"),
        (".mlx/base/0", "has the part `.mlx`, which no component writes"),
        ("mlx.lock", "has the part `mlx.lock`, which no component writes"),
        ("build.rs", "has the part `build.rs`, which no component writes"),
    ] {
        let message = format!("`{}` {reason}", target.escape_debug());
        assert_refused(&found_with(json!({"templates": [template(target)]})), Code::CataloguePath, &message);
        let edit = json!({"edits": [{"file": target, "region": "modules", "text": "x"}]});
        assert_refused(&found_with(edit), Code::CataloguePath, &message);
        let of_plugin = json!({"plugin": {"templates": [template(target)]}});
        assert_refused(&found_with(of_plugin), Code::CataloguePath, &message);
    }
    let long = "a/".repeat(150) + "b";
    let found = found_with(json!({"templates": [template(&long)]}));
    assert!(
        matches!(&found[..], [(Code::CataloguePath, message)] if message.ends_with("is longer than 240 bytes")),
        "{found:?}"
    );
}

#[test]
fn a_target_that_answers_lead_outside_is_refused_when_it_is_rendered() {
    let folder = Folder::with(json!({
        "variables": {"folder": {"type": "string", "default": "src"}},
        "templates": [template("{{ folder }}/a.rs")],
    }));
    folder.write("part/templates/a.template", "text");
    let catalogue = Catalogue::open(&folder.path()).unwrap();
    let template = &catalogue.find("part").unwrap().templates[0];
    assert_eq!(template.path(&json!({"folder": "src"})).unwrap(), "src/a.rs");
    for (answer, reason) in [
        ("..", "`../a.rs` leaves the folder: `..`"),
        ("/etc", "`/etc/a.rs` is absolute"),
        ("a/../..", "`a/../../a.rs` leaves the folder: `..`"),
        ("a\nb", r"`a\nb/a.rs` has the control character U+000A"),
        (".git", "`.git/a.rs` has the part `.git`, which belongs to git"),
        ("", "`/a.rs` is absolute"),
    ] {
        let error = template.path(&json!({"folder": answer})).unwrap_err();
        let found = &error.diagnostics()[0];
        assert_eq!((found.code, &*found.message), (Code::CataloguePath, &*format!("the target {reason}")));
    }
}

#[test]
fn names_of_templates_stay_in_their_folder() {
    for (name, reason) in [
        ("../../outside/a.template", "leaves the folder: `..`"),
        ("part:../../outside/a.template", "leaves the folder: `..`"),
        ("/etc/a.template", "is absolute"),
        (r"..\a.template", "has a backslash: folders are separated by `/`"),
    ] {
        let found = found_with(json!({"templates": [{"name": name, "target": "a"}]}));
        assert_refused(&found, Code::CataloguePath, &format!("`{}` {reason}", name.escape_debug()));
    }
    let found = found_with(json!({"templates": [{"name": "../part:a.template", "target": "a"}]}));
    assert_refused(&found, Code::InvalidValue, "`../part:a.template` is no name of a component");
    let found = found_with(json!({"templates": [{"name": "b.template", "target": "a"}]}));
    assert_refused(&found, Code::Unreadable, "`part` has no template `b.template`");
}

#[test]
fn two_targets_that_are_one_file_are_refused() {
    let found = found_with(json!({"templates": [template("src/a.rs"), template("SRC/A.rs")]}));
    assert_refused(&found, Code::TargetCollision, "`src/a.rs` and `SRC/A.rs` are one file on some systems");
    let found = found_with(json!({"templates": [template("a"), template("a")]}));
    assert_refused(&found, Code::TargetCollision, "two templates of `part` write `a`");
    // Where each has a condition, one of them may be meant.
    let one = |when: &str| json!({"name": "a.template", "target": "a", "when": when});
    let folder = Folder::with(json!({
        "variables": {"b": {"type": "boolean", "default": true}},
        "templates": [one("b"), one("not b")],
    }));
    folder.write("part/templates/a.template", "text");
    assert!(Catalogue::open(&folder.path()).is_ok());
}

#[cfg(unix)]
mod links {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn none_is_followed() {
        let refused = |at: &str, to: &dyn Fn(&Folder) -> PathBuf| {
            let folder = Folder::with(json!({}));
            folder.write("part/templates/b.template", "text");
            let link = folder.path().join(at);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(to(&folder), link).unwrap();
            let found = folder.refused();
            assert_refused(&found, Code::SpecialFile, &format!("`…/catalogue/{at}` is a symbolic link"));
        };
        // A folder, a file, a file that is not there, and a relative way out.
        refused("stolen", &|folder| folder.outside());
        refused("part/templates/a.template", &|folder| folder.outside().join("a.template"));
        refused("part/templates/more", &|folder| folder.outside());
        refused("part/templates/dangling.template", &|folder| folder.outside().join("missing"));
        refused("part/samples/a.json", &|_| PathBuf::from("../../../outside/component.json"));
        refused("part/README.md", &|folder| folder.outside().join("a.template"));
        refused("part/variant", &|folder| folder.outside());
        refused("part/templates/loop", &|_| PathBuf::from("loop"));
        refused("part/templates/within.template", &|_| PathBuf::from("b.template"));
        refused("registry.json", &|folder| folder.outside().join("component.json"));
    }

    #[test]
    fn a_chain_of_links_is_not_followed() {
        let folder = Folder::with(json!({}));
        symlink(folder.outside(), folder.path().join("first")).unwrap();
        symlink(folder.path().join("first"), folder.path().join("second")).unwrap();
        let found = folder.refused();
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(code, _)| *code == Code::SpecialFile), "{found:?}");
    }

    #[test]
    fn a_component_file_that_is_a_link_is_refused() {
        let folder = Folder::new();
        fs::create_dir(folder.path().join("stolen")).unwrap();
        symlink(folder.outside().join("component.json"), folder.path().join("stolen/component.json")).unwrap();
        assert_refused(&folder.refused(), Code::SpecialFile, "`…/catalogue/stolen/component.json` is a symbolic link");
    }

    #[test]
    fn a_catalogue_that_is_a_link_is_refused() {
        let folder = Folder::with(json!({}));
        let link = folder.0.path().join("link");
        symlink(folder.path(), &link).unwrap();
        let error = Catalogue::open(&link).unwrap_err();
        assert_eq!(error.diagnostics()[0].code, Code::SpecialFile);
    }

    #[test]
    fn a_pipe_is_not_opened() {
        let folder = Folder::with(json!({}));
        fs::create_dir_all(folder.path().join("part/templates")).unwrap();
        let pipe = folder.path().join("part/templates/a.template");
        // Opening it would wait for a writer.
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let message = "`…/catalogue/part/templates/a.template` is neither a file nor a folder";
        assert_refused(&folder.refused(), Code::SpecialFile, message);
    }

    #[test]
    fn a_socket_in_place_of_a_folder_is_refused() {
        let error = Catalogue::open(Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.diagnostics()[0].code, Code::SpecialFile);
    }

    #[test]
    fn a_name_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let folder = Folder::with(json!({}));
        let templates = folder.path().join("part/templates");
        fs::create_dir_all(&templates).unwrap();
        // Some file systems take no such name.
        if fs::write(templates.join(std::ffi::OsStr::from_bytes(b"\xff.template")), "x").is_ok() {
            assert_eq!(folder.refused()[0].0, Code::CataloguePath);
        }
    }

    #[test]
    fn names_in_the_folder_are_checked_too() {
        for (name, reason) in [
            ("a\nb.template", r"`templates/a\nb.template` in `…/catalogue/part` has the control character U+000A"),
            (
                "nul.template",
                "`templates/nul.template` in `…/catalogue/part` has the part `nul.template`, which is a device on Windows",
            ),
            (
                r"a\b.template",
                r"`templates/a\\b.template` in `…/catalogue/part` has a backslash: folders are separated by `/`",
            ),
        ] {
            let folder = Folder::with(json!({}));
            folder.write(&format!("part/templates/{name}"), "x");
            assert_refused(&folder.refused(), Code::CataloguePath, &format!("the path {reason}"));
        }
        let folder = Folder::with(json!({}));
        folder.write("part/templates/a.template", "x");
        folder.write("part/templates/A.template", "x");
        // Where both can be.
        if fs::read_dir(folder.path().join("part/templates")).unwrap().count() == 2 {
            let message = "`A.template` and `a.template` in `…/catalogue/part/templates` are one file on some systems";
            assert_refused(&folder.refused(), Code::CataloguePath, message);
        }
    }
}

#[test]
fn a_folder_that_is_none_is_refused() {
    let folder = Folder::new();
    assert_refused(&folder.refused(), Code::Unreadable, "`…/catalogue` holds no component");
    fs::remove_dir(folder.path()).unwrap();
    let found = folder.refused();
    assert!(
        matches!(&found[..], [(Code::Unreadable, message)] if message.starts_with("cannot read `…/catalogue`")),
        "{found:?}"
    );
    fs::write(folder.path(), "a file").unwrap();
    assert_refused(&folder.refused(), Code::SpecialFile, "`…/catalogue` is no folder");
}

#[test]
fn names_of_components_are_plain() {
    for name in ["", "..", ".", "a/b/c", "--config=x", "-Zfoo", "Part", "part ", "a\u{1b}b", "a--b", "2a", "ä"] {
        let folder = Folder::new();
        folder.write("part/component.json", component(name, json!({})));
        assert_refused(
            &folder.refused(),
            Code::InvalidValue,
            &format!("`{}` is no name of a component", name.escape_debug()),
        );
        let found = found_with(json!({"aliases": [name]}));
        assert_refused(&found, Code::InvalidValue, &format!("`{}` is no name of a component", name.escape_debug()));
    }
    let folder = Folder::new();
    folder.write("part/component.json", component("other", json!({})));
    assert_refused(&folder.refused(), Code::InvalidValue, "the component in `part` is named `other`");
    let folder = Folder::new();
    folder.write("-flag/component.json", component("-flag", json!({})));
    assert_refused(&folder.refused(), Code::InvalidValue, "the folder `-flag` is no name of a component");
}

#[test]
fn an_option_in_place_of_a_package_is_refused() {
    for name in ["--config=x", "-Zfoo", "", "a b", "a;b"] {
        let found = found_with(json!({"cargo": {"dependencies": {name: {"version": "1"}}}}));
        assert_refused(&found, Code::InvalidValue, &format!("`{name}` is no name that cargo knows"));
        let found = found_with(json!({"cargo": {"dependencies": {"a": {"version": "1", "features": [name]}}}}));
        assert_refused(&found, Code::InvalidValue, &format!("`{name}` is no name that cargo knows"));
    }
    let found = found_with(json!({"cargo": {"dependencies": {"a": {"version": "--config"}}}}));
    assert_eq!(found[0].0, Code::InvalidValue);
    let found = found_with(json!({"cargo": {"dependencies": {"a": {}}}}));
    assert_refused(&found, Code::MissingField, "`a` has no `version`");
    let found = found_with(json!({"cargo": {"dependencies": {"a": {"version": "1", "git": "https://evil.example"}}}}));
    assert_refused(&found, Code::UnknownField, "unknown field `git`");
}

#[test]
fn versions_are_semantic() {
    for version in ["", "1", "1.0", "v1.0.0", "1.0.0.0", "latest"] {
        let found = found_with(json!({"version": version}));
        assert!(
            matches!(&found[..], [(Code::InvalidValue, message)] if message.starts_with(&format!("`{version}` is no semantic version"))),
            "{found:?}"
        );
    }
    let found = found_with(json!({"dependencies": ["plugin-registry@latest"]}));
    assert!(
        matches!(&found[..], [(Code::InvalidValue, message)] if message.contains("has no requirement of a version")),
        "{found:?}"
    );
    assert_refused(&found_with(json!({"changes": {"one": ["x"]}})), Code::InvalidValue, "`one` is no semantic version");
}

#[test]
fn dependencies_that_cannot_be_met_are_refused() {
    let folder = Folder::new();
    folder.write("a/component.json", component("a", json!({"dependencies": ["b"]})));
    folder.write("b/component.json", component("b", json!({"dependencies": ["c@^1"]})));
    folder.write("c/component.json", component("c", json!({"dependencies": ["a"]})));
    folder.write("d/component.json", component("d", json!({"dependencies": ["d"]})));
    folder.write("e/component.json", component("e", json!({"dependencies": ["missing", "b@^2"]})));
    let found: Vec<String> = folder
        .refused()
        .into_iter()
        .inspect(|(code, _)| assert_eq!(*code, Code::UnmetDependency))
        .map(|found| found.1)
        .collect();
    assert_eq!(
        found,
        [
            "components depend on each other in a circle: `a` → `b` → `c` → `a`",
            "components depend on each other in a circle: `d` → `d`",
            "`e` depends on `missing`, which there is not",
            "`e` depends on `b` ^2, and there is 1.0.0",
        ]
    );
}

#[test]
fn a_long_chain_of_dependencies_does_no_harm() {
    // As many as there may be files and folders.
    let folder = Folder::new();
    for n in 0..3_000 {
        let next = if n == 2_999 { vec!["p0".to_owned()] } else { vec![format!("p{}", n + 1)] };
        folder.write(&format!("p{n}/component.json"), component(&format!("p{n}"), json!({"dependencies": next})));
    }
    let found = folder.refused();
    assert!(matches!(&found[..], [(Code::UnmetDependency, _)]));
}

#[test]
fn two_components_of_one_name_are_refused() {
    let folder = Folder::new();
    folder.write("a/component.json", component("a", json!({"aliases": ["b", "x"]})));
    folder.write("b/component.json", component("b", json!({"aliases": ["x", "x"]})));
    let found: Vec<String> = folder
        .refused()
        .into_iter()
        .inspect(|(code, _)| assert_eq!(*code, Code::DuplicateComponent))
        .map(|found| found.1)
        .collect();
    assert_eq!(
        found,
        [
            "`b` is the name of a component, and an alias of `a`",
            "`x` is an alias of `a` and of `b`",
            "`x` is an alias of `b` and of `b`",
        ]
    );
}

#[test]
fn files_that_are_too_large_or_too_many_are_refused() {
    let folder = Folder::with(json!({}));
    folder.write("part/templates/a.template", vec![b' '; (1 << 20) + 1]);
    assert_refused(
        &folder.refused(),
        Code::TooLarge,
        "`…/catalogue/part/templates/a.template` is larger than 1024 KiB",
    );

    let folder = Folder::with(json!({}));
    let sparse = fs::File::create(folder.path().join("part/README.md")).unwrap();
    // A gigabyte, of which nothing is on the disk and a megabyte is read.
    sparse.set_len(1 << 30).unwrap();
    assert_refused(&folder.refused(), Code::TooLarge, "`…/catalogue/part/README.md` is larger than 1024 KiB");

    let folder = Folder::with(json!({}));
    for n in 0..10_001 {
        folder.write(&format!("part/samples/{n}"), "");
    }
    assert_refused(&folder.refused(), Code::TooLarge, "the catalogue has more than 10000 files and folders");

    let folder = Folder::with(json!({}));
    folder.write(&format!("part/templates/{}a.template", "d/".repeat(20)), "x");
    assert_refused(&folder.refused(), Code::TooLarge, "the folders of `…/catalogue/part` nest deeper than 12 levels");
}

#[test]
fn a_component_file_that_is_damaged_is_refused() {
    let refused = |text: &[u8]| {
        let folder = Folder::new();
        folder.write("part/component.json", text);
        folder.refused()
    };
    let deep = format!("{{\"config_schema\": {}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(refused(deep.as_bytes())[0].0, Code::TooLarge);
    let good = component("part", json!({}));
    assert_eq!(refused(&good.as_bytes()[..good.len() / 2])[0].0, Code::Syntax);
    assert_eq!(refused(b"")[0].0, Code::Syntax);
    assert_eq!(refused(b"\xef\xbb\xbf{}")[0].0, Code::Syntax);
    assert_refused(
        &refused(b"{\"name\": \"\xff\"}"),
        Code::Unreadable,
        "`…/catalogue/part/component.json` is not UTF-8: byte 10 begins no character",
    );
    assert_eq!(refused(br#"{"name": "part", "name": "part"}"#)[0].0, Code::DuplicateKey);
    assert_refused(&found_with(json!({"template": []})), Code::UnknownField, "unknown field `template`");
    assert_eq!(found_with(json!({"templates": {}}))[0].0, Code::WrongType);
    assert_eq!(found_with(json!({"type": "virus"}))[0].0, Code::UnknownVariant);
    assert_eq!(refused(b"{}").len(), 4, "name, version, description and type");
}

/// The place of what is refused is that in the file.
#[test]
fn each_finding_has_its_place() {
    let folder = Folder::new();
    let text = "{\n  \"name\": \"part\",\n  \"version\": \"one\",\n  \"description\": \"A part\",\n  \"type\": \"service\",\n  \"templates\": [\n    {\"name\": \"a.template\", \"target\": \"../x\"}\n  ]\n}";
    folder.write("part/component.json", text);
    folder.write("part/templates/a.template", "text");
    let error = Catalogue::open(&folder.path()).unwrap_err();
    let places: Vec<_> = error
        .diagnostics()
        .iter()
        .map(|found| found.location.as_ref().map(|at| (at.line, at.column)).unwrap())
        .collect();
    assert_eq!(places, [(3, 14), (7, 38)]);
    assert_eq!(error.diagnostics()[1].path.as_deref(), Some("templates[0].target"));
}

fn with_template(more: JsonValue, text: &str) -> Folder {
    let mut more = more;
    more["templates"] = json!([{"name": "a.template", "target": "a.rs", "variables": more["uses"].clone()}]);
    more.as_object_mut().unwrap().remove("uses");
    let folder = Folder::with(more);
    folder.write("part/templates/a.template", text);
    folder
}

#[test]
fn templates_get_what_they_declare_and_no_secret() {
    let schema = json!({"uses": ["port"], "config_schema": {
        "port": {"type": "integer", "default": 1},
        "host": {"type": "string", "default": "a"},
        "token": {"type": "string", "secret": true},
    }});
    let folder = with_template(
        schema.clone(),
        "{{ port }} {% if prt %}{{ host }}{% endif %}\n{{ token | rust_str }} {{ project.name }}",
    );
    assert_eq!(
        folder.refused(),
        [
            (Code::UndeclaredVariable, "`part` has no variable `prt`".to_owned()),
            (Code::UndeclaredVariable, "the template uses `host` without declaring it".to_owned()),
            (Code::UndeclaredVariable, "`token` is a secret of `part`, which no template is given".to_owned()),
        ]
    );
    let error = Catalogue::open(&folder.path()).unwrap_err();
    let place = error.diagnostics()[2].location.clone().unwrap();
    assert_eq!((place.line, place.column, place.length), (2, 4, 5));

    let mut declared = schema;
    declared["uses"] = json!(["port", "token", "other"]);
    let folder = with_template(declared, "{{ port }}");
    assert_eq!(
        folder.refused(),
        [
            (Code::UndeclaredVariable, "`token` is a secret of `part`, which no template is given".to_owned()),
            (Code::UndeclaredVariable, "`part` has no variable `other`".to_owned()),
        ]
    );
    let in_text = json!({
        "config_schema": {"token": {"type": "string", "secret": true}},
        "edits": [{"file": "{{ token }}", "region": "a", "text": "{{ token }}", "when": "token"}],
    });
    let found = found_with(in_text);
    assert_eq!(found.len(), 3);
    assert!(
        found.iter().all(|(code, message)| *code == Code::UndeclaredVariable && message.contains("secret")),
        "{found:?}"
    );
}

#[test]
fn the_default_of_a_secret_is_shown_nowhere() {
    let folder =
        Folder::with(json!({"config_schema": {"token": {"type": "string", "secret": true, "default": "hunter2"}}}));
    let error = Catalogue::open(&folder.path()).unwrap_err();
    assert!(error.diagnostics()[0].message.starts_with("a secret takes no `default`"));
    let shown = format!("{error:?} {error} {}", error.to_json());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_value_of_a_secret_is_in_no_context_and_no_message() {
    let folder =
        Folder::with(json!({"config_schema": {"token": {"type": "string", "secret": true, "required": true}}}));
    let catalogue = Catalogue::open(&folder.path()).unwrap();
    let part = catalogue.find("part").unwrap();
    let context = part.context(&BTreeMap::new()).unwrap();
    assert_eq!(context.keys().collect::<Vec<_>>(), ["component"]);
    let error = part.context(&BTreeMap::from([("token".to_owned(), "hunter2".into())])).unwrap_err();
    assert!(error.diagnostics()[0].message.contains("a secret is not given here"));
    assert!(!format!("{error:?} {}", error.to_json()).contains("hunter2"));
}

fn rendered(text: &str) -> Result<String, String> {
    let template = Source::new("a.template", text);
    let rendered = render::render(&template, &json!({"name": "a\"; exit(1); //", "list": [1, 2]}));
    rendered.map(|rendered| rendered.text).map_err(|error| {
        let found = &error.diagnostics()[0];
        assert_eq!(found.code, Code::BadTemplate, "{error:?}");
        found.message.clone()
    })
}

#[test]
fn a_template_that_does_not_end_runs_out_of_fuel() {
    let endless = "the template does more work than a template may: is there a loop without end?";
    let doubled = |start: &str, step: &str, end: &str| format!("{{% set a = {start} %}}{}{end}", step.repeat(60));
    for text in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}".to_owned(),
        doubled("'xxxxxxxx'", "{% set a = a * 2 %}", "{{ a }}"),
        doubled("'xxxxxxxx'", "{% set a = (a, a) | join %}", "{{ a }}"),
        doubled("'xxxxxxxx'", "{% set a %}{{ a }}{{ a }}{% endset %}", ""),
        doubled("[1]", "{% set a = a * 9 %}", "{{ a | length }}{{ a }}"),
        doubled("'x'", "{% set a = a | replace('x', 'xx') %}", "{{ a }}"),
        doubled("['x']", "{% set a = a | join('xxxx') | split('x') * 4 %}", "{{ a }}"),
        "{{ 'x' * 90000000 }}".to_owned(),
        "{{ 'x' * 900000 * 900 }}".to_owned(),
        "{% for a in range(100000) %}{{ 'x' * 1000 }}{% endfor %}".to_owned(),
    ] {
        let started = std::time::Instant::now();
        let found = rendered(&text).unwrap_err();
        assert!(found == endless || found.contains("makes no lists") || found.contains("too large"), "{text}: {found}");
        // Far more than it takes; without limits it would be years, or all of the memory.
        assert!(started.elapsed().as_secs() < 60, "{text}");
    }
    assert_eq!(
        rendered("{% for a in range(9000) %}{{ 'xxxxxxxxxxxxxxxx' * 10 }}{% endfor %}").unwrap_err(),
        "the template makes more than 1024 KiB of text"
    );
}

#[test]
fn lists_of_lists_are_no_bomb() {
    // Little in memory, and without end when they are written out.
    let doubled = |step: &str, end: &str| format!("{{% set a = [1] %}}{}{end}", step.repeat(40));
    for text in [
        doubled("{% set a = [a, a] %}", "{{ a }}"),
        doubled("{% set a = (a, a) %}", "{{ a }}"),
        doubled("{% set a = a, a %}", "{{ a }}"),
        doubled("{% set a = {1: a, 2: a} %}", "{{ a }}"),
        doubled("{% set a = a + a %}", "{{ a ~ '' }}"),
        doubled("{% set a = a | zip(a) %}", "{{ a | json }}"),
        doubled("{% set a = a | zip(a) | list %}", "{{ a | upper }}"),
        doubled("{% set a = a | batch(1) %}", "{{ a | json }}"),
        doubled("{% set a = a | chain(a) %}", "{{ a | join }}"),
        doubled("{% set a = dict(a=a, b=a) %}", "{{ a | json }}"),
        doubled("{% set a = a * 9 %}", "{{ a | json }}"),
        doubled("{% set a = a * 9 %}", "{{ a | upper }}"),
        doubled("{% set a = a * 9 %}", "{{ a | join }}"),
        "{{ list }}".to_owned(),
        "{{ list | rust_str }}".to_owned(),
    ] {
        let started = std::time::Instant::now();
        assert!(rendered(&text).is_err(), "{text}");
        assert!(started.elapsed().as_secs() < 60, "{text}");
    }
}

#[test]
fn a_template_reaches_no_file_and_no_code() {
    for text in [
        "{% include '/etc/passwd' %}",
        "{% import '../a.template' as a %}",
        "{% extends 'a' %}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{{ name.__class__ }}",
        "{{ open('/etc/passwd') }}",
        "{{ self }}",
        "{{ ''.join }}",
        "{{ missing }}",
        "{{ list[7].x }}",
        "{{ name | nofilter }}",
        "{% if %}",
        "{{ name",
    ] {
        assert!(rendered(text).is_err(), "{text}");
    }
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(rendered(&format!("{{{{ {deep} }}}}")).is_err());
    let nested = format!("{}x{}", "{% if true %}".repeat(5_000), "{% endif %}".repeat(5_000));
    assert!(rendered(&nested).is_err());
}

#[test]
fn a_malformed_template_is_refused_when_the_catalogue_is_opened() {
    let folder = with_template(json!({"uses": []}), "a\n{% if true %}");
    let error = Catalogue::open(&folder.path()).unwrap_err();
    let found = &error.diagnostics()[0];
    assert_eq!((found.code, found.location.as_ref().unwrap().line), (Code::BadTemplate, 2), "{error:?}");
    for (key, text) in [("text", "{{ a"), ("when", "a +"), ("file", "{% if a %}x{% endif %}")] {
        let mut edit = json!({"file": "a.rs", "region": "b", "text": "x"});
        edit[key] = text.into();
        let found = found_with(json!({"edits": [edit]}));
        assert!(matches!(&found[..], [(Code::BadTemplate, _)]), "{found:?}");
    }
}

#[test]
fn what_a_filter_gives_means_nothing_else_where_it_lands() {
    assert_eq!(rendered("{{ name | rust_str }}").unwrap(), r#""a\"; exit(1); //""#);
    assert_eq!(rendered("{{ name | toml_str }}").unwrap(), r#""a\"; exit(1); //""#);
    assert!(rendered("{{ name | rust_ident }}").is_err());
    assert_eq!(rendered("{{ 'a\\n*/ b\\r\\n`x`' | doc }}").unwrap(), "a * / b `x`");
    assert_eq!(rendered("{{ '```\\nfn main() {}' | doc }}").unwrap(), "fn main() {}");
}

fn recorded() -> Folder {
    let folder = Folder::with(json!({"templates": [template("a.rs")]}));
    folder.write("part/templates/a.template", "text\n");
    folder.write("registry.json", Catalogue::open(&folder.path()).unwrap().registry());
    assert!(Catalogue::open(&folder.path()).is_ok());
    folder
}

#[test]
fn a_file_that_is_not_what_was_recorded_is_named() {
    let folder = recorded();
    folder.write("part/templates/a.template", "tex");
    assert_refused(
        &folder.refused(),
        Code::ContentMismatch,
        "`part/templates/a.template` was changed or cut short: its sum is another",
    );
    assert!(Catalogue::open_unrecorded(&folder.path()).is_ok());

    let folder = recorded();
    folder.write("part/templates/b.template", "more");
    assert_refused(&folder.refused(), Code::ContentMismatch, "`part/templates/b.template` is not recorded");

    let folder = recorded();
    folder.write("other/component.json", component("other", json!({})));
    assert_refused(&folder.refused(), Code::ContentMismatch, "`other` is not recorded");

    let folder = recorded();
    fs::remove_file(folder.path().join("part/templates/a.template")).unwrap();
    let found = folder.refused();
    assert!(
        found.contains(&(Code::ContentMismatch, "`part` has no file `templates/a.template`".to_owned())),
        "{found:?}"
    );

    let folder = recorded();
    let text = fs::read_to_string(folder.path().join("registry.json")).unwrap();
    folder.write("registry.json", text.replace("\"version\": \"1.0.0\"", "\"version\": \"2.0.0\""));
    assert_refused(&folder.refused(), Code::ContentMismatch, "`part` is of version 1.0.0");
    folder.write("registry.json", text.replace("\"path\": \"part\"", "\"path\": \"../outside\""));
    assert_refused(&folder.refused(), Code::ContentMismatch, "`part` lies in `part`, not in `../outside`");
    folder.write("registry.json", &text[..text.len() - 20]);
    assert_eq!(folder.refused()[0].0, Code::Syntax);
}

#[test]
fn what_is_recorded_twice_or_is_not_there_is_refused() {
    let folder = recorded();
    let mut registry: JsonValue = fs::read_to_string(folder.path().join("registry.json")).unwrap().parse().unwrap();
    let entry = registry["components"][0].clone();
    let mut missing = entry.clone();
    missing["name"] = "../outside".into();
    registry["components"] = json!([entry, entry, missing]);
    folder.write("registry.json", registry.to_string());
    let found = folder.refused();
    assert!(found.contains(&(Code::DuplicateComponent, "`part` is listed twice".to_owned())), "{found:?}");
    assert!(found.contains(&(Code::ContentMismatch, "there is no component `../outside`".to_owned())), "{found:?}");
    registry["version"] = 2.into();
    folder.write("registry.json", registry.to_string());
    assert_eq!(folder.refused()[0].0, Code::OutOfRange);
}

#[test]
fn a_name_that_nobody_has_is_answered_with_the_nearest() {
    let catalogue = Catalogue::embedded().unwrap();
    let error = catalogue.find("data-source/snowflak").unwrap_err();
    assert_eq!(error.diagnostics()[0].code, Code::UnknownComponent);
    for name in ["", "..", "../../etc", "--help", "a\u{1b}[2J", "/", "data-sources/", "data-sources/../project"] {
        let error = catalogue.find(name).unwrap_err();
        assert!(!format!("{error:?}").contains('\u{1b}'), "{name}");
    }
    assert_eq!(catalogue.find("data-source").unwrap().name, "data-sources");
    assert_eq!(catalogue.find("data-source/snowflake").unwrap().name, "data-sources/snowflake");
}

#[test]
fn answers_are_checked() {
    let folder = Folder::with(json!({"variables": {
        "crate_name": {"type": "string", "format": "crate_name", "required": true, "description": "The name."},
        "ident": {"type": "string", "format": "rust_ident"},
        "port": {"type": "integer", "format": "port", "default": 80},
        "size": {"type": "string", "enum": ["small", "large"], "default": "small"},
        "url": {"type": "string", "format": "url"},
        "range": {"type": "string", "format": "semver_req"},
        "ratio": {"type": "number", "minimum": 0, "maximum": 1},
        "tags": {"type": "array", "items": {"type": "string"}, "max_length": 2},
        "word": {"type": "string", "pattern": "^[a-z]+$", "max_length": 5},
    }}));
    let catalogue = Catalogue::open(&folder.path()).unwrap();
    let part: &Component = catalogue.find("part").unwrap();
    for (name, value, message) in [
        (
            "crate_name",
            json!("a\n[dependencies]"),
            "`a\n[dependencies]` is not a name for a package: small letters, digits, `-` and `_`, beginning with a letter, and no keyword",
        ),
        (
            "crate_name",
            json!("fn"),
            "`fn` is not a name for a package: small letters, digits, `-` and `_`, beginning with a letter, and no keyword",
        ),
        ("ident", json!("match"), "`match` is not an identifier of Rust that is no keyword, such as `events`"),
        ("port", json!(0), "0 is no port: a port is between 1 and 65535"),
        ("port", json!("80"), "expected an integer, found the string \"80\""),
        ("size", json!("lrage"), "unknown value `lrage`"),
        ("url", json!("javascript:alert(1)"), "`javascript:alert(1)` is not a URL, such as `https://example.com`"),
        ("range", json!("latest"), "`latest` is not a requirement of a version, such as `^1.2`"),
        ("ratio", json!(1.5), "1.5 is above the most, 1"),
        ("tags", json!(["a", 1]), "expected a string, found a number"),
        ("tags", json!(["a", "b", "c"]), "it has 3 items: the most are 2"),
        ("word", json!("A"), "`A` does not match `^[a-z]+$`"),
        ("word", json!("abcdef"), "it has 6 characters: the most are 5"),
        ("nobody", json!(1), "`part` asks for no `nobody`"),
    ] {
        let given = BTreeMap::from([("crate_name".to_owned(), json!("good")), (name.to_owned(), value)]);
        let error = part.answers(&given).unwrap_err();
        let messages: Vec<&str> = error.diagnostics().iter().map(|found| &*found.message).collect();
        assert_eq!(messages, [message]);
    }
    let error = part.answers(&BTreeMap::new()).unwrap_err();
    assert_eq!(error.diagnostics()[0].code, Code::MissingField);
    let variable = part.variable("tags").unwrap();
    assert_eq!(variable.parse("tags", "a, b").unwrap(), json!(["a", "b"]));
    assert_eq!(part.variable("port").unwrap().parse("port", "8080").unwrap(), 8080);
    assert!(part.variable("port").unwrap().parse("port", "8080; rm").is_err());
}
