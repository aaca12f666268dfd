//! The cases a name is written in, and the words it consists of.

use crate::listing::joined;

/// The words of an identifier, in lower case.
///
/// Anything that is neither a letter nor a digit separates words, and so does a capital
/// after a small letter (`fooBar`) or before one (`HTTPServer`). A digit belongs to the word it
/// follows and is neither small nor capital: `Sha256Sum` is `sha256 sum`, `S3Bucket` is
/// `s3 bucket`, `B2B` is `b2b`.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    // Case of the last letter of `word`; digits leave it as it is.
    let mut after_capital = false;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_alphanumeric() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        if c.is_uppercase() {
            let before_small = chars.peek().is_some_and(|next| next.is_lowercase());
            if !word.is_empty() && (!after_capital || before_small) {
                words.push(std::mem::take(&mut word));
            }
            after_capital = true;
        } else if c.is_alphabetic() {
            after_capital = false;
        } else if word.is_empty() {
            // `3D`: the capital continues a word that begins with a digit.
            after_capital = true;
        }
        word.extend(c.to_lowercase());
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// `flatcase`.
pub(crate) fn flat(name: &str) -> String {
    joined(&words(name), "")
}

/// `snake_case`.
pub(crate) fn snake(name: &str) -> String {
    joined(&words(name), "_")
}

/// `kebab-case`.
pub(crate) fn kebab(name: &str) -> String {
    joined(&words(name), "-")
}

/// `SCREAMING_SNAKE_CASE`.
pub(crate) fn screaming(name: &str) -> String {
    snake(name).to_uppercase()
}

/// `PascalCase`; an acronym keeps one capital (`HTTPServer` gives `HttpServer`).
pub(crate) fn pascal(name: &str) -> String {
    capitalised(&words(name))
}

/// `camelCase`.
pub(crate) fn camel(name: &str) -> String {
    let words = words(name);
    let Some((first, rest)) = words.split_first() else {
        return String::new();
    };
    format!("{first}{}", capitalised(rest))
}

fn capitalised(words: &[String]) -> String {
    let mut name = String::new();
    for word in words {
        let mut chars = word.chars();
        if let Some(first) = chars.next() {
            name.extend(first.to_uppercase());
            name.push_str(chars.as_str());
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_where_a_reader_ends_them() {
        for (name, kebab_name) in [
            ("Snowflake", "snowflake"),
            ("MLPlatform", "ml-platform"),
            ("HTTPServer", "http-server"),
            ("MyHTTP", "my-http"),
            ("ML", "ml"),
            ("Sha256Sum", "sha256-sum"),
            ("sha256sum", "sha256sum"),
            ("S3Bucket", "s3-bucket"),
            ("EC2Instance", "ec2-instance"),
            ("HTTP2Server", "http2-server"),
            ("B2B", "b2b"),
            ("I18n", "i18n"),
            ("K8sCluster", "k8s-cluster"),
            ("X509Cert", "x509-cert"),
            ("V2", "v2"),
            ("3DModel", "3d-model"),
            ("2fa", "2fa"),
            ("OpenAI", "open-ai"),
            ("OAuth2", "o-auth2"),
            ("connectionPool", "connection-pool"),
            ("query_timeout", "query-timeout"),
            ("MAX_SIZE", "max-size"),
            ("us-east-1", "us-east-1"),
            ("__a__b__", "a-b"),
            ("two words", "two-words"),
            ("ÜberTyp", "über-typ"),
            ("A", "a"),
            ("", ""),
            ("_", ""),
        ] {
            assert_eq!(kebab(name), kebab_name, "{name}");
        }
    }

    #[test]
    fn every_case_of_one_name() {
        let name = "HTTPServer2Config";
        assert_eq!(words(name), ["http", "server2", "config"]);
        assert_eq!(snake(name), "http_server2_config");
        assert_eq!(kebab(name), "http-server2-config");
        assert_eq!(screaming(name), "HTTP_SERVER2_CONFIG");
        assert_eq!(pascal(name), "HttpServer2Config");
        assert_eq!(camel(name), "httpServer2Config");
    }

    #[test]
    fn nothing_in_gives_nothing_out() {
        assert_eq!(pascal("--"), "");
        assert_eq!(camel(""), "");
    }

    #[test]
    fn a_case_is_a_fixed_point() {
        for name in ["MLPlatform", "S3Bucket", "a_1_b", "x", "Sha256Sum"] {
            assert_eq!(snake(&snake(name)), snake(name));
            assert_eq!(kebab(&snake(name)), kebab(name));
            assert_eq!(snake(&screaming(name)), snake(name));
        }
    }
}
