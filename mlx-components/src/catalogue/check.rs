//! What an author should know of a catalogue that is otherwise in order.

use super::{
    Catalogue, Component, Template,
    component::AMBIENT,
    language::{self, Part, Token, TokenKind},
    render,
};
use mlx_core::{
    Diagnostic,
    diagnostics::{Code, Source, nearest},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Files in which a text that stands as it is could mean something else.
const CODE: [&str; 5] = [".rs", ".toml", ".yaml", ".yml", ".json"];

/// Filters that put quotes around a text.
const QUOTING: [&str; 4] = ["json_str", "rust_str", "toml_str", "yaml_str"];

impl Catalogue {
    /// Checks the catalogue for its author: everything that [`open`](Catalogue::open) refuses; variables and templates that nothing
    /// uses; texts that stand unescaped in code; edits of regions that no template has; names in `conflicts_with` and `enhances`
    /// that no component has; and samples that are not rendered as they are recorded.
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut found = self.problems();
        let whole = match Catalogue::embedded() {
            Ok(embedded) => embedded.overlaid(self.clone()),
            Err(_) => self.clone(),
        };
        let used = whole.used_templates();
        let regions = whole.regions();
        for component in self.components() {
            for (path, source) in component.files() {
                if let Some(name) = path.strip_prefix("templates/")
                    && !used.contains(&(component.name.clone(), name.to_owned()))
                {
                    let message = format!("no component uses the template `{name}` of `{}`", component.name);
                    let place = source.span(0..1);
                    found.push(
                        Diagnostic::warning(Code::Unused, message)
                            .at(&place)
                            .help("name it in `templates`, or remove it"),
                    );
                }
            }
            whole.check_names(component, &mut found);
            check_variables(component, &whole, &mut found);
            check_regions(component, &regions, &mut found);
            for (template, _) in component.all_templates() {
                for file in component.names_of(&template.name) {
                    if let Ok(source) = component.template(&whole, &file) {
                        check_escaping(component, template, source, &mut found);
                    }
                }
            }
            whole.check_samples(component, &mut found);
        }
        found.dedup();
        found
    }

    /// The templates that some component names, each as its component and file.
    fn used_templates(&self) -> BTreeSet<(String, String)> {
        let mut used = BTreeSet::new();
        for component in self.components() {
            let of_edits = component.all_edits().filter_map(|(edit, _)| edit.template.as_ref());
            for name in component.all_templates().map(|(template, _)| &template.name).chain(of_edits) {
                for file in component.names_of(name) {
                    used.insert(match file.split_once(':') {
                        Some((other, file)) => {
                            (self.find(other).map_or(other, |other| &other.name).to_owned(), file.to_owned())
                        }
                        None => (component.name.clone(), file),
                    });
                }
            }
        }
        used
    }

    /// The regions of the files that templates make.
    fn regions(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut regions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for component in self.components() {
            for (template, _) in component.all_templates() {
                let sources = component.names_of(&template.name);
                let known = regions.entry(template.target.as_str()).or_default();
                for source in sources.iter().filter_map(|file| component.template(self, file).ok()) {
                    let begin = source.text().split("mlx:begin ").skip(1);
                    known.extend(begin.filter_map(|after| after.split_whitespace().next()));
                }
            }
        }
        regions
    }

    fn check_names(&self, component: &Component, found: &mut Vec<Diagnostic>) {
        for name in component.conflicts_with.iter().chain(&component.enhances) {
            if !self.components.contains_key(name.as_str()) {
                let message = format!("there is no component `{name}`");
                let refused = Diagnostic::warning(Code::UnmetDependency, message).at(name.location());
                found.push(match nearest(name, self.components.keys().map(String::as_str)) {
                    Some(near) => refused.help(format!("did you mean `{near}`?")),
                    None => refused.help("remove it, or add the component"),
                });
            }
        }
    }
}

/// The names that a text between braces uses.
fn names(text: &str) -> BTreeSet<String> {
    render::undeclared(&Source::new("text", text)).unwrap_or_default()
}

