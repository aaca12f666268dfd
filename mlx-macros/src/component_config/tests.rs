//! The macro as a whole: from a file to messages, and from a file to Rust.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Fields, Item, ItemEnum, ItemStruct};

use super::{MAX_ERRORS, generate, json, schema};

/// A folder with a Cargo.toml in mind, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("component-config-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(path: &str, contents: impl AsRef<[u8]>) -> Self {
        let folder = Self::new();
        let file = folder.0.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, contents).unwrap();
        folder
    }

    fn expand(&self, input: TokenStream) -> Expansion {
        Expansion::new(generate(input, Some(&self.0)))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the macro gives, taken apart.
struct Expansion {
    structs: Vec<ItemStruct>,
    enums: Vec<ItemEnum>,
    others: Vec<String>,
    errors: Vec<String>,
}

impl Expansion {
    fn new(tokens: TokenStream) -> Self {
        let mut expansion = Self { structs: Vec::new(), enums: Vec::new(), others: Vec::new(), errors: Vec::new() };
        let file: syn::File = syn::parse2(tokens).expect("items");
        for item in file.items {
            match item {
                Item::Struct(item) => expansion.structs.push(item),
                Item::Enum(item) => expansion.enums.push(item),
                Item::Macro(item) => {
                    assert!(item.mac.path.segments.last().unwrap().ident == "compile_error");
                    let Some(TokenTree::Literal(text)) = item.mac.tokens.into_iter().next() else {
                        panic!("a message");
                    };
                    let text: syn::LitStr = syn::parse2(text.into_token_stream()).unwrap();
                    expansion.errors.push(text.value());
                }
                other => expansion.others.push(other.to_token_stream().to_string()),
            }
        }
        expansion
    }

    /// The fields with their attributes, as text without spaces.
    fn fields(&self) -> Vec<String> {
        let Fields::Named(fields) = &self.structs[0].fields else {
            panic!("named fields");
        };
        let config = |field: &syn::Field| {
            let mut attributes = field.attrs.iter();
            let config = attributes.find(|a| a.path().is_ident("config")).unwrap();
            let config = packed(&config.meta);
            let end = config.find("source=").unwrap();
            config[..end].trim_start_matches("config(").to_owned()
        };
        fields
            .named
            .iter()
            .map(|field| {
                assert_eq!(packed(&field.vis), "pub");
                let name = field.ident.as_ref().unwrap();
                format!("{}{name}: {}", config(field), packed(&field.ty))
            })
            .collect()
    }
}

fn packed(tokens: &impl ToTokens) -> String {
    let text = tokens.to_token_stream().to_string();
    ["::std::string::", "::core::primitive::", "::core::option::", "::std::vec::"]
        .iter()
        .fold(text.replace(' ', ""), |text, prefix| text.replace(prefix, ""))
}

fn docs(attributes: &[syn::Attribute]) -> Vec<String> {
    let docs = attributes.iter().filter(|a| a.path().is_ident("doc"));
    docs.map(|doc| match &doc.meta.require_name_value().unwrap().value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => text.value(),
        _ => panic!("a text"),
    })
    .collect()
}

/// The expansion of a component with these settings.
fn expand(settings: &str) -> Expansion {
    let text = format!("{{\"name\": \"x\", \"config_schema\": {{\n{settings}\n}}}}");
    Folder::with("x/component.json", text).expand(quote!("x/component.json"))
}

/// What is wrong with a component file, a line a fault.
fn faults(text: &str) -> Vec<String> {
    let root = json::parse(text.as_bytes()).unwrap();
    let (_, faults) = schema::read(&root);
    faults.iter().map(|fault| format!("{} {}", fault.at, fault.message)).collect()
}

const SNOWFLAKE: &str = r#"{
  "name": "data-sources/snowflake",
  "description": "Snowflake warehouse.",
  "config_schema": {
    "account": {"type": "string", "required": true, "description": "Account locator."},
    "user": {"type": "string", "required": true},
    "password": {"type": "string", "required": true, "secret": true},
    "warehouse": {"type": "string", "default": "COMPUTE_WH"},
    "database": {"type": "string", "required": true},
    "schema": {"type": "string", "default": "PUBLIC"}
  }
}"#;

fn snowflake() -> Folder {
    Folder::with("data-sources/snowflake/component.json", SNOWFLAKE)
}

