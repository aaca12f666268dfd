//! A user's expressions.
//!
//! Only a number or a text that is written out says something to the macros. Any other expression is copied as it
//! stands; where it might be none, in a macro call: the compiler parses it there, and says once what is wrong with it.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Expr, ExprLit, ExprUnary, Ident, Lit, LitInt, Path, Result, Token, UnOp, parenthesized,
    parse::{ParseStream, Parser, discouraged::Speculative},
};

use crate::spans;

/// The expression up to the next comma, or to the end.
pub(crate) fn parse(input: ParseStream<'_>) -> Result<Expr> {
    if input.is_empty() || input.peek(Token![,]) {
        return Err(input.error("expected an expression"));
    }
    let ahead = input.fork();
    if let Some(literal) = literal(&ahead)
        && ends(&ahead, true)
    {
        input.advance_to(&ahead);
        return Ok(literal);
    }
    if plain(&input.fork()).is_ok() {
        return until_comma(input).map(Expr::Verbatim);
    }
    let tokens = until_comma(input)?;
    Ok(Expr::Verbatim(spans::call(quote!(__mlx::__private::expression!), tokens.clone(), tokens)))
}

/// With its sign.
fn literal(input: ParseStream<'_>) -> Option<Expr> {
    let minus: Option<Token![-]> = input.parse().ok()?;
    let literal = Expr::Lit(ExprLit { attrs: Vec::new(), lit: input.parse().ok()? });
    Some(match minus {
        Some(minus) => Expr::Unary(ExprUnary { attrs: Vec::new(), op: UnOp::Neg(minus), expr: Box::new(literal) }),
        None => literal,
    })
}

/// `path::to(value).method()` or `vec![…]`, which are no mistakes at least of form. They go without the macro call,
/// which the compiler would mention in its messages about types.
fn plain(input: ParseStream<'_>) -> Result<()> {
    if input.peek(Lit) {
        input.parse::<Lit>()?;
    } else {
        Path::parse_mod_style(input)?;
        if input.parse::<Option<Token![!]>>()?.is_some() {
            input.parse::<Group>()?;
        }
    }
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<Option<Token![.]>>()?.is_some() {
            input.parse::<Ident>()?;
            continue;
        }
        let arguments;
        parenthesized!(arguments in input);
        while !arguments.is_empty() {
            plain(&arguments)?;
            if !arguments.is_empty() {
                arguments.parse::<Token![,]>()?;
            }
        }
    }
    Ok(())
}

/// Whether an expression ends here. Where a comma is missing after an operand, it is the caller's to say so.
fn ends(input: ParseStream<'_>, after_operand: bool) -> bool {
    input.is_empty() || input.peek(Token![,]) || (after_operand && is_word(input))
}

/// A name or a literal. To syn, a minus and a number are one literal.
fn is_word(input: ParseStream<'_>) -> bool {
    input.peek(Ident) || (input.peek(Lit) && !input.peek(Token![-]))
}

/// What stands before the next comma that separates arguments: not one in `::<A, B>` or in `<A as B<C, D>>::E`.
pub(crate) fn until_comma(input: ParseStream<'_>) -> Result<TokenStream> {
    let mut tokens = TokenStream::new();
    let mut depth = 0_usize;
    let mut after_operand = false;
    while !input.is_empty() && (depth > 0 || !ends(input, after_operand)) {
        let opens = depth > 0 || tokens.is_empty();
        if input.peek(Token![::]) && input.peek3(Token![<]) {
            tokens.extend([input.parse::<TokenTree>()?, input.parse()?, input.parse()?]);
            depth += 1;
            continue;
        }
        let is_arrow = input.peek(Token![->]);
        after_operand = is_word(input);
        let token = input.parse()?;
        match &token {
            TokenTree::Punct(_) if is_arrow => tokens.extend([token.clone(), input.parse()?]),
            TokenTree::Punct(punct) if punct.as_char() == '<' && opens => depth += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' => depth = depth.saturating_sub(1),
            TokenTree::Group(group) => after_operand = group.delimiter() != Delimiter::Brace,
            _ => {}
        }
        if !is_arrow {
            tokens.extend([token]);
        }
    }
    Ok(tokens)
}

/// What is on either side of the first `..` or `..=`, and whether it is the former; nothing if there is none.
pub(crate) fn split_range(tokens: TokenStream) -> Option<(TokenStream, TokenStream, bool)> {
    let mut trees: Vec<TokenTree> = tokens.into_iter().collect();
    // A fragment that a `macro_rules!` captured arrives in an invisible group.
    while let [TokenTree::Group(group)] = trees.as_slice()
        && group.delimiter() == Delimiter::None
    {
        trees = group.stream().into_iter().collect();
    }
    let is = |index: usize, c: char| matches!(trees.get(index), Some(TokenTree::Punct(punct)) if punct.as_char() == c);
    let dots = (0..trees.len()).find(|&index| is(index, '.') && is(index + 1, '.'))?;
    let exclusive = !is(dots + 2, '=');
    let high = trees.split_off(dots + if exclusive { 2 } else { 3 });
    trees.truncate(dots);
    Some((trees.into_iter().collect(), high.into_iter().collect(), exclusive))
}

