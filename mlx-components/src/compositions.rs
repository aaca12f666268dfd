//! Compositions to start from: proven combinations of plugins.
//!
//! ```
//! let text = mlx_components::compositions::get("enterprise-stack").unwrap();
//! let composition = mlx_core::Composition::from_yaml(text)?;
//! assert_eq!(composition.name(), "Enterprise ML Stack");
//! # Ok::<(), mlx_core::Error>(())
//! ```

/// The compositions of the catalogue, sorted by name: the name, and the YAML.
pub const ALL: &[(&str, &str)] = &[
    ("ai-first-stack", include_str!("../compositions/ai-first-stack.yaml")),
    ("databricks-stack", include_str!("../compositions/databricks-stack.yaml")),
    ("enterprise-stack", include_str!("../compositions/enterprise-stack.yaml")),
    ("open-source-stack", include_str!("../compositions/open-source-stack.yaml")),
];

/// The YAML of a composition.
pub fn get(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
