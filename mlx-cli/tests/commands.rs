//! The `mlx` command, as a user runs it.
#![allow(clippy::unwrap_used)]

use mlx_cli::{
    apply::{self, Step, Steps},
    generate::{self, Options, Request},
};
use mlx_components::catalogue::Catalogue;
use mlx_core::{JsonValue, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

/// How a command ended, and what it said.
struct Ran {
    line: String,
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}\n{}", self.line, self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                format!("{}{}", self.out, self.err).contains(part),
                "{part}: {}\n{}\n{}",
                self.line,
                self.out,
                self.err
            );
        }
        self
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlx"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE");
    command
}

fn run(mut command: Command) -> Ran {
    let line = format!("{command:?}");
    let output = command.output().unwrap();
    Ran {
        line,
        code: output.status.code().expect("it is not killed"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder to work in.
struct Place {
    temp: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place { temp: tempfile::tempdir().unwrap() }
    }

    /// With the project `shop` in it.
    fn with_shop() -> Self {
        let place = Place::new();
        place.mlx(&["init", "shop", "--no-fmt"]).ends(0);
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.temp.path().join(path)
    }

    fn mlx(&self, arguments: &[&str]) -> Ran {
        run(command(self.temp.path(), arguments))
    }

    /// The document of a command, which the published schema accepts.
    #[track_caller]
    fn json(&self, arguments: &[&str], code: i32) -> JsonValue {
        let ran = self.mlx(&[arguments, &["--json"]].concat()).ends(code);
        document(&ran)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    /// Every file, but those that lock a project.
    fn all(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(root, &path, found),
                    false if path.ends_with(".mlx/lock") => {}
                    false => drop(found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap())),
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(self.temp.path(), self.temp.path(), &mut found);
        found
    }

    /// A catalogue with the component `till`.
    fn catalogue(&self, folder: &str, version: &str, template: &str) {
        let component = json!({
            "name": "till", "version": version, "description": "Takes money", "type": "service",
            "variables": {"title": {"type": "string", "default": "Till", "description": "The title."}},
            "templates": [{"name": "till.rs.template", "target": "src/till.rs", "variables": ["title"]}],
            "changes": {"2.0.0": ["Takes cards too."]},
        });
        self.write(&format!("{folder}/till/component.json"), &component.to_string());
        self.write(&format!("{folder}/till/README.md"), "Takes money.\n");
        self.write(&format!("{folder}/till/templates/till.rs.template"), template);
    }
}

#[track_caller]
fn document(ran: &Ran) -> JsonValue {
    static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let read = |name: &str| -> JsonValue {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas").join(name);
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
        };
        let (mut schema, mut diagnostics) = (read("command.schema.json"), read("diagnostics.schema.json"));
        assert!(jsonschema::draft202012::meta::is_valid(&schema));
        // As it lies beside the other one.
        schema["$id"] = json!("https://example.org/command.schema.json");
        diagnostics["$id"] = json!("diagnostics.schema.json");
        schema["$defs"]["beside"] = diagnostics;
        jsonschema::draft202012::new(&schema).unwrap()
    });
    let document: JsonValue =
        serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{}: {e}\n{}\n{}", ran.line, ran.out, ran.err));
    let problems: Vec<String> = SCHEMA.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(problems.is_empty(), "{}: {problems:#?}\n{document:#}", ran.line);
    document
}

const LINES: [&str; 8] = [
    "mlx init my-ml-platform",
    "mlx add api-serving",
    "mlx add config-management",
    "mlx add plugin-registry",
    "mlx add data-source --plugin-type=snowflake",
    "mlx add ml-platform --plugin-type=databricks",
    "mlx add llm-provider --plugin-type=openai",
    "mlx add plugin-registry --plugin-type=ml_platform --name=databricks",
];

