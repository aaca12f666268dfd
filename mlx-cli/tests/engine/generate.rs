//! Requests become plans: of a catalogue made for it, and of the one that is built in.

use mlx_cli::{
    apply,
    generate::{self, CompositionSource, MlxOrigin, Options, Request},
    plan::Plan,
    project::{Project, ProjectPath},
};
use mlx_components::catalogue::Catalogue;
use mlx_core::{Composition, Error, Result, diagnostics::Code, json, registry::PluginManifest};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Without rustfmt, which not every machine has, and which costs more than everything else.
fn options() -> Options {
    Options { format: false, origin: Some(MlxOrigin::Path("/mlx".to_owned())), ..Options::default() }
}

fn request(component: &str) -> Request {
    Request::of(component)
}

fn plugin(component: &str, kind: &str, name: &str) -> Request {
    Request { plugin_type: Some(kind.to_owned()), name: Some(name.to_owned()), ..request(component) }
}

fn with(request: Request, set: &[(&str, &str)]) -> Request {
    let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request { set, ..request }
}

struct Place {
    _temp: tempfile::TempDir,
    root: PathBuf,
    catalogue: Catalogue,
}

impl Place {
    fn new(catalogue: &Catalogue) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("shop");
        let place = Place { _temp: temp, root, catalogue: catalogue.clone() };
        let (project, plan) =
            generate::init(&place.catalogue, "shop", &place.root, &Request::default(), &options()).unwrap();
        assert!(!place.root.exists(), "a plan writes nothing");
        apply::apply(&project, &plan).unwrap();
        place
    }

    fn project(&self) -> Project {
        Project::open(&self.root).unwrap()
    }

    fn plan(&self, request: &Request) -> Result<Plan> {
        generate::add(&self.project(), &self.catalogue, request, &options())
    }

    fn add(&self, request: &Request) -> Plan {
        let plan = self.plan(request).unwrap_or_else(|e| panic!("{e:?}"));
        apply::apply(&self.project(), &plan).unwrap();
        plan
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn refused(&self, request: &Request, code: Code, expected: &str) -> Error {
        let before = self.all();
        let error = self.plan(request).expect_err(expected);
        assert!(error.diagnostics().iter().any(|found| found.code == code), "{code}: {error:?}");
        assert!(format!("{error:?}").contains(expected), "{expected}: {error:?}");
        assert_eq!(self.all(), before);
        error
    }

    fn all(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, found),
                    false => drop(found.insert(path.clone(), fs::read(&path).unwrap())),
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.root, &mut found);
        found
    }
}

