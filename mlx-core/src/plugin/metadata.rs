//! What a plugin says about itself, as constant data.

use super::KindInfo;
use std::fmt;

/// Everything that is known of a plugin without starting it. `#[mlx_plugin]` writes it.
#[derive(Clone, Copy, Debug)]
pub struct PluginMetadata {
    /// The name in a composition, in kebab-case, unique among the plugins of its type.
    pub name: &'static str,
    /// The plugin type.
    pub kind: &'static KindInfo,
    /// Further plugin types that the plugin implements.
    pub also: &'static [&'static KindInfo],
    /// A semantic version; that of the crate by default.
    pub version: &'static str,
    /// The doc comment of the struct.
    pub description: &'static str,
    /// What it can do, in words of its type.
    pub capabilities: &'static [&'static str],
    /// Plugins (by name) and capabilities that cannot run beside it.
    pub conflicts_with: &'static [&'static str],
    /// What must run for it to run.
    pub requires: &'static [Requirement],
    /// What it uses if it runs.
    pub optional: &'static [Requirement],
    /// Plugin types that it works together with.
    pub integration_points: &'static [&'static str],
    /// Data formats that it reads or writes: `csv`, `parquet`, `arrow`.
    pub data_formats: &'static [&'static str],
    /// Operating systems it runs on, in the words of [`std::env::consts::OS`]; empty means all.
    pub platforms: &'static [&'static str],
    /// What it needs of the machine.
    pub resources: Resources,
    /// How it can be replaced while it runs.
    pub swap: SwapKind,
    /// How far its settings and behaviour can be relied on.
    pub stability: Stability,
    /// An SPDX licence expression, or empty.
    pub license: &'static str,
    /// A link to its documentation, or empty.
    pub documentation: &'static str,
    /// A link to its source, or empty.
    pub repository: &'static str,
    /// Where it was declared.
    pub declared: Declaration,
}

impl PluginMetadata {
    /// Of a plugin of which nothing is to be said but its name, type and version. For those that are declared by hand:
    /// `PluginMetadata { requires: &[…], ..PluginMetadata::new(name, Self::KIND, "1.0.0", declared) }`.
    pub const fn new(
        name: &'static str,
        kind: &'static KindInfo,
        version: &'static str,
        declared: Declaration,
    ) -> PluginMetadata {
        PluginMetadata {
            name,
            kind,
            also: &[],
            version,
            description: "",
            capabilities: &[],
            conflicts_with: &[],
            requires: &[],
            optional: &[],
            integration_points: &[],
            data_formats: &[],
            platforms: &[],
            resources: Resources { memory_mib: 0, cpu_cores: 0, gpus: 0 },
            swap: SwapKind::Overlap,
            stability: Stability::Stable,
            license: "",
            documentation: "",
            repository: "",
            declared,
        }
    }
}

/// Something that a plugin needs or can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    /// A plugin by name, with the versions that do; `"sqlite"` or `"sqlite@^1.2"`.
    Plugin {
        /// Its name.
        name: &'static str,
        /// A semantic version requirement, or empty for any.
        version: &'static str,
    },
    /// Any plugin of a type; `"type:data_source"`.
    Type(&'static str),
    /// Any plugin with a capability; `"capability:sql"`.
    Capability(&'static str),
}

impl Requirement {
    /// Whether a plugin is meant by it, whatever its version.
    pub fn names(&self, metadata: &PluginMetadata) -> bool {
        match self {
            Requirement::Plugin { name, .. } => metadata.name == *name,
            Requirement::Type(name) => metadata.kinds().any(|kind| kind.name == *name),
            Requirement::Capability(name) => metadata.capabilities.contains(name),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Requirement::Plugin { name, version: "" } => write!(f, "the plugin `{name}`"),
            Requirement::Plugin { name, version } => write!(f, "the plugin `{name}` in version {version}"),
            Requirement::Type(name) => write!(f, "a plugin of type `{name}`"),
            Requirement::Capability(name) => write!(f, "a plugin with the capability `{name}`"),
        }
    }
}

/// What a plugin needs of the machine; zero means that it was not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Processor cores.
    pub cpu_cores: u32,
    /// Graphics processors.
    pub gpus: u32,
}

/// How a running plugin is replaced by its successor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SwapKind {
    /// Both live for a moment: start the new one, switch, drain and stop the old one. Loses no call.
    #[default]
    Overlap,
    /// As above, and the old one hands things over that exist once, such as a listening socket. Loses no call.
    Handover,
    /// Stop the old one, then start the new one. Calls in between fail.
    Restart,
}

/// How far a plugin can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stability {
    /// May change or go at any time.
    #[default]
    Experimental,
    /// Complete; settings may still change.
    Beta,
    /// Changes follow semantic versioning.
    Stable,
    /// Works, and will go; its description says what replaces it.
    Deprecated,
}

/// Where a plugin was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The package's name.
    pub krate: &'static str,
    /// The package's version.
    pub crate_version: &'static str,
    /// The module's path.
    pub module: &'static str,
    /// The file, as the compiler names it.
    pub file: &'static str,
    /// The line.
    pub line: u32,
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}:{}", self.krate, self.crate_version, self.file, self.line)
    }
}

impl PluginMetadata {
    /// The types it can be used as: its own first, then the further ones.
    pub fn kinds(&self) -> impl Iterator<Item = &'static KindInfo> {
        std::iter::once(self.kind).chain(self.also.iter().copied())
    }

    /// Whether the plugin can run on this operating system.
    pub fn supports_this_platform(&self) -> bool {
        self.platforms.is_empty() || self.platforms.contains(&std::env::consts::OS)
    }
}
