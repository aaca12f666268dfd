//! What the parsed attributes may not say, one rule a function.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{Attribute, Expr, ExprLit, Lit, Type, spanned::Spanned};

use super::attr::{Attr, Container, Data, Default, Field, Name, OneOf, Range, Shape, Variant};
use crate::{
    errors::{Errors, duplicate},
    expression::number,
};

pub(super) fn check(container: &Container<'_>, errors: &Errors) {
    no_union(container, errors);
    no_lifetimes(container, errors);
    tuples_have_one_field(container, errors);
    enums_have_variants(container, errors);
    tag_is_on_an_enum(container, errors);
    tag_is_no_field(container, errors);
    component_is_on_a_struct(container, errors);
    names_are_unique(container, errors);
    no_attributes_of_others(container, errors);
    tuples_have_no_names(container, errors);
    for field in container.fields() {
        secret_has_no_default(field, errors);
        inherited_fields_keep_their_own(field, errors);
        defaults_of_inherited_fields_are_beside_extends(field, errors);
        skipped_fields_say_nothing(field, errors);
        foreign_types_check_themselves(field, errors);
        ranges_are_of_numbers(field, errors);
        ranges_are_not_empty(field, errors);
        secret_is_not_shown(field, errors);
        choices_say_it_all(field, errors);
        choices_are_unique(field, errors);
        texts_say_something(field, errors);
        variables_have_names(field, errors);
        defaults_pass_their_checks(field, errors);
    }
}

/// Which variant is in a union cannot be known.
fn no_union(container: &Container<'_>, errors: &Errors) {
    if let Data::Union(token) = &container.data {
        errors.on(token, "#[derive(PluginConfig)] is for structs and enums, not for unions");
    }
}

/// A plugin keeps its config for as long as it runs.
fn no_lifetimes(container: &Container<'_>, errors: &Errors) {
    if let Some(lifetime) = container.input.generics.lifetimes().next() {
        let message = "a config owns its data and has no lifetime parameters; use `String` in place of `&str`";
        errors.on(&lifetime.lifetime, message);
    }
}

/// The fields of a tuple have no names that a file could use.
fn tuples_have_one_field(container: &Container<'_>, errors: &Errors) {
    let check = |fields: &[Field<'_>], at: &dyn ToTokens, what: &str| {
        if fields.len() != 1 {
            errors.on(at, format!("{what} has exactly one unnamed field in a config; give the fields names"));
        }
    };
    match &container.data {
        Data::Tuple(fields) => check(fields, &container.input.ident, "a tuple struct"),
        Data::Enum(variants) => {
            for variant in variants {
                if let Shape::Tuple(fields) = &variant.shape {
                    check(fields, variant.syn, "a tuple variant");
                }
            }
        }
        Data::Struct(_) | Data::Union(_) => {}
    }
}

/// No file could name a variant.
fn enums_have_variants(container: &Container<'_>, errors: &Errors) {
    if matches!(&container.data, Data::Enum(variants) if variants.is_empty()) {
        errors.on(&container.input.ident, "an enum without variants has no value that a file could name");
    }
}

/// A struct has no variants to tell apart.
fn tag_is_on_an_enum(container: &Container<'_>, errors: &Errors) {
    match (&container.tag, &container.data) {
        (Some(tag), Data::Enum(_)) if tag.value.value().is_empty() => errors.on(&tag.value, "the tag has no name"),
        (Some(tag), Data::Struct(_) | Data::Tuple(_)) => {
            errors.at(tag.span, "`tag` names the field that tells the variants of an enum apart; this is a struct");
        }
        _ => {}
    }
}

/// The tag stands in the same mapping as the variant's fields.
fn tag_is_no_field(container: &Container<'_>, errors: &Errors) {
    let Some(tag) = container.tag.as_ref().map(|tag| tag.value.value()) else { return };
    for field in container.fields() {
        if !field.is_setting() {
            continue;
        }
        for name in field.names() {
            if name.text == tag {
                errors.at(name.span, format!("field `{tag}` has the name of the enum's tag"));
            }
        }
    }
}

/// Only fields are inherited.
fn component_is_on_a_struct(container: &Container<'_>, errors: &Errors) {
    if let (Some(component), Data::Tuple(_) | Data::Enum(_)) = (&container.component, &container.data) {
        errors.at(component.span, "`component` says where the fields of a struct come from; this has none");
    }
}