/// A small catalogue that has one of everything.
fn small() -> Catalogue {
    let temp = tempfile::tempdir().unwrap();
    let component = |name: &str, json: mlx_core::JsonValue, templates: &[(&str, &str)]| {
        let folder = temp.path().join(name);
        fs::create_dir_all(folder.join("templates")).unwrap();
        let mut file = json!({"name": name, "version": "1.0.0", "description": "A test", "type": "service"});
        file.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
        fs::write(folder.join("component.json"), file.to_string()).unwrap();
        fs::write(folder.join("README.md"), "A test.\n").unwrap();
        for (name, text) in templates {
            fs::write(folder.join("templates").join(name), text).unwrap();
        }
    };
    component(
        "project",
        json!({"type": "project", "templates": [
            {"name": "Cargo.toml.template", "target": "Cargo.toml"},
            {"name": "platform.yaml.template", "target": "platform.yaml"},
            {"name": "mod.rs.template", "target": "src/platform/mod.rs"},
        ], "cargo": {"dependencies": {"mlx-core": {"features": ["signal"]}}}}),
        &[
            (
                "Cargo.toml.template",
                "[package]\nname = {{ project.name | toml_str }}\n\n[workspace]\n\n[workspace.dependencies]\n\n[dependencies]\n",
            ),
            (
                "platform.yaml.template",
                "name: {{ project.name }}\nplugins:\n  # mlx:begin plugins\n  # mlx:end plugins\n",
            ),
            ("mod.rs.template", "// mlx:begin modules\n// mlx:end modules\n"),
        ],
    );
    component(
        "plugins",
        json!({
            "type": "plugin", "generates_plugin_types": ["data_source", "ml_platform"],
            "templates": [{"name": "mod.rs.template", "target": "src/plugins/mod.rs"}],
            "edits": [{"file": "src/platform/mod.rs", "region": "modules", "text": "pub mod plugins;"}],
            "plugin": {
                "templates": [{"name": "plugin.rs.template", "target": "src/plugins/{{ plugin.module }}.rs"}],
                "edits": [
                    {"file": "src/plugins/mod.rs", "region": "plugins", "text": "pub mod {{ plugin.module }};"},
                    {"file": "platform.yaml", "region": "plugins", "text": "- type: {{ plugin.type }}\n  name: {{ plugin.name }}\n"},
                ],
            },
        }),
        &[
            ("mod.rs.template", "// mlx:begin plugins\n// mlx:end plugins\n"),
            ("plugin.rs.template", "pub struct {{ plugin.struct_name }}; // {{ plugin.type }}\n"),
        ],
    );
    component(
        "api",
        json!({
            "aliases": ["rest"], "dependencies": ["plugins@^1"], "conflicts_with": ["rival"], "enhances": ["watch"],
            "variables": {
                "title": {"type": "string", "default": "Shop", "description": "The title."},
                "port": {"type": "integer", "default": 80, "minimum": 1, "description": "The port."},
            },
            "templates": [
                {"name": "api.rs.template", "target": "src/api.rs", "variables": ["title", "port"]},
                {"name": "watch.rs.template", "target": "src/watched.rs", "when": "\"watch\" in components"},
            ],
            "edits": [{"file": "src/platform/mod.rs", "region": "modules", "text": "pub mod api;"}],
            "cargo": {
                "dependencies": {"axum": {"version": "0.8", "features": ["json"]}, "prometheus": {"version": "0.14", "when": "\"watch\" in components"}},
                "dev-dependencies": {"tower": {"version": "0.5"}},
            },
        }),
        &[
            (
                "api.rs.template",
                "const TITLE: &str = {{ title | rust_str }};\nconst PORT: u16 = {{ port }};\n{% if \"watch\" in components %}\n// watched\n{% endif %}\nfn end() {}\n",
            ),
            ("watch.rs.template", "// new\n"),
        ],
    );
    component(
        "watch",
        json!({"templates": [{"name": "w.rs.template", "target": "src/w.rs"}]}),
        &[("w.rs.template", "// w\n")],
    );
    component("rival", json!({}), &[]);
    component(
        "twin",
        json!({"templates": [{"name": "t.template", "target": "src/api.rs"}]}),
        &[("t.template", "// twin\n")],
    );
    component(
        "regionless",
        json!({"edits": [{"file": "src/platform/mod.rs", "region": "nowhere", "text": "pub mod x;"}]}),
        &[],
    );
    component("old-axum", json!({"cargo": {"dependencies": {"axum": {"version": "0.7"}}}}), &[]);
    component(
        "asks",
        json!({"variables": {
            "first": {"type": "string", "required": true, "description": "One."},
            "second": {"type": "integer", "required": true, "description": "Two."},
        }}),
        &[],
    );
    component(
        "stores",
        json!({"type": "plugin", "aliases": ["store"], "dependencies": ["plugins"], "generates_plugin_types": ["data_source"], "plugin": {
            "type": "data_source",
            "templates": [{"name": "plugins:plugin.rs.template", "target": "src/plugins/{{ plugin.module }}.rs"}],
            "edits": [{"file": "src/plugins/mod.rs", "region": "plugins", "text": "pub mod {{ plugin.module }};"}],
        }}),
        &[],
    );
    component(
        "stores/lake",
        json!({
            "type": "vendor", "dependencies": ["plugins"], "generates_plugin_types": ["data_source"],
            "config_schema": {
                "account": {"type": "string", "required": true, "description": "The account."},
                "password": {"type": "string", "required": true, "secret": true, "description": "The password."},
                "pool": {"type": "integer", "default": 5, "description": "Connections."},
            },
            "plugin": {
                "type": "data_source", "name": "lake",
                "templates": [{"name": "plugins:plugin.rs.template", "target": "src/plugins/{{ plugin.module }}.rs"}],
                "edits": [
                    {"file": "src/plugins/mod.rs", "region": "plugins", "text": "pub mod {{ plugin.module }};"},
                    {"file": "platform.yaml", "region": "plugins", "text": "- type: {{ plugin.type }}\n  name: {{ plugin.name }}\n  config:\n    pool: {{ pool }}\n"},
                ],
            },
        }),
        &[],
    );
    Catalogue::open_unrecorded(temp.path()).unwrap_or_else(|e| panic!("{e:?}"))
}

#[test]
fn a_component_comes_with_what_it_needs_and_is_there_once() {
    let place = Place::new(&small());
    assert!(place.text("Cargo.toml").contains("mlx-core = { path = \"/mlx/mlx-core\" }"));
    assert!(place.text("Cargo.toml").contains("mlx-core = { workspace = true, features = [\"signal\"] }"));
    let plan = place.add(&with(request("rest"), &[("title", "a\"; b"), ("port", "8080")]));
    assert_eq!(place.text("src/api.rs"), "const TITLE: &str = \"a\\\"; b\";\nconst PORT: u16 = 8080;\nfn end() {}\n");
    assert_eq!(
        place.text("src/platform/mod.rs"),
        "// mlx:begin modules\npub mod api;\npub mod plugins;\n// mlx:end modules\n"
    );
    assert!(place.text("Cargo.toml").contains("axum = { version = \"0.8\", features = [\"json\"] }"));
    assert!(place.text("Cargo.toml").contains("[dev-dependencies]\ntower = \"0.5\"\n"));
    let lock = place.project().lock().clone();
    let (api, plugins) = (lock.find("api", None).unwrap(), lock.find("plugins", None).unwrap());
    assert!(api.requested && !plugins.requested);
    assert_eq!((&api.answers["port"], &api.dependencies), (&json!(8080), &vec!["axum".to_owned(), "tower".to_owned()]));
    assert_eq!(api.components, ["api", "plugins", "project"]);
    assert!(plan.operations.iter().any(|operation| operation.why == "api: api.rs.template"));
    // Again, and what came with it.
    let again = place.plan(&request("api")).unwrap();
    assert!(again.is_empty() && again.notes == ["`api` is there already"], "{again:?}");
    let plan = place.add(&request("plugins"));
    assert_eq!(plan.visible().map(|o| o.path.as_str()).collect::<Vec<_>>(), ["mlx.lock"]);
    assert!(place.project().lock().find("plugins", None).unwrap().requested);
}

