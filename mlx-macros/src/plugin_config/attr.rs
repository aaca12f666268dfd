//! The input of the derive, with its attributes parsed.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    Attribute, DeriveInput, Expr, ExprLit, GenericArgument, Ident, Lit, LitStr, Member, Meta, Path, PathArguments,
    Token, Type, bracketed,
    ext::IdentExt,
    meta::ParseNestedMeta,
    parenthesized,
    parse::{ParseStream, Parser},
    spanned::Spanned,
};

use crate::{
    arguments, casing, docs,
    errors::{Errors, duplicate, error_on, unknown},
    expression::{self, number},
};

/// A type that derives `PluginConfig`.
pub(super) struct Container<'a> {
    pub(super) input: &'a DeriveInput,
    pub(super) doc: String,
    pub(super) tag: Option<Attr<LitStr>>,
    pub(super) krate: Option<Attr<Path>>,
    pub(super) component: Option<Attr<LitStr>>,
    pub(super) validate: Option<Attr<Path>>,
    pub(super) data: Data<'a>,
}

pub(super) enum Data<'a> {
    /// Also a unit struct, which has no fields.
    Struct(Vec<Field<'a>>),
    /// A tuple struct; valid with one field.
    Tuple(Vec<Field<'a>>),
    Enum(Vec<Variant<'a>>),
    Union(Token![union]),
}

pub(super) struct Variant<'a> {
    pub(super) syn: &'a syn::Variant,
    pub(super) doc: String,
    /// As it is written in a file.
    pub(super) name: Name,
    pub(super) shape: Shape<'a>,
}

pub(super) enum Shape<'a> {
    Unit,
    Struct(Vec<Field<'a>>),
    /// Valid with one field.
    Tuple(Vec<Field<'a>>),
}

pub(super) struct Field<'a> {
    pub(super) ty: &'a Type,
    pub(super) member: Member,
    pub(super) doc: String,
    /// As it is written in a file; empty in a tuple.
    pub(super) name: Name,
    pub(super) attributes: &'a [Attribute],
    pub(super) default: Option<Attr<Default>>,
    pub(super) secret: Option<Attr<()>>,
    pub(super) range: Option<Attr<Range>>,
    pub(super) length: Option<Attr<Range>>,
    pub(super) pattern: Option<Attr<LitStr>>,
    pub(super) one_of: Option<Attr<OneOf>>,
    pub(super) validate: Option<Attr<Path>>,
    pub(super) rename: Option<Attr<LitStr>>,
    /// Other names in a file.
    pub(super) aliases: Vec<Attr<LitStr>>,
    pub(super) env: Option<Attr<LitStr>>,
    pub(super) deprecated: Option<Attr<LitStr>>,
    pub(super) examples: Vec<Attr<Expr>>,
    pub(super) serde: Option<Attr<()>>,
    pub(super) flatten: Option<Attr<()>>,
    pub(super) extends: Option<Attr<()>>,
    pub(super) source: Option<Attr<LitStr>>,
    pub(super) skip: Option<Attr<()>>,
}

/// An attribute's value, and where its key is.
pub(super) struct Attr<T> {
    pub(super) span: Span,
    pub(super) value: T,
}

/// A name in a file, and the Rust tokens it comes from.
pub(super) struct Name {
    pub(super) span: Span,
    pub(super) text: String,
}

pub(super) enum Default {
    /// `default`.
    Bare,
    /// `default = EXPR`.
    Value(Expr),
    /// `default(field = EXPR, …)`.
    Inherited(Vec<(Name, Expr)>),
}

/// `1..=64`, with at least one end.
pub(super) struct Range {
    pub(super) min: Option<Expr>,
    pub(super) max: Option<Expr>,
    /// Whether `max` itself is outside.
    pub(super) exclusive: bool,
}

/// The only values there are.
pub(super) enum OneOf {
    Texts(Vec<LitStr>),
    /// Literals, with their signs.
    Numbers(Vec<Expr>),
}

impl Range {
    /// Whether its ends are numbers or texts written out.
    pub(super) fn is_literal(&self) -> bool {
        let is_literal =
            |end: &Option<Expr>| end.as_ref().is_none_or(|end| number(end).is_some() || matches!(end, Expr::Lit(_)));
        is_literal(&self.min) && is_literal(&self.max)
    }
}

/// A type of numbers with a unit, which a file writes as texts.
#[derive(Clone, Copy)]
pub(super) enum Quantity {
    Duration,
    ByteSize,
}

impl Quantity {
    pub(super) fn of(ty: &Type) -> Option<Quantity> {
        let Type::Path(path) = ty else { return None };
        let name = &path.path.segments.last()?.ident;
        match () {
            () if name == "Duration" => Some(Quantity::Duration),
            () if name == "ByteSize" => Some(Quantity::ByteSize),
            () => None,
        }
    }

    /// What the range of a type is of: also of what may be absent or hidden.
    fn ranged(ty: &Type) -> Option<Quantity> {
        let Type::Path(path) = ty else { return None };
        let last = path.path.segments.last()?;
        match &last.arguments {
            PathArguments::AngleBracketed(arguments) if last.ident == "Option" || last.ident == "Secret" => {
                match arguments.args.first()? {
                    GenericArgument::Type(inner) => Quantity::ranged(inner),
                    _ => None,
                }
            }
            _ => Quantity::of(ty),
        }
    }

    /// Whether an expression is one of which a constant can be made: what a file would say, or a constructor.
    pub(super) fn is_constant(self, expression: &Expr) -> bool {
        let (ty, constructors): (_, &[_]) = match self {
            Quantity::Duration => ("Duration", &["from_nanos", "from_micros", "from_millis", "from_secs"]),
            Quantity::ByteSize => ("ByteSize", &["new", "kib", "mib", "gib", "tib"]),
        };
        matches!(expression, Expr::Lit(ExprLit { lit: Lit::Str(_), .. }))
            || expression::constructor(expression).is_some_and(|(found, constructor)| {
                found == ty && constructors.iter().any(|known| constructor == known)
            })
    }
}

const CONTAINER: [&str; 5] = ["component", "crate", "rename_all", "tag", "validate"];
const VARIANT: [&str; 2] = ["rename", "rename_all"];
const FIELD: [&str; 18] = [
    "alias",
    "default",
    "deprecated",
    "env",
    "example",
    "extends",
    "flatten",
    "length",
    "non_empty",
    "one_of",
    "pattern",
    "range",
    "rename",
    "secret",
    "serde",
    "skip",
    "source",
    "validate",
];

impl<'a> Container<'a> {
    pub(super) fn parse(input: &'a DeriveInput, errors: &Errors) -> Self {
        let (mut rename_all, mut tag, mut krate, mut component, mut validate) = (None, None, None, None, None);
        parse_attributes(&input.attrs, "type", &CONTAINER, errors, &mut |meta, key| {
            match key {
                "rename_all" => set(&mut rename_all, meta, text, errors),
                "tag" => set(&mut tag, meta, text, errors),
                "crate" => set(&mut krate, meta, path, errors),
                "component" => set(&mut component, meta, text, errors),
                "validate" => set(&mut validate, meta, path, errors),
                _ => return None,
            }
            .into()
        });
        let rule = Rule::parse(rename_all, errors);
        let data = match &input.data {
            syn::Data::Struct(data) => match &data.fields {
                syn::Fields::Unnamed(fields) => Data::Tuple(tuple(fields, errors)),
                fields => Data::Struct(Field::parse_all(fields, rule, errors)),
            },
            syn::Data::Enum(data) => {
                let mut variants = Vec::new();
                for variant in &data.variants {
                    variants.push(Variant::parse(variant, rule, errors));
                }
                Data::Enum(variants)
            }
            syn::Data::Union(data) => Data::Union(data.union_token),
        };
        let doc = docs::description(&input.attrs);
        Container { input, doc, tag, krate, component, validate, data }
    }

    /// The fields of a struct, or those of all variants.
    pub(super) fn fields(&self) -> Vec<&Field<'a>> {
        let mut all = Vec::new();
        match &self.data {
            Data::Struct(fields) | Data::Tuple(fields) => all.extend(fields),
            Data::Enum(variants) => {
                for variant in variants {
                    all.extend(variant.shape.fields());
                }
            }
            Data::Union(_) => {}
        }
        all
    }
}

