//! The plugin types that belong to the core: those it has, and the names it keeps for later.

/// The plugin types with a contract in the core, and the contract's name at the root of the crate.
pub(crate) const BUILT_IN: &[(&str, &str)] = &[
    ("configuration", "Configuration"),
    ("data_processor", "DataProcessor"),
    ("data_source", "DataSource"),
    ("experiment_tracker", "ExperimentTracker"),
    ("feature_store", "FeatureStore"),
    ("llm_provider", "LlmProvider"),
    ("ml_platform", "MlPlatform"),
    ("ml_trainer", "MlTrainer"),
    ("model_registry", "ModelRegistry"),
    ("model_server", "ModelServer"),
    ("monitoring", "Monitoring"),
    ("plugin_system", "PluginSystem"),
    ("security", "Security"),
    ("serving_platform", "ServingPlatform"),
    ("vector_database", "VectorDatabase"),
    ("workflow_engine", "WorkflowEngine"),
];

/// The plugin types that have no contract yet. A contract enters with its first plugin; until then nobody else
/// takes the name.
pub(crate) const PLANNED: &[&str] = &["cloud_provider", "compute_backend"];

/// The names of the built-in types.
pub(crate) fn built_in() -> Vec<&'static str> {
    let mut names = Vec::new();
    for (name, _) in BUILT_IN {
        names.push(*name);
    }
    names
}

/// The contract of a built-in type.
pub(crate) fn contract(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|built_in| built_in.0 == name).map(|built_in| built_in.1)
}

/// Why a planned type cannot be used.
pub(crate) fn planned(name: &str) -> Option<String> {
    PLANNED.contains(&name).then(|| format!("plugin type `{name}` is planned and has no contract in this version"))
}

/// What forms the names have.
pub(crate) fn is_kebab(name: &str) -> bool {
    is_form(name, '-')
}

/// See [`is_kebab`].
pub(crate) fn is_snake(name: &str) -> bool {
    is_form(name, '_')
}

/// Words of small letters and digits with one separator between them, beginning with a letter.
fn is_form(name: &str, separator: char) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .split(separator)
            .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_names() {
        for good in ["a", "s3", "data-source-2"] {
            assert!(is_kebab(good), "{good}");
        }
        for bad in ["", "A", "3d", "a_b", "a--b", "-a", "a-", "a b", "ä"] {
            assert!(!is_kebab(bad), "{bad}");
        }
        assert!(is_snake("data_source") && !is_snake("data-source"));
    }

    #[test]
    fn no_name_is_both_built_in_and_planned() {
        assert!(BUILT_IN.iter().all(|built_in| !PLANNED.contains(&built_in.0)));
        assert!(BUILT_IN.iter().map(|built_in| built_in.0).chain(PLANNED.iter().copied()).all(is_snake));
    }
}