#[test]
fn the_lines_of_the_tutorial_run_as_they_stand_there() {
    let tutorial = include_str!("../../docs/components.md");
    let place = Place::new();
    for line in LINES {
        assert!(tutorial.contains(line), "{line}");
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        place.mlx(&words).ends(0);
    }
    let lock = place.text("my-ml-platform/mlx.lock");
    for instance in ["data_source/snowflake", "ml_platform/databricks", "llm_provider/openai"] {
        assert!(lock.contains(&format!("instance = \"{instance}\"")), "{instance}\n{lock}");
    }
    assert_eq!(lock.matches("\"ml_platform/databricks\"").count(), 1 + 1, "one instance, listed as one plugin");
    let status = place.json(&["status", "--check"], 0);
    let files = status["project"]["components"].as_array().unwrap().iter().flat_map(|c| c["files"].as_array().unwrap());
    for file in files {
        assert_eq!(file["state"], "pristine", "{file}");
    }
    place.mlx(&["diff"]).ends(0).says(&["nothing was changed by hand"]);
    place.mlx(&["verify"]).ends(0);
    place.mlx(&["update"]).ends(0).says(&["nothing to do"]);
    for line in &LINES[1..] {
        let before = place.all();
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        place.mlx(&words).ends(0).says(&["is there already"]);
        assert_eq!(place.all().keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{line}");
    }
    let before = place.all();
    let words: Vec<&str> = LINES[4].split_whitespace().skip(1).collect();
    assert_eq!(place.json(&words, 0)["status"], "nothing");
    assert_eq!(place.all(), before);
}

#[test]
fn what_is_shown_is_what_is_done() {
    let add = ["add", "config-management", "--no-fmt"];
    let (one, two) = (Place::with_shop(), Place::with_shop());
    let before = one.all();
    assert_eq!(before, two.all(), "a project depends on nothing but what was asked");
    let shown = one.mlx(&[&add[..], &["--dry-run"]].concat()).ends(0).says(&["create", "config/base.yaml"]);
    one.mlx(&[&add[..], &["--diff"]].concat()).ends(0).says(&["+++ b/config/base.yaml", "+"]);
    let planned = one.json(&[&add[..], &["--dry-run", "--diff"]].concat(), 0);
    assert_eq!(planned["status"], "planned");
    assert!(planned["diff"].as_str().unwrap().contains("--- /dev/null"));
    assert_eq!(one.all(), before, "nothing was written");

    one.mlx(&[&add[..], &["--plan", "plan.json"]].concat()).ends(0).says(&["mlx apply plan.json"]);
    let plan: JsonValue = serde_json::from_str(&one.text("plan.json")).unwrap();
    assert_eq!(plan["sha256"], planned["plan"]["sha256"]);
    let stale = one.text("plan.json");
    let applied = one.json(&["apply", "plan.json"], 0);
    assert_eq!((&applied["command"], &applied["status"]), (&json!("apply"), &json!("done")));
    assert_eq!(applied["plan"]["sha256"], planned["plan"]["sha256"]);
    let done = two.json(&add, 0);
    assert_eq!(done["plan"]["sha256"], planned["plan"]["sha256"]);
    assert_eq!(done["next"], json!(["cd shop && cargo run"]));
    assert!(shown.out.contains("config/base.yaml"));
    fs::remove_file(one.at("plan.json")).unwrap();
    assert_eq!(one.all(), two.all());

    // What was planned on is no longer there.
    one.write("stale.json", &stale);
    let before = one.all();
    let refused = one.json(&["apply", "stale.json"], 1);
    assert!(refused["error"]["diagnostics"].as_array().unwrap().iter().all(|d| d["code"] == "MLX0143"), "{refused}");
    one.write("changed.json", &stale.replacen("config/base.yaml", "config/bose.yaml", 1));
    one.mlx(&["apply", "changed.json"]).ends(1).says(&["MLX0148", "it was changed"]);
    one.mlx(&["apply", "absent.json"]).ends(1).says(&["reading the plan absent.json"]);
    fs::remove_file(one.at("changed.json")).unwrap();
    assert_eq!(one.all(), before);
}

#[test]
fn a_typo_does_nothing() {
    let place = Place::with_shop();
    let before = place.all();
    let long = "a".repeat(300);
    for (arguments, code, parts) in [
        (&["ad", "api-serving"][..], 2, &["add"][..]),
        (&["add", "api-serving", "--pluginn-type=x"], 2, &["--plugin-type"]),
        (&["update", "--abort", "--continue"], 2, &["cannot be used with"]),
        (&["completions", "fsh"], 2, &["fish"]),
        (&["add", "aip-serving"], 1, &["MLX0130", "did you mean `api-serving`?"]),
        (&["add", "data-source", "--plugin-type=snowflak"], 1, &["MLX0149", "did you mean `snowflake`?"]),
        (&["add", "monitoring", "--set", "prefx=x"], 1, &["MLX0020", "prefix"]),
        (
            &["add", "data-source", "--plugin-type=snowflake", "--set", "connection_pool_size=9"],
            1,
            &["MLX0020", "under `config:` of its entry in `platform.yaml`"],
        ),
        (&["add", "api-serving", "--version=9"], 1, &["MLX0153"]),
        (&["add", "api-serving", "--version=latest"], 1, &["MLX0149", "is no version"]),
        (&["add", "plugin-registry", "--name=x"], 1, &["--plugin-type"]),
        (&["remove", "projct"], 1, &["MLX0159", "did you mean `project`?"]),
        (&["update", "projct"], 1, &["MLX0159", "did you mean `project`?"]),
        (&["diff", "projct", "x"], 1, &["MLX0159", "2 errors"]),
        (&["info", "data-sorce"], 1, &["did you mean `data-source`?"]),
        (&["compose", "enterprise-stak"], 1, &["did you mean `enterprise-stack`?"]),
        (&["compose", "absent.yaml"], 1, &["MLX0001"]),
        (&["explain", "MLX9999"], 1, &["there is no code"]),
        (&["list", "--catalog", "absent"], 1, &["MLX0001"]),
        (&["init", "shop"], 1, &["MLX0154", "is a project already"]),
        (&["-C", "shop/src", "init", "inner"], 1, &["MLX0154", "no project is made inside another", "`mlx add`"]),
        (&["init", "My Shop"], 1, &["did you mean `my-shop`?"]),
        (&["init", "../shop"], 1, &["MLX0149"]),
        (&["init", "type"], 1, &["is a word of Rust"]),
        (&["add", "data-source", "--name=type"], 1, &["is a word of Rust"]),
        (&["add", "data-source", "--name=übung"], 1, &["MLX0149"]),
        (&["add", "data-source", "--name="], 1, &["is empty"]),
        (&["add", "data-source", "--name=--help"], 1, &["MLX0149"]),
        (&["add", "data-source", "--name=../x"], 1, &["MLX0149"]),
        (&["add", "data-source", "--name", &long], 1, &["has 300 characters"]),
        (&["update", "--continue"], 1, &["MLX0157"]),
        (&["-C", "absent", "status"], 1, &["MLX0001", "there is no folder `absent`"]),
        (&["info", "snowflake"], 1, &["the request has 1 error", "did you mean `data-sources/snowflake`?"]),
        (&["add", "snowflak"], 1, &["did you mean `data-sources/snowflake`?"]),
        (&["info", "jsonl-or-so-it-seems"], 1, &["the components are `api-serving`"]),
        (&["add", "api-serving", "--port", "9000"], 2, &["'--set port=VALUE'"]),
        (&["add", "api-serving", "--set", "port=abc"], 1, &["expected an integer, found the string \"abc\""]),
        (
            &["add", "plugin-registry", "--plugin-type=ml_platform"],
            1,
            &["`--name` with `databricks`, `local`, `outerbounds`, `sagemaker`"],
        ),
    ] {
        place.mlx(arguments).ends(code).says(parts);
        if code == 1 {
            let failed = place.json(arguments, 1);
            assert_eq!(failed["status"], "failed");
        }
    }
    assert_eq!(place.all(), before);
}

#[test]
fn samples_of_a_catalogue_of_ones_own_are_recorded() {
    let place = Place::new();
    place.catalogue("own", "1.0.0", FIRST);
    place.write("own/till/samples/shop.json", r#"{"title": "Shop"}"#);
    place.write("own/till/samples/shop/src/old.rs", "");
    place.write("own/registry.json", r#"{"version": 1, "components": []}"#);
    let ran = place.mlx(&["catalog", "check", "own"]).ends(1);
    ran.says(&["MLX0138", "record it: `mlx catalog check DIR --write`"]);
    let written = place.json(&["catalog", "check", "own", "--write"], 0);
    assert_eq!(
        written["written"],
        json!(["till/samples/shop/src/till.rs", "till/samples/shop/src/old.rs", "registry.json"])
    );
    assert!(place.text("own/till/samples/shop/src/till.rs").starts_with("//! Shop\n"));
    assert!(!place.at("own/till/samples/shop/src/old.rs").exists());
    place.mlx(&["catalog", "check", "own"]).ends(0).says(&["1 component, no mistakes"]);
    assert_eq!(place.json(&["catalog", "check", "own", "--write"], 0)["written"], json!([]));
    // What cannot be rendered changes nothing.
    place.write("own/till/samples/wrong.json", r#"{"titel": "Shop"}"#);
    place.write("own/till/templates/till.rs.template", SECOND);
    let before = place.all();
    place.mlx(&["catalog", "check", "own", "--write"]).ends(1).says(&["titel", "did you mean `title`?"]);
    assert_eq!(place.all(), before);
    place.mlx(&["catalog", "check", "--write"]).ends(2);
}

/// The files of a Markdown text that follow a comment `<!-- catalogue: PATH -->`.
fn catalogue_of(markdown: &str) -> BTreeMap<&str, String> {
    let mut files = BTreeMap::new();
    for part in markdown.split("<!-- catalogue: ").skip(1) {
        let (path, rest) = part.split_once(" -->").unwrap();
        let mut lines = rest.lines().skip_while(|line| !line.starts_with("```")).skip(1);
        let text: String = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        assert!(files.insert(path, text).is_none(), "{path}");
    }
    files
}

#[test]
fn the_component_of_the_documentation_works_as_it_stands_there() {
    let place = Place::with_shop();
    let files = catalogue_of(include_str!("../../docs/components.md"));
    assert_eq!(files.len(), 4, "{files:#?}");
    for (path, text) in files {
        place.write(&format!("company/{path}"), &text);
    }
    place.mlx(&["catalog", "check", "company", "--write"]).ends(0).says(&["1 component, no mistakes"]);
    assert_eq!(place.json(&["catalog", "check", "company"], 0)["diagnostics"], json!([]));
    place.mlx(&["--catalog", "company", "add", "greeting", "--set", "loud=true", "--set", "word=Hi"]).ends(0);
    assert!(place.text("shop/platform.yaml").contains("name: polite\n    config:\n      word: \"Hi\"\n"));
    assert!(place.text("shop/src/platform/plugins/polite.rs").contains("greeting.to_uppercase()"));
    place.mlx(&["verify"]).ends(0);
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let place = Place::with_shop();
    let before = place.all();
    let asking = ["add", "data-source"];
    for kind in ["null", "pipe", "closed"] {
        let mut command = command(place.temp.path(), &asking);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if kind != "null" {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        let open = child.stdin.take().filter(|_| kind == "pipe");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{kind}: it waits for an answer");
            std::thread::sleep(Duration::from_millis(20));
        };
        drop(open);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(1), "{kind}: {said}");
        assert!(said.contains("--name") && said.contains("--plugin-type") && said.contains("`sqlite`"), "{said}");
    }
    assert_eq!(place.all(), before);
}

const FIRST: &str = "//! {{ title | doc }}\n\npub fn open() {}\n\npub fn count() -> u32 {\n    1\n}\n";
const SECOND: &str = "//! {{ title | doc }}\n\npub fn open(early: bool) {}\n\npub fn count() -> u32 {\n    2\n}\n";

#[test]
fn an_update_keeps_what_was_changed_and_says_where_it_cannot() {
    let place = Place::with_shop();
    place.catalogue("company/parts", "1.0.0", FIRST);
    place.mlx(&["add", "till"]).ends(1);
    place.mlx(&["--catalog", "company/parts", "add", "till", "--set", "title=Money", "--no-fmt"]).ends(0);
    assert!(place.text("shop/mlx.lock").contains("catalogue = \"../company/parts\""));
    place.mlx(&["-C", "shop/src", "update"]).ends(0).says(&["nothing to do"]);
    place.mlx(&["list"]).ends(0).says(&["till"]);

    place.catalogue("company/parts", "2.0.0", SECOND);
    place.mlx(&["status"]).ends(0).says(&["till 1.0.0, 2.0.0 is there"]);
    assert_eq!(place.json(&["status", "--check"], 4)["status"], "outdated");
    let mine = place.text("shop/src/till.rs").replace("open() {}", "open(late: bool) {}");
    place.write("shop/src/till.rs", &mine);
    place.mlx(&["diff", "till"]).ends(0).says(&["+pub fn open(late: bool) {}"]);
    let before = place.all();
    assert_eq!(place.json(&["update", "--dry-run"], 3)["plan"]["conflicts"], json!(["src/till.rs"]));
    assert_eq!(place.all(), before);
    let ran = place.mlx(&["update", "-q"]).ends(3);
    assert_eq!(ran.err, "conflict src/till.rs\n");
    place.mlx(&["update", "--abort"]).ends(0);
    place.mlx(&["update"]).ends(3).says(&[
        "conflict src/till.rs",
        "Takes cards too",
        "mlx update --continue",
        "--abort",
    ]);
    assert!(place.text("shop/src/till.rs").contains("||||||| generated before"));
    place.mlx(&["add", "security"]).ends(1).says(&["MLX0155"]);
    place.mlx(&["status", "--check"]).ends(4).says(&["conflict src/till.rs"]);
    place.mlx(&["verify"]).ends(4);
    place.mlx(&["update", "--continue"]).ends(1).says(&["MLX0156"]);
    place.mlx(&["update", "--abort"]).ends(0).says(&["the update is given up"]);
    assert_eq!(place.all(), before);

    assert_eq!(place.json(&["update", "--no-fmt"], 3)["status"], "conflicts");
    place.write("shop/src/till.rs", "//! Money\n");
    place.json(&["update", "--continue"], 0);
    place.mlx(&["status", "--check"]).ends(0);
    assert_eq!(place.text("shop/src/till.rs"), "//! Money\n");

    // The catalogue moves.
    fs::rename(place.at("company"), place.at("firm")).unwrap();
    let before = place.all();
    place.mlx(&["update"]).ends(1).says(&["`../company/parts`, which cannot be read", "--catalog DIR"]);
    place.mlx(&["status"]).ends(0).says(&["warning", "`../company/parts`"]);
    assert_eq!(place.all(), before);
    place.mlx(&["update", "--catalog", "firm/parts"]).ends(0).says(&["`../firm/parts` from now on"]);
    place.mlx(&["update"]).ends(0).says(&["nothing to do"]);
}

#[test]
fn what_a_new_version_needs_comes_with_it() {
    let place = Place::with_shop();
    place.catalogue("parts", "1.0.0", FIRST);
    place.mlx(&["--catalog", "parts", "add", "till", "--no-fmt"]).ends(0);
    let with = |version: &str, more: JsonValue| {
        place.catalogue("parts", version, SECOND);
        let path = "parts/till/component.json";
        let mut component: JsonValue = serde_json::from_str(&place.text(path)).unwrap();
        component.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        place.write(path, &component.to_string());
    };
    let before = || place.all().into_iter().filter(|(path, _)| path.starts_with("shop")).collect::<Vec<_>>();

    let untouched = before();
    with("2.0.0", json!({"dependencies": ["utilities@^9"]}));
    place.mlx(&["update"]).ends(1).says(&["component.json:1:", "`till` depends on `utilities` ^9"]);
    with("2.0.0", json!({"conflicts_with": ["plugin-registry"], "dependencies": ["plugin-registry"]}));
    place.mlx(&["update"]).ends(1).says(&["`plugin-registry` and `till` cannot be in one project"]);
    with("2.0.0", json!({"compatibility": {"mlx": "^7"}}));
    place.mlx(&["update"]).ends(1).says(&["`till` 2.0.0 works with mlx `^7`"]);
    assert_eq!(before(), untouched);

    with("2.0.0", json!({"dependencies": ["utilities"]}));
    place.mlx(&["update"]).ends(0).says(&["utilities"]);
    let lock = place.text("shop/mlx.lock");
    assert!(lock.contains("component = \"utilities\""), "{lock}");
    place.mlx(&["status", "--check"]).ends(0);
    place.mlx(&["update"]).ends(0).says(&["nothing to do"]);
    // As if it had been added with it: nothing else holds it.
    place.mlx(&["remove", "till"]).ends(0).says(&["nothing needs `utilities` any more"]);
}

#[test]
fn of_several_catalogues_each_component_stays_with_its_own() {
    let place = Place::with_shop();
    place.catalogue("a", "1.0.0", FIRST);
    place.catalogue("z", "1.0.0", SECOND);
    place.mlx(&["--catalog=z", "--catalog=a", "add", "till", "--no-fmt"]).ends(0);
    assert!(place.text("shop/mlx.lock").contains("catalogue = \"../a\""));
    place.mlx(&["add", "monitoring", "--no-fmt", "--catalog=z"]).ends(0);
    assert_eq!(place.text("shop/mlx.lock").matches("catalogue = ").count(), 1, "what comes with mlx has no folder");
    place.mlx(&["update"]).ends(0).says(&["nothing to do"]);
    place.mlx(&["update", "--catalog=z", "--dry-run"]).ends(0).says(&["src/till.rs"]);
}

#[test]
fn other_templates_under_the_same_version_are_outdated() {
    let place = Place::with_shop();
    place.catalogue("parts", "1.0.0", FIRST);
    place.mlx(&["--catalog", "parts", "add", "till", "--no-fmt"]).ends(0);
    place.mlx(&["status", "--check"]).ends(0);
    place.catalogue("parts", "1.0.0", SECOND);
    place.mlx(&["status", "--check"]).ends(4).says(&["till 1.0.0, with other templates"]);
    assert_eq!(place.json(&["status", "--check"], 4)["status"], "outdated");
    place.mlx(&["update", "--no-fmt"]).ends(0);
    place.mlx(&["status", "--check"]).ends(0);
    // What is there is not answered again.
    place.mlx(&["add", "till", "--set", "title=Other"]).ends(1).says(&["MLX0149", "`title`", "change `src/till.rs`"]);
    place.mlx(&["add", "till"]).ends(0).says(&["is there already"]);
}

#[test]
fn a_component_goes_with_the_plugin_that_came_with_it() {
    let place = Place::with_shop();
    place.mlx(&["add", "plugin-registry", "--no-fmt"]).ends(0);
    let manifest = place.text("shop/Cargo.toml");
    place.mlx(&["add", "api-serving", "--no-fmt"]).ends(0);
    place.mlx(&["remove", "plugin-registry"]).ends(1).says(&["mlx remove api-serving"]);
    place.mlx(&["remove", "api-serving"]).ends(0).says(&["serving_platform/rest-api", "goes too"]);
    assert!(!place.text("shop/mlx.lock").contains("api-serving"), "{}", place.text("shop/mlx.lock"));
    place.mlx(&["add", "data-source", "--plugin-type=sqlite", "--no-fmt"]).ends(0);
    place.mlx(&["add", "data-source", "--plugin-type=snowflake", "--no-fmt"]).ends(0);
    place.mlx(&["remove", "snowflake"]).ends(0);
    assert!(!place.text("shop/Cargo.toml").contains("data-source-snowflake"), "{}", place.text("shop/Cargo.toml"));
    assert!(!place.text("shop/Cargo.toml").contains("[dev-dependencies]") || manifest.contains("[dev-dependencies]"));
}

#[test]
fn a_changed_render_is_found() {
    let place = Place::with_shop();
    place.json(&["verify"], 0);
    let base = place.at("shop/.mlx/base");
    let blob = fs::read_dir(base).unwrap().next().unwrap().unwrap().path();
    fs::write(blob, "changed").unwrap();
    place.mlx(&["verify"]).ends(4).says(&["MLX0160", "was changed"]);
    assert_eq!(place.json(&["verify"], 4)["problems"][0]["code"], "MLX0160");
    place.mlx(&["update"]).ends(0);
    place.mlx(&["verify"]).ends(0);
    fs::remove_dir_all(place.at("shop/.mlx/base")).unwrap();
    place.mlx(&["add", "data-source", "--plugin-type=sqlite", "--no-fmt"]).ends(0);
    let ran = place.mlx(&["verify"]).ends(4).says(&["`mlx update` renders again"]);
    assert_eq!(ran.err.matches("MLX0160").count(), 1, "{}", ran.err);
    place.mlx(&["diff"]).ends(1).says(&["MLX0160"]);
    place.mlx(&["status"]).ends(0).says(&["MLX0160"]);
    place.mlx(&["update"]).ends(0);
    place.mlx(&["verify"]).ends(0);
    place.mlx(&["diff"]).ends(0).says(&["nothing was changed by hand"]);
}

#[test]
fn a_component_is_removed_and_what_was_written_by_hand_stays() {
    let place = Place::with_shop();
    let before = place.all();
    place.catalogue("parts", "1.0.0", FIRST);
    place.mlx(&["--catalog", "parts", "add", "till", "--no-fmt"]).ends(0);
    place.mlx(&["add", "data-source", "--plugin-type=sqlite", "--no-fmt"]).ends(0);
    place.mlx(&["remove", "plugin-registry"]).ends(1).says(&["MLX0158"]);
    let ran = place.mlx(&["remove", "sqlite"]).ends(0).says(&["note: nothing needs `plugin-registry` any more"]);
    assert_eq!(ran.err.matches("plugin-registry` any more").count(), 1, "{}", ran.err);
    place.json(&["remove", "plugin-registry"], 0);
    place.write("shop/src/till.rs", "// mine\n");
    place.mlx(&["remove", "till"]).ends(0).says(&["is kept as `src/till.rs.kept`"]);
    let after = place.all();
    assert_eq!(after[Path::new("shop/src/till.rs.kept")], b"// mine\n");
    for (path, content) in
        before.iter().filter(|(path, _)| path.ends_with("platform.yaml") || path.ends_with("plugins.json"))
    {
        assert_eq!(String::from_utf8_lossy(&after[path]), String::from_utf8_lossy(content), "{}", path.display());
    }
    place.mlx(&["remove", "project"]).ends(1).says(&["MLX0158", "delete its folder"]);
}

#[test]
fn the_compositions_of_the_catalogue_are_composed_or_refused_as_a_whole() {
    for (name, text) in mlx_components::compositions::ALL {
        let place = Place::with_shop();
        let before = place.all();
        let ran = place.mlx(&["compose", name, "--no-fmt", "--json"]);
        let made = document(&ran);
        match ran.code {
            0 => {
                let again = place.mlx(&["compose", name, "--no-fmt"]).ends(0).says(&["is there already"]);
                assert!(!again.err.contains("has no effect"), "{}", again.err);
                place.write("stack.yaml", text);
                place.json(&["compose", "stack.yaml", "--no-fmt"], 0);
            }
            1 => {
                for found in made["error"]["diagnostics"].as_array().unwrap() {
                    assert_eq!(found["location"]["file"], *name, "{found}");
                }
                assert_eq!(place.all(), before, "{name}");
            }
            other => panic!("{name}: {other}"),
        }
    }
    let place = Place::with_shop();
    place.write(
        "both.yaml",
        "plugins:\n  - {type: experiment_tracker, name: mlflow}\n  - {type: experiment_tracker, name: wandb}\n  \
         - {type: data_sorce, name: x}\nconflicts:\n  - [mlflow, wandb]\n",
    );
    let before = place.all();
    place.mlx(&["compose", "both.yaml"]).ends(1).says(&["MLX0152", "both.yaml:2", "did you mean `data_source`?"]);
    assert_eq!(place.all(), before);
}

#[test]
fn a_composition_is_refused_with_all_that_is_wrong_each_at_its_place() {
    let place = Place::with_shop();
    let before = place.all();
    place.write(
        "bad.yaml",
        "components:\n  - api-servng\nplugins:\n  - type: data_source\n    name: snowflak\n  - type: ml_platfrm\n    name: own\n  \
         - type: data_source\n    name: snowflake\n    config:\n      warehouse: 12\n      warehuose: xx\n      \
         password: hunter2\n  - type: ml_platform\n    name: databricks\n    config:\n      cluster_policy: {a: 1}\n      \
         hots: x\n  - type: security\n    name: api-keys\n    config:\n      keys:\n        - name: demo\n          \
         key: hunter2\n        - name: other\n          key: \"${env:KEY:-hunter2}\"\n",
    );
    let failed = place.json(&["compose", "bad.yaml"], 1);
    let found: Vec<(&str, u64)> = failed["error"]["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            assert_eq!(found["location"]["file"], "bad.yaml", "{found}");
            (found["code"].as_str().unwrap(), found["location"]["line"].as_u64().unwrap())
        })
        .collect();
    let expected = [
        ("MLX0130", 2),
        ("MLX0050", 5),
        ("MLX0149", 6),
        ("MLX0022", 11),
        ("MLX0020", 12),
        ("MLX0151", 13),
        ("MLX0022", 17),
        ("MLX0149", 18),
        ("MLX0151", 24),
        ("MLX0151", 26),
    ];
    assert_eq!(found, expected, "{failed:#}");
    let ran = place.mlx(&["compose", "bad.yaml"]).ends(1).says(&[
        "bad.yaml has 8 errors",
        "bad.yaml:13:17",
        "bad.yaml:24:16",
        "did you mean `snowflake`?",
        "did you mean `warehouse`?",
        "may not have a default in a file",
        "`${env:KEY}`",
    ]);
    assert!(!ran.err.contains("hunter2") && !ran.err.contains(place.temp.path().to_str().unwrap()), "{}", ran.err);
    place.mlx(&["-C", "shop", "compose", "../bad.yaml"]).ends(1).says(&["--> shop/../bad.yaml:2:5"]);

    // What the plugin inside may have stays without a word.
    place.write(
        "bad.yaml",
        "plugins: [{type: data_source, name: snowflake, config: {warehuose: xx, connection_pool_size: 9}}]",
    );
    let ran = place.mlx(&["compose", "bad.yaml", "--dry-run"]).ends(0).says(&["warning[MLX0020]", "`warehouse`?"]);
    assert!(!ran.err.contains("connection_pool_size"), "{}", ran.err);
    fs::remove_file(place.at("bad.yaml")).unwrap();
    assert_eq!(place.all(), before);
}

#[test]
fn what_was_declared_for_all_packages_goes_with_its_last_use() {
    let place = Place::with_shop();
    let manifest = "shop/Cargo.toml";
    let pristine = place.text(manifest);
    let line = || place.text(manifest).lines().find(|line| line.starts_with("mlx-plugins = { path")).map(str::to_owned);
    let add = || place.mlx(&["add", "data-source", "--plugin-type=snowflake", "--no-fmt"]).ends(0);
    let remove = || place.mlx(&["remove", "data_source/snowflake"]).ends(0);
    let is_untouched = || {
        let status = place.mlx(&["status"]).ends(0);
        assert!(!status.out.contains("edited"), "{}", status.out);
        place.mlx(&["diff"]).ends(0).says(&["nothing was changed by hand"]);
    };
    for (arguments, name) in [
        (["data-source", "--plugin-type=snowflake"], "data_source/snowflake"),
        (["ml-platform", "--plugin-type=databricks"], "ml_platform/databricks"),
    ] {
        place.mlx(&["add", arguments[0], arguments[1], "--no-fmt"]).ends(0);
        assert_ne!(place.text(manifest), pristine);
        is_untouched();
        place.mlx(&["remove", name]).ends(0);
        assert_eq!(place.text(manifest), pristine);
        is_untouched();
    }

    // Another package of the workspace uses it, and then does not any more.
    place.write("shop/other/Cargo.toml", "[package]\nname = \"other\"\n[dependencies]\nmlx-plugins.workspace = true\n");
    add();
    let declared = line().unwrap();
    remove();
    assert_eq!(line().as_ref(), Some(&declared));
    is_untouched();
    add();
    fs::remove_dir_all(place.at("shop/other")).unwrap();
    remove();
    assert_eq!(place.text(manifest), pristine);

    // What the user wrote stays, and is the user's.
    add();
    let mine = format!("{declared} # mine");
    place.write(manifest, &place.text(manifest).replace(&declared, &mine));
    remove();
    place.mlx(&["diff"]).ends(0).says(&[&format!("+{mine}\n")]);
    for mine in [mine.as_str(), &declared] {
        let written = pristine.replace("\n\n[dependencies]", &format!("\n{mine}\n\n[dependencies]"));
        place.write(manifest, &written);
        add();
        remove();
        assert_eq!(place.text(manifest), written);
    }
}

#[test]
fn a_feature_goes_with_the_last_that_needs_it() {
    let place = Place::with_shop();
    let add = |line: &[&str]| place.mlx(&[&["add"], line, &["--no-fmt"]].concat()).ends(0);
    add(&["data-source", "--plugin-type=sqlite"]);
    add(&["model-serving"]);
    let manifest = "shop/Cargo.toml";
    let line =
        place.text(manifest).lines().find(|line| line.starts_with("mlx-plugins = { workspace")).unwrap().to_owned();
    let mine = "# What others have.\nmlx-plugins = { workspace = true, features = [\n    # Tables.\n    \"data-source-sqlite\",\n    \
                \"model-server-local\", # models\n] }";
    place.write(manifest, &place.text(manifest).replace(&line, mine));
    let written = place.text(manifest);
    let snowflake = ["data-source", "--plugin-type=snowflake"];
    let stays = "the feature `data-source-snowflake` of `mlx-plugins` stays in `Cargo.toml`: ";
    add(&snowflake);
    assert_ne!(place.text(manifest), written);
    // As it was, to the byte.
    let removed = place.json(&["remove", "snowflake"], 0);
    assert!(
        removed["plan"]["notes"].as_array().unwrap().iter().all(|note| !note.to_string().contains("feature")),
        "{removed}"
    );
    assert_eq!(place.text(manifest), written);
    for (path, text, reason) in [
        (
            "shop/other.yaml",
            "profiles: {live: {plugins: [{type: data_source, name: snowflake}]}}\n",
            "`other.yaml` names",
        ),
        ("shop/broken.yaml", "{data_source: [snowflake\n", "`broken.yaml` names"),
        ("shop/src/bin/mine.rs", "use mlx_plugins::data_source::{self};\n", "`src/bin/mine.rs` may use"),
        ("shop/src/bin/mine.rs", "use mlx_plugins as all;\n", "`src/bin/mine.rs` may use"),
        (
            "shop/src/bin/mine.rs",
            "let warehouse = registry().create::<dyn DataSource>(\"snowflake\", config);\n",
            "may use",
        ),
        ("shop/src/bin/mine.rs", "// type: data_source\n// name: snowflake\n", "`src/bin/mine.rs` may use"),
    ] {
        add(&snowflake);
        place.write(path, text);
        place.mlx(&["remove", "snowflake"]).ends(0).says(&[stays, reason]);
        assert!(place.text(manifest).contains("\"data-source-snowflake\""), "{text}");
        fs::remove_file(place.at(path)).unwrap();
        place.write(manifest, &written);
    }
    for other in ["use mlx_plugins::data_source::sqlite::Sqlite;\n", "mlx_core::link!(mlx_plugins);\n"] {
        add(&snowflake);
        place.write("shop/src/bin/mine.rs", other);
        place.mlx(&["remove", "snowflake"]).ends(0);
        assert_eq!(place.text(manifest), written, "{other}");
    }
    add(&snowflake);
    place.write(
        manifest,
        &place
            .text(manifest)
            .replace("[features]\n", "")
            .replace("[lints.rust]", "[features]\nsnow = [\"mlx-plugins/data-source-snowflake\"]\n\n[lints.rust]"),
    );
    place.mlx(&["remove", "snowflake"]).ends(0).says(&[stays, "`Cargo.toml` names it elsewhere"]);
    place.write(manifest, &written);

    // Two need the same, and a plugin that is linked needs it as well as code.
    add(&["mlx-plugins", "--plugin-type=model_server", "--name=local"]);
    place.mlx(&["remove", "model_server/local"]).ends(0);
    assert_eq!(place.text(manifest), written);
    add(&["mlx-plugins", "--plugin-type=model_server", "--name=local"]);
    place.mlx(&["remove", "model-serving"]).ends(0);
    let is_other = |line: &&str| !line.starts_with("mlx-components = {");
    let written: String = written.split_inclusive('\n').filter(is_other).collect();
    assert_eq!(place.text(manifest), written);
    place.mlx(&["remove", "model_server/local"]).ends(0);
    assert_eq!(place.text(manifest), written.replace("    \"model-server-local\", # models\n", "    # models\n"));
}

#[test]
fn a_package_that_is_linked_keeps_a_plugin() {
    let place = Place::with_shop();
    place.mlx(&["add", "plugin-registry", "--no-fmt"]).ends(0);
    let manifest = "shop/Cargo.toml";
    let mine = "[dependencies]\nmlx-plugins = { path = \"../mlx/mlx-plugins\", default-features = false }\n";
    place.write(manifest, &place.text(manifest).replace("[dependencies]\n", mine));
    place.write("shop/src/bin/mine.rs", "mlx_core::link!(mlx_plugins);\n");
    place.mlx(&["add", "data-source", "--plugin-type=sqlite", "--no-fmt"]).ends(0);
    place.mlx(&["remove", "sqlite"]).ends(0).says(&["`src/bin/mine.rs` links `mlx-plugins`, which then has no plugin"]);
    assert!(place.text(manifest).contains("features = [\"data-source-sqlite\"]"), "{}", place.text(manifest));
}

#[test]
fn plugins_that_are_linked_as_they_are_come_and_go() {
    let place = Place::with_shop();
    place.mlx(&["add", "plugin-registry", "--no-fmt"]).ends(0);
    let untouched = place.all();
    place.write(
        "stack.yaml",
        "plugins:\n  - {type: model_server, name: local, id: predictor}\n  - {type: workflow_engine, name: local}\n",
    );
    let planned = place.json(&["compose", "stack.yaml", "--dry-run"], 0);
    assert!(planned["plan"].to_string().contains("model-server-local"), "{planned}");
    place.mlx(&["compose", "stack.yaml", "--no-fmt"]).ends(0);
    let linked = "mlx_core::link!(mlx_plugins);\n";
    assert!(place.text("shop/src/platform/plugins/mod.rs").contains(linked));
    for check in [&["status", "--check"][..], &["verify"], &["diff"]] {
        let ran = place.mlx(check).ends(0);
        assert!(!format!("{}{}", ran.out, ran.err).contains("MLX0"), "{}{}", ran.out, ran.err);
    }
    place.mlx(&["diff"]).ends(0).says(&["nothing was changed by hand"]);
    place.mlx(&["update"]).ends(0).says(&["nothing to do"]);
    place.mlx(&["remove", "model_server/predictor"]).ends(0);
    assert!(place.text("shop/src/platform/plugins/mod.rs").contains(linked), "the other plugin needs it");
    place.mlx(&["remove", "workflow_engine/local"]).ends(0);
    fs::remove_file(place.at("stack.yaml")).unwrap();
    let (before, after) = (untouched, place.all());
    for path in ["platform.yaml", "plugins.json", "src/platform/plugins/mod.rs", "src/platform/mod.rs"] {
        let text = |all: &BTreeMap<PathBuf, Vec<u8>>| {
            let found = all.iter().find(|(at, _)| at.ends_with(format!("shop/{path}"))).unwrap();
            String::from_utf8(found.1.clone()).unwrap()
        };
        assert_eq!(text(&after), text(&before), "{path}");
    }
    assert!(!place.text("shop/Cargo.toml").contains("mlx-plugins = { workspace"), "{}", place.text("shop/Cargo.toml"));
}

#[test]
fn completions_of_every_shell() {
    let place = Place::new();
    for (shell, part) in [
        ("bash", "complete -F _mlx"),
        ("zsh", "#compdef mlx"),
        ("fish", "complete -c mlx"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[mlx]"),
    ] {
        place.mlx(&["completions", shell]).ends(0).says(&[part, "plugin-type"]);
    }
}

#[test]
fn a_reader_that_goes_is_no_failure() {
    let place = Place::with_shop();
    for arguments in [&["list", "--all"][..], &["explain"], &["completions", "bash"], &["list", "--all", "--json"]] {
        let mut child =
            command(place.temp.path(), arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(0) && said.is_empty(), "{arguments:?}: {:?} {said}", output.status);
    }
}

#[test]
fn what_is_said_and_how() {
    let place = Place::with_shop();
    let ran = place.mlx(&["--quiet", "add", "monitoring", "--no-fmt"]).ends(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    let ran = place.mlx(&["-q", "add", "absent"]).ends(1);
    assert!(ran.err.contains("MLX0130"), "errors are said: {}", ran.err);
    place.mlx(&["-C", "shop", "status"]).ends(0).says(&["monitoring"]);
    let from_inside = run(command(&place.at("shop/src"), &["add", "security", "--no-fmt"])).ends(0);
    assert!(from_inside.err.contains("next: cd .. && cargo run"), "{}", from_inside.err);

    let colored = |arguments: &[&str], name: &str, value: &str| {
        let mut command = command(place.temp.path(), arguments);
        let ran = run(match name {
            "" => command,
            _ => {
                command.env(name, value);
                command
            }
        });
        format!("{}{}", ran.out, ran.err).contains('\u{1b}')
    };
    let diff = ["add", "config-management", "--diff", "--no-fmt"];
    assert!(!colored(&diff, "", ""), "this is no terminal");
    assert!(!colored(&diff, "NO_COLOR", "1"));
    assert!(colored(&[&diff[..], &["--color=always"]].concat(), "", ""));
    assert!(!colored(&[&diff[..], &["--color=never"]].concat(), "CLICOLOR_FORCE", "1"));
}

#[test]
fn a_secret_is_never_said() {
    let place = Place::with_shop();
    let secret = "hunter2hunter2";
    for set in
        [format!("api_key={secret}"), secret.to_owned(), format!("apikey={secret}"), format!("max_tokens={secret}")]
    {
        for json in [false, true] {
            let mut arguments = vec!["add", "llm-provider", "--plugin-type=openai", "--set", &set];
            arguments.extend(json.then_some("--json"));
            let ran = place.mlx(&arguments).ends(1);
            // What is no secret is quoted when it is wrong.
            let is_quoted = format!("{}{}", ran.out, ran.err).contains(secret);
            assert_eq!(is_quoted, set.starts_with("max_tokens") && is_quoted, "{set}: {}{}", ran.out, ran.err);
        }
    }
    place.write("answers.yaml", &format!("api_key: {secret}\n"));
    let ran = place.mlx(&["add", "llm-provider", "--plugin-type=openai", "--answers", "answers.yaml"]).ends(1);
    assert!(ran.err.contains("MLX0151") && !ran.err.contains(secret), "{}", ran.err);
    assert!(ran.err.contains("--> answers.yaml:1:10"), "{}", ran.err);
    fs::remove_file(place.at("answers.yaml")).unwrap();
    assert!(!place.all().values().any(|content| String::from_utf8_lossy(content).contains(secret)));
}

#[test]
fn answers_come_from_files_too() {
    let place = Place::with_shop();
    place.catalogue("parts", "1.0.0", FIRST);
    for (file, text) in
        [("a.yaml", "title: Yes\n"), ("a.json", "{\"title\": \"No\"}"), ("a.toml", "title = \"Perhaps\"\n")]
    {
        place.write(file, text);
        let planned = place.json(&["--catalog", "parts", "add", "till", "--answers", file, "--dry-run", "--no-fmt"], 0);
        let text = planned["plan"].to_string();
        assert!(["Yes", "No", "Perhaps"].iter().any(|title| text.contains(&format!("//! {title}"))), "{text}");
    }
    place.mlx(&["--catalog", "parts", "add", "till", "--answers", "absent.yaml"]).ends(1).says(&["absent.yaml"]);
    place
        .mlx(&["--catalog", "parts", "add", "till", "--set", "title=a", "--set", "title=b"])
        .ends(1)
        .says(&["is set twice"]);
}

#[test]
fn every_document_is_as_its_schema_says() {
    let place = Place::with_shop();
    for (arguments, code) in [
        (&["list"][..], 0),
        (&["list", "--all"], 0),
        (&["search", "snowflake"], 0),
        (&["search", "nothing-like-this"], 0),
        (&["info", "data-source"], 0),
        (&["info", "data-source/snowflake"], 0),
        (&["info", "security"], 0),
        (&["explain"], 0),
        (&["explain", "MLX0020"], 0),
        (&["status"], 0),
        (&["diff"], 0),
        (&["verify"], 0),
        (&["recover"], 0),
        (&["catalog", "check"], 0),
        (&["catalog", "test", "--only", "absent"], 1),
        (&["update"], 0),
    ] {
        place.json(arguments, code);
    }
    // An own catalogue is found where it was named, not below itself.
    place.catalogue("parts", "1.0.0", FIRST);
    assert_eq!(place.json(&["catalog", "check", "parts"], 0)["components"], 1);
    place.write("parts/till/component.json", "{}");
    place.mlx(&["catalog", "check", "parts"]).ends(1).says(&["MLX0"]);
    place.json(&["catalog", "check", "parts"], 1);
}

/// Stops at the first step that `stop` chooses, as a crash does: without cleaning up.
struct Crash<F>(F);

impl<F: FnMut(&Step<'_>) -> bool> Steps for Crash<F> {
    fn before(&mut self, step: &Step<'_>) -> io::Result<()> {
        if (self.0)(step) {
            std::panic::panic_any("a crash");
        }
        Ok(())
    }
}

#[test]
fn an_interrupted_init_is_finished_from_the_folder_above() {
    let catalogue = Catalogue::embedded().unwrap();
    let crashed = |place: &Place| {
        let options = Options { format: false, ..Options::default() };
        let at = place.at("shop");
        let (project, plan) = generate::init(catalogue, "shop", &at, &Request::default(), &options).unwrap();
        let journal = at.join(".mlx/journal");
        let crash = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            apply::apply_with(&project, &plan, &mut Crash(|_: &Step<'_>| journal.exists())).unwrap();
        }));
        assert!(crash.is_err() && !at.join("mlx.lock").exists());
    };
    let whole = Place::with_shop().all();
    let place = Place::new();
    crashed(&place);
    let recovered = place.json(&["recover"], 0);
    assert_eq!(recovered["recovered"], json!({"root": "shop", "interrupted": "init", "finished": true}));
    assert_eq!(place.all(), whole);
    place.json(&["recover"], 0);

    let place = Place::new();
    crashed(&place);
    place.mlx(&["init", "shop", "--no-fmt"]).ends(0).says(&["had been interrupted, and was finished", "next: cd shop"]);
    assert_eq!(place.all(), whole);

    let place = Place::new();
    crashed(&place);
    place.json(&["init", "shop", "--no-fmt"], 0);
    assert_eq!(place.all(), whole);

    let place = Place::new();
    crashed(&place);
    place.mlx(&["add", "monitoring", "--no-fmt"]).ends(0).says(&["was finished", "in shop"]);
    place.mlx(&["verify"]).ends(0);
}

/// A cargo that compiles nothing, and says what it is told to.
#[cfg(unix)]
fn with_cargo(place: &Place, script: &str, arguments: &[&str]) -> Ran {
    use std::os::unix::fs::PermissionsExt;
    let cargo = place.at("cargo");
    let mut file = fs::File::create(&cargo).unwrap();
    writeln!(file, "#!/bin/sh\n{script}").unwrap();
    drop(file);
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = command(place.temp.path(), arguments);
    command.env("CARGO", cargo);
    run(command)
}

#[cfg(unix)]
#[test]
fn a_mistake_is_traced_to_the_line_of_its_template() {
    let place = Place::with_shop();
    place.catalogue(
        "parts",
        "1.0.0",
        "//! {{ title | doc }}\n{% if true %}\npub fn open()   {}\n{% endif %}\nfn wrong() {}\n",
    );
    place.mlx(&["--catalog", "parts", "add", "till"]).ends(0);
    let line = place.text("shop/src/till.rs").lines().position(|line| line.contains("wrong")).unwrap() + 1;
    let message = json!({"reason": "compiler-message", "message": {
        "level": "error", "message": "mismatched types", "rendered": "error: mismatched types\n",
        "spans": [{"is_primary": true, "file_name": "src/till.rs", "line_start": line}],
    }});
    // The second target says more beside it.
    let again = message.to_string().replace("types\\n", "types\\nnote: in the tests\\n");
    let script = format!("printf '%s\\n' '{message}' '{again}'\nexit 101");
    with_cargo(&place, &script, &["check"])
        .ends(1)
        .says(&["from till 1.0.0, line 5 of its template", "till.rs.template"]);
    let found = document(&with_cargo(&place, &script, &["check", "--json"]).ends(1));
    assert_eq!(found["messages"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["messages"][0]["origin"]["template_line"], 5);
    place.write("shop/src/till.rs", &place.text("shop/src/till.rs").replace("fn wrong() {}", "fn wrong() { 1 }"));
    with_cargo(&place, &script, &["check"]).ends(1).says(&["from till 1.0.0", "this line was changed since"]);
    document(&with_cargo(&place, "exit 0", &["check", "--test", "--json"]).ends(0));
    let failing = document(&with_cargo(&place, "test $1 = check", &["check", "--test", "--json"]).ends(1));
    assert_eq!((&failing["compiled"], &failing["tested"]), (&json!(true), &json!(false)));
    with_cargo(&place, "exit 0", &["check"]).ends(0).says(&["no mistakes"]);
}

#[cfg(unix)]
#[test]
fn the_doctor_says_what_is_wrong() {
    let place = Place::with_shop();
    with_cargo(&place, "exit 0", &["doctor"]).ends(0).says(&["plugins.json agrees"]);
    document(&with_cargo(&place, "exit 0", &["doctor", "--json"]).ends(0));
    let script = "echo 'error[MLX0060]: it is not linked' >&2\nexit 1";
    let failed = document(&with_cargo(&place, script, &["doctor", "--json"]).ends(1));
    assert_eq!(failed["status"], "failed");
    assert!(failed["findings"].to_string().contains("it is not linked"));
    fs::remove_dir_all(place.at("shop/.mlx/base")).unwrap();
    with_cargo(&place, script, &["doctor"]).ends(1).says(&["WRONG", "is lost", "2 things are wrong"]);
}

/// A file as a catalogue of the second version has it: what is added at its end is new.
const NEXT: &str = "// The second version.\n";

/// The catalogue that is built in, with a second version of each component and of what its templates write.
fn second_version(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let target = to.join(&name);
        if path.is_dir() {
            if !["src", "tests", "samples", "schemas", "compositions", "target"].contains(&name.as_str()) {
                fs::create_dir_all(&target).unwrap();
                second_version(&path, &target);
            }
        } else if name == "component.json" {
            let mut component: JsonValue = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            component["version"] = json!("1.1.0");
            fs::write(&target, component.to_string()).unwrap();
        } else if name.ends_with(".rs.template") {
            fs::write(&target, fs::read_to_string(&path).unwrap() + NEXT).unwrap();
        } else if !["registry.json", "Cargo.toml", "build.rs"].contains(&name.as_str()) {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// What a user does with a file of a component before the component is updated.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Nothing,
    Edited,
    EditedAtTheSamePlace,
    Moved,
    Deleted,
}

/// Every file of every component, under five kinds of deeds: those of components that exclude each other in projects of their own.
#[test]
fn every_component_is_updated_under_what_was_done_with_its_files() {
    let next = Place::new();
    second_version(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlx-components"), next.temp.path());
    let next = next.temp.path().to_str().unwrap();
    let mut components: Vec<Vec<String>> = Vec::new();
    for component in Catalogue::embedded().unwrap().components().filter(|component| component.name != "project") {
        let unnamed = component.plugin.as_ref().is_some_and(|plugin| plugin.kind.is_some() && plugin.name.is_none());
        let mut line = vec![component.name.clone()];
        if component.links().is_some() {
            line.extend(["--plugin-type=model_server".to_owned(), "--name=local".to_owned()]);
        } else if unnamed {
            line.push(format!("--name=own-{}", component.name));
        }
        components.push(line);
    }
    let (mut projects, mut histories) = (0, BTreeMap::new());
    while !components.is_empty() {
        projects += 1;
        let (old, new) = (Place::with_shop(), Place::new());
        new.mlx(&["--catalog", next, "init", "shop", "--no-fmt"]).ends(0);
        let added = components.len();
        components.retain(|line| {
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            let ran = old.mlx(&[&["add", "--no-fmt"], &line[..]].concat());
            if ran.code == 0 {
                new.mlx(&[&["--catalog", next, "add", "--no-fmt"], &line[..]].concat()).ends(0);
            } else {
                assert!(ran.code == 1 && ran.err.contains("MLX0152"), "{}\n{}", ran.line, ran.err);
            }
            ran.code != 0
        });
        assert!(components.len() < added, "{components:?}");
        let expected: BTreeMap<String, String> = (new.all().into_iter())
            .filter(|(path, text)| path.extension().is_some_and(|e| e == "rs") && text.ends_with(NEXT.as_bytes()))
            .map(|(path, text)| (path.to_str().unwrap().to_owned(), String::from_utf8(text).unwrap()))
            .collect();
        let before = old.all();
        for turn in 0..5 {
            let place = Place::new();
            for (path, text) in &before {
                place.write(path.to_str().unwrap(), "");
                fs::write(place.at(path.to_str().unwrap()), text).unwrap();
            }
            let mut deeds = BTreeMap::new();
            for (nth, path) in expected.keys().enumerate() {
                let deed = [Deed::Nothing, Deed::Edited, Deed::EditedAtTheSamePlace, Deed::Moved, Deed::Deleted]
                    [(nth + turn) % 5];
                // Modules of other components are declared there.
                let fixed = path.ends_with("mod.rs") || path.ends_with("lib.rs") || path.ends_with("main.rs");
                let deed = if fixed && matches!(deed, Deed::Moved | Deed::Deleted) { Deed::Nothing } else { deed };
                let text = place.text(path);
                match deed {
                    Deed::Nothing => {}
                    Deed::Edited => place.write(path, &format!("// Mine.\n{text}")),
                    Deed::EditedAtTheSamePlace => place.write(path, &format!("{text}// Mine.\n")),
                    Deed::Moved => {
                        fs::remove_file(place.at(path)).unwrap();
                        place.write(&path.replace(".rs", "_moved.rs"), &format!("// Mine.\n{text}"));
                    }
                    Deed::Deleted => fs::remove_file(place.at(path)).unwrap(),
                }
                deeds.insert(path, deed);
                *histories.entry(format!("{deed:?}")).or_insert(0) += 1;
            }
            place.mlx(&["-C", "shop", "--catalog", next, "update", "--no-fmt"]).ends(3);
            for (path, deed) in deeds {
                let text = &expected[path];
                let is_there = place.at(path).exists();
                match deed {
                    Deed::Nothing => assert_eq!(place.text(path), *text, "{path}"),
                    Deed::Edited => assert_eq!(place.text(path), format!("// Mine.\n{text}"), "{path}"),
                    Deed::EditedAtTheSamePlace => {
                        let unchanged = text.strip_suffix(NEXT).unwrap();
                        let conflict = format!(
                            "{unchanged}<<<<<<< yours\n// Mine.\n||||||| generated before\n=======\n{NEXT}>>>>>>> generated now\n"
                        );
                        assert_eq!(place.text(path), conflict, "{path}");
                    }
                    Deed::Moved => {
                        assert!(!is_there, "{path}");
                        assert_eq!(
                            place.text(&path.replace(".rs", "_moved.rs")),
                            format!("// Mine.\n{text}"),
                            "{path}"
                        );
                    }
                    Deed::Deleted => assert!(!is_there, "{path}"),
                }
            }
        }
    }
    println!("{projects} projects, histories of files: {histories:?}");
    assert!(histories.len() == 5 && histories.values().all(|count| *count > 40), "{histories:?}");
}