#[test]
fn a_plan_is_the_same_each_time() {
    let catalogue = small();
    let plans: Vec<_> = (0..2).map(|_| Place::new(&catalogue).plan(&request("api")).unwrap()).collect();
    assert_eq!(plans[0].sha256(), plans[1].sha256());
    assert_eq!(Plan::from_json(&plans[0].to_json().to_string()).unwrap(), plans[0]);
}

#[test]
fn plugins_are_made_by_type_and_name() {
    let place = Place::new(&small());
    place.add(&plugin("plugins", "ml_platform", "cloud"));
    assert_eq!(place.text("src/plugins/cloud.rs"), "pub struct Cloud; // ml_platform\n");
    assert!(place.plan(&plugin("plugins", "ml_platform", "cloud")).unwrap().is_empty());
    // The same id for another type.
    place.add(&plugin("plugins", "data-source", "cloud"));
    assert_eq!(place.text("src/plugins/cloud_data_source.rs"), "pub struct Cloud; // data_source\n");
    // A variant is found by the type and the name, by the section and the variant, and by its own name: one plugin each time.
    place.add(&plugin("plugins", "data_source", "lake"));
    assert!(place.project().lock().find("stores/lake", Some("data_source/lake")).is_some());
    for same in [
        Request { plugin_type: Some("lake".to_owned()), ..request("store") },
        request("stores/lake"),
        request("store/lake"),
        Request { name: Some("lake".to_owned()), ..request("stores") },
    ] {
        assert!(place.plan(&same).unwrap().is_empty(), "{same:?}");
    }
    place.add(&Request { name: Some("second-lake".to_owned()), ..request("stores/lake") });
    let manifest = PluginManifest::from_json("plugins.json", &place.text("plugins.json")).unwrap();
    let listed: Vec<_> = manifest.plugins().iter().map(|plugin| format!("{}/{}", plugin.kind, plugin.name)).collect();
    assert_eq!(listed, ["data_source/cloud", "data_source/lake", "data_source/second-lake", "ml_platform/cloud"]);
    let composition = Composition::from_yaml(&place.text("platform.yaml")).unwrap();
    assert_eq!(composition.plugins().len(), 4);
    assert_eq!(place.text("src/plugins/mod.rs").lines().count(), 6);
}

#[test]
fn a_request_that_cannot_be_met_changes_nothing() {
    let place = Place::new(&small());
    let named = |name: &str| Request { name: Some(name.to_owned()), ..request("stores/lake") };
    let typed = |component: &str, kind: &str| Request { plugin_type: Some(kind.to_owned()), ..request(component) };
    place.refused(&request("apy"), Code::UnknownComponent, "`api`");
    place.refused(&request(""), Code::UnknownComponent, "no component");
    place.refused(&request("--config=x"), Code::UnknownComponent, "no component");
    place.refused(&typed("stores", "lakes"), Code::BadAnswer, "did you mean `lake`?");
    place.refused(&typed("api", "data_source"), Code::BadAnswer, "leave `--plugin-type` out");
    place.refused(&request("stores"), Code::MissingAnswer, "`lake`");
    place.refused(&typed("plugins", "ml_platform"), Code::MissingAnswer, "--name");
    place.refused(&Request { name: Some("x".to_owned()), ..request("plugins") }, Code::BadAnswer, "`ml_platform`");
    place.refused(&Request { name: Some("x".to_owned()), ..request("watch") }, Code::BadAnswer, "makes no plugins");
    for name in [
        "",
        "mod",
        "type",
        "Lake_2",
        "../x",
        "ä",
        "-x",
        "a b",
        "std",
        "plugin",
        "result",
        "data-source",
        &"x".repeat(300),
    ] {
        place.refused(&named(name), Code::BadAnswer, "name");
    }
    let version = |range: &str| Request { version: Some(range.parse().unwrap()), ..request("api") };
    place.refused(&version("^2"), Code::UnmetComponent, "the catalogue has 1.0.0");
    assert!(place.plan(&version("^1")).is_ok());
    place.refused(
        &request("regionless"),
        Code::NoRegion,
        "    // mlx:begin nowhere\n    pub mod x;\n    // mlx:end nowhere",
    );
    let answers = |set: &[(&str, &str)]| with(request("api"), set);
    place.refused(&answers(&[("prot", "1")]), Code::UnknownField, "`port`");
    place.refused(&answers(&[("port", "eighty")]), Code::WrongType, "integer");
    place.refused(&answers(&[("port", "0")]), Code::OutOfRange, "below");
    let error = place.refused(&request("asks"), Code::MissingAnswer, "`first`");
    assert_eq!(error.diagnostics().len(), 2, "all of them at once: {error:?}");
    for (password, expected) in
        [("hunter2", "LAKE_PASSWORD"), ("${env:PW:-hunter2}", "drop `:-…`, and write `${env:PW}`")]
    {
        let error =
            place.refused(&with(request("stores/lake"), &[("password", password)]), Code::SecretAnswer, expected);
        assert!(!format!("{error:?} {error} {}", error.to_json()).contains("hunter2"));
    }
}

