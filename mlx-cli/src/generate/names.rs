//! Names of projects and plugins: what they become in Rust has to compile.

use mlx_components::catalogue::{Catalogue, case};
use mlx_core::{
    Diagnostic,
    diagnostics::{Code, quoted},
};

/// The most characters of a name.
const LONGEST: usize = 64;

/// Crates that come with the compiler, and names that cargo refuses or keeps for folders of its own.
const CRATES: [&str; 12] = [
    "alloc",
    "build",
    "core",
    "debug",
    "deps",
    "doc",
    "examples",
    "incremental",
    "proc_macro",
    "release",
    "std",
    "test",
];

/// Modules beside which a plugin's would stand, or that would hide a crate.
const MODULES: [&str; 8] = ["alloc", "core", "lib", "main", "mod", "mlx", "std", "tests"];

/// Types that a plugin's file uses by these names: those of the preludes of Rust and of `mlx_core`.
const TYPES: [&str; 46] = [
    "AsMut",
    "AsRef",
    "BoxStream",
    "Box",
    "Clone",
    "ComponentResult",
    "ComponentStatus",
    "Composition",
    "Context",
    "Copy",
    "Default",
    "Drop",
    "Duration",
    "Eq",
    "Err",
    "Error",
    "ErrorKind",
    "ExecutionContext",
    "Fn",
    "From",
    "Handle",
    "Health",
    "HealthStatus",
    "InitContext",
    "Into",
    "Iterator",
    "JsonValue",
    "NoConfig",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PathBuf",
    "Pipeline",
    "Platform",
    "Plugin",
    "PluginConfig",
    "Result",
    "Secret",
    "Send",
    "Sized",
    "Some",
    "String",
    "Sync",
    "ToString",
    "Vec",
];

/// What is wrong with the name of a project.
pub(super) fn project(name: &str, catalogue: &Catalogue) -> Option<Diagnostic> {
    if let Some(found) = kebab("project", name) {
        return Some(found);
    }
    let krate = case::snake(name);
    let dependency = || {
        let of = |c: &mlx_components::catalogue::Component| {
            let plugin = c.plugin.as_ref().map(|plugin| &plugin.cargo);
            let all = [Some(&c.cargo), plugin].into_iter().flatten();
            all.flat_map(|cargo| {
                cargo.dependencies.names().chain(cargo.dev_dependencies.names()).map(case::snake).collect::<Vec<_>>()
            })
            .any(|name| name == krate)
        };
        catalogue.components().any(of)
    };
    let fault = if !case::is_rust_identifier(&krate) {
        "is a word of Rust"
    } else if CRATES.contains(&krate.as_str()) {
        "is a name that Rust or cargo keeps"
    } else if krate.starts_with("mlx_") || krate == "mlx" {
        "is taken by the framework's own crates"
    } else if dependency() {
        "is a crate that components depend on"
    } else {
        return None;
    };
    Some(refused("project", name, fault).help(format!("a longer name will do: `{name}-platform`")))
}

/// What is wrong with the name of a plugin.
pub(super) fn plugin(name: &str, types: &[String]) -> Option<Diagnostic> {
    if let Some(found) = kebab("plugin", name) {
        return Some(found);
    }
    let (module, struct_name) = (case::snake(name), case::upper_camel(name));
    let fault = if !case::is_rust_identifier(&module) || !case::is_rust_identifier(&struct_name) {
        "is a word of Rust"
    } else if MODULES.contains(&module.as_str()) || module.starts_with("mlx_") {
        "is a module that is there already"
    } else if TYPES.contains(&struct_name.as_str()) || types.contains(&struct_name) {
        "is a type that every plugin uses"
    } else {
        return None;
    };
    Some(refused("plugin", name, fault).help(format!("a longer name will do: `my-{name}`")))
}

/// The traits of the plugin types, as Rust has them.
pub(super) fn types(catalogue: &Catalogue) -> Vec<String> {
    let kinds = catalogue.components().flat_map(|component| &component.generates_plugin_types);
    kinds.map(|kind| case::upper_camel(kind)).collect()
}

/// Small letters, digits, and single hyphens between them.
fn kebab(of: &str, name: &str) -> Option<Diagnostic> {
    let length = name.chars().count();
    if length > LONGEST {
        return Some(refused(of, name, &format!("has {length} characters, at most {LONGEST} are accepted")));
    }
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let hyphens = name.starts_with('-') || name.ends_with('-') || name.contains("--");
    if plain && !hyphens && name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    let rule = "a name is of small letters, digits and single hyphens, and begins with a letter";
    let fault = if name.is_empty() { "is empty" } else { "is not accepted" };
    let found = refused(of, name, fault).help(rule);
    let near = case::kebab(name);
    Some(match near.is_ascii() && near.starts_with(|c: char| c.is_ascii_lowercase()) && near != name {
        true => found.help(format!("did you mean `{near}`?")),
        false => found,
    })
}

fn refused(of: &str, name: &str, fault: &str) -> Diagnostic {
    let shown = quoted(&name.escape_debug().to_string());
    Diagnostic::error(Code::BadAnswer, format!("the {of}'s name {shown} {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_compile_is_refused() {
        let long = "a".repeat(300);
        let catalogue = Catalogue::default();
        for name in [
            "", "-rf", "--help", "a b", "a/b", "..", "Shop", "shop_x", "1st", "übung", "a--b", "a-", "a\nb", "a\"b",
            &long,
        ] {
            assert_eq!(project(name, &catalogue).expect(name).code, Code::BadAnswer);
            assert!(plugin(name, &[]).is_some(), "{name}");
        }
        for name in ["std", "core", "test", "type", "crate", "mlx", "mlx-core", "mlx-mine", "deps"] {
            assert!(project(name, &catalogue).is_some(), "{name}");
        }
        for name in ["type", "self", "mod", "gen", "std", "result", "plugin", "vec", "mlx-core", "lib", "health-status"]
        {
            assert!(plugin(name, &[]).is_some(), "{name}");
        }
        assert!(plugin("data-source", &["DataSource".to_owned()]).is_some());
        for name in ["shop", "my-ml-platform", "a1", "x-2-y"] {
            assert!(project(name, &catalogue).is_none() && plugin(name, &[]).is_none(), "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_offered() {
        assert!(project("My_Shop", &Catalogue::default()).unwrap().help.iter().any(|help| help.contains("`my-shop`")));
    }

    #[test]
    fn no_type_of_the_prelude_is_forgotten() {
        let prelude = include_str!("../../../mlx-core/src/prelude.rs");
        let named = prelude.split(|c: char| !c.is_alphanumeric() && c != '_');
        for name in named.filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()) && *name != "Everything") {
            assert!(TYPES.contains(&name), "{name}");
        }
    }
}
