//! `component_config!`: a Rust type from the `config_schema` of a `component.json`.
//!
//! The file is scanned ([`json`]), checked ([`schema`]) and written out as a struct ([`expand`]).
//! Whatever is wrong with it is reported at once, with its line and column, at the file's name
//! in the macro call; the settings that are in order still make up the type, so that a mistake
//! in the file is no mistake of the code that uses it.

mod expand;
mod json;
mod schema;

use std::io;
use std::path::{Component as Part, Path, PathBuf};

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, LitStr, Token, Visibility};

use self::json::{Position, Value, shown};
use crate::{errors::Errors, suggest};

/// A component file is some kilobytes; this keeps a mistaken path from filling the memory.
const MAX_BYTES: u64 = 1 << 20;

/// A file of another kind would fill the screen.
const MAX_ERRORS: usize = 50;

pub(crate) fn component_config(input: TokenStream) -> TokenStream {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    generate(input, folder.as_deref())
}

/// `folder` is where Cargo.toml is.
fn generate(input: TokenStream, folder: Option<&Path>) -> TokenStream {
    let parser = |input: ParseStream<'_>| Invocation::parse(input);
    let invocation = match parser.parse2(input) {
        Ok(invocation) => invocation,
        Err(error) => return error.into_compile_error(),
    };
    let errors = Errors::default();
    for error in invocation.errors {
        errors.push(error);
    }
    let path = invocation.file.value();

    let bytes = read(folder, &path);
    let dependency = bytes.is_ok().then(|| expand::dependency(&invocation.file));
    let mut faults = Vec::new();
    let root = match bytes.as_deref().map(json::parse) {
        Ok(Ok(root)) => Some(root),
        Ok(Err(fault)) => {
            faults.push(fault);
            None
        }
        Err(message) => {
            errors.at(invocation.file.span(), message);
            None
        }
    };
    let mut component = schema::Component::default();
    if let Some(root) = &root {
        (component, faults) = schema::read(root);
        faults.extend(json::duplicate_keys(root));
    }

    let named = component.name.and_then(|name| match &name.node.value {
        Value::String(text) => Some((&**text, name.node.at)),
        _ => None,
    });
    let folder_name = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let label = match (folder_name, named) {
        ("" | ".", Some((name, _))) => name,
        (folder, _) => folder,
    };
    let name = match &invocation.name {
        Some(name) => name.clone(),
        None => {
            if root.is_some() {
                faults.extend(unnamed(named));
            }
            let name = named.and_then(|(name, _)| schema::type_name(name)).or_else(|| schema::type_name(folder_name));
            match name {
                Some(name) => Ident::new(&name, invocation.file.span()),
                None => {
                    report(folder, &path, invocation.file.span(), faults, &errors);
                    let errors = errors.into_tokens();
                    return quote!(#dependency #errors);
                }
            }
        }
    };
    report(folder, &path, invocation.file.span(), faults, &errors);

    let target = expand::Target {
        attributes: &invocation.attributes,
        visibility: &invocation.visibility,
        name: &name,
        krate: invocation.krate.as_ref(),
        component: label,
        description: component.description,
        file: &invocation.file,
    };
    let item = expand::expand(&target, &component.fields);
    let errors = errors.into_tokens();
    quote!(#dependency #item #errors)
}

/// Why the component's own name makes no name of a type.
fn unnamed(name: Option<(&str, Position)>) -> Option<json::Fault> {
    const HELP: &str = "name the type: `pub struct Name = \"path/component.json\";`";
    match name {
        None => Some(json::Fault {
            at: Position::START,
            message: format!("the component has no `name` to name the type by\n{HELP}"),
        }),
        Some((name, at)) => schema::type_name(name).is_none().then(|| json::Fault {
            at,
            message: format!("`name` \"{}\" makes no name of a type\n{HELP}", shown(name)),
        }),
    }
}

struct Invocation {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    /// The name given, if one is.
    name: Option<Ident>,
    /// Of mlx-core, if it is called something else.
    krate: Option<syn::Path>,
    file: LitStr,
    /// In spite of which the type can be made.
    errors: Vec<syn::Error>,
}

impl Parse for Invocation {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            let file = input.parse()?;
            input.parse::<Option<Token![,]>>()?;
            return Ok(Self {
                attributes: Vec::new(),
                visibility: Visibility::Public(Token![pub](Span::call_site())),
                name: None,
                krate: None,
                file,
                errors: Vec::new(),
            });
        }
        let start = input.fork();
        let attributes = Attribute::parse_outer(input)?;
        let visibility = input.parse()?;
        if !input.peek(Token![struct]) {
            let message = "expected \"path/component.json\" \
                           or `pub struct Name = \"path/component.json\";`";
            return Err(if attributes.is_empty() { start.error(message) } else { input.error(message) });
        }
        input.parse::<Token![struct]>()?;
        let name = input.parse()?;
        if !input.peek(Token![=]) {
            return Err(input.error(format!(
                "expected `= \"path/component.json\"` after the name; \
                 the fields of `{name}` are in that file"
            )));
        }
        input.parse::<Token![=]>()?;
        if !input.peek(LitStr) {
            return Err(input.error("expected the path of a component.json in quotes"));
        }
        let file = input.parse()?;
        input.parse::<Option<Token![;]>>()?;
        let mut errors = Vec::new();
        let mut krate = None;
        let mut others = Vec::new();
        for attribute in attributes {
            if !attribute.path().is_ident("config") {
                others.push(attribute);
            } else if let Err(error) = config(&attribute, &mut krate) {
                errors.push(error);
            }
        }
        Ok(Self { attributes: others, visibility, name: Some(name), krate, file, errors })
    }
}