#[test]
fn a_dependency_that_the_project_has_in_another_version_is_named() {
    let place = Place::new(&small());
    place.add(&request("plugins"));
    let lock = place.text("mlx.lock").replacen(
        "component = \"plugins\"\nversion = \"1.0.0\"",
        "component = \"plugins\"\nversion = \"0.9.0\"",
        1,
    );
    fs::write(place.root.join("mlx.lock"), lock).unwrap();
    let error =
        place.refused(&request("api"), Code::UnmetComponent, "`api` needs `plugins` in `^1`, the project has 0.9.0");
    assert!(format!("{error:?}").contains("mlx update plugins"), "{error:?}");
}

#[test]
fn what_excludes_each_other_and_what_is_in_the_way_is_refused() {
    let place = Place::new(&small());
    place.add(&request("api"));
    place.refused(&request("rival"), Code::ComponentConflict, "mlx remove api");
    place.refused(&request("twin"), Code::Occupied, "`src/api.rs` belongs to `api`");
    place.refused(&request("old-axum"), Code::BadManifest, "old-axum needs `0.7`");
    fs::write(place.root.join("src/w.rs"), "mine").unwrap();
    place.refused(&request("watch"), Code::Occupied, "`src/w.rs` is there already");
    fs::write(place.root.join("src/w.rs"), "// w\n").unwrap();
    assert!(place.plan(&request("watch")).is_ok(), "the same content is none in the way");
    fs::remove_file(place.root.join("src/plugins/mod.rs")).unwrap();
    place.refused(&plugin("plugins", "ml_platform", "cloud"), Code::NoRegion, "there is no `src/plugins/mod.rs`");
    fs::write(place.root.join("Cargo.toml"), "[package\n").unwrap();
    place.refused(&plugin("stores", "data_source", "x"), Code::BadManifest, "Cargo.toml:1");
}

#[test]
fn a_reference_is_no_secret() {
    let place = Place::new(&small());
    place.add(&with(request("stores/lake"), &[("password", "${env:PW}"), ("account", "a: b"), ("pool", "9")]));
    let text = place.text("platform.yaml");
    assert!(text.contains("    pool: 9\n      password: \"${env:PW}\"\n"), "{text}");
    Composition::from_yaml(&text).unwrap();
}

#[test]
fn a_component_that_others_ask_for_changes_their_files() {
    let place = Place::new(&small());
    place.add(&request("api"));
    let mine = place.text("src/api.rs").replace("fn end() {}", "fn end() {}\nfn mine() {}");
    fs::write(place.root.join("src/api.rs"), &mine).unwrap();
    let plan = place.add(&request("watch"));
    assert_eq!(plan.conflicts, []);
    assert_eq!(
        place.text("src/api.rs"),
        "const TITLE: &str = \"Shop\";\nconst PORT: u16 = 80;\n// watched\nfn end() {}\nfn mine() {}\n"
    );
    assert_eq!(place.text("src/watched.rs"), "// new\n");
    assert!(place.text("Cargo.toml").contains("prometheus = \"0.14\""));
    let lock = place.project().lock().clone();
    let api = lock.find("api", None).unwrap();
    assert_eq!((api.files.len(), &api.components), (2, &lock.component_names()));
    // What is kept of it is what was rendered, not what the user made of it.
    let path = ProjectPath::new("src/api.rs").unwrap();
    let base = place.project().tree().base(&lock.owner(&path).unwrap().1.base).unwrap().unwrap();
    assert!(!String::from_utf8(base).unwrap().contains("mine"));
}

#[test]
fn a_composition_brings_components_and_plugins_at_once() {
    let place = Place::new(&small());
    let file = place.root.join("../stack.yaml");
    let compose = |text: &str| {
        fs::write(&file, text).unwrap();
        generate::compose(&place.project(), &place.catalogue, CompositionSource::File(&file), &options())
    };
    let before = place.all();
    let error = compose(
        "components: [api, rival, nothing]\nplugins:\n  - {type: data_source, name: lake}\n  - {type: data_sauce, name: x}\nconflicts:\n  - [lake, x]\n",
    )
    .unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("did you mean `data_source`?") && text.contains("`lake` and `x` exclude"), "{text}");
    let error = compose(
        "components: [api, rival, nothing]\nplugins: [{type: data_source, name: lake, config: {password: hunter2}}]",
    )
    .unwrap_err();
    let text = format!("{error:?}");
    for expected in ["`api` and `rival` cannot be in one project", "`nothing`", "LAKE_PASSWORD", "stack.yaml:1"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(place.all(), before, "nothing is written");
    let plan = compose(
        "components: [api]\nplugins:\n  - type: data_source\n    name: lake\n    on_failure: continue\n    config: {account: a, pool: 7, password: \"${env:PW}\"}\n  - {type: ml_platform, name: own}\n",
    )
    .unwrap_or_else(|e| panic!("{e:?}"));
    apply::apply(&place.project(), &plan).unwrap();
    assert!(place.root.join("src/api.rs").exists() && place.root.join("src/plugins/own.rs").exists());
    let text = place.text("platform.yaml");
    assert!(text.contains("pool: 7") && text.contains("on_failure: \"continue\""), "{text}");
    assert!(text.contains("password: \"${env:PW}\""), "{text}");
    let composition = Composition::from_yaml(&text).unwrap();
    assert_eq!(composition.plugins().len(), 2);
    assert!(composition.problems().is_empty(), "{:?}", composition.problems());
    assert!(compose("plugins: [{type: ml_platform, name: own}]").unwrap().is_empty());
}

