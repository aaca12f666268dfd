//! Secrets, given in every way, and mistakes beside them: no output has them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    Composition, Platform,
    diagnostics::{Diagnostic, Error, Report},
    registry,
    value::Variables,
};
use std::path::Path;

/// What the variable `X` and every file hold, and what stands in the compositions.
const CANARY: &str = "canary-4711-swordfish";

/// As a number: a secret need not be a text.
const NUMBER: &str = "471147114711";

#[derive(Clone, Copy)]
struct Canaries;

impl Variables for Canaries {
    fn env(&self, name: &str) -> Option<String> {
        (name == "X").then(|| CANARY.to_owned())
    }
    fn file(&self, _: &Path) -> std::io::Result<String> {
        Ok(CANARY.to_owned())
    }
}

/// Everything that can be printed of a failure.
fn of_error(error: &Error, outputs: &mut Vec<String>) {
    outputs.push(format!("{error} {error:#} {error:?} {error:#?} {}", error.to_json()));
    outputs.push(error.report().color(true).to_string());
    of_findings(error.diagnostics(), outputs);
}

fn of_findings(findings: &[Diagnostic], outputs: &mut Vec<String>) {
    outputs.push(format!("{findings:?} {findings:#?} {}", Report::new(findings).color(true)));
    outputs.extend(findings.iter().map(|finding| format!("{} {}", finding, finding.to_json())));
}

/// Everything that can be printed of a composition and of what becomes of it.
fn outputs(read: Result<Composition, Error>) -> Vec<String> {
    let mut outputs = Vec::new();
    let composition = match read {
        Ok(composition) => composition.with_variables(Canaries),
        Err(error) => {
            of_error(&error, &mut outputs);
            return outputs;
        }
    };
    outputs.push(format!("{composition:?} {composition:#?}"));
    of_findings(composition.problems(), &mut outputs);
    let plan = match registry().resolve(&composition) {
        Ok(plan) => plan,
        Err(error) => {
            of_error(&error, &mut outputs);
            return outputs;
        }
    };
    outputs.push(format!("{plan} {plan:?} {plan:#?} {:#} {} {}", plan.to_json(), plan.to_tree(), plan.to_mermaid()));
    let effective = plan.effective_config();
    outputs.push(format!("{effective} {effective:?} {effective:#?} {:#}", effective.to_json()));
    of_findings(plan.warnings(), &mut outputs);
    let lived = mlx_core::block_on(async {
        let platform = match Platform::start(plan).await {
            Ok(platform) => platform,
            Err(error) => {
                of_error(&error, &mut outputs);
                return Ok(());
            }
        };
        outputs.push(format!("{platform:?} {platform:#?} {:?} {:?}", platform.status(), platform.health().await));
        outputs.push(format!("{:?} {:#}", platform.plan(), platform.plan().to_json()));
        outputs.push(format!("{:#} {}", platform.effective_config().to_json(), platform.effective_config()));
        of_findings(&platform.warnings(), &mut outputs);
        if let Err(error) = platform.shutdown().await {
            of_error(&error, &mut outputs);
        }
        Ok(())
    });
    if let Err(error) = lived {
        of_error(&error, &mut outputs);
    }
    outputs
}

fn warehouse(settings: &str) -> String {
    let settings: String = settings.lines().map(|line| format!("      {line}\n")).collect();
    format!("plugins:\n  - type: store\n    name: warehouse\n    config:\n      host: localhost\n{settings}")
}