/// `#[config(crate = path)]`.
fn config(attribute: &Attribute, krate: &mut Option<syn::Path>) -> syn::Result<()> {
    attribute.parse_args_with(|input: ParseStream<'_>| {
        let key = Ident::parse_any(input)?;
        if key != "crate" {
            return Err(syn::Error::new(
                key.span(),
                format!(
                    "unknown key `{key}` in #[config] of component_config!\n\
                     expected `crate`: everything else is in the component.json"
                ),
            ));
        }
        input.parse::<Token![=]>()?;
        *krate = Some(input.call(syn::Path::parse_mod_style)?);
        input.parse::<Option<Token![,]>>()?;
        Ok(())
    })
}

/// What is wrong with the file, from its beginning to its end.
fn report(folder: Option<&Path>, path: &str, span: Span, mut faults: Vec<json::Fault>, errors: &Errors) {
    let path = displayed(folder, path);
    for _ in 0..MAX_ERRORS {
        let position = |index: &usize| (faults[*index].at.line, faults[*index].at.column);
        let Some(first) = (0..faults.len()).min_by_key(position) else { return };
        let fault = faults.remove(first);
        errors.at(span, format!("{path}:{}: {}", fault.at, fault.message));
    }
    if !faults.is_empty() {
        errors.at(span, format!("{path}: and {} more", faults.len()));
    }
}

/// The path as the compiler prints those of source files: from where it was started, which in a
/// workspace is above the package.
fn displayed(folder: Option<&Path>, path: &str) -> String {
    let started = std::env::current_dir().ok();
    folder
        .zip(started)
        .and_then(|(folder, started)| {
            let package = folder.strip_prefix(started).ok()?.to_str()?.to_owned();
            (!package.is_empty()).then(|| format!("{}/{path}", package.replace('\\', "/")))
        })
        .unwrap_or_else(|| path.to_owned())
}

const RELATIVE: &str = "the path is relative to the folder of Cargo.toml";

fn read(folder: Option<&Path>, path: &str) -> Result<Vec<u8>, String> {
    let Some(folder) = folder else {
        return Err(format!("cannot read `{}`: CARGO_MANIFEST_DIR is not set, as cargo does\n{RELATIVE}", shown(path)));
    };
    let relative = Path::new(path);
    let inside = |part: Part<'_>| matches!(part, Part::Normal(_) | Part::CurDir | Part::ParentDir);
    if path.is_empty() || !relative.components().all(inside) {
        return Err(format!("expected a relative path, found `{}`\n{RELATIVE}", shown(path)));
    }
    contents(&folder.join(relative)).map_err(|reason| {
        let near = nearest_file(folder, path).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("cannot read `{}`: {reason}{near}\n{RELATIVE}", shown(path))
    })
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    // The system's own words for an error are not the same on every system.
    let reason = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        kind => kind.to_string(),
    };
    // Before it is opened: opening a pipe would wait for a writer.
    let metadata = std::fs::metadata(path).map_err(reason)?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    if metadata.len() > MAX_BYTES {
        return Err("it is larger than 1 MiB".to_owned());
    }
    std::fs::read(path).map_err(reason)
}

/// An existing file that the path misses by one mistyped part.
fn nearest_file(folder: &Path, path: &str) -> Option<String> {
    let mut parent = folder.to_owned();
    let mut near = String::new();
    let mut rest = path.split('/');
    let mistyped = loop {
        let part = rest.next()?;
        if !parent.join(part).exists() {
            break part;
        }
        parent.push(part);
        near += part;
        near.push('/');
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(parent).ok()? {
        if let Some(name) = entry.ok().and_then(|entry| entry.file_name().into_string().ok()) {
            found.push(name);
        }
    }
    let mut names = Vec::new();
    for name in &found {
        names.push(&**name);
    }
    names.sort_unstable();
    near += suggest::nearest(mistyped, &names)?;
    for part in rest {
        near.push('/');
        near += part;
    }
    folder.join(&near).is_file().then_some(near)
}

#[cfg(test)]
mod tests;