#[test]
fn a_setting_of_a_composition_takes_the_place_of_an_example() {
    let place = Place::new(Catalogue::embedded().unwrap());
    let yaml = "plugins: [{type: data_source, name: files, config: {tables: {d: {path: x.csv}}}}]";
    let source = CompositionSource::Text { name: "nest.yaml", yaml };
    let plan = generate::compose(&place.project(), &place.catalogue, source, &options()).unwrap();
    apply::apply(&place.project(), &plan).unwrap();
    let text = place.text("platform.yaml");
    assert!(!text.contains("example:"), "{text}");
    let composition = Composition::from_yaml(&text).unwrap();
    assert!(composition.problems().is_empty(), "{:?}", composition.problems());
    assert_eq!(composition.plugins()[0].config.to_json(), json!({"tables": {"d": {"path": "x.csv"}}}));
}

#[test]
fn what_a_composition_says_is_taken_or_said_to_be_left() {
    let place = Place::new(Catalogue::embedded().unwrap());
    let compose = |yaml: &str| {
        let source = CompositionSource::Text { name: "stack.yaml", yaml };
        generate::compose(&place.project(), &place.catalogue, source, &options())
    };
    for (settings, path) in [
        ("keys: [{name: demo, key: LITERAL}]", "`keys[0].key`"),
        ("token: LITERAL", "`token`"),
        ("auth: {privateKey: LITERAL}", "`auth.privateKey`"),
        ("secrets: {a: LITERAL}", "`secrets.a`"),
        ("token: \"${literal}\"", "`token`"),
        ("token: \"${env:API_KEYS_TOKEN:-LITERAL}\"", "`token`"),
        ("token: \"${fallback}\"", "`token`"),
        ("keys: [{name: demo, key: \"${env:API_KEYS_KEY:-LITERAL}\"}]", "`keys[0].key`"),
    ] {
        let yaml = format!(
            "variables: {{literal: LITERAL, fallback: \"${{env:API_KEYS_FALLBACK:-LITERAL}}\"}}\nplugins:\n  - {{type: security, name: api-keys, config: {{{settings}}}}}\n"
        );
        let error = compose(&yaml).unwrap_err();
        assert_eq!(error.diagnostics()[0].code, Code::SecretAnswer, "{error:?}");
        // Nor does the line that it stands in show it.
        let text = format!("{error:?}");
        assert!(text.contains(path) && text.contains("${env:API_KEYS_") && !text.contains("LITERAL"), "{text}");
    }
    let declared =
        "plugins: [{type: ml_platform, name: databricks, config: {host: \"https://h\", token: \"${env:T:-LITERAL}\"}}]";
    let error = compose(declared).unwrap_err();
    let found = &error.diagnostics()[0];
    assert_eq!((found.code, found.location.as_ref().map(|at| at.line)), (Code::SecretAnswer, Some(1)), "{error:?}");
    assert!(found.help[0].ends_with("`${env:T}`") && !format!("{error:?}").contains("LITERAL"), "{error:?}");
    // Without a text to fall back on, it is a reference like any other.
    compose(&declared.replace("LITERAL", "")).unwrap_or_else(|e| panic!("{e:?}"));
    for (yaml, expected) in [
        ("plugins: [{type: security, name: own, config: {a: \"${absent}\"}}]", "`${absent}`"),
        ("plugins: [{type: ml_platform, name: databricks, config: {hots: x}}]", "did you mean `host`?"),
        ("plugins: [{type: ml_platform, name: databricks, config: {workers: -1}}]", "workers"),
    ] {
        let error = compose(yaml).unwrap_err();
        assert!(format!("{error:?}").contains(expected), "{error:?}");
    }
    let doubled: String = (0..30).map(|n| format!("  a{n}: \"${{a{0}}}${{a{0}}}\"\n", n + 1)).collect();
    for (variables, expected) in
        [("  a0: \"${a0}\"\n", "circle"), (&format!("{doubled}  a30: \"\"\n"), "more than 1024")]
    {
        let yaml =
            format!("variables:\n{variables}plugins: [{{type: security, name: own, config: {{a: \"${{a0}}\"}}}}]\n");
        let error = compose(&yaml).unwrap_err();
        assert!(format!("{error:?}").contains(expected), "{error:?}");
    }
    let plan = compose(
        "description: mine\nvariables: {base: data, dir: \"${base}/in\", n: 3}\nprofiles: {live: {}}\nplugins:\n  \
         - {type: security, name: keys-of-mine, config: {keys: [{key: \"${env:KEY}\"}], primary_key: id, \
         path: \"${dir}/$${x}\", n: \"${n}\"}}\n",
    )
    .unwrap_or_else(|e| panic!("{e:?}"));
    let notes = plan.notes.join("\n");
    for expected in ["not taken over from the composition: `profiles`,", "`primary_key` is no setting"] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
    apply::apply(&place.project(), &plan).unwrap();
    let made = Composition::from_yaml(&place.text("platform.yaml")).unwrap();
    assert!(made.problems().is_empty(), "{:?}", made.problems());
    let config = made.plugins().iter().find(|plugin| plugin.id() == "keys-of-mine").unwrap().config.to_json();
    assert_eq!(config, json!({"keys": [{"key": "${env:KEY}"}], "primary_key": "id", "path": "data/in/$${x}", "n": 3}));
}