/// A file can mean only one of them.
fn names_are_unique(container: &Container<'_>, errors: &Errors) {
    let check = |names: Vec<Name>, what: &str| {
        let mut seen: Vec<String> = Vec::new();
        for Name { span, text } in names {
            if text.is_empty() {
                errors.at(span, format!("the {what} has no name"));
            } else if seen.contains(&text) {
                errors.at(span, format!("duplicate {what} `{text}`"));
            }
            seen.push(text);
        }
    };
    match &container.data {
        Data::Struct(fields) => check(names_of_settings(fields), "field"),
        Data::Enum(variants) => {
            let mut names = Vec::new();
            for Variant { name, .. } in variants {
                names.push(Name { span: name.span, text: name.text.clone() });
            }
            check(names, "variant");
            for variant in variants {
                if let Shape::Struct(fields) = &variant.shape {
                    check(names_of_settings(fields), "field");
                }
            }
        }
        Data::Tuple(_) | Data::Union(_) => {}
    }
}

fn names_of_settings(fields: &[Field<'_>]) -> Vec<Name> {
    let mut names = Vec::new();
    for field in fields {
        if field.is_setting() {
            names.extend(field.names());
        }
    }
    names
}

/// They look as if they did something.
fn no_attributes_of_others(container: &Container<'_>, errors: &Errors) {
    no_others(&container.input.attrs, errors);
    if let Data::Enum(variants) = &container.data {
        for variant in variants {
            no_others(&variant.syn.attrs, errors);
        }
    }
    for field in container.fields() {
        no_others(field.attributes, errors);
    }
}

fn no_others(attributes: &[Attribute], errors: &Errors) {
    for attribute in attributes {
        for other in &["serde", "schemars"] {
            if attribute.path().is_ident(other) {
                let message = format!("#[{other}(…)] has no effect on a config; say it with #[config(…)]");
                errors.on(attribute.path(), message);
            }
        }
    }
}

/// What is said of a field by its name, or of a set of fields, makes no sense of a single value.
fn tuples_have_no_names(container: &Container<'_>, errors: &Errors) {
    let (newtypes, variants): (&[Field<'_>], _) = match &container.data {
        Data::Tuple(fields) => (fields, [].as_slice()),
        Data::Enum(variants) => (&[], variants.as_slice()),
        Data::Struct(_) | Data::Union(_) => return,
    };
    for field in newtypes {
        let of_a_name =
            ["alias", "deprecated", "env", "default", "rename", "flatten", "extends", "source", "skip"].as_slice();
        refuse(field, &|key| of_a_name.contains(&key), errors, &|key| format!("`{key}` belongs on a named field"));
    }
    for variant in variants {
        if let Shape::Tuple(fields) = &variant.shape {
            for field in fields {
                refuse(field, &|_| true, errors, &|key| format!("`{key}` belongs on a named field"));
            }
        }
    }
}

/// It would be in the source, and so in everybody's hands.
fn secret_has_no_default(field: &Field<'_>, errors: &Errors) {
    if let (Some(_), Some(default), None) = (&field.secret, &field.default, field.inherits()) {
        let message =
            "the default of a secret would be in the source; make the field an `Option`, or leave the default out";
        errors.at(default.span, message);
    }
}

/// What can be said of inherited fields is said where they are declared.
fn inherited_fields_keep_their_own(field: &Field<'_>, errors: &Errors) {
    if field.inherits().is_none() {
        return;
    }
    if let (Some(extends), Some(_)) = (&field.extends, &field.flatten) {
        errors.at(extends.span, "`extends` and `flatten` say the same; keep one of them");
        return;
    }
    let key = if field.extends.is_some() { "extends" } else { "flatten" };
    let concerns = |other: &str| !["default", "extends", "flatten"].contains(&other);
    refuse(field, &concerns, errors, &|other| {
        format!("`{other}` conflicts with `{key}`: the inherited fields are described where they are declared")
    });
    if let Some(Attr { span, value: Default::Bare | Default::Value(_) }) = &field.default {
        let message =
            format!("`default` conflicts with `{key}`; change single defaults: `extends, default(field = value)`");
        errors.at(*span, message);
    }
}

/// Other fields have one default.
fn defaults_of_inherited_fields_are_beside_extends(field: &Field<'_>, errors: &Errors) {
    if let (Some(Attr { span, value: Default::Inherited(_) }), None) = (&field.default, &field.extends) {
        errors.at(*span, "`default(…)` belongs beside `extends`; the default of a field is `default = value`");
    }
}

/// No file has them.
fn skipped_fields_say_nothing(field: &Field<'_>, errors: &Errors) {
    if field.skip.is_some() {
        refuse(field, &|other| other != "skip", errors, &|other| {
            format!("`{other}` conflicts with `skip`: the field is not in the file")
        });
    }
}

/// Their values are opaque here.
fn foreign_types_check_themselves(field: &Field<'_>, errors: &Errors) {
    if field.serde.is_some() && field.inherits().is_none() && field.skip.is_none() {
        let concerns = |other: &str| ["length", "one_of", "pattern", "range"].contains(&other);
        refuse(field, &concerns, errors, &|other| {
            format!("`{other}` conflicts with `serde`: the type checks itself; use `validate`")
        });
    }
}

/// A text written out is a number where a file has it as a text; what is no literal is for the compiler to decide.
fn ranges_are_of_numbers(field: &Field<'_>, errors: &Errors) {
    let is_no_number = |end: &Expr| match end {
        Expr::Lit(ExprLit { lit: Lit::Int(_) | Lit::Float(_), .. }) => false,
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) => field.quantity().is_none(),
        Expr::Lit(_) => true,
        _ => false,
    };
    let is_no_length = |end: &Expr| {
        matches!(end, Expr::Lit(_) | Expr::Unary(_))
            && number(end).is_none_or(|length| length < 0.0 || length.fract() != 0.0)
    };
    if let Some(end) = first_end(&field.range, &is_no_number) {
        errors.on(end, "expected a number");
    }
    if let Some(end) = first_end(&field.length, &is_no_length) {
        errors.on(end, "expected a whole number that is not negative");
    }
}

fn first_end<'r>(range: &'r Option<Attr<Range>>, wrong: &dyn Fn(&Expr) -> bool) -> Option<&'r Expr> {
    let Range { min, max, .. } = &range.as_ref()?.value;
    let wrong = |end: &&Expr| wrong(end);
    min.as_ref().filter(wrong).or(max.as_ref().filter(wrong))
}