impl<'a> Variant<'a> {
    fn parse(syn: &'a syn::Variant, rule: Option<Rule>, errors: &Errors) -> Self {
        let (mut rename, mut rename_all) = (None, None);
        parse_attributes(&syn.attrs, "variant", &VARIANT, errors, &mut |meta, key| {
            match key {
                "rename" => set(&mut rename, meta, text, errors),
                "rename_all" => set(&mut rename_all, meta, text, errors),
                _ => return None,
            }
            .into()
        });
        let name = Name::new(&syn.ident, rename.as_ref(), rule);
        let rule = Rule::parse(rename_all, errors);
        let shape = match &syn.fields {
            syn::Fields::Unit => Shape::Unit,
            syn::Fields::Named(_) => Shape::Struct(Field::parse_all(&syn.fields, rule, errors)),
            syn::Fields::Unnamed(fields) => Shape::Tuple(tuple(fields, errors)),
        };
        Variant { syn, doc: docs::description(&syn.attrs), name, shape }
    }
}

impl<'a> Shape<'a> {
    pub(super) fn fields(&self) -> &[Field<'a>] {
        match self {
            Shape::Unit => &[],
            Shape::Struct(fields) | Shape::Tuple(fields) => fields,
        }
    }
}

fn tuple<'a>(fields: &'a syn::FieldsUnnamed, errors: &Errors) -> Vec<Field<'a>> {
    let mut parsed = Vec::new();
    for field in &fields.unnamed {
        parsed.push(Field::parse(field, Member::from(parsed.len()), None, errors));
    }
    parsed
}