#[test]
fn the_plugin_of_a_component_takes_what_a_composition_sets() {
    for components in ["components: [api-serving]\n", ""] {
        let place = Place::new(Catalogue::embedded().unwrap());
        let yaml = format!(
            "{components}plugins: [{{type: serving_platform, name: rest-api, on_failure: continue, config: {{port: 9000, models: [a]}}}}]"
        );
        let source = CompositionSource::Text { name: "stack.yaml", yaml: &yaml };
        let plan = generate::compose(&place.project(), &place.catalogue, source, &options()).unwrap();
        assert!(plan.notes.is_empty(), "{:?}", plan.notes);
        apply::apply(&place.project(), &plan).unwrap();
        let made = Composition::from_yaml(&place.text("platform.yaml")).unwrap();
        assert!(made.problems().is_empty(), "{:?}", made.problems());
        let [api] = made.plugins() else { panic!("{:?}", made.plugins()) };
        let config = api.config.to_json();
        assert_eq!((api.id(), &config["port"], &config["models"]), ("rest-api", &json!(9000), &json!(["a"])));
        assert!(place.text("platform.yaml").contains("on_failure: \"continue\""));
        assert!(place.root.join("src/platform/api/app.rs").exists());
        assert_eq!(place.project().lock().instance("serving_platform/rest-api").unwrap().component, "api-serving");
    }
}

#[test]
fn a_composition_that_names_one_plugin_of_a_type_means_that_one() {
    let compose = |place: &Place, yaml: &str| {
        let source = CompositionSource::Text { name: "stack.yaml", yaml };
        let plan = generate::compose(&place.project(), &place.catalogue, source, &options()).unwrap();
        apply::apply(&place.project(), &plan).unwrap();
        let made = Composition::from_yaml(&place.text("platform.yaml")).unwrap();
        let marked = made.plugins().iter().filter(|plugin| plugin.default);
        marked.map(|plugin| format!("{}/{}", plugin.kind.as_str(), plugin.id())).collect::<Vec<_>>()
    };
    let new = || Place::new(Catalogue::embedded().unwrap());
    let engines = "components: [workflow-orchestration]\nplugins: [{type: workflow_engine, name: temporal}]";
    assert_eq!(compose(&new(), engines), ["workflow_engine/temporal"]);
    // The one that ran until then stays the default.
    let place = new();
    place.add(&request("workflow-orchestration"));
    assert_eq!(compose(&place, engines), ["workflow_engine/pipelines"]);
    // What needs an account is off.
    let trackers = "plugins: [{type: experiment_tracker, name: mlflow}, {type: experiment_tracker, name: local}]";
    assert_eq!(compose(&new(), trackers), ["experiment_tracker/local"]);
    for said in [
        "plugins: [{type: data_processor, name: one}, {type: data_processor, name: two}]",
        "plugins: [{type: data_processor, name: one}]",
    ] {
        assert!(compose(&new(), said).is_empty(), "{said}");
    }
    let said = "components: [data-processing]\nplugins: [{type: data_processor, name: one, default: true}, {type: data_processor, name: two}]";
    assert_eq!(compose(&new(), said), ["data_processor/one"]);
}