fn compositions() -> Vec<String> {
    let mut texts: Vec<String> = [
        // As it should be, in each kind of setting.
        "token: CANARY",
        "token: \"CANARY\"",
        "token: |\n  CANARY\n  CANARY",
        "keys: {api: CANARY}",
        "spare_tokens: [CANARY, CANARY]",
        "users: [{name: ada, password: CANARY}]",
        "certificate: {key: CANARY}",
        "broker: \"amqp://user:CANARY@broker/\"",
        // Looked up.
        "token: ${env:X}",
        "token: ${file:/x}",
        "token: \"CANARY-${env:X}-CANARY\"",
        "pin: ${env:X}",
        "certificate: {key: \"${env:X}\", days: \"${env:X}\"}",
        "users: [{name: ada, password: \"${file:/x}\"}]",
        "token: \"${env:NAME:-CANARY}\"",
        "token: \"CANARY${\"",
        "token: \"CANARY${unknown}\"",
        // Of the wrong type, length or range.
        "token: NUMBER",
        "token: [CANARY]",
        "token: {a: CANARY}",
        "token: \"CANARYCANARYCANARYCANARYCANARYCANARY\"",
        "pin: CANARY",
        "pin: NUMBER",
        "pin: [NUMBER]",
        "keys: CANARY",
        "keys: [CANARY]",
        "keys: {api: [CANARY]}",
        "spare_tokens: CANARY",
        "spare_tokens: {a: CANARY}",
        "spare_tokens: [[CANARY], NUMBER]",
        "certificate: CANARY",
        "certificate: {key: [CANARY], days: CANARY}",
        "certificate: {key: CANARY, days: NUMBER}",
        "certificate: {key: CANARY, dais: CANARY}",
        "broker: NUMBER",
        "broker: [\"amqp://user:CANARY@broker/\"]",
        // Mistakes beside it, on its line and on others.
        "{token: CANARY, prot: 1}",
        "token: CANARY\nprot: 1",
        "token: CANARY\nport: many",
        "users: [{name: 5, password: CANARY}]",
        "users: [{name: ada, password: CANARY, roles: {a: b}}]",
        "users:\n  - {password: CANARY}",
        // Under a name that is not declared: it is likely one all the same.
        "tokn: CANARY",
        "passwort: CANARY",
        "users: [{name: ada, pasword: CANARY}]",
        "window: {begin: 1, end: 2, token: CANARY}",
        // Given twice, by an anchor, as a merge.
        "token: CANARY\ntoken: CANARY",
        "token: &t CANARY\nkeys: {a: *t}\nspare_tokens: [*t, 5]",
        "certificate: &c {key: CANARY}\nkeys: *c\nwindow: *c",
        "keys: &k {a: CANARY}\ncertificate: {<<: *k}",
        "token: *CANARY",
        "token: !CANARY CANARY",
        "token: !secret CANARY",
        // Malformed around it.
        "token: \"CANARY",
        "token: 'CANARY",
        "token: CANARY: CANARY",
        "token: \"CANARY\" CANARY",
        "token: \"CANARY\\q\"",
        "token: [CANARY",
        "token: {CANARY",
        "token: @CANARY",
        "token: `CANARY`",
        "token: %CANARY",
        "token:CANARY\nport: 1",
        "token CANARY\nport: 1",
        "token:\n  CANARY\n  port: 1",
        "token:\n  a:CANARY\n  port: 1",
        "token:\n  -CANARY\n  port: 1",
        "token:\n\tCANARY: 1",
        "token: CANARY\n  port: 1",
        "? CANARY\n: 1\n? [CANARY]\n: 2",
        "- CANARY",
        "token: CANARY\n- CANARY",
    ]
    .into_iter()
    .map(warehouse)
    .collect();
    let vault = "  - type: security\n    name: vault\n    config: {secrets: {a: CANARY, pin: CANARY}}\n";
    for settings in
        ["token: \"${vault:a}\"", "pin: \"${vault:pin}\"", "token: \"${vault:b}\"", "token: \"x${vault:a}${vault:b}\""]
    {
        texts.push(warehouse(settings) + vault);
    }
    for trouble in ["start: fail", "start: panic", "stop: fail", "stop: panic", "start: nothing"] {
        texts
            .push(format!("plugins:\n  - type: stage\n    name: troubled\n    config: {{token: CANARY, {trouble}}}\n"));
        texts.push(format!(
            "plugins:\n  - type: stage\n    name: troubled\n    on_failure: continue\n    config: {{token: \"${{env:X}}\", {trouble}}}\n"
        ));
    }
    texts.push("plugins:\n  - {type: store, name: warehose, config: {token: CANARY}}\n".to_owned());
    texts.push("plugins:\n  - {type: stor, name: warehouse, token: CANARY, config: CANARY}\n".to_owned());
    texts.push("token: CANARY\nplugins: []\n".to_owned());
    texts.into_iter().map(|text| text.replace("CANARY", CANARY).replace("NUMBER", NUMBER)).collect()
}