impl<'a> Field<'a> {
    fn parse_all(fields: &'a syn::Fields, rule: Option<Rule>, errors: &Errors) -> Vec<Self> {
        let mut parsed = Vec::new();
        for (field, member) in fields.iter().zip(fields.members()) {
            parsed.push(Field::parse(field, member, rule, errors));
        }
        parsed
    }

    fn parse(syn: &'a syn::Field, member: Member, rule: Option<Rule>, errors: &Errors) -> Self {
        let mut field = Field {
            ty: &syn.ty,
            member,
            doc: docs::description(&syn.attrs),
            name: Name { span: syn.ty.span(), text: String::new() },
            attributes: &syn.attrs,
            default: None,
            secret: None,
            range: None,
            length: None,
            pattern: None,
            one_of: None,
            validate: None,
            rename: None,
            aliases: Vec::new(),
            env: None,
            deprecated: None,
            examples: Vec::new(),
            serde: None,
            flatten: None,
            extends: None,
            source: None,
            skip: None,
        };
        parse_attributes(&syn.attrs, "field", &FIELD, errors, &mut |meta, key| {
            match key {
                "default" => set(&mut field.default, meta, |meta| default(meta, errors), errors),
                "secret" => set(&mut field.secret, meta, flag, errors),
                "range" => set(&mut field.range, meta, range, errors),
                "length" => set(&mut field.length, meta, range, errors),
                "non_empty" => set(&mut field.length, meta, non_empty, errors),
                "pattern" => set(&mut field.pattern, meta, text, errors),
                "validate" => set(&mut field.validate, meta, path, errors),
                "one_of" => set(&mut field.one_of, meta, one_of, errors),
                "rename" => set(&mut field.rename, meta, text, errors),
                "alias" => add(&mut field.aliases, meta, text),
                "env" => set(&mut field.env, meta, text, errors),
                "deprecated" => set(&mut field.deprecated, meta, text, errors),
                "example" => add(&mut field.examples, meta, value),
                "serde" => set(&mut field.serde, meta, flag, errors),
                "flatten" => set(&mut field.flatten, meta, flag, errors),
                "extends" => set(&mut field.extends, meta, flag, errors),
                "source" => set(&mut field.source, meta, text, errors),
                "skip" => set(&mut field.skip, meta, flag, errors),
                _ => return None,
            }
            .into()
        });
        if let Some(ident) = &syn.ident {
            field.name = Name::new(ident, field.rename.as_ref(), rule);
        }
        field
    }