#[test]
fn a_plugin_that_mlx_plugins_has_is_linked_as_it_is() {
    let place = Place::new(Catalogue::embedded().unwrap());
    let compose = |yaml: &str| {
        let source = CompositionSource::Text { name: "stack.yaml", yaml };
        generate::compose(&place.project(), &place.catalogue, source, &options())
    };
    let yaml = "plugins:\n  - {type: model_server, name: local, id: predictor, on_failure: continue}\n  \
                - {type: serving_platform, name: http, default: true, config: {port: 0, limits: {body: 1MiB}}}\n  \
                - {type: serving_platform, name: htttp}\n";
    let plan = compose(yaml).unwrap_or_else(|e| panic!("{e:?}"));
    assert!(plan.notes.iter().all(|note| !note.contains("mlx-plugins")), "{:?}", plan.notes);
    let touched: Vec<&str> = plan.visible().map(|operation| operation.path.as_str()).collect();
    for path in ["Cargo.toml", "platform.yaml", "src/platform/plugins/mod.rs", "src/platform/plugins/htttp.rs"] {
        assert!(touched.contains(&path), "{path}: {touched:?}");
    }
    assert!(!touched.iter().any(|path| path.ends_with("/predictor.rs") || path.ends_with("/http.rs")), "{touched:?}");
    assert_eq!(Plan::from_json(&plan.to_json().to_string()).unwrap().operations, plan.operations);
    apply::apply(&place.project(), &plan).unwrap();
    let manifest = place.text("Cargo.toml");
    let features = r#"mlx-plugins = { workspace = true, features = ["model-server-local", "serving-platform-http"] }"#;
    assert!(manifest.contains(features), "{manifest}");
    assert_eq!(place.text("src/platform/plugins/mod.rs").matches("mlx_core::link!(mlx_plugins);\n").count(), 1);
    let made = Composition::from_yaml(&place.text("platform.yaml")).unwrap();
    assert!(made.problems().is_empty(), "{:?}", made.problems());
    let entry = |id: &str| made.plugins().iter().find(|plugin| plugin.id() == id).unwrap();
    assert_eq!((entry("predictor").name.as_str(), entry("http").name.as_str()), ("local", "http"));
    assert_eq!(entry("http").config.to_json(), json!({"port": 0, "limits": {"body": "1MiB"}}));
    assert!(place.text("platform.yaml").contains("on_failure: \"continue\""), "{}", place.text("platform.yaml"));
    let listed = PluginManifest::from_json("plugins.json", &place.text("plugins.json")).unwrap();
    assert!(listed.plugins().iter().all(|plugin| plugin.name == "htttp"), "{:?}", listed.plugins());
    assert!(compose(yaml).unwrap().is_empty());
    // From the lock, the same comes again.
    let project = place.project();
    let mut tree = project.tree();
    let entries = project.lock().components.clone();
    let again = generate::regenerate(&mut tree, &place.catalogue, &entries, &options()).unwrap();
    for made in &again {
        let there = entries.iter().find(|entry| entry.id() == made.entry.id()).unwrap();
        assert_eq!((&made.entry.edits, &made.entry.plugins), (&there.edits, &there.plugins), "{}", there.id());
    }
    let linked = |name: Option<&str>, kind: Option<&str>| Request {
        plugin_type: kind.map(str::to_owned),
        name: name.map(str::to_owned),
        ..request("mlx-plugins")
    };
    let kind = Some("experiment_tracker");
    place.refused(&linked(Some("lokal"), kind), Code::BadAnswer, "did you mean `local`?");
    place.refused(&linked(None, kind), Code::MissingAnswer, "`jsonl`");
    place.refused(&linked(None, None), Code::MissingAnswer, "`--plugin-type`");
    place.add(&linked(Some("jsonl"), kind));
    assert!(place.text("platform.yaml").contains("  name: jsonl\n"), "{}", place.text("platform.yaml"));
}

#[test]
fn a_new_project_is_refused_where_it_would_break() {
    let catalogue = small();
    let temp = tempfile::tempdir().unwrap();
    let init = |name: &str, at: &Path| generate::init(&catalogue, name, at, &Request::default(), &options());
    for name in ["", "Shop", "std", "core", "mlx-core", "axum", "type", "--bin", "ä", "a b", &"x".repeat(300)] {
        let error = init(name, &temp.path().join("new")).expect_err(name);
        assert_eq!(error.diagnostics()[0].code, Code::BadAnswer, "{name}");
    }
    let full = temp.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("Cargo.toml"), "mine").unwrap();
    let error = init("shop", &full).unwrap_err();
    assert!(error.diagnostics().iter().any(|found| found.code == Code::Occupied), "{error:?}");
    assert_eq!(fs::read_to_string(full.join("Cargo.toml")).unwrap(), "mine");
}

#[test]
fn where_the_crates_come_from_is_chosen_once() {
    let catalogue = small();
    let temp = tempfile::tempdir().unwrap();
    for (source, expected) in [
        ("git:https://example.org/mlx.git", "mlx-core = { git = \"https://example.org/mlx.git\" }"),
        ("registry", "mlx-core = \"0.1.0\""),
    ] {
        let root = temp.path().join(&source[..3]);
        let options = Options { origin: Some(MlxOrigin::parse(source).unwrap()), ..options() };
        let (project, plan) = generate::init(&catalogue, "shop", &root, &Request::default(), &options).unwrap();
        apply::apply(&project, &plan).unwrap();
        let text = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        assert!(text.contains(expected), "{text}");
        let project = Project::open(&root).unwrap();
        let tree = project.tree();
        assert_eq!(generate::origin(&tree, &Options::default()).unwrap(), MlxOrigin::parse(source).unwrap());
    }
    for wrong in ["", "git", "git:", "path:/absent", "npm", "registry:x"] {
        assert!(MlxOrigin::parse(wrong).is_err(), "{wrong}");
    }
    assert!(matches!(MlxOrigin::parse("path").unwrap(), MlxOrigin::Path(folder) if folder.starts_with('/')));
}

/// The catalogue that is built in goes through all of it: every component, and every variant.
#[test]
fn every_component_of_the_catalogue_can_be_added() {
    let catalogue = Catalogue::embedded().unwrap();
    for component in catalogue.components().filter(|component| component.name != "project") {
        let place = Place::new(catalogue);
        let needs_name = component.plugin.as_ref().is_some_and(|plugin| plugin.kind.is_some() && plugin.name.is_none());
        let request = match component.links() {
            Some(_) => plugin(&component.name, "model_server", "local"),
            None => Request { name: needs_name.then(|| "my-own".to_owned()), ..request(&component.name) },
        };
        let plan = place.add(&request);
        assert!(!plan.is_empty(), "{}", component.name);
        assert!(place.plan(&request).unwrap().is_empty(), "{} is there once", component.name);
        let composition = Composition::from_yaml(&place.text("platform.yaml")).unwrap();
        assert!(composition.problems().is_empty(), "{}: {:?}", component.name, composition.problems());
        PluginManifest::from_json("plugins.json", &place.text("plugins.json")).unwrap();
    }
}

