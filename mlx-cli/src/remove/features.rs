//! The features of crates that nothing asks for any more.
//!
//! A feature that a component asked for goes with it only where nothing else can need it: whoever wrote code or a composition of
//! their own may have come to use the plugin behind it.

use crate::{
    generate::feature_of,
    manifest::{self, Section},
    project::{ProjectPath, Tree},
    status::locate,
    update,
};
use mlx_core::{
    Result,
    diagnostics::Source,
    value::{self, Node, Value},
};
use std::collections::BTreeSet;

/// The package whose plugins are found by their features.
const PLUGINS: &str = "mlx-plugins";

/// Takes features, each with its package, out of `Cargo.toml` where nothing of the project is seen to use them, and notes which stay and
/// why. `doubt` says why it is not known what the rest of the project asks for.
///
/// # Errors
/// As of [`Tree::read`]; a `Cargo.toml` that cargo would not read.
pub fn release_features(
    tree: &mut Tree<'_>,
    features: &BTreeSet<(String, String)>,
    doubt: Option<&str>,
    why: &str,
) -> Result<()> {
    let manifest = ProjectPath::new(update::MANIFEST)?;
    let Some(before) = tree.read_text(&manifest)? else { return Ok(()) };
    let mut text = before.clone();
    let mut uses = None;
    for (package, feature) in features {
        let without = released(&manifest, &text, package, feature)?;
        if without == text {
            continue;
        }
        let reason = match doubt {
            Some(doubt) => Some(doubt.to_owned()),
            None if package != PLUGINS => Some("code of yours may use it".to_owned()),
            None => {
                let uses = match &mut uses {
                    Some(uses) => uses,
                    none => none.insert(Uses::of(tree)?),
                };
                uses.of_feature(feature).or_else(|| uses.of_manifest(&manifest, &without, feature))
            }
        };
        match reason {
            None => text = without,
            Some(reason) => tree.note(format!(
                "the feature `{feature}` of `{package}` stays in `{manifest}`: {reason}; take it out if nothing of yours uses it"
            )),
        }
    }
    if text != before {
        tree.write(manifest, text, why);
    }
    Ok(())
}

/// The manifest without the feature, as it is where no entry has it.
fn released(path: &ProjectPath, text: &str, package: &str, feature: &str) -> Result<String> {
    let mut text = text.to_owned();
    for section in [Section::Normal, Section::Dev, Section::Build] {
        text = manifest::release_feature(path, &text, section, package, feature)?.unwrap_or(text);
    }
    Ok(text)
}

/// What a project could use plugins in.
struct Uses {
    code: Vec<Code>,
    /// Compositions, and whatever else could be one.
    documents: Vec<(ProjectPath, String, Option<Node>)>,
}

struct Code {
    path: ProjectPath,
    text: String,
    /// Whether it is as a component made it.
    generated: bool,
}

impl Uses {
    fn of(tree: &Tree<'_>) -> Result<Self> {
        let located = locate(tree)?;
        let mut uses = Uses { code: Vec::new(), documents: Vec::new() };
        for file in tree.project().files()? {
            let ending = file.path.as_str().rsplit_once('.').map_or("", |(_, ending)| ending);
            if !matches!(ending, "rs" | "yaml" | "yml" | "toml" | "json") || file.path.as_str() == update::MANIFEST {
                continue;
            }
            let Some(content) = tree.read(&file.path)? else { continue };
            let text = String::from_utf8_lossy(&content).into_owned();
            if ending == "rs" {
                let is_here = |found: &&crate::status::Located| *found.path() == file.path;
                let generated = located.values().find(is_here).is_some_and(|found| found.is_pristine());
                uses.code.push(Code { path: file.path, text, generated });
                continue;
            }
            let source = Source::new(file.path.as_str(), text.as_str());
            let document = match ending {
                "toml" => value::toml::parse(&source),
                "json" => value::json::parse(&source),
                _ => value::yaml::parse(&source),
            };
            uses.documents.push((file.path, text, document.ok()));
        }
        Ok(uses)
    }