    /// Whether the fields of its type are laid flat, and by which attribute.
    pub(super) fn inherits(&self) -> Option<&Attr<()>> {
        self.extends.as_ref().or(self.flatten.as_ref())
    }

    /// What its range is of, if a file writes that as a text.
    pub(super) fn quantity(&self) -> Option<Quantity> {
        if self.serde.is_some() { None } else { Quantity::ranged(self.ty) }
    }

    /// Its names in the file, the first of which is its own.
    pub(super) fn names(&self) -> Vec<Name> {
        let mut names = vec![Name { span: self.name.span, text: self.name.text.clone() }];
        for Attr { value, .. } in &self.aliases {
            names.push(Name { span: value.span(), text: value.value() });
        }
        names
    }

    /// Whether it is itself a setting of the file.
    pub(super) fn is_setting(&self) -> bool {
        self.skip.is_none() && self.inherits().is_none()
    }
}

impl Name {
    fn new(ident: &Ident, rename: Option<&Attr<LitStr>>, rule: Option<Rule>) -> Self {
        let written = ident.unraw().to_string();
        match (rename, rule) {
            (Some(rename), _) => Name { span: rename.value.span(), text: rename.value.value() },
            (None, Some(rule)) => Name { span: ident.span(), text: (rule.apply)(&written) },
            (None, None) => Name { span: ident.span(), text: written },
        }
    }
}

/// How `rename_all` spells names.
#[derive(Clone, Copy)]
struct Rule {
    name: &'static str,
    apply: fn(&str) -> String,
}

const RULES: [Rule; 8] = [
    Rule { name: "lowercase", apply: casing::flat },
    Rule { name: "UPPERCASE", apply: |name| casing::flat(name).to_uppercase() },
    Rule { name: "PascalCase", apply: casing::pascal },
    Rule { name: "camelCase", apply: casing::camel },
    Rule { name: "snake_case", apply: casing::snake },
    Rule { name: "SCREAMING_SNAKE_CASE", apply: casing::screaming },
    Rule { name: "kebab-case", apply: casing::kebab },
    Rule { name: "SCREAMING-KEBAB-CASE", apply: |name| casing::kebab(name).to_uppercase() },
];

impl Rule {
    fn parse(attr: Option<Attr<LitStr>>, errors: &Errors) -> Option<Rule> {
        let attr = attr?;
        let given = attr.value.value();
        let rule = RULES.iter().find(|rule| rule.name == given).copied();
        if rule.is_none() {
            let mut names = Vec::new();
            for rule in &RULES {
                names.push(rule.name);
            }
            errors.on(&attr.value, unknown("rename rule", &given, &names));
        }
        rule
    }
}

/// Parses every `#[config(…)]`; `accept` answers `None` to a key that it does not know.
fn parse_attributes(
    attributes: &[Attribute],
    place: &str,
    known: &[&str],
    errors: &Errors,
    accept: &mut dyn FnMut(&ParseNestedMeta<'_>, &str) -> Option<syn::Result<()>>,
) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("config")) {
        if !matches!(attribute.meta, Meta::List(_)) {
            errors.on(&attribute.meta, "expected attribute arguments in parentheses: `#[config(…)]`");
            continue;
        }
        let parsed = attribute.parse_nested_meta(|meta| {
            if let Some(accepted) = accept(&meta, &key(&meta)) {
                return accepted;
            }
            errors.on(&meta.path, unknown_key(place, &meta.path, known));
            // What follows is the unknown key's; the next key is worth checking.
            while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
                meta.input.parse::<TokenTree>()?;
            }
            Ok(())
        });
        if let Err(error) = parsed {
            errors.push(error);
        }
    }
}

