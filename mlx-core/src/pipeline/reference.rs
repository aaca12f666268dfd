//! `${…}` in the input of a step: what another step delivered, or what the run was given.

use crate::{
    diagnostics::Location,
    value::{Node, Value},
};
use serde_json::Value as Json;
use std::fmt;

/// One `${steps.train.outputs.accuracy}` or `${input.day}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) target: Target,
    /// The keys below the target; an index counts as one.
    pub(super) path: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// What the run was given.
    Input,
    /// What a step delivered.
    Step(String),
}

/// What a step delivers by name.
pub(super) const SECTIONS: &[&str] = &["outputs", "metrics", "artifacts"];

#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Literal(String),
    Reference(Reference),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Input => f.write_str("${input")?,
            Target::Step(name) => write!(f, "${{steps.{name}")?,
        }
        self.path.iter().try_for_each(|key| write!(f, ".{key}"))?;
        f.write_str("}")
    }
}

impl Reference {
    fn parse(body: &str) -> Result<Self, &'static str> {
        if body.contains("${") {
            return Err("references cannot be nested");
        }
        if body.contains(':') {
            return Err(
                "a pipeline looks nothing up outside of itself; settings and secrets belong into the composition",
            );
        }
        let mut keys = body.split('.').map(|key| key.trim().to_owned());
        let target = match keys.next().as_deref() {
            Some("input") => Target::Input,
            Some("steps") => Target::Step(keys.next().unwrap_or_default()),
            _ => return Err("a reference is written `${steps.NAME.outputs.KEY}` or `${input.KEY}`"),
        };
        let path: Vec<String> = keys.collect();
        let step_is_empty = matches!(&target, Target::Step(name) if name.is_empty());
        if step_is_empty || path.iter().any(String::is_empty) {
            return Err("a name between two dots is missing");
        }
        Ok(Reference { target, path })
    }

    /// Follows the keys into what the target is.
    ///
    /// # Errors
    /// What is not there, and the names that are.
    pub(super) fn follow<'j>(&self, target: &'j Json) -> Result<&'j Json, (String, Vec<&'j str>)> {
        let mut value = target;
        for key in &self.path {
            let next = match value {
                Json::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
                other => other.get(key.as_str()),
            };
            value = next.ok_or_else(|| {
                let known = value.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
                (key.clone(), known)
            })?;
        }
        Ok(value)
    }
}

