//! Names of tables and columns, as SQL has them: <https://docs.snowflake.com/en/sql-reference/identifiers-syntax>.

use mlx_core::prelude::*;

/// A name in quotes that means what the name means without them: letters are capital unless it is in quotes, or
/// cannot be without.
pub(super) fn column(name: &str) -> Result<String> {
    let inner = unquoted(name)?;
    Ok(quoted(&inner))
}

/// A table, with its schema and database before it where they are given: `T`, `S.T`, `D.S.T`. A part that is no plain
/// word has to be in quotes.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for what is none.
pub(super) fn table(name: &str) -> Result<String> {
    let parts = parts(name)?;
    let quoted: Vec<String> = parts.iter().map(|part| quoted(part)).collect();
    Ok(quoted.join("."))
}

/// The same with something behind the last part.
pub(super) fn table_with(name: &str, suffix: &str) -> Result<String> {
    let mut parts = parts(name)?;
    if let Some(last) = parts.last_mut() {
        last.push_str(suffix);
    }
    Ok(parts.iter().map(|part| quoted(part)).collect::<Vec<_>>().join("."))
}

/// A name that Snowflake's catalogue gave, as [`table`] takes it.
pub(super) fn shown(name: &str) -> String {
    if is_plain(name) && name == name.to_ascii_uppercase() { name.to_owned() } else { quoted(name) }
}

/// What a setting or a user means by a name.
pub(super) fn unquoted(name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(Error::invalid("a name is empty"));
    }
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inner) if !inner.is_empty() => Ok(inner.replace("\"\"", "\"")),
        _ if is_plain(name) => Ok(name.to_ascii_uppercase()),
        _ => Ok(name.to_owned()),
    }
}

fn parts(name: &str) -> Result<Vec<String>> {
    let wrong = || {
        Error::invalid(format!(
            "`{name}` names no table: expected `TABLE`, `SCHEMA.TABLE` or `DATABASE.SCHEMA.TABLE`, where a part that \
             is no plain word is in double quotes"
        ))
    };
    let (mut parts, mut rest) = (Vec::new(), name);
    loop {
        let end = match rest.strip_prefix('"') {
            // Two quotes are one.
            Some(inner) => {
                let mut end = None;
                let mut from = 0;
                while let Some(found) = inner[from..].find('"') {
                    from += found + 1;
                    if !inner[from..].starts_with('"') {
                        end = Some(from);
                        break;
                    }
                    from += 1;
                }
                end.ok_or_else(wrong)? + 1
            }
            None => rest.find('.').unwrap_or(rest.len()),
        };
        let (part, after) = rest.split_at(end);
        if part == "\"\"" || !(part.starts_with('"') || is_plain(part)) {
            return Err(wrong());
        }
        parts.push(unquoted(part)?);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => break,
            None => return Err(wrong()),
        }
    }
    if parts.len() > 3 { Err(wrong()) } else { Ok(parts) }
}

fn is_plain(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'$'))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_they_mean_in_sql() {
        for (given, means) in [
            ("orders", r#""ORDERS""#),
            ("sales.Orders", r#""SALES"."ORDERS""#),
            (r#"d."s.x"._t$1"#, r#""D"."s.x"."_T$1""#),
            (r#""say ""hi""""#, r#""say ""hi""""#),
        ] {
            assert_eq!(table(given).unwrap(), means);
        }
        for wrong in ["", "a.b.c.d", "a b", "a;drop table b", "\"", "\"\"", "\"a\"b", "a.", ".a", "1a", "é"] {
            assert_eq!(table(wrong).unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
        }
        assert_eq!(column("order").unwrap(), r#""ORDER""#);
        assert_eq!(column("Größe in \"").unwrap(), r#""Größe in """"#);
        for name in ["ORDERS", "orders", "a \" b", "x.y"] {
            assert_eq!(table(&shown(name)).unwrap(), quoted(name), "what is listed can be asked for");
        }
        assert_eq!(table_with("s.t", "_1").unwrap(), r#""S"."T_1""#);
    }
}