/// The value of a number written out, with its sign.
pub(crate) fn number(expression: &Expr) -> Option<f64> {
    match expression {
        Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => int.base10_digits().parse().ok(),
        Expr::Lit(ExprLit { lit: Lit::Float(float), .. }) => float.base10_digits().parse().ok(),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => number(expr).map(|number| -number),
        _ => None,
    }
}

/// The names of `path::to::Type::constructor(1)`, where nothing but a number stands in the parentheses.
pub(crate) fn constructor(expression: &Expr) -> Option<(Ident, Ident)> {
    let parser = |input: ParseStream<'_>| {
        let path = Path::parse_mod_style(input)?;
        let argument;
        parenthesized!(argument in input);
        argument.parse::<LitInt>()?;
        Ok(path)
    };
    let path = parser.parse2(expression.to_token_stream()).ok()?;
    let mut names = path.segments.into_iter().rev().map(|segment| segment.ident);
    let constructor = names.next()?;
    Some((names.next()?, constructor))
}

/// The value of an integer written out, with its sign.
pub(crate) fn integer(expression: &Expr) -> Option<i128> {
    match expression {
        Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => int.base10_digits().parse().ok(),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => integer(expr).map(|number| -number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse::Parser;

    fn parsed(text: &str) -> (String, String) {
        let parser = |input: ParseStream<'_>| {
            let expression = parse(input)?;
            Ok((quote!(#expression).to_string().replace(' ', ""), input.parse::<TokenStream>()?.to_string()))
        };
        parser.parse_str(text).expect("tokens")
    }

    #[test]
    fn an_expression_ends_at_the_comma_that_separates_arguments() {
        for written_out in ["5", "-1.5", "\"a\""] {
            assert_eq!(parsed(&format!("{written_out}, next")), (written_out.to_owned(), ", next".to_owned()));
        }
        for plain in ["A::B", "f(1, g(\"a\"),).h(A)", "vec![1, 2 +]", "crate::a.b"] {
            assert_eq!(parsed(&format!("{plain}, next")), (plain.replace(' ', ""), ", next".to_owned()));
        }
        for copied in [
            "A::MAX - 5",
            "1 << 20",
            "f(1 + 1)",
            "f(,)",
            "f(1 2)",
            "a < b",
            "f::<A, B>(1, 2)",
            "<A as B<C, D>>::E",
            "<A as B<C, fn() -> D, E>>::f(|| 1)",
            "[f::<A, B>(), 1].len()",
            "A { b: 1 }",
            "if a { 1 } else { 2 }",
            "&mut a as *mut u8",
            "a()?",
        ] {
            let expected = format!("__mlx::__private::expression!({})", copied.replace(' ', ""));
            assert_eq!(parsed(&format!("{copied}, next")), (expected, ", next".to_owned()));
        }
    }

    #[test]
    fn a_missing_comma_is_left_to_the_caller() {
        assert_eq!(parsed("5 range(1..)"), ("5".to_owned(), "range (1 ..)".to_owned()));
        assert_eq!(
            parsed("a() range(1..)"),
            ("__mlx::__private::expression!(a())".to_owned(), "range (1 ..)".to_owned())
        );
    }

    #[test]
    fn a_constructor_of_a_number_is_known() {
        let names = |text: &str| {
            let expression = parse.parse_str(text).expect("an expression");
            constructor(&expression).map(|(ty, name)| format!("{ty} {name}"))
        };
        assert_eq!(names("Duration::from_secs(60)").as_deref(), Some("Duration from_secs"));
        assert_eq!(names("std::time::Duration::from_secs(60)").as_deref(), Some("Duration from_secs"));
        for other in ["Duration::from_secs(MOST)", "Duration::from_secs(1) * 2", "Duration::MAX", "from_secs(1)", "60"]
        {
            assert_eq!(names(other), None, "{other}");
        }
    }

    #[test]
    fn a_range_has_two_sides() {
        let split = |text: &str| {
            let (low, high, exclusive) = split_range(text.parse().expect("tokens"))?;
            Some((low.to_string(), high.to_string(), exclusive))
        };
        let sides = |low: &str, high: &str, exclusive| Some((low.to_owned(), high.to_owned(), exclusive));
        assert_eq!(split("1..=64"), sides("1", "64", false));
        assert_eq!(split("0.5..1.5"), sides("0.5", "1.5", true));
        assert_eq!(split("..A"), sides("", "A", true));
        assert_eq!(split("1.."), sides("1", "", true));
        assert_eq!(split("a.b"), None);
    }
}