fn unknown_key(place: &str, path: &Path, known: &[&str]) -> String {
    let key = match path.get_ident() {
        Some(ident) => ident.to_string(),
        None => quote::quote!(#path).to_string().replace(' ', ""),
    };
    let mut homes = String::new();
    for (home, keys) in &[("a field", FIELD.as_slice()), ("a variant", &VARIANT), ("the type", &CONTAINER)] {
        if keys.contains(&key.as_str()) {
            homes.push_str(if homes.is_empty() { "" } else { " or " });
            homes.push_str(home);
        }
    }
    match homes.is_empty() {
        true => unknown(&format!("config {place} attribute"), &key, known),
        false => format!("`{key}` is no config {place} attribute; it belongs on {homes}"),
    }
}

/// Stores what an attribute says, once.
fn set<'m, T>(
    slot: &mut Option<Attr<T>>,
    meta: &ParseNestedMeta<'m>,
    parse: impl FnOnce(&ParseNestedMeta<'m>) -> syn::Result<T>,
    errors: &Errors,
) -> syn::Result<()> {
    let value = parse(meta)?;
    if slot.is_some() {
        errors.on(&meta.path, duplicate("config attribute", &key(meta)));
    } else {
        *slot = Some(Attr { span: meta.path.span(), value });
    }
    Ok(())
}

/// Stores what an attribute says that may be there several times.
fn add<'m, T>(
    list: &mut Vec<Attr<T>>,
    meta: &ParseNestedMeta<'m>,
    parse: impl FnOnce(&ParseNestedMeta<'m>) -> syn::Result<T>,
) -> syn::Result<()> {
    let value = parse(meta)?;
    list.push(Attr { span: meta.path.span(), value });
    Ok(())
}

fn flag(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.is_empty() || meta.input.peek(Token![,]) {
        return Ok(());
    }
    let key = key(meta);
    Err(meta.input.error(format!("expected `,` after `{key}`, which takes no value")))
}

fn text(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    let key = key(meta);
    let expected = format!("expected a string: `{key} = \"…\"`");
    if !meta.input.peek(Token![=]) {
        return Err(syn::Error::new(meta.path.span(), expected));
    }
    match expression::parse(meta.value()?)? {
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Ok(text),
        other => Err(error_on(&other, &expected)),
    }
}

fn path(meta: &ParseNestedMeta<'_>) -> syn::Result<Path> {
    let key = key(meta);
    let expected = format!("expected a path: `{key} = path::to::it`");
    if !meta.input.peek(Token![=]) {
        return Err(syn::Error::new(meta.path.span(), expected));
    }
    let value = meta.value()?;
    let span = value.span();
    value.parse().map_err(|_| syn::Error::new(span, expected))
}

fn value(meta: &ParseNestedMeta<'_>) -> syn::Result<Expr> {
    if !meta.input.peek(Token![=]) {
        let key = key(meta);
        return Err(syn::Error::new(meta.path.span(), format!("expected a value: `{key} = …`")));
    }
    expression::parse(meta.value()?)
}

fn one_of(meta: &ParseNestedMeta<'_>) -> syn::Result<OneOf> {
    const EXPECTED: &str = "expected a list of values: `one_of = [\"a\", \"b\"]` or `one_of = [1, 2]`";
    if !meta.input.peek(Token![=]) {
        return Err(syn::Error::new(meta.path.span(), EXPECTED));
    }
    let input = meta.value()?;
    if !input.peek(syn::token::Bracket) {
        return Err(error_on(&expression::until_comma(input)?, EXPECTED));
    }
    let content;
    let bracket = bracketed!(content in input);
    if content.is_empty() {
        return Err(syn::Error::new(bracket.span.join(), EXPECTED));
    }
    let mut values = Vec::new();
    arguments::elements(&content, &mut |input| {
        values.push(expression::parse(input)?);
        Ok(())
    })?;
    if let [Expr::Lit(syn::ExprLit { lit: Lit::Str(_), .. }), ..] = values.as_slice() {
        let mut texts = Vec::new();
        for value in values {
            match value {
                Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) => texts.push(text),
                other => return Err(error_on(&other, "expected a string, as the first value is")),
            }
        }
        return Ok(OneOf::Texts(texts));
    }
    for value in &values {
        if number(value).is_none() {
            return Err(error_on(value, "expected a string or a number, written out"));
        }
    }
    Ok(OneOf::Numbers(values))
}

