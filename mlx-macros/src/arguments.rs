//! The `key = value` arguments of the attribute macros.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    LitInt, LitStr, Path, Result, Token, bracketed,
    ext::IdentExt,
    parse::{ParseBuffer, ParseStream, Parser},
};

use crate::{
    errors::{Errors, duplicate, error_on, unknown},
    expression,
    listing::quoted,
};

/// A key, and what an argument with it looks like.
pub(crate) type Key = (&'static str, &'static str);

/// Reads all arguments. `read` gets each known key once, stands before its `=` or `(`, and takes the value.
/// A mistake in one argument does not hide those in the next.
pub(crate) fn parse(
    what: &str,
    keys: &[Key],
    tokens: TokenStream,
    errors: &Errors,
    read: &mut dyn FnMut(&str, Argument<'_>) -> Result<()>,
) {
    let parser = |input: ParseStream<'_>| {
        arguments(what, keys, input, errors, read);
        Ok(())
    };
    if let Err(error) = parser.parse2(tokens) {
        errors.push(error);
    }
}

fn arguments(
    what: &str,
    keys: &[Key],
    input: ParseStream<'_>,
    errors: &Errors,
    read: &mut dyn FnMut(&str, Argument<'_>) -> Result<()>,
) {
    let mut seen: Vec<String> = Vec::new();
    while !input.is_empty() {
        match argument(what, keys, input, &mut seen, errors, read) {
            Ok(()) if input.is_empty() || input.peek(Token![,]) => {}
            Ok(()) => errors.push(input.error("expected `,`")),
            Err(error) => errors.push(error),
        }
        while !input.is_empty() {
            match input.parse() {
                Ok(TokenTree::Punct(punct)) if punct.as_char() == ',' => break,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

fn argument(
    what: &str,
    keys: &[Key],
    input: ParseStream<'_>,
    seen: &mut Vec<String>,
    errors: &Errors,
    read: &mut dyn FnMut(&str, Argument<'_>) -> Result<()>,
) -> Result<()> {
    let key = Ident::parse_any(input).map_err(|error| {
        let mut examples = Vec::new();
        for (_, form) in &keys[..keys.len().min(3)] {
            examples.push(*form);
        }
        syn::Error::new(error.span(), format!("expected a {what} key, as in {}", quoted(&examples)))
    })?;
    let name = key.unraw().to_string();
    let Some((_, form)) = keys.iter().find(|known| known.0 == name) else {
        let mut known = Vec::new();
        for (key, _) in keys {
            known.push(*key);
        }
        errors.at(key.span(), unknown(&format!("{what} key"), &name, &known));
        return skip(input);
    };
    if seen.contains(&name) {
        errors.at(key.span(), duplicate(&format!("{what} key"), &name));
        return skip(input);
    }
    seen.push(name.clone());
    read(&name, Argument { key: &key, form, input, errors })
}

fn skip(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// One argument, after its key.
pub(crate) struct Argument<'a> {
    key: &'a Ident,
    form: &'static str,
    input: ParseStream<'a>,
    errors: &'a Errors,
}

impl Argument<'_> {
    /// `= "text"`.
    pub(crate) fn text(self) -> Result<LitStr> {
        self.equals()?;
        self.element(self.input)
    }

    /// `= ["text", "text"]`; no text is empty or twice in it.
    pub(crate) fn texts(self) -> Result<Vec<LitStr>> {
        let mut texts: Vec<LitStr> = Vec::new();
        self.list(&mut |input| {
            texts.push(self.element(input)?);
            Ok(())
        })?;
        for (index, text) in texts.iter().enumerate() {
            let value = text.value();
            if value.is_empty() {
                self.errors.at(text.span(), format!("empty text in `{}`", self.key.unraw()));
            } else if texts[..index].iter().any(|earlier| earlier.value() == value) {
                self.errors.at(text.span(), format!("`{value}` is twice in `{}`", self.key.unraw()));
            }
        }
        Ok(texts)
    }

    /// `= path::to::something`.
    pub(crate) fn path(self) -> Result<Path> {
        self.equals()?;
        self.input.call(Path::parse_mod_style).map_err(|_| self.wrong(self.input))
    }

    /// `= 1`.
    pub(crate) fn number(self) -> Result<u32> {
        self.equals()?;
        let number: LitInt = self.input.parse().map_err(|_| self.wrong(self.input))?;
        let parsed = number.base10_parse::<u32>().ok().filter(|_| number.suffix().is_empty());
        parsed.ok_or_else(|| syn::Error::new(number.span(), format!("expected a whole number from 0 to {}", u32::MAX)))
    }

    /// `= "text"` or `= path::to::something`.
    pub(crate) fn named(self) -> Result<Named> {
        self.equals()?;
        self.named_element(self.input)
    }

    /// `= ["text", path::to::something]`.
    pub(crate) fn all_named(self) -> Result<Vec<Named>> {
        let mut all = Vec::new();
        self.list(&mut |input| {
            all.push(self.named_element(input)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// `(…)`.
    pub(crate) fn table(self) -> Result<TokenStream> {
        let content;
        if !self.input.peek(syn::token::Paren) {
            return Err(self.wrong(self.input));
        }
        syn::parenthesized!(content in self.input);
        content.parse()
    }

    fn equals(&self) -> Result<()> {
        if self.input.peek(Token![=]) {
            self.input.parse::<Token![=]>().map(|_| ())
        } else {
            Err(syn::Error::new(self.key.span(), format!("expected `{}`", self.form)))
        }
    }

    fn list(&self, element: &mut dyn FnMut(ParseStream<'_>) -> Result<()>) -> Result<()> {
        self.equals()?;
        if !self.input.peek(syn::token::Bracket) {
            return Err(self.wrong(self.input));
        }
        let content: ParseBuffer<'_>;
        bracketed!(content in self.input);
        let read = elements(&content, element);
        // What is left behind would be reported a second time.
        content.parse::<TokenStream>()?;
        read
    }

    fn element(&self, input: ParseStream<'_>) -> Result<LitStr> {
        if input.peek(LitStr) { input.parse() } else { Err(self.wrong(input)) }
    }

    fn named_element(&self, input: ParseStream<'_>) -> Result<Named> {
        if input.peek(LitStr) {
            return input.parse().map(Named::Text);
        }
        input.call(Path::parse_mod_style).map(Named::Path).map_err(|_| self.wrong(input))
    }

    /// The value stands there and is of another form.
    fn wrong(&self, input: ParseStream<'_>) -> syn::Error {
        let message = format!("expected `{}`", self.form);
        match expression::until_comma(&input.fork()) {
            Ok(value) if !value.is_empty() => error_on(&value, &message),
            _ if input.is_empty() => syn::Error::new(self.key.span(), message),
            _ => syn::Error::new(input.span(), message),
        }
    }
}

/// Elements with commas between them, of which the last may have one too.
pub(crate) fn elements(content: ParseStream<'_>, element: &mut dyn FnMut(ParseStream<'_>) -> Result<()>) -> Result<()> {
    while !content.is_empty() {
        element(content)?;
        if content.is_empty() {
            break;
        }
        content.parse::<Token![,]>()?;
    }
    Ok(())
}

/// Something that is named by a text if it is ours, and by its path if it is not.
pub(crate) enum Named {
    Text(LitStr),
    Path(Path),
}