#[test]
fn a_component_becomes_a_struct() {
    let expansion = snowflake().expand(quote!("data-sources/snowflake/component.json"));
    assert_eq!(expansion.errors, [""; 0]);
    assert_eq!(
        expansion.fields(),
        [
            "account: String",
            "user: String",
            "password: ::mlx_core::Secret<String>",
            "default=String::from(\"COMPUTE_WH\"),warehouse: String",
            "database: String",
            "default=String::from(\"PUBLIC\"),schema: String",
        ]
    );
    let item = &expansion.structs[0];
    assert_eq!(item.ident, "Snowflake");
    assert_eq!(packed(&item.vis), "pub");
    assert_eq!(
        docs(&item.attrs),
        [" Settings of the component `data-sources/snowflake`.", "", " Snowflake warehouse."]
    );
    let attributes: Vec<String> = item.attrs.iter().map(packed).collect();
    assert!(attributes.contains(&"#[derive(::core::clone::Clone,::core::fmt::Debug,::mlx_core::PluginConfig)]".into()));
    assert!(attributes.contains(&"#[config(component=\"data-sources/snowflake\",)]".into()));

    let account = item.fields.iter().next().unwrap();
    assert_eq!(docs(&account.attrs), [" Account locator."]);
    let source = packed(&account.attrs.last().unwrap().meta);
    assert!(source.contains("source=\"data-sources/snowflake/component.json:5\""), "{source}");
    let user = item.fields.iter().nth(1).unwrap();
    assert_eq!(docs(&user.attrs), [" Setting `user` of the component `data-sources/snowflake`."]);
}

#[test]
fn the_compiler_reads_the_file_too() {
    let expansion = snowflake().expand(quote!("data-sources/snowflake/component.json"));
    assert_eq!(expansion.others.len(), 1);
    let dependency = expansion.others[0].replace(' ', "");
    assert!(dependency.contains("include_bytes!(::core::concat!("), "{dependency}");
    assert!(
        dependency.contains("::core::env!(\"CARGO_MANIFEST_DIR\"),\"/\",\"data-sources/snowflake/component.json\"")
    );
}

#[test]
fn the_type_can_be_named_and_dressed() {
    let expansion = snowflake().expand(quote! {
        /// Mine.
        #[derive(Clone, Debug)]
        #[config(crate = crate::core)]
        pub(crate) struct Settings = "data-sources/snowflake/component.json";
    });
    assert_eq!(expansion.errors, [""; 0]);
    let item = &expansion.structs[0];
    assert_eq!(item.ident, "Settings");
    assert_eq!(packed(&item.vis), "pub(crate)");
    assert_eq!(docs(&item.attrs), [" Mine."]);
    let attributes: Vec<String> = item.attrs.iter().map(packed).collect();
    assert!(attributes.contains(&"#[derive(Clone,Debug)]".into()));
    assert!(attributes.contains(&"#[derive(crate::core::PluginConfig)]".into()));
    assert!(attributes.contains(&"#[config(component=\"data-sources/snowflake\",crate=crate::core)]".into()));
    assert_eq!(expansion.fields()[2], "password: crate::core::Secret<String>");
}