fn default(meta: &ParseNestedMeta<'_>, errors: &Errors) -> syn::Result<Default> {
    if meta.input.peek(Token![=]) {
        return Ok(Default::Value(expression::parse(meta.value()?)?));
    }
    if !meta.input.peek(syn::token::Paren) {
        return flag(meta).map(|()| Default::Bare);
    }
    let content;
    parenthesized!(content in meta.input);
    let mut entries = Vec::new();
    arguments::elements(&content, &mut |input| {
        entries.push(inherited_default(input)?);
        Ok(())
    })?;
    if entries.is_empty() {
        return Err(syn::Error::new(
            meta.path.span(),
            "expected defaults of inherited fields: `default(field = value)`",
        ));
    }
    let mut fields: Vec<(Name, Expr)> = Vec::new();
    for (name, value) in entries {
        match fields.iter().any(|(known, _)| known.text == name.text) {
            true => errors.at(name.span, duplicate("default of inherited field", &name.text)),
            false => fields.push((name, value)),
        }
    }
    Ok(Default::Inherited(fields))
}

/// `field = EXPR`, where the name is that in the file: a string if it is no identifier.
fn inherited_default(input: ParseStream<'_>) -> syn::Result<(Name, Expr)> {
    let name = if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        Name { span: text.span(), text: text.value() }
    } else {
        let ident = Ident::parse_any(input)?;
        Name { span: ident.span(), text: ident.unraw().to_string() }
    };
    input.parse::<Token![=]>()?;
    Ok((name, expression::parse(input)?))
}

fn range(meta: &ParseNestedMeta<'_>) -> syn::Result<Range> {
    let key = key(meta);
    let expected = format!("expected a range: `{key}(1..=64)`, `{key}(1..)` or `{key}(..=64)`");
    if !meta.input.peek(syn::token::Paren) {
        return Err(syn::Error::new(meta.path.span(), expected));
    }
    let content;
    parenthesized!(content in meta.input);
    if content.is_empty() {
        return Err(syn::Error::new(meta.path.span(), expected));
    }
    let tokens: TokenStream = content.parse()?;
    let sides = expression::split_range(tokens.clone()).filter(|(low, high, _)| !low.is_empty() || !high.is_empty());
    let Some((low, high, exclusive)) = sides else {
        return Err(error_on(&tokens, &expected));
    };
    let end = |tokens: TokenStream| match tokens.is_empty() {
        true => Ok(None),
        false => expression::parse.parse2(tokens).map(Some),
    };
    Ok(Range { min: end(low)?, max: end(high)?, exclusive })
}

fn non_empty(meta: &ParseNestedMeta<'_>) -> syn::Result<Range> {
    flag(meta)?;
    let one = Lit::Int(syn::LitInt::new("1", meta.path.span()));
    let min = Expr::Lit(syn::ExprLit { attrs: Vec::new(), lit: one });
    Ok(Range { min: Some(min), max: None, exclusive: false })
}

fn key(meta: &ParseNestedMeta<'_>) -> String {
    meta.path.get_ident().map(ToString::to_string).unwrap_or_default()
}