fn leaks(output: &str) -> bool {
    [CANARY, NUMBER, "swordfish", "4711"].iter().any(|canary| output.contains(canary))
}

#[test]
fn no_secret_is_in_any_output() {
    let mut leaked = Vec::new();
    let (mut texts, mut printed) = (0, 0);
    for text in compositions() {
        for output in outputs(Composition::from_yaml(&text)) {
            printed += 1;
            if leaks(&output) {
                leaked.push(format!("{text}\n=> {}", output.chars().take(1500).collect::<String>()));
            }
        }
        texts += 1;
    }
    assert!(leaked.is_empty(), "{} leaks\n{}", leaked.len(), leaked.join("\n\n"));
    println!("{texts} compositions with secrets, {printed} outputs");
    assert!(printed > 200);
}

#[test]
fn no_secret_of_toml_or_json_is_in_any_output() {
    let entry = "[[plugins]]\ntype = \"store\"\nname = \"warehouse\"\n[plugins.config]\nhost = \"localhost\"\n";
    let settings = [
        "token = \"CANARY\"",
        "token = CANARY",
        "token = 'CANARY",
        "token = \"CANARY\" CANARY",
        "token = \"CANARY\\q\"",
        "token = \"\"\"CANARY",
        "token = [\"CANARY\"]",
        "token = [CANARY]",
        "token = {a = \"CANARY\"}",
        "token \"CANARY\"",
        "token: \"CANARY\"",
        "token = NUMBER",
        "pin = \"CANARY\"",
        "keys = \"CANARY\"",
        "tokn = \"CANARY\"",
        "token = \"CANARY\"\ntoken = \"CANARY\"",
        "certificate = {key = \"CANARY\", days = \"CANARY\"}",
    ];
    let mut printed: Vec<String> = Vec::new();
    for settings in settings {
        let text = format!("{entry}{settings}\n").replace("CANARY", CANARY).replace("NUMBER", NUMBER);
        printed.extend(outputs(Composition::from_toml(&text)));
    }
    for settings in [
        r#""token": "CANARY""#,
        r#""token": "CANARY"#,
        r#""token": CANARY"#,
        r#""token": 'CANARY'"#,
        r#""token": "CANARY" "CANARY""#,
        r#""token": "CANARY\q""#,
        r#""token": ["CANARY"]"#,
        r#""token": NUMBER"#,
        r#""tokn": "CANARY""#,
        r#""token" "CANARY""#,
        r#""token": "CANARY", "token": "CANARY""#,
    ] {
        let text = format!(
            r#"{{"plugins": [{{"type": "store", "name": "warehouse", "config": {{"host": "h", {settings}}}}}]}}"#
        );
        let text = text.replace("CANARY", CANARY).replace("NUMBER", NUMBER);
        printed.extend(outputs(Composition::from_json(&text)));
    }
    let leaked: Vec<&String> = printed.iter().filter(|output| leaks(output)).collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
    assert!(printed.len() > 80);
}

#[test]
fn schemas_have_no_value_of_a_setting() {
    let schema = registry().composition_schema();
    assert!(!leaks(&schema.as_value().to_string()));
    // The crate that registers the plugins is linked.
    assert!(registry().get("store", "warehouse").is_some());
    assert!(mlx_tests::Surroundings.env("HOST").is_some());
}
