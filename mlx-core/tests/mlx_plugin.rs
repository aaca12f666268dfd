//! What `#[mlx_plugin]` makes of a struct: metadata, a registration, and the plugin under each of its types.
#![forbid(unsafe_code)]

use mlx_core::{
    contract, mlx_plugin,
    plugin::{Declared, PluginKind, Requirement, Resources, Stability, SwapKind},
    prelude::*,
    registry::Registration,
};

/// Says something.
#[contract(name = "speaker", capabilities = ["loud", "soft"])]
#[async_trait]
pub trait Speaker {
    /// What it says.
    async fn say(&self) -> Result<String>;
}

/// Listens.
#[contract(name = "listener", capabilities = ["near"])]
#[async_trait]
pub trait Listener {
    /// What it heard.
    async fn heard(&self) -> Result<String> {
        Ok("nothing".to_owned())
    }
}

/// Says as little
/// as it can.
///
/// And a second paragraph.
#[mlx_plugin(type = Speaker)]
pub struct HTTPParrot2 {}

/// Replaced below.
#[mlx_plugin(
    type = crate::Speaker,
    also = [Listener],
    name = "echo",
    version = "2.1.0-rc.1",
    description = "Says what it hears.",
    capabilities = ["soft", "near"],
    conflicts_with = ["http-parrot2", "loud"],
    requires = ["air@^1.2", "wall", "type:listener", "capability:sql"],
    optional = ["type:monitoring"],
    integration_points = ["data_source"],
    data_formats = ["text"],
    platforms = ["linux", "macos", "windows"],
    resources(memory_mib = 64, gpus = 1),
    swap = "handover",
    stability = "deprecated",
    license = "MIT",
    documentation = "https://example.org/echo",
    repository = "https://example.org/echo.git",
    registration = "inventory",
    crate = ::mlx_core,
)]
#[derive(Debug)]
pub struct Echo;

const ECHO_LINE: u32 = line!() - 2;

#[mlx_plugin(type = Listener)]
#[cfg(any())]
struct NotCompiled(Missing);

macro_rules! plugins {
    ($($name:ident $text:literal $contract:path),+) => { $(
        #[mlx_plugin(type = $contract, name = $text)]
        struct $name;
        plugin!($name, $name);
    )+ };
}

macro_rules! plugin {
    ($name:ident, $make:expr) => {
        #[async_trait]
        impl Plugin for $name {
            type Config = NoConfig;
            async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
                Ok($make)
            }
        }
    };
}

plugin!(HTTPParrot2, HTTPParrot2 {});
plugin!(Echo, Echo);
plugins!(First "first" Listener, Second "second" crate::Listener);

impl Listener for First {}
impl Listener for Second {}

#[async_trait]
impl Speaker for HTTPParrot2 {
    async fn say(&self) -> Result<String> {
        Ok("hello".to_owned())
    }
}

#[async_trait]
impl Speaker for Echo {
    async fn say(&self) -> Result<String> {
        Ok("echo".to_owned())
    }
}

#[async_trait]
impl Listener for Echo {
    async fn heard(&self) -> Result<String> {
        Ok("you".to_owned())
    }
}

#[test]
fn what_is_not_said_is_known_anyway() {
    let metadata = HTTPParrot2::METADATA;
    assert_eq!(metadata.name, "http-parrot2");
    assert_eq!(metadata.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(metadata.description, "Says as little\nas it can.\n\nAnd a second paragraph.");
    assert_eq!(metadata.kind.id, <dyn Speaker as PluginKind>::INFO.id);
    assert_eq!((metadata.swap, metadata.stability), (SwapKind::Overlap, Stability::Experimental));
    assert_eq!(metadata.resources, Resources::default());
    assert_eq!(metadata.license, env!("CARGO_PKG_LICENSE"));
    assert_eq!((metadata.documentation, metadata.repository), ("", env!("CARGO_PKG_REPOSITORY")));
    let lists = [
        metadata.capabilities,
        metadata.conflicts_with,
        metadata.integration_points,
        metadata.data_formats,
        metadata.platforms,
    ];
    assert!(lists.iter().all(|list| list.is_empty()));
    assert!(metadata.also.is_empty() && metadata.requires.is_empty() && metadata.optional.is_empty());
    assert!(metadata.supports_this_platform());
}

#[test]
fn what_is_said_is_kept() {
    let metadata = Echo::METADATA;
    assert_eq!((metadata.name, metadata.version), ("echo", "2.1.0-rc.1"));
    assert_eq!(metadata.description, "Says what it hears.");
    assert_eq!(metadata.kinds().map(|kind| kind.name).collect::<Vec<_>>(), ["speaker", "listener"]);
    assert_eq!(metadata.capabilities, ["soft", "near"]);
    assert_eq!(metadata.conflicts_with, ["http-parrot2", "loud"]);
    assert_eq!(
        metadata.requires,
        [
            Requirement::Plugin { name: "air", version: "^1.2" },
            Requirement::Plugin { name: "wall", version: "" },
            Requirement::Type("listener"),
            Requirement::Capability("sql"),
        ]
    );
    assert_eq!(metadata.optional, [Requirement::Type("monitoring")]);
    assert_eq!(metadata.integration_points, ["data_source"]);
    assert_eq!(metadata.data_formats, ["text"]);
    assert_eq!(metadata.platforms, ["linux", "macos", "windows"]);
    assert_eq!(metadata.resources, Resources { memory_mib: 64, cpu_cores: 0, gpus: 1 });
    assert_eq!((metadata.swap, metadata.stability), (SwapKind::Handover, Stability::Deprecated));
    assert_eq!(metadata.license, "MIT");
    assert_eq!(metadata.documentation, "https://example.org/echo");
    assert_eq!(metadata.repository, "https://example.org/echo.git");
}

#[test]
fn a_declaration_says_where_it_is() {
    let declared = Echo::METADATA.declared;
    assert_eq!(declared.krate, "mlx-core");
    assert_eq!(declared.crate_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(declared.module, module_path!());
    assert_eq!(declared.file, file!());
    assert_eq!(declared.line, ECHO_LINE, "the line of the struct, not of the attribute");
}

#[test]
fn plugins_are_in_the_registry() {
    let names = |kind| registry().iter().map(Registration::metadata).filter(move |plugin| plugin.kind.name == kind);
    assert_eq!(names("speaker").map(|plugin| plugin.name).collect::<Vec<_>>(), ["echo", "http-parrot2"]);
    // Two from one macro, and none from the struct that is not compiled.
    assert_eq!(names("listener").map(|plugin| plugin.name).collect::<Vec<_>>(), ["first", "second"]);
    assert!(registry().problems().is_empty(), "{:?}", registry().problems());
}

#[tokio::test]
async fn a_plugin_is_reached_as_its_type() {
    let echo = registry().create::<dyn Speaker>("http-parrot2", json!({})).await.unwrap();
    assert_eq!(echo.handle().say().await.unwrap(), "hello");
    echo.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_plugin_is_provided_as_each_of_its_types() {
    use mlx_core::handle::{Instance, Slot};
    use std::sync::Arc;

    let echo = Arc::new(Echo);
    let instance = Instance::new().provide(Echo::contract(echo.clone()));
    let slot = Arc::new(Slot::new("echo"));
    assert!(slot.publish(Echo::provide(&echo, instance)).is_none());
    assert_eq!(Handle::<dyn Speaker>::new(slot.clone()).unwrap().say().await.unwrap(), "echo");
    assert_eq!(Handle::<dyn Listener>::new(slot).unwrap().heard().await.unwrap(), "you");
}