#[test]
fn the_lines_of_the_documentation_work() {
    let place = Place::new(Catalogue::embedded().unwrap());
    place.add(&request("api-serving"));
    place.add(&request("config-management"));
    place.add(&Request { plugin_type: Some("snowflake".to_owned()), ..request("data-source") });
    place.add(&plugin("plugin-registry", "ml_platform", "databricks"));
    let manifest = PluginManifest::from_json("plugins.json", &place.text("plugins.json")).unwrap();
    for (kind, name) in [("data_source", "shop-snowflake"), ("ml_platform", "databricks")] {
        assert!(manifest.plugins().iter().any(|plugin| plugin.kind == kind && plugin.name == name), "{kind}/{name}");
    }
    // Of a secret there is nothing but the name of the variable that has it.
    let text = place.text("platform.yaml");
    assert!(
        text.contains("password: \"${env:SNOWFLAKE_PASSWORD}\"") && text.contains("token: \"${env:DATABRICKS_TOKEN}\""),
        "{text}"
    );
    assert!(place.text(".gitignore").contains("/.mlx/*\n!/.mlx/base/\n"));
}

#[test]
fn every_composition_of_the_catalogue_can_be_composed() {
    for (name, text) in mlx_components::compositions::ALL {
        let place = Place::new(Catalogue::embedded().unwrap());
        let compose = || {
            generate::compose(
                &place.project(),
                &place.catalogue,
                CompositionSource::Text { name, yaml: text },
                &options(),
            )
        };
        let asked = Composition::from_yaml(text).unwrap();
        let plan = compose().unwrap_or_else(|e| panic!("{name}: {e:?}"));
        apply::apply(&place.project(), &plan).unwrap();
        let made = Composition::from_yaml(&place.text("platform.yaml")).unwrap();
        assert!(made.problems().is_empty(), "{name}: {:?}", made.problems());
        assert!(!plan.notes.iter().any(|note| note.contains("is no setting")), "{name}: {:?}", plan.notes);
        assert!(!place.text("platform.yaml").contains("${workspace}"), "{name}");
        for entry in asked.plugins() {
            let same = |other: &&mlx_core::composition::PluginEntry| {
                (other.kind.as_str(), other.id()) == (entry.kind.as_str(), entry.id())
            };
            assert!(made.plugins().iter().any(|other| same(&other)), "{name}: {}", entry.id());
        }
        assert!(compose().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn a_template_that_speaks_of_components_does_not_ask_for_them() {
    let place = Place::new(Catalogue::embedded().unwrap());
    assert!(place.text("README.md").contains("components"));
    let before = place.project().lock().find("project", None).unwrap().clone();
    let plan = place.add(&request("security"));
    assert!(plan.operations.iter().all(|operation| operation.path.as_str() != "README.md"));
    assert_eq!(*place.project().lock().find("project", None).unwrap(), before, "nothing of it was rendered again");
}

#[test]
fn who_was_alone_stays_the_default() {
    let place = Place::new(Catalogue::embedded().unwrap());
    place.add(&request("monitoring"));
    place.add(&request("config-management"));
    assert!(!place.text("platform.yaml").contains("default:"));
    place.add(&plugin("plugin-registry", "monitoring", "own-metrics"));
    place.add(&plugin("plugin-registry", "monitoring", "more-metrics"));
    // What is rendered anew keeps it.
    place.add(&request("api-serving"));
    let text = place.text("platform.yaml");
    let defaults = |text: &str| -> Vec<String> {
        let composition = Composition::from_yaml(text).unwrap();
        composition.plugins().iter().filter(|plugin| plugin.default).map(|plugin| plugin.id().to_owned()).collect()
    };
    assert_eq!(defaults(&text), ["metrics"], "{text}");
    assert!(text.find("name: metrics").unwrap() < text.find("name: settings").unwrap(), "it keeps its place: {text}");
    // Who is off is not it.
    place.add(&Request { plugin_type: Some("mlflow".to_owned()), ..request("model-registries") });
    place.add(&plugin("plugin-registry", "model_registry", "own-models"));
    assert_eq!(defaults(&place.text("platform.yaml")), ["metrics", "own-models"]);
    // A composition that says something itself is left alone.
    let text = place.text("platform.yaml");
    let path = place.root.join("platform.yaml");
    fs::write(&path, format!("{text}\nprecedence:\n  configuration: [settings]\n")).unwrap();
    place.add(&plugin("plugin-registry", "configuration", "own-settings"));
    assert_eq!(defaults(&place.text("platform.yaml")), ["metrics", "own-models"]);
    // An entry that was changed is not touched.
    place.add(&plugin("plugin-registry", "security", "one"));
    fs::write(&path, place.text("platform.yaml").replace("name: one", "name: one # mine")).unwrap();
    let plan = place.add(&plugin("plugin-registry", "security", "two"));
    assert!(plan.notes.iter().any(|note| note.contains("mark one in `platform.yaml`")), "{:?}", plan.notes);
    assert_eq!(defaults(&place.text("platform.yaml")), ["metrics", "own-models"]);
}
