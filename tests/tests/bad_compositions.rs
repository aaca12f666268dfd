//! Compositions with one mistake each, and what is said about them: `tests/compositions/bad/<group>/<mistake>`, with
//! what is expected beside it. `MLX_EXPECT=overwrite` writes the expectations anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    JsonValue,
    config::{ConfigValue, Reader},
    diagnostics::{Code, Report, Source},
    registry,
    value::{json, yaml},
};
use mlx_tests::compositions::{Case, Outcome, Stage, cases};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::LazyLock,
};

/// Codes that no composition brings about by itself in a program whose plugins are well made: those of overrides, of
/// the registry, of changes to a platform that runs, of pipelines, and of a machine that is too small.
const NOT_OF_A_COMPOSITION: &[Code] = &[
    Code::NotEnoughResources,
    Code::UnknownOverride,
    Code::DuplicatePlugin,
    Code::UnmetLink,
    Code::BadRegistration,
    Code::NotLinked,
    Code::NotListed,
    Code::ListedDiffers,
    Code::Unhealthy,
    Code::HandOverFailed,
    Code::StillRequired,
    Code::RestoreFailed,
    Code::NotImplemented,
    Code::UnknownStep,
    Code::UnknownStepPlugin,
    Code::UnknownOutput,
    Code::StepFailed,
    Code::RecordMismatch,
    Code::RecordDamaged,
];

/// What a schema can see, unless the file says why not.
const STRUCTURAL: &[Code] = &[
    Code::UnknownField,
    Code::MissingField,
    Code::WrongType,
    Code::OutOfRange,
    Code::WrongLength,
    Code::UnknownVariant,
    Code::UnknownPlugin,
    Code::UnknownPluginType,
    Code::PlannedPluginType,
];

/// Every file, and what becomes of it.
fn bad() -> &'static [(Case, Outcome)] {
    static BAD: LazyLock<Vec<(Case, Outcome)>> = LazyLock::new(|| {
        let cases = cases("compositions/bad").unwrap();
        cases.into_iter().map(|case| (case.clone(), case.outcome())).collect()
    });
    &BAD
}

/// The document as a validator gets it, if it can be read at all.
fn document(case: &Case) -> Option<JsonValue> {
    let text = fs::read_to_string(&case.path).ok()?;
    let source = Source::new(case.path.display().to_string(), text);
    let node = match case.path.extension()?.to_str()? {
        "json" => json::parse(&source).ok()?,
        "yaml" => yaml::parse(&source).ok()?,
        _ => return None,
    };
    JsonValue::read(&node, &mut Reader::literal())
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(registry().composition_schema().as_value()).unwrap()
}