/// No value could be right.
fn ranges_are_not_empty(field: &Field<'_>, errors: &Errors) {
    for (key, range) in &[("range", &field.range), ("length", &field.length)] {
        let Some(Attr { value: Range { min: Some(low), max: Some(high), exclusive }, .. }) = range else { continue };
        let (Some(min), Some(max)) = (number(low), number(high)) else { continue };
        if min > max || (*exclusive && min == max) {
            let span = low.span().join(high.span()).unwrap_or_else(|| low.span());
            errors.at(span, format!("the {key} is empty: no value is right"));
        }
    }
}

/// It would be in the schema for all to see.
fn secret_is_not_shown(field: &Field<'_>, errors: &Errors) {
    if field.secret.is_some() && field.is_setting() {
        refuse(field, &|other| ["example", "one_of"].contains(&other), errors, &|other| {
            format!("`{other}` conflicts with `secret`: the schema would show the value")
        });
    }
}

/// A list of the only values leaves nothing to check.
fn choices_say_it_all(field: &Field<'_>, errors: &Errors) {
    if field.one_of.is_some() && field.is_setting() && field.serde.is_none() {
        refuse(field, &|other| ["length", "pattern", "range"].contains(&other), errors, &|other| {
            format!("`{other}` conflicts with `one_of`, which lists the only values there are")
        });
    }
}

/// The second would change nothing.
fn choices_are_unique(field: &Field<'_>, errors: &Errors) {
    match field.one_of.as_ref().map(|attr| &attr.value) {
        Some(OneOf::Texts(texts)) => {
            let mut values = Vec::new();
            for text in texts {
                let value = text.value();
                if values.contains(&value) {
                    errors.on(text, duplicate("value", &value));
                }
                values.push(value);
            }
        }
        Some(OneOf::Numbers(numbers)) => {
            let mut values = Vec::new();
            for literal in numbers {
                let value = number(literal);
                if values.contains(&value) {
                    errors.on(literal, duplicate("value", &literal.to_token_stream().to_string()));
                }
                values.push(value);
            }
        }
        None => {}
    }
}

/// What is empty says nothing.
fn texts_say_something(field: &Field<'_>, errors: &Errors) {
    for (key, attr) in &[("pattern", &field.pattern), ("deprecated", &field.deprecated)] {
        if let Some(Attr { value, .. }) = attr.as_ref().filter(|attr| attr.value.value().trim().is_empty()) {
            errors.on(value, format!("`{key}` is empty"));
        }
    }
}