/// The parts of a text. `$${` stands for `${`.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, &'static str> {
    let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(start) = rest.find("${") {
        let (before, after) = (&rest[..start], &rest[start + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            literal.push_str(before);
            literal.push_str("${");
            rest = after;
            continue;
        }
        literal.push_str(before);
        let end = after.find('}').ok_or("a `${` is not closed by a `}`")?;
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(Part::Reference(Reference::parse(&after[..end])?));
        rest = &after[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

/// Something wrong at one value of an input.
pub(super) struct Fault {
    pub(super) location: Option<Location>,
    /// Below the input: `.rows[2]`.
    pub(super) path: String,
    pub(super) message: String,
    pub(super) known: Vec<String>,
}

/// The input with its references looked up. A text that is one reference and nothing else becomes the value itself,
/// whatever its type; within a text a reference has to be text, a number or a truth value.
///
/// # Errors
/// Everything that could not be looked up.
pub(super) fn render(node: &Node, look_up: &dyn Fn(&Reference) -> Result<Json, Fault>) -> Result<Json, Vec<Fault>> {
    let mut faults = Vec::new();
    let value = rendered(node, "", look_up, &mut faults);
    if faults.is_empty() { Ok(value) } else { Err(faults) }
}

fn rendered(
    node: &Node,
    path: &str,
    look_up: &dyn Fn(&Reference) -> Result<Json, Fault>,
    faults: &mut Vec<Fault>,
) -> Json {
    let text = match &node.value {
        Value::String(text) if text.contains("${") => text,
        Value::List(items) => {
            let items = items.iter().enumerate();
            return items.map(|(n, item)| rendered(item, &format!("{path}[{n}]"), look_up, faults)).collect();
        }
        Value::Map(map) => {
            let entries = map.iter().map(|entry| {
                let path = format!("{path}.{}", entry.key);
                (entry.key.clone(), rendered(&entry.value, &path, look_up, faults))
            });
            return Json::Object(entries.collect());
        }
        _ => return node.to_json(),
    };
    let fault =
        |message: String| Fault { location: node.location.clone(), path: path.to_owned(), message, known: vec![] };
    let found = parse(text).map_err(|why| fault(why.to_owned())).and_then(|parts| {
        if let [Part::Reference(reference)] = parts.as_slice() {
            return look_up(reference).map_err(|found| Fault {
                message: found.message,
                known: found.known,
                ..fault(String::new())
            });
        }
        let mut text = String::new();
        for part in &parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Reference(reference) => match look_up(reference) {
                    Ok(Json::String(value)) => text.push_str(&value),
                    Ok(value @ (Json::Number(_) | Json::Bool(_))) => text.push_str(&value.to_string()),
                    Ok(value) => {
                        let kind = Node::from(value).value.kind();
                        return Err(fault(format!("`{reference}` is {kind}, which cannot be a part of a text")));
                    }
                    Err(found) => {
                        return Err(Fault { message: found.message, known: found.known, ..fault(String::new()) });
                    }
                },
            }
        }
        Ok(Json::String(text))
    });
    found.unwrap_or_else(|fault| {
        faults.push(fault);
        Json::Null
    })
}

/// Every reference of an input with its node and its path below the input, and every text that is malformed.
pub(super) fn references(node: &Node) -> Vec<(&Node, String, Result<Reference, &'static str>)> {
    let mut found = Vec::new();
    let mut open = vec![(node, String::new())];
    while let Some((node, path)) = open.pop() {
        match &node.value {
            Value::String(text) if text.contains("${") => match parse(text) {
                Ok(parts) => found.extend(parts.into_iter().filter_map(|part| match part {
                    Part::Reference(reference) => Some((node, path.clone(), Ok(reference))),
                    Part::Literal(_) => None,
                })),
                Err(why) => found.push((node, path, Err(why))),
            },
            Value::List(items) => {
                open.extend(items.iter().enumerate().rev().map(|(n, item)| (item, format!("{path}[{n}]"))));
            }
            Value::Map(map) => {
                let entries: Vec<_> = map.iter().map(|e| (&e.value, format!("{path}.{}", e.key))).collect();
                open.extend(entries.into_iter().rev());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn look_up(reference: &Reference) -> Result<Json, Fault> {
        let steps = json!({"a": {"outputs": {"n": 3, "text": "x", "list": [1, {"k": true}]}}});
        let target = match &reference.target {
            Target::Input => json!({"day": "monday"}),
            Target::Step(name) => steps[name].clone(),
        };
        let fault =
            |(message, _): (String, Vec<&str>)| Fault { location: None, path: String::new(), message, known: vec![] };
        reference.follow(&target).cloned().map_err(fault)
    }

    fn rendered(input: Json) -> Result<Json, Vec<String>> {
        let node = Node::from(input);
        render(&node, &look_up)
            .map_err(|faults| faults.into_iter().map(|f| format!("{}: {}", f.path, f.message)).collect())
    }

    #[test]
    fn a_reference_keeps_its_type_and_a_text_takes_it_in() {
        for (input, expected) in [
            (json!("${steps.a.outputs.n}"), json!(3)),
            (
                json!({"all": "${steps.a.outputs}"})["all"].clone(),
                json!({"n": 3, "text": "x", "list": [1, {"k": true}]}),
            ),
            (json!(["n=${steps.a.outputs.n} on ${input.day}", 7]), json!(["n=3 on monday", 7])),
            (json!("${steps.a.outputs.list.1.k}"), json!(true)),
            (json!("$${steps.a} and $5"), json!("${steps.a} and $5")),
            (json!("${ input.day }"), json!("monday")),
        ] {
            assert_eq!(rendered(input.clone()), Ok(expected), "{input}");
        }
    }

    #[test]
    fn every_fault_is_reported_with_its_path() {
        let faults = rendered(json!({"x": ["${steps.a.outputs.m}"], "y": "a ${steps.a.outputs.list}"})).unwrap_err();
        assert_eq!(faults[0], ".x[0]: m");
        assert!(faults[1].starts_with(".y: ") && faults[1].contains("a list"), "{faults:?}");
    }

    #[test]
    fn malformed_references_are_refused() {
        for text in ["${", "${a}", "${steps}", "${steps.}", "${steps.a..b}", "${env:X}", "${input.${input.a}}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
