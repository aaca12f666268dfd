//! What the author of a component is told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_components::catalogue::Catalogue;
use mlx_core::{JsonValue, diagnostics::Severity, json};
use std::{fs, path::Path};

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn folder(component: JsonValue, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut file = json!({"name": "part", "version": "1.0.0", "description": "A part", "type": "service"});
    file.as_object_mut().unwrap().extend(component.as_object().unwrap().clone());
    write(folder.path(), "part/component.json", &file.to_string());
    files.iter().for_each(|(path, text)| write(folder.path(), &format!("part/{path}"), text));
    folder
}

fn found(folder: &tempfile::TempDir) -> Vec<(Severity, String)> {
    let found = Catalogue::open(folder.path()).unwrap().check();
    assert!(
        found.iter().all(|found| found.location.is_some() && (found.code.number() < 130 || !found.help.is_empty())),
        "{found:#?}"
    );
    found.into_iter().map(|found| (found.severity, found.message)).collect()
}

#[test]
fn what_nothing_uses_is_a_warning() {
    let part = json!({
        "variables": {"used": {"type": "boolean", "default": true}, "in_when": {"type": "boolean", "default": true}, "unused": {"type": "string"}},
        "templates": [{"name": "a.template", "target": "a.txt", "variables": ["used", "in_when"], "when": "in_when"}],
        "conflicts_with": ["api-servin"],
    });
    let folder =
        folder(part, &[("templates/a.template", "{% if used %}x{% endif %}"), ("templates/dead.template", "x")]);
    assert_eq!(
        found(&folder),
        [
            (Severity::Warning, "no component uses the template `dead.template` of `part`".to_owned()),
            (Severity::Warning, "there is no component `api-servin`".to_owned()),
            (Severity::Warning, "nothing of `part` uses the variable `unused`".to_owned()),
        ]
    );
    let part = json!({
        "variables": {"a": {"type": "string"}},
        "templates": [{"name": "a.template", "target": "{{ a | default('x') }}.txt"}, {"name": "b.template", "target": "b.txt", "variables": ["a"]}],
    });
    let folder = self::folder(part, &[("templates/a.template", ""), ("templates/b.template", "")]);
    assert_eq!(found(&folder), [(Severity::Warning, "the template declares `a` and does not use it".to_owned())]);
}

#[test]
fn a_text_that_stands_in_code_goes_through_a_filter() {
    let part = json!({
        "variables": {
            "title": {"type": "string", "default": "x"},
            "crate_name": {"type": "string", "format": "crate_name", "default": "x"},
            "word": {"type": "string", "pattern": "^[a-z]+$", "default": "x"},
            "size": {"type": "string", "enum": ["s", "m"], "default": "s"},
            "port": {"type": "integer", "default": 1},
        },
        "templates": [
            {"name": "a.rs.template", "target": "a.rs", "variables": ["title", "crate_name", "word", "size", "port"]},
            {"name": "a.md.template", "target": "a.md", "variables": ["title"]},
        ],
    });
    let rust = "const A: &str = \"{{ title }}\";\nconst B: &str = {{ title | rust_str }}; // {{ title | doc }}\n\
                const C: &str = \"{{ title | rust_str }}\";\nuse {{ crate_name }}::{{ word }};\nconst S: &str = \"{{ size }}{{ port }}\";\n";
    let folder = folder(part, &[("templates/a.rs.template", rust), ("templates/a.md.template", "# {{ title }}\n")]);
    assert_eq!(
        found(&folder),
        [
            (Severity::Error, "`title` can be any text, and stands in code as it is".to_owned()),
            (Severity::Error, "`rust_str` puts quotes around the text, and there are some already".to_owned()),
        ]
    );
    let places: Vec<String> = Catalogue::open(folder.path())
        .unwrap()
        .check()
        .iter()
        .map(|found| found.location.clone().unwrap().to_string())
        .collect();
    assert!(places[0].ends_with("a.rs.template:1:18") && places[1].ends_with("a.rs.template:3:18"), "{places:?}");
}

#[test]
fn a_region_that_no_template_has_is_an_error() {
    let part = json!({
        "templates": [{"name": "a.template", "target": "src/a.rs"}],
        "edits": [
            {"file": "src/a.rs", "region": "modules", "text": "x"},
            {"file": "src/a.rs", "region": "module", "text": "x"},
            {"file": "src/b.rs", "region": "modules", "text": "x"},
        ],
    });
    let folder = folder(part, &[("templates/a.template", "// mlx:begin modules\n// mlx:end modules\n")]);
    assert_eq!(
        found(&folder),
        [
            (Severity::Error, "`src/a.rs` has no region `module`".to_owned()),
            (Severity::Error, "no template makes `src/b.rs`, which is to have a region `modules`".to_owned()),
        ]
    );
}

#[test]
fn a_sample_is_rendered_as_it_is_recorded() {
    let part = json!({
        "variables": {"port": {"type": "integer", "default": 80, "maximum": 100}},
        "templates": [{"name": "a.template", "target": "src/{{ project.crate_name }}.rs", "variables": ["port"]}],
    });
    let sample = r#"{"port": 81, "$project": "my-sample"}"#;
    let files = [
        ("templates/a.template", "{{ port }}\n"),
        ("samples/one.json", sample),
        ("samples/one/src/my_sample.rs", "81\n"),
    ];
    let folder = folder(part, &files);
    assert_eq!(found(&folder), []);
    write(folder.path(), "part/samples/one/src/my_sample.rs", "80\n");
    write(folder.path(), "part/samples/one/other.rs", "");
    assert_eq!(
        found(&folder).into_iter().map(|found| found.1).collect::<Vec<_>>(),
        [
            "the sample `one` of `part` renders `src/my_sample.rs` otherwise",
            "the sample `one` of `part` does not render `other.rs`"
        ]
    );
    for (sample, message) in [
        (r#"{"port": 101}"#, "101 is above the most, 100"),
        (r#"{"prt": 1}"#, "`part` asks for no `prt`"),
        (r#"{"$project": 1}"#, "expected a string, found the integer `1`"),
    ] {
        write(folder.path(), "part/samples/one.json", sample);
        assert_eq!(found(&folder)[0].1, message);
    }
}