/// Portable names: <https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html>.
fn variables_have_names(field: &Field<'_>, errors: &Errors) {
    let Some(Attr { value, .. }) = &field.env else { return };
    let name = value.value();
    let portable = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(portable) {
        errors.on(value, "expected the name of an environment variable: letters, digits and `_`, no digit first");
    }
}

/// A default that a file could not say is a mistake; one that is written out can be checked here.
fn defaults_pass_their_checks(field: &Field<'_>, errors: &Errors) {
    let Some(Attr { value: Default::Value(default), .. }) = &field.default else { return };
    let text = match default {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    };
    if let (Some(text), Type::Path(path)) = (&text, field.ty)
        && let Some(ty) = path.path.get_ident().map(ToString::to_string)
        && let Some(no_text) = no_text(&ty, text)
    {
        errors.on(default, format!("`{}` is a `{ty}`: {no_text}", field.name.text));
    }
    let outside = |value: f64, Range { min, max, exclusive }: &Range| {
        let above = min.as_ref().and_then(number).is_some_and(|min| value < min);
        let max = max.as_ref().and_then(number);
        above || max.is_some_and(|max| value > max || (*exclusive && value == max))
    };
    let default_number = number(default);
    if let (Some(range), Some(value)) = (&field.range, default_number)
        && outside(value, &range.value)
    {
        errors.on(default, "the default is outside the range");
    }
    if let (Some(length), Some(text)) = (&field.length, &text)
        && outside(text.chars().count() as f64, &length.value)
    {
        errors.on(default, "the default does not have the length");
    }
    let known = match field.one_of.as_ref().map(|attr| &attr.value) {
        Some(OneOf::Texts(texts)) => text.is_none_or(|text| texts.iter().any(|known| known.value() == text)),
        Some(OneOf::Numbers(numbers)) => {
            default_number.is_none_or(|value| numbers.iter().any(|known| number(known) == Some(value)))
        }
        None => true,
    };
    if !known {
        errors.on(default, "the default is not among the values of `one_of`");
    }
}

/// What to write instead of a text for a type that takes none; `None` for any other type.
fn no_text(ty: &str, text: &str) -> Option<String> {
    let text = text.trim();
    let whole = text.parse::<i128>();
    let (fits, example) = match ty {
        "bool" => (text.parse::<bool>().is_ok(), "true"),
        "f32" | "f64" => (text.contains('.') && text.parse::<f64>().is_ok(), "1.0"),
        "u8" | "u16" | "u32" | "u64" | "usize" => {
            (whole.is_ok_and(|value| u64::try_from(value).is_ok()) && !text.starts_with('-'), "1")
        }
        "i8" | "i16" | "i32" | "i64" | "isize" => (whole.is_ok_and(|value| i64::try_from(value).is_ok()), "1"),
        _ => return None,
    };
    let number = if fits { text } else { example };
    Some(format!("write `{number}`, without quotation marks"))
}

/// Every attribute that is given, and where.
fn all(field: &Field<'_>) -> [(&'static str, Option<Span>); 17] {
    fn span<T>(attr: &Option<Attr<T>>) -> Option<Span> {
        attr.as_ref().map(|attr| attr.span)
    }
    [
        ("alias", field.aliases.first().map(|attr| attr.span)),
        ("default", span(&field.default)),
        ("deprecated", span(&field.deprecated)),
        ("env", span(&field.env)),
        ("example", field.examples.first().map(|attr| attr.span)),
        ("extends", span(&field.extends)),
        ("flatten", span(&field.flatten)),
        ("length", span(&field.length)),
        ("one_of", span(&field.one_of)),
        ("pattern", span(&field.pattern)),
        ("range", span(&field.range)),
        ("rename", span(&field.rename)),
        ("secret", span(&field.secret)),
        ("serde", span(&field.serde)),
        ("skip", span(&field.skip)),
        ("source", span(&field.source)),
        ("validate", span(&field.validate)),
    ]
}

/// Reports what is given of the attributes that are concerned.
fn refuse(field: &Field<'_>, concerns: &dyn Fn(&str) -> bool, errors: &Errors, message: &dyn Fn(&str) -> String) {
    for (key, span) in &all(field) {
        if let Some(span) = span
            && concerns(key)
        {
            errors.at(*span, message(key));
        }
    }
}