fn check_variables(component: &Component, catalogue: &Catalogue, found: &mut Vec<Diagnostic>) {
    let mut used: BTreeSet<String> = BTreeSet::new();
    for (template, _) in component.all_templates() {
        let mut here = names(&template.target);
        here.extend(template.when.iter().flat_map(|when| render::undeclared_in_expression(when)));
        for file in component.names_of(&template.name) {
            let source = component.template(catalogue, &file).ok();
            here.extend(source.and_then(|source| render::undeclared(source).ok()).into_iter().flatten());
        }
        for name in template.variables.iter().filter(|name| !here.contains(*name)) {
            let message = format!("the template declares `{name}` and does not use it");
            found.push(
                Diagnostic::warning(Code::Unused, message)
                    .at(template.name.location())
                    .help("remove it from `variables`"),
            );
        }
        used.append(&mut here);
    }
    for (edit, _) in component.all_edits() {
        used.append(&mut names(&edit.file));
        used.extend(edit.text.iter().flat_map(|text| names(text)));
        used.extend(edit.when.iter().flat_map(|when| render::undeclared_in_expression(when)));
        for file in edit.template.iter().flat_map(|name| component.names_of(name)) {
            let source = component.template(catalogue, &file).ok();
            used.extend(source.and_then(|source| render::undeclared(source).ok()).into_iter().flatten());
        }
    }
    let cargos = std::iter::once(&component.cargo).chain(component.plugin.iter().map(|plugin| &plugin.cargo));
    for (_, package) in cargos.flat_map(|cargo| cargo.dependencies.iter().chain(cargo.dev_dependencies.iter())) {
        used.extend(package.when.iter().flat_map(|when| render::undeclared_in_expression(when)));
    }
    for name in component.variables.names().filter(|name| !used.contains(*name)) {
        let message = format!("nothing of `{}` uses the variable `{name}`", component.name);
        found.push(
            Diagnostic::warning(Code::Unused, message)
                .at(component.variables.location(name))
                .help("use it, or remove it"),
        );
    }
}

fn check_regions(component: &Component, regions: &BTreeMap<&str, BTreeSet<&str>>, found: &mut Vec<Diagnostic>) {
    for (edit, _) in component.all_edits() {
        let known = regions.get(edit.file.as_str());
        if known.is_some_and(|known| known.contains(edit.region.as_str())) {
            continue;
        }
        let message = match known {
            Some(_) => format!("`{}` has no region `{}`", edit.file, edit.region),
            None => format!("no template makes `{}`, which is to have a region `{}`", edit.file, edit.region),
        };
        let refused = Diagnostic::error(Code::BadTemplate, message).at(edit.region.location());
        let near = known.and_then(|known| nearest(&edit.region, known.iter().copied()));
        found.push(match near {
            Some(near) => refused.help(format!("did you mean `{near}`?")),
            None => refused
                .help(format!("put `mlx:begin {0}` and `mlx:end {0}` into the template of that file", edit.region)),
        });
    }
}

/// Texts that anybody chose, and that stand in code as they are.
fn check_escaping(component: &Component, template: &Template, source: &Arc<Source>, found: &mut Vec<Diagnostic>) {
    let target = template.target.as_str();
    if !CODE.iter().any(|ending| target.ends_with(ending)) {
        return;
    }
    let text = source.text();
    for part in language::parts(text) {
        let Part::Output(tokens, bytes) = part else { continue };
        let word = |token: &Token| &text[token.bytes.clone()];
        let Some(first) = tokens.first().filter(|token| token.kind == TokenKind::Name) else { continue };
        let filter = tokens
            .windows(2)
            .rev()
            .find(|pair| word(&pair[0]) == "|" && pair[1].kind == TokenKind::Name)
            .map(|pair| word(&pair[1]));
        let name = word(first);
        let whole: String = tokens.iter().take_while(|token| word(token) != "|").map(word).collect();
        let free = match AMBIENT.contains(&name) {
            true => whole == "plugin.description",
            false => component.variable(name).is_some_and(|variable| variable.is_free_text()),
        };
        let quoted = text[..bytes.start].ends_with('"') && text[bytes.end..].starts_with('"');
        let refused = match filter {
            None if free => Some((
                format!("`{whole}` can be any text, and stands in code as it is"),
                "put it through a filter: `rust_str`, `rust_ident`, `toml_str`, `yaml_str`, `json_str`, `doc`",
            )),
            Some(filter) if quoted && QUOTING.contains(&filter) => Some((
                format!("`{filter}` puts quotes around the text, and there are some already"),
                "remove those of the template",
            )),
            _ => None,
        };
        if let Some((message, help)) = refused {
            found.push(Diagnostic::error(Code::BadTemplate, message).at(&source.span(bytes)).help(help));
        }
    }
}