    /// What uses the plugin behind a feature, or may do so.
    fn of_feature(&self, feature: &str) -> Option<String> {
        let is_meant = |kind: &str, name: &str| feature_of(kind, name) == feature;
        for (path, text, document) in &self.documents {
            let used = match document {
                Some(document) => names(document, &is_meant),
                None => mentions(text, feature),
            };
            if used {
                return Some(format!("`{path}` names the plugin"));
            }
        }
        let used = |code: &&Code| {
            paths(&code.text).any(|path| path.may_mean(feature, code.generated))
                || (!code.generated && mentions(&code.text, feature))
        };
        self.code.iter().find(used).map(|code| format!("`{}` may use the plugin", code.path))
    }

    /// What else the manifest says of the feature, or expects of the package.
    fn of_manifest(&self, path: &ProjectPath, without: &str, feature: &str) -> Option<String> {
        if without.contains(&format!("/{feature}\"")) || without.contains(&format!("\"{feature}\"")) {
            return Some(format!("`{path}` names it elsewhere"));
        }
        // A package that is linked has to have a plugin.
        let declared = [Section::Normal, Section::Dev, Section::Build].iter().any(|section| {
            manifest::features(path, without, *section, PLUGINS)
                .is_ok_and(|features| features.is_some_and(|f| f.is_empty()))
        });
        let linked = self.code.iter().find(|code| paths(&code.text).any(|path| path.is_linked()));
        linked.filter(|_| declared).map(|code| format!("`{}` links `{PLUGINS}`, which then has no plugin", code.path))
    }
}

/// Whether a document has an entry with the type and name of a plugin, at any depth: profiles have some too.
fn names(node: &Node, is_meant: &impl Fn(&str, &str) -> bool) -> bool {
    match &node.value {
        Value::List(items) => items.iter().any(|item| names(item, is_meant)),
        Value::Map(map) => {
            let field = |key: &str| map.get(key).and_then(Node::as_str);
            let kind = field("type");
            let named = |key: &str| kind.zip(field(key)).is_some_and(|(kind, name)| is_meant(kind, name));
            named("name") || named("id") || map.iter().any(|entry| names(&entry.value, is_meant))
        }
        _ => false,
    }
}

/// Whether a text could mean the plugin behind a feature by its words: the name in quotes, or the type and the name.
fn mentions(text: &str, feature: &str) -> bool {
    let splits = feature.match_indices('-').map(|(at, _)| (&feature[..at], &feature[at + 1..]));
    splits.into_iter().any(|(kind, name)| {
        let written = |name: &str| has_word(text, name) || has_word(text, &name.replace('-', "_"));
        text.contains(&format!("\"{name}\"")) || (written(kind) && written(name))
    })
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

/// What follows the crate's name where code says it.
struct CratePath<'t> {
    rest: &'t str,
}

/// Each place at which code names the crate.
fn paths(text: &str) -> impl Iterator<Item = CratePath<'_>> {
    let name = "mlx_plugins";
    text.match_indices(name).filter_map(move |(at, _)| {
        let rest = &text[at + name.len()..];
        (!text[..at].ends_with(is_part) && !rest.starts_with(is_part)).then_some(CratePath { rest })
    })
}

impl CratePath<'_> {
    /// Whether it is the argument of `link!`, or alone in another way: nothing of the crate is used by name.
    fn is_linked(&self) -> bool {
        self.rest.trim_start().starts_with([')', ',', ']', '}'])
    }

    /// Whether it leads to the plugin behind the feature, or to what may hold it.
    fn may_mean(&self, feature: &str, is_generated: bool) -> bool {
        let mut rest = self.rest;
        let mut next = || {
            let after = rest.trim_start().strip_prefix("::")?.trim_start();
            let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
            rest = &after[end..];
            Some(&after[..end]).filter(|name| !name.is_empty())
        };
        match (next(), next()) {
            (Some(kind), Some(name)) => feature_of(kind, &name.replace('_', "-")) == feature,
            // `mlx_plugins::data_source::{…}`
            (Some(kind), None) => feature.starts_with(&feature_of(kind, "")),
            // `mlx_plugins::{…}`, `use mlx_plugins as plugins;`
            _ => !is_generated && !self.is_linked(),
        }
    }
}