/// What is expected of a file, as text.
fn rendered(case: &Case, outcome: &Outcome, schema: &jsonschema::Validator) -> String {
    let seen = match document(case) {
        Some(document) if schema.is_valid(&document) => "accepts",
        Some(_) => "rejects",
        None => "never sees",
    };
    let mut text = format!("found by: {:?}, the schema {seen} it\n", outcome.stage).to_lowercase();
    let findings = outcome.findings();
    for finding in &findings {
        let path = finding.path.as_deref().unwrap_or("-");
        let _ = match &finding.location {
            Some(at) if at.length == 0 => writeln!(text, "{} {}:{} {path} hidden", finding.code, at.line, at.column),
            Some(at) => {
                let marked: String = at.marked().unwrap_or_default().escape_debug().take(60).collect();
                writeln!(text, "{} {}:{} {path} marks `{marked}`", finding.code, at.line, at.column)
            }
            None => writeln!(text, "{} {path}", finding.code),
        };
    }
    // Where a plugin is declared moves with every line above it.
    let report = Report::new(&findings).to_string();
    let mut parts = report.split("tests/src/lib.rs:");
    let _ = write!(text, "\n{}", parts.next().unwrap_or_default());
    for part in parts {
        let _ = write!(text, "tests/src/lib.rs{}", part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    text
}

#[test]
fn every_mistake_is_explained_as_expected() {
    let overwrite = std::env::var("MLX_EXPECT").is_ok_and(|value| value == "overwrite");
    let schema = validator();
    let (mut wrong, mut expectations) = (Vec::new(), BTreeSet::new());
    let cases = bad();
    for (case, outcome) in cases {
        let expected = PathBuf::from(format!("{}.expected", case.path.display()));
        expectations.insert(expected.clone());
        let text = rendered(case, outcome, &schema);
        if overwrite {
            fs::write(&expected, &text).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default().replace("\r\n", "\n") != text {
            wrong.push(format!("{}\n{text}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected (`MLX_EXPECT=overwrite` writes them anew):\n\n{}", wrong.join("\n\n"));
    let mut left = Vec::new();
    for folder in fs::read_dir("compositions/bad").unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|e| e == "expected") && !expectations.contains(&file) {
                left.push(file);
            }
        }
    }
    assert!(left.is_empty(), "expectations of no file: {left:?}");
    println!("{} bad compositions", cases.len());
    assert!(cases.len() >= 120);
}

#[test]
fn one_mistake_gives_one_finding_with_its_place_and_what_to_do() {
    let mut wrong = Vec::new();
    for (case, outcome) in bad() {
        let name = case.path.display();
        let findings = outcome.findings();
        if findings.len() != case.findings {
            wrong.push(format!("{name}: {} findings instead of {}", findings.len(), case.findings));
        }
        for finding in findings {
            let mut complain = |what: &str| wrong.push(format!("{name}: {what}: {}", finding));
            // A message that names what is expected says what to write.
            let says = finding.message.contains("expected ");
            // These are the words of a plugin's author.
            let says = says || finding.code == Code::InvalidValue;
            if finding.help.is_empty() && !says {
                complain("nothing is said about what to do");
            }
            match &finding.location {
                Some(at) => match at.source.line(at.line) {
                    None => complain("a line that the file does not have"),
                    Some(line) if at.column as usize > line.chars().count() + 1 => complain("a column past the line"),
                    Some(_) => {}
                },
                // What has no place in a file, or no file.
                None if matches!(finding.code, Code::Unreadable | Code::UnknownFormat) => {}
                None if finding.code == Code::UnknownProfile && finding.path.is_none() => {}
                // The reader knows no pairs of surrogates, and reads such a file without positions.
                None if case.path.ends_with("wrong-type-after-surrogates.json") => {}
                None => complain("no position"),
            }
            if finding.message.ends_with('.') || finding.help.iter().any(|help| help.ends_with('.')) {
                complain("a full stop");
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_code_of_a_composition_has_a_case() {
    let mut seen: BTreeMap<Code, usize> = BTreeMap::new();
    for finding in bad().iter().flat_map(|(_, outcome)| outcome.findings()) {
        *seen.entry(finding.code).or_default() += 1;
    }
    for code in Code::ALL {
        // From 130 to 169, codes are those of components and the `mlx` command.
        let elsewhere = NOT_OF_A_COMPOSITION.contains(code) || (130..170).contains(&code.number());
        assert_eq!(seen.contains_key(code), !elsewhere, "{code} ({}) has no case, or one after all", code.title());
    }
}

#[test]
fn a_report_fits_a_terminal() {
    for (case, outcome) in bad() {
        let report = Report::new(&outcome.findings()).to_string();
        for line in report.lines() {
            let name = case.path.display();
            assert!(!line.contains(|c: char| c.is_control()), "{name} has a control character in {line:?}");
            let excerpt = line.split_once(" | ").is_some_and(|(gutter, _)| gutter.trim().parse::<u32>().is_ok());
            assert!(!excerpt || line.chars().count() <= 130, "{name} has an excerpt of {} characters", line.len());
        }
    }
}

#[test]
fn the_schema_of_compositions_sees_the_structure() {
    let schema = validator();
    let mut wrong = Vec::new();
    for (case, outcome) in bad() {
        let Some(document) = document(case) else { continue };
        let name = case.path.display();
        let structural = outcome.findings().iter().any(|finding| STRUCTURAL.contains(&finding.code));
        match (structural, &case.schema, schema.is_valid(&document)) {
            (true, None, true) => wrong.push(format!("the schema accepts {name}")),
            (true, Some(_), false) => wrong.push(format!("{name} needs no reason: the schema rejects it")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_compositions_start_and_fit_the_schema() {
    let schema = validator();
    let cases = cases("compositions/good").unwrap();
    for case in &cases {
        let outcome = case.outcome();
        assert_eq!(outcome.stage, Stage::Never, "{}: {:?}", case.path.display(), outcome.error);
        let Some(document) = document(case) else { continue };
        // An empty file is a composition of nothing; to a schema it is null.
        if !document.is_null() {
            let errors: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", case.path.display());
        }
    }
    println!("{} good compositions", cases.len());
}

#[test]
fn a_file_with_25_mistakes_reports_them_all() {
    let case = Case::of(PathBuf::from("compositions/twenty-five-mistakes.yaml")).unwrap();
    let found = case.outcome().findings();
    let places: Vec<(u16, u32, u32)> = found
        .iter()
        .map(|finding| {
            let at = finding.location.as_ref().unwrap();
            (finding.code.number(), at.line, at.column)
        })
        .collect();
    let expected = [
        (22, 2, 7),
        (24, 7, 13),
        (22, 8, 13),
        (23, 9, 18),
        (23, 10, 21),
        (22, 11, 12),
        (22, 12, 16),
        (26, 13, 14),
        (26, 14, 15),
        (26, 15, 18),
        (25, 16, 20),
        (21, 18, 11),
        (20, 19, 11),
        (24, 20, 14),
        (22, 21, 12),
        (20, 22, 7),
        (22, 23, 18),
        (28, 24, 19),
        (51, 25, 11),
        (50, 28, 11),
        (20, 29, 5),
        (22, 32, 20),
        (55, 34, 11),
        (25, 35, 17),
        (56, 37, 11),
    ];
    assert_eq!(places, expected, "{}", Report::new(&found));
    assert_eq!(expected.len(), 25);
}

#[test]
fn every_error_as_json_fits_the_published_schema() {
    let schema: JsonValue = fs::read_to_string("../docs/schemas/diagnostics.schema.json").unwrap().parse().unwrap();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let mut errors = 0;
    for (case, outcome) in bad() {
        let Some(error) = &outcome.error else { continue };
        errors += 1;
        let json = error.to_json();
        let wrong: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}\n{json:#}", case.path.display());
        // Nothing that is promised may be left out, and nothing is there that is not promised.
        let first = json["diagnostics"][0].as_object().unwrap().clone();
        for key in first.keys() {
            let mut less = json.clone();
            less["diagnostics"][0].as_object_mut().unwrap().remove(key);
            assert!(!validator.is_valid(&less), "{key} may be missing");
        }
        let mut more = json.clone();
        more["diagnostics"][0]["severty"] = "error".into();
        assert!(!validator.is_valid(&more));
    }
    assert!(errors >= 120);
}