#[test]
fn a_file_beside_cargo_toml_is_named_by_its_name() {
    let folder = Folder::with("component.json", r#"{"name": "api-serving", "config_schema": {}}"#);
    let expansion = folder.expand(quote!("component.json"));
    assert_eq!(expansion.structs[0].ident, "ApiServing");
    let attributes: Vec<String> = expansion.structs[0].attrs.iter().map(packed).collect();
    assert!(attributes.contains(&"#[config(component=\"api-serving\",)]".into()));
}

#[test]
fn each_type_has_its_rust_type() {
    let expansion = expand(
        r#""a": {"type": "string"},
        "b": {"type": "integer", "default": -9223372036854775808},
        "c": {"type": "number", "default": -1.5, "range": [-2, 2.5]},
        "d": {"type": "boolean", "default": true},
        "e": {"type": "array", "items": {"type": "integer"}, "default": [1, -2], "length": [1, 3]},
        "f": {"type": "array", "default": []},
        "g": {"type": "object", "values": {"type": "number"}, "default": {}},
        "h": {"type": "object", "values": {"type": "array", "items": {"type": "string"}},
              "default": {"k": ["v"]}},
        "i": {"type": "object", "default": {"k": [null, -1, 18446744073709551615, 1.5, {}]}},
        "j": {"type": "string", "format": "duration", "default": "1h0m30s250ms"},
        "k": {"type": "string", "format": "path", "default": "data"},
        "l": {"type": "string", "secret": true, "default": null, "min_length": 8},
        "m": {"type": "string", "required": true, "pattern": "^[a-z]+$", "length": 3},
        "n": {"type": "integer", "minimum": 1},
        "o": {"type": "integer", "maximum": -1}"#,
    );
    assert_eq!(expansion.errors, [""; 0]);
    let map = "::std::collections::BTreeMap";
    assert_eq!(
        expansion.fields(),
        [
            "a: Option<String>".to_owned(),
            "default=-9223372036854775808,b: i64".to_owned(),
            "default=-1.5,range(-2.0..=2.5),c: f64".to_owned(),
            "default=true,d: bool".to_owned(),
            "default=Vec::from([1,-2]),length(1..=3),e: Vec<i64>".to_owned(),
            "default=Vec::new(),f: Vec<::mlx_core::JsonValue>".to_owned(),
            format!("default={map}::new(),g: {map}<String,f64>"),
            format!(
                "default={map}::from([(String::from(\"k\"),Vec::from([String::from(\"v\")]))]),\
                 h: {map}<String,Vec<String>>"
            ),
            format!(
                "default={map}::from([(String::from(\"k\"),::mlx_core::JsonValue::Array(Vec::from([\
                 ::mlx_core::JsonValue::Null,\
                 ::mlx_core::JsonValue::from(-1asi64),\
                 ::mlx_core::JsonValue::from(18446744073709551615asu64),\
                 ::mlx_core::JsonValue::from(1.5),\
                 ::mlx_core::JsonValue::Object(::core::default::Default::default())])))]),\
                 i: {map}<String,::mlx_core::JsonValue>"
            ),
            "default=::core::time::Duration::new(3630,250000000),j: ::core::time::Duration".to_owned(),
            "default=::std::path::PathBuf::from(\"data\"),k: ::std::path::PathBuf".to_owned(),
            "length(8..),l: Option<::mlx_core::Secret<String>>".to_owned(),
            "length(3..=3),pattern=\"^[a-z]+$\",m: String".to_owned(),
            "range(1..),n: Option<i64>".to_owned(),
            "range(..=-1),o: Option<i64>".to_owned(),
        ]
    );
}

#[test]
fn a_duration_is_what_the_reader_of_settings_takes() {
    for (text, expected) in [
        ("500ms", Some("0,500000000")),
        ("1d1h1m1s", Some("90061,0")),
        ("2us3ns", Some("0,2003")),
        ("999999999999999999s", Some("999999999999999999,0")),
        ("1000000000000000000s", None),
        ("100000000000000m", None),
        ("18446744073709551615d", None),
        ("99999999999999999999s", None),
        ("", None),
        ("5", None),
        ("s", None),
        ("1 s", None),
        ("-1s", None),
        ("1m5", None),
        ("1ß", None),
    ] {
        let setting = format!(r#""a": {{"type": "string", "format": "duration", "default": "{text}"}}"#);
        let expansion = expand(&setting);
        match expected {
            Some(parts) => assert!(expansion.fields()[0].contains(&format!("Duration::new({parts})")), "{text}"),
            None => assert_eq!(expansion.errors.len(), 1, "{text}"),
        }
    }
}

#[test]
fn a_range_chooses_the_integer() {
    for (range, ty) in [
        ("\"range\": [0, 65535]", "u16"),
        ("\"minimum\": 1, \"maximum\": 64", "u16"),
        ("\"range\": [0, 65536]", "u32"),
        ("\"range\": [0, 4294967295]", "u32"),
        ("\"range\": [0, 4294967296]", "u64"),
        ("\"range\": [0, 18446744073709551615]", "u64"),
        ("\"range\": [-1, 10]", "i64"),
        ("\"minimum\": 0", "i64"),
        ("\"maximum\": 10", "i64"),
    ] {
        let expansion = expand(&format!("\"a\": {{\"type\": \"integer\", \"required\": true, {range}}}"));
        assert_eq!(expansion.errors, [""; 0], "{range}");
        assert!(expansion.fields()[0].ends_with(&format!("a: {ty}")), "{range}");
    }
}

#[test]
fn values_become_an_enum() {
    let expansion = expand(
        r#""region": {"type": "string", "enum": ["us-east-1", "EU", "2x", "self"], "default": "EU"},
        "all_zones": {"type": "array", "items": {"type": "string", "enum": ["a"]}, "default": ["a"]}"#,
    );
    assert_eq!(expansion.errors, [""; 0]);
    assert_eq!(
        expansion.fields(),
        ["default=XRegion::Eu,region: XRegion", "default=Vec::from([XAllZones::A]),all_zones: Vec<XAllZones>",]
    );
    let item = &expansion.enums[0];
    assert_eq!(item.ident, "XRegion");
    assert_eq!(docs(&item.attrs), [" Values of `region` of the component `x`."]);
    let variants: Vec<String> =
        item.variants.iter().map(|v| format!("{}{} {:?}", packed(&v.attrs[1]), v.ident, docs(&v.attrs))).collect();
    assert_eq!(
        variants,
        [
            "#[config(rename=\"us-east-1\")]UsEast1 [\" `us-east-1`.\"]",
            "#[config(rename=\"EU\")]Eu [\" `EU`.\"]",
            "#[config(rename=\"2x\")]_2x [\" `2x`.\"]",
            "#[config(rename=\"self\")]Self_ [\" `self`.\"]",
        ]
    );
    assert_eq!(expansion.enums[1].ident, "XAllZones");
}

#[test]
fn every_key_finds_a_field_name() {
    let expansion = expand(
        r#""type": {"type": "boolean"}, "gen": {"type": "boolean"}, "self": {"type": "boolean"},
        "crate": {"type": "boolean"}, "pool-size": {"type": "boolean"},
        "queryTimeout": {"type": "boolean"}, "union": {"type": "boolean"},
        "Match": {"type": "boolean"}, "true": {"type": "boolean"}"#,
    );
    assert_eq!(expansion.errors, [""; 0]);
    assert_eq!(
        expansion.fields(),
        [
            "r#type: Option<bool>",
            "r#gen: Option<bool>",
            "rename=\"self\",self_: Option<bool>",
            "rename=\"crate\",crate_: Option<bool>",
            "rename=\"pool-size\",pool_size: Option<bool>",
            "rename=\"queryTimeout\",query_timeout: Option<bool>",
            "union: Option<bool>",
            "rename=\"Match\",r#match: Option<bool>",
            "r#true: Option<bool>",
        ]
    );
}

#[test]
fn a_description_cannot_become_a_code_block() {
    let expansion = expand(
        r#""a": {"type": "string", "description": "One.\n\n    panic!()\n"},
        "b": {"type": "string", "description": "```\npanic!()\n```"},
        "c": {"type": "string", "description": " "}"#,
    );
    let docs: Vec<_> = expansion.structs[0].fields.iter().flat_map(|field| docs(&field.attrs)).collect();
    assert_eq!(docs, [" One. panic!()", " panic!() ```", " Setting `c` of the component `x`."]);
}

#[test]
fn each_rule_of_a_setting_has_its_message() {
    let all = "expected one of `default`, `description`, `enum`, `format`, `items`, `length`, `max_length`, `maximum`, `min_length`, `minimum`, `pattern`, `range`, `required`, `secret`, `type`, `values`";
    let types = "expected one of `array`, `boolean`, `integer`, `number`, `object`, `string`";
    let unknown_key = format!("2:23 unknown key `requird` in `config_schema.a`; did you mean `required`?\n{all}");
    let unknown_far = format!("2:23 unknown key `nullable` in `config_schema.a`\n{all}");
    let missing_type = format!("2:1 missing `type` in `config_schema.a`\n{types}");
    let unknown_type = format!("2:14 unknown type `strng` in `config_schema.a`; did you mean `string`?\n{types}");
    let foreign_type = format!("2:14 unknown type `bool` in `config_schema.a`; did you mean `boolean`?\n{types}");
    let unknown_item = format!("2:38 unknown type `x` in `config_schema.a.items`\n{types}");
    for (setting, message) in [
        // Shape.
        (
            r#""string""#,
            r#"2:6 expected an object for `config_schema.a`, found the string "string"; write {"type": "string"}"#,
        ),
        ("5", "2:6 expected an object for `config_schema.a`, found the number 5"),
        (r#"{"type":"string","requird":true}"#, &*unknown_key),
        (r#"{"type":"string","nullable":true}"#, &*unknown_far),
        (r#"{}"#, &*missing_type),
        (r#"{"type":"strng"}"#, &*unknown_type),
        (r#"{"type":"bool"}"#, &*foreign_type),
        (r#"{"type":["string","null"]}"#, "2:14 expected a string for `config_schema.a.type`, found an array"),
        (r#"{"type":"array","items":{"type":"x"}}"#, &*unknown_item),
        (
            r#"{"type":"array","items":{"type":"integer","minimum":1}}"#,
            "2:48 unknown key `minimum` in `config_schema.a.items`\nexpected one of `enum`, `format`, `items`, `type`, `values`",
        ),
        (
            r#"{"type":"array","items":"string"}"#,
            r#"2:30 expected an object for `config_schema.a.items`, found the string "string"; write {"type": "string"}"#,
        ),
        // Attributes of the wrong type.
        (
            r#"{"type":"string","required":"yes"}"#,
            r#"2:34 expected true or false for `config_schema.a.required`, found the string "yes""#,
        ),
        (
            r#"{"type":"string","secret":1}"#,
            "2:32 expected true or false for `config_schema.a.secret`, found the number 1",
        ),
        (
            r#"{"type":"string","description":[]}"#,
            "2:37 expected a string for `config_schema.a.description`, found an array",
        ),
        (r#"{"type":"string","pattern":{}}"#, "2:33 expected a string for `config_schema.a.pattern`, found an object"),
        (r#"{"type":"string","pattern":""}"#, "2:33 `pattern` in `config_schema.a` is empty: it admits anything"),
        (
            r#"{"type":"string","min_length":true}"#,
            "2:36 expected an integer for `config_schema.a.min_length`, found true",
        ),
        (r#"{"type":"string","min_length":-1}"#, "2:36 `config_schema.a.min_length` is negative"),
        (
            r#"{"type":"integer","minimum":1.5}"#,
            "2:34 expected an integer for `config_schema.a.minimum`, found the number 1.5",
        ),
        (
            r#"{"type":"number","range":5}"#,
            "2:31 expected [least, most] for `config_schema.a.range`, found the number 5",
        ),
        (r#"{"type":"number","range":[1]}"#, "2:31 expected [least, most] for `config_schema.a.range`, found an array"),
        (r#"{"type":"number","range":[1,null]}"#, "2:34 expected a number for `config_schema.a.range`, found null"),
        (
            r#"{"type":"string","format":"duraton"}"#,
            "2:32 unknown format `duraton` in `config_schema.a`; did you mean `duration`?\nexpected one of `duration`, `path`",
        ),
        // What does not go together.
        (
            r#"{"type":"string","required":true,"default":"x"}"#,
            "2:39 `default` contradicts `required` in `config_schema.a`\na setting with a default may be left out: keep one of the two",
        ),
        (
            r#"{"type":"string","secret":true,"default":"hunter2"}"#,
            "2:37 a secret takes no `default`, as `config_schema.a` has",
        ),
        (
            r#"{"type":"string","secret":true,"enum":["x"]}"#,
            "2:37 a secret takes no `enum`, as `config_schema.a` has: it would publish it",
        ),
        (
            r#"{"type":"string","range":[1,2]}"#,
            "2:23 `range` in `config_schema.a` is for integer, number, not for string",
        ),
        (r#"{"type":"integer","pattern":"x"}"#, "2:24 `pattern` in `config_schema.a` is for string, not for integer"),
        (
            r#"{"type":"boolean","length":2}"#,
            "2:24 `length` in `config_schema.a` is for array, object, string, not for boolean",
        ),
        (r#"{"type":"integer","enum":[1]}"#, "2:24 `enum` in `config_schema.a` is for string, not for integer"),
        (r#"{"type":"string","enum":["x"],"pattern":"x"}"#, "2:36 `pattern` in `config_schema.a` is not for `enum`"),
        (r#"{"type":"string","format":"path","length":3}"#, "2:39 `length` in `config_schema.a` is not for `format`"),
        (
            r#"{"type":"string","enum":["x"],"format":"path"}"#,
            "2:36 `config_schema.a` takes `enum` or `format`, not both",
        ),
        (
            r#"{"type":"integer","minimum":1,"range":[1,2]}"#,
            "2:24 `range` already says the `minimum` of `config_schema.a`",
        ),
        // Limits.
        (
            r#"{"type":"integer","minimum":10,"maximum":5}"#,
            "2:37 the range of `config_schema.a` is empty: 10 is above 5",
        ),
        (r#"{"type":"number","range":[1.5,1]}"#, "2:23 the range of `config_schema.a` is empty: 1.5 is above 1"),
        (r#"{"type":"string","length":[3,2]}"#, "2:23 the length of `config_schema.a` is empty: 3 is above 2"),
        (
            r#"{"type":"integer","maximum":18446744073709551616}"#,
            "2:34 18446744073709551616 in `config_schema.a.maximum` does not fit 64 bits",
        ),
        (
            r#"{"type":"integer","maximum":9223372036854775808}"#,
            "2:24 the range of `config_schema.a` does not fit a signed 64-bit integer\nwith a `minimum` of 0 or more and a `maximum` it would be unsigned",
        ),
        (r#"{"type":"number","maximum":1e999}"#, "2:33 1e999 in `config_schema.a.maximum` does not fit a 64-bit float"),
        // Values.
        (r#"{"type":"string","enum":[]}"#, "2:30 `enum` in `config_schema.a` is empty: no value would do"),
        (
            r#"{"type":"string","enum":"x"}"#,
            r#"2:30 expected an array of strings for `config_schema.a.enum`, found the string "x""#,
        ),
        (
            r#"{"type":"string","enum":["x",1]}"#,
            "2:35 expected a string for `config_schema.a.enum`, found the number 1",
        ),
        (r#"{"type":"string","enum":["x","x"]}"#, r#"2:35 "x" is repeated in `config_schema.a.enum`"#),
        (
            r#"{"type":"string","enum":["c","c++"]}"#,
            r#"2:35 "c" and "c++" in `config_schema.a.enum` both become the variant `C`"#,
        ),
        (
            r#"{"type":"string","enum":["*"]}"#,
            "2:31 \"*\" in `config_schema.a.enum` cannot name a variant\na value consists of ASCII characters and has a letter or digit; without `enum`, `pattern` can list others",
        ),
        (
            r#"{"type":"string","enum":["größe"]}"#,
            "2:31 \"größe\" in `config_schema.a.enum` cannot name a variant\na value consists of ASCII characters and has a letter or digit; without `enum`, `pattern` can list others",
        ),
        // Defaults.
        (
            r#"{"type":"string","default":5}"#,
            "2:33 expected a string for `config_schema.a.default`, found the number 5",
        ),
        (
            r#"{"type":"integer","default":"5"}"#,
            r#"2:34 expected an integer for `config_schema.a.default`, found the string "5""#,
        ),
        (
            r#"{"type":"integer","default":1e3}"#,
            "2:34 expected an integer for `config_schema.a.default`, found the number 1e3",
        ),
        (
            r#"{"type":"integer","default":9223372036854775808}"#,
            "2:34 9223372036854775808 in `config_schema.a.default` does not fit i64",
        ),
        (r#"{"type":"number","default":true}"#, "2:33 expected a number for `config_schema.a.default`, found true"),
        (
            r#"{"type":"boolean","default":0}"#,
            "2:34 expected true or false for `config_schema.a.default`, found the number 0",
        ),
        (r#"{"type":"array","default":{}}"#, "2:32 expected an array for `config_schema.a.default`, found an object"),
        (
            r#"{"type":"array","items":{"type":"boolean"},"default":[true,1]}"#,
            "2:65 expected true or false for `config_schema.a.default`, found the number 1",
        ),
        (r#"{"type":"object","default":[]}"#, "2:33 expected an object for `config_schema.a.default`, found an array"),
        (
            r#"{"type":"object","default":{"k":1e999}}"#,
            "2:38 1e999 in `config_schema.a.default` does not fit a 64-bit float",
        ),
        (
            r#"{"type":"string","format":"duration","default":"5 min"}"#,
            "2:53 expected a duration such as `500ms`, `30s`, `5m` or `1h30m` for `config_schema.a.default`, found the string \"5 min\"",
        ),
        (
            r#"{"type":"string","enum":["east","west"],"default":"wst"}"#,
            "2:56 unknown value `wst` in `config_schema.a.default`; did you mean `west`?\nexpected one of `east`, `west`",
        ),
        (r#"{"type":"integer","default":0,"minimum":1}"#, "2:34 the default of `config_schema.a` is 0, below 1"),
        (r#"{"type":"number","default":2,"maximum":1.5}"#, "2:33 the default of `config_schema.a` is 2, above 1.5"),
        (
            r#"{"type":"string","default":"abc","max_length":2}"#,
            "2:33 the length of the default of `config_schema.a` is 3, above 2",
        ),
        (
            r#"{"type":"array","default":[],"length":[1,2]}"#,
            "2:32 the length of the default of `config_schema.a` is 0, below 1",
        ),
    ] {
        let text = format!("{{\"config_schema\": {{\n\"a\": {setting}\n}}}}");
        assert_eq!(faults(&text), [message], "{setting}");
    }
}

#[test]
fn each_rule_of_a_component_has_its_message() {
    let a = r#"{"type":"boolean"}"#;
    let e = r#"{"type":"string","enum":["x"]}"#;
    let name = "cannot name a setting\na name begins with a letter and consists of letters, digits, `_` and `-`";
    for (text, message) in [
        ("[]".to_owned(), "1:1 expected a component, found an array".to_owned()),
        ("{}".to_owned(), "1:1 the component has no `config_schema`".to_owned()),
        (
            r#"{"configSchema":{}}"#.to_owned(),
            "1:2 the component has no `config_schema`; did you mean it by `configSchema`?".to_owned(),
        ),
        (
            r#"{"config_schema":[]}"#.to_owned(),
            "1:18 expected an object for `config_schema`, found an array".to_owned(),
        ),
        (
            r#"{"name":1,"config_schema":{}}"#.to_owned(),
            "1:9 expected a string for `name`, found the number 1".to_owned(),
        ),
        (
            r#"{"description":1,"config_schema":{}}"#.to_owned(),
            "1:16 expected a string for `description`, found the number 1".to_owned(),
        ),
        (format!(r#"{{"config_schema":{{"2fa":{a}}}}}"#), format!("1:19 `2fa` in `config_schema` {name}")),
        (format!(r#"{{"config_schema":{{"":{a}}}}}"#), format!("1:19 `` in `config_schema` {name}")),
        (format!(r#"{{"config_schema":{{"a.b":{a}}}}}"#), format!("1:19 `a.b` in `config_schema` {name}")),
        (format!(r#"{{"config_schema":{{"é":{a}}}}}"#), format!("1:19 `é` in `config_schema` {name}")),
        (
            format!(r#"{{"config_schema":{{"a-b":{a},"a_b":{a}}}}}"#),
            "1:44 keys `a-b` and `a_b` in `config_schema` both become the field `a_b`".to_owned(),
        ),
        (
            format!(r#"{{"config_schema":{{"a1":{e},"a_1":{e}}}}}"#),
            "1:55 keys `a1` and `a_1` in `config_schema` both name their enum `…A1`".to_owned(),
        ),
    ] {
        assert_eq!(faults(&text), [message], "{text}");
    }
}

#[test]
fn the_value_of_a_secret_is_in_no_message() {
    for setting in [
        r#"{"type":"string","secret":true,"default":"hunter2"}"#,
        r#"{"type":"integer","secret":true,"default":"hunter2"}"#,
        r#"{"type":"string","secret":true,"required":true,"max_length":1,"default":"hunter2"}"#,
        r#"{"type":"integer","secret":"true","default":"hunter2"}"#,
    ] {
        let expansion = expand(&format!("\"a\": {setting}"));
        assert!(!expansion.errors.is_empty());
        assert!(!expansion.errors.concat().contains("hunter2"), "{setting}");
    }
}

#[test]
fn all_mistakes_are_reported_in_their_order_and_the_rest_still_works() {
    let expansion = expand(
        "\"a\": {\"type\": \"strng\"},\n\"b\": {\"type\": \"boolean\"},\n\
         \"c\": {\"type\": \"string\", \"requird\": true, \"min\": 1},\n\
         \"b\": {\"type\": \"boolean\"},\n\"d\": {\"type\": \"integer\", \"type\": \"string\"}",
    );
    let first_lines: Vec<_> = expansion.errors.iter().map(|e| e.lines().next().unwrap()).collect();
    assert_eq!(
        first_lines,
        [
            "x/component.json:2:15: unknown type `strng` in `config_schema.a`; did you mean `string`?",
            "x/component.json:4:25: unknown key `requird` in `config_schema.c`; did you mean `required`?",
            "x/component.json:4:42: unknown key `min` in `config_schema.c`; did you mean `minimum`?",
            "x/component.json:5:1: duplicate key `b` in `config_schema`; the first is at 3:1",
            "x/component.json:6:26: duplicate key `type` in `config_schema.d`; the first is at 6:7",
        ]
    );
    assert_eq!(expansion.structs[0].ident, "X");
    assert_eq!(expansion.fields(), ["b: Option<bool>", "d: Option<String>"]);
}

#[test]
fn invalid_json_names_its_place_and_leaves_an_empty_type() {
    let folder = Folder::with("sources/snow-flake/component.json", "{\n  \"name\": snowflake\n}");
    let expansion = folder.expand(quote!("sources/snow-flake/component.json"));
    assert_eq!(
        expansion.errors,
        ["sources/snow-flake/component.json:2:11: expected a value, found `snowflake`; text takes double quotes"]
    );
    assert_eq!(expansion.structs[0].ident, "SnowFlake");
    assert_eq!(expansion.fields(), [""; 0]);
    let derive = expansion.structs[0].attrs.iter().map(packed).collect::<String>();
    assert!(derive.contains("PluginConfig"), "{derive}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_as_it_was_written() {
    let folder = snowflake();
    fs::write(folder.0.join("large.json"), vec![b' '; (1 << 20) + 1]).unwrap();
    let hint = "the path is relative to the folder of Cargo.toml";
    for (path, message) in [
        (
            "data-sources/snowflak/component.json",
            "cannot read `data-sources/snowflak/component.json`: there is no such file; did you mean `data-sources/snowflake/component.json`?",
        ),
        (
            "data-sources/snowflake/components.json",
            "cannot read `data-sources/snowflake/components.json`: there is no such file; did you mean `data-sources/snowflake/component.json`?",
        ),
        ("elsewhere/component.json", "cannot read `elsewhere/component.json`: there is no such file"),
        ("data-sources/snowflake", "cannot read `data-sources/snowflake`: it is not a file"),
        ("large.json", "cannot read `large.json`: it is larger than 1 MiB"),
        ("/etc/component.json", "expected a relative path, found `/etc/component.json`"),
        ("", "expected a relative path, found ``"),
    ] {
        let expansion = folder.expand(quote!(pub struct Mine = #path;));
        assert_eq!(expansion.errors, [format!("{message}\n{hint}")]);
        assert_eq!(expansion.structs[0].ident, "Mine");
        // `include_bytes!` would report the same file again.
        assert_eq!(expansion.others, [""; 0]);
    }
    let unset = Expansion::new(generate(quote!("x/component.json"), None));
    assert_eq!(
        unset.errors,
        [format!("cannot read `x/component.json`: CARGO_MANIFEST_DIR is not set, as cargo does\n{hint}")]
    );
    assert_eq!(unset.structs[0].ident, "X");
}

#[test]
fn a_name_that_is_no_type_asks_for_one() {
    let help = "name the type: `pub struct Name = \"path/component.json\";`";
    for (text, message) in [
        (r#"{"config_schema":{}}"#, "1:1: the component has no `name` to name the type by"),
        (r#"{"name":"3scale","config_schema":{}}"#, "1:9: `name` \"3scale\" makes no name of a type"),
        (r#"{"name":"self","config_schema":{}}"#, "1:9: `name` \"self\" makes no name of a type"),
        (r#"{"name":"","config_schema":{}}"#, "1:9: `name` \"\" makes no name of a type"),
    ] {
        let folder = Folder::with("x/component.json", text);
        let expansion = folder.expand(quote!("x/component.json"));
        assert_eq!(expansion.errors, [format!("x/component.json:{message}\n{help}")]);
        assert_eq!(expansion.structs[0].ident, "X");
        let named = folder.expand(quote!(pub struct Named = "x/component.json";));
        assert_eq!(named.errors, [""; 0]);
    }
}

#[test]
fn a_macro_call_of_another_form_is_explained() {
    let form = "expected \"path/component.json\" or `pub struct Name = \"path/component.json\";`";
    for (input, message) in [
        (quote!(), form),
        (quote!(snowflake), form),
        (quote!(pub enum A = "x";), form),
        (
            quote!(
                pub struct A {}
            ),
            "expected `= \"path/component.json\"` after the name; the fields of `A` are in that file",
        ),
        (quote!(pub struct A = x;), "expected the path of a component.json in quotes"),
        (quote!("x" "y"), "unexpected token"),
    ] {
        let expansion = Folder::new().expand(input);
        assert_eq!(expansion.errors.len(), 1);
        assert!(expansion.errors[0].contains(message), "{}", expansion.errors[0]);
    }
    let expansion = snowflake().expand(quote! {
        #[config(rename_all = "camelCase")]
        struct A = "data-sources/snowflake/component.json";
    });
    assert_eq!(
        expansion.errors,
        [
            "unknown key `rename_all` in #[config] of component_config!\nexpected `crate`: everything else is in the component.json"
        ]
    );
    assert_eq!(expansion.structs[0].ident, "A");
}

#[test]
fn a_file_of_another_kind_does_not_fill_the_screen() {
    let settings: Vec<_> = (0..1000).map(|n| format!("\"k{n}\": {n}")).collect();
    let expansion = expand(&settings.join(","));
    assert_eq!(expansion.errors.len(), MAX_ERRORS + 1);
    assert_eq!(expansion.errors.last().unwrap(), "x/component.json: and 950 more");
}

#[test]
fn no_damage_to_a_file_panics() {
    let text = SNOWFLAKE.as_bytes();
    for at in 0..text.len() {
        for byte in *b"\"{}[],:0-tn\\ \xff" {
            let mut text = text.to_vec();
            text[at] = byte;
            if let Ok(root) = json::parse(&text) {
                let _ = schema::read(&root);
            }
        }
    }
}
