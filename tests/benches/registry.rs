//! Looking plugins up, and what becomes of a composition file: parsed, resolved, started.

mod measure;

use measure::{Case, at_most, least};
use mlx_core::{
    Composition, Platform, Registry,
    plugin::{Declaration, Declared, PluginMetadata, Requirement},
    prelude::*,
    registry::Registration,
};
use std::{
    fmt::Write as _,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

/// What the plugins do.
#[mlx_core::contract(name = "counter", cardinality = "many")]
#[async_trait]
trait Counter {
    /// How often it was asked.
    #[allow(dead_code, reason = "no one asks here")]
    fn count(&self) -> Result<u32>;
}

/// Three settings.
#[derive(PluginConfig)]
struct Settings {
    /// Where it begins.
    #[config(default = 0)]
    from: u32,
    /// What it counts.
    what: String,
    /// Words about it.
    tags: Vec<String>,
}

/// As many plugin types as there are numbers: a registry takes each name once.
struct Numbered<const N: usize>(u32);

#[async_trait]
impl<const N: usize> Plugin for Numbered<N> {
    type Config = Settings;
    async fn initialize(config: Settings, _: &InitContext) -> Result<Self> {
        Ok(Numbered(config.from + (config.what.len() + config.tags.len()) as u32))
    }
}

impl<const N: usize> Counter for Numbered<N> {
    fn count(&self) -> Result<u32> {
        Ok(self.0)
    }
}

impl<const N: usize> Numbered<N> {
    const NAME: &'static [u8] = &[b'n', b'0' + (N / 100 % 10) as u8, b'0' + (N / 10 % 10) as u8, b'0' + (N % 10) as u8];
    const TEXT: &'static str = match std::str::from_utf8(Self::NAME) {
        Ok(name) => name,
        Err(_) => "",
    };
}

/// What `#[mlx_plugin]` writes; it does not take a generic struct.
impl<const N: usize> Declared for Numbered<N> {
    type Contract = dyn Counter;
    const METADATA: &'static PluginMetadata = &PluginMetadata::new(
        Self::TEXT,
        Self::KIND,
        "1.0.0",
        Declaration { krate: "bench", crate_version: "1.0.0", module: "bench", file: file!(), line: N as u32 },
    );
    fn contract(this: Arc<Self>) -> Arc<dyn Counter> {
        this
    }
}

macro_rules! tens {
    ($($hundreds:literal)+) => { &[$(tens!(@ $hundreds, 0 1 2 3 4 5 6 7 8 9)),+] };
    (@ $hundreds:literal, $($tens:literal)+) => { [$(tens!(@ $hundreds, $tens, 0 1 2 3 4 5 6 7 8 9)),+] };
    (@ $hundreds:literal, $tens:literal, $($ones:literal)+) => {
        [$(Registration::new::<Numbered<{ $hundreds * 100 + $tens * 10 + $ones }>>()),+]
    };
}

static PLUGINS: &[[[Registration; 10]; 10]] = tens!(0 1 2 3 4 5 6 7 8 9);

fn registry_of(count: usize) -> Registry {
    Registry::from_registrations(PLUGINS.iter().flatten().flatten().take(count))
}

/// As many plugins: each requires the one before it by name and version and could use one by its capability, and some
/// conflict with somebody who is not there.
fn related(count: usize) -> Registry {
    let name = |nth: usize| &*Box::leak(format!("related-{nth:05}").into_boxed_str());
    let plugins = (0..count).map(|nth| {
        let mut metadata = *Numbered::<0>::METADATA;
        metadata.name = name(nth);
        metadata.capabilities = Box::leak(Box::new([name(nth + 100_000)]));
        if nth > 0 {
            metadata.requires = Box::leak(Box::new([Requirement::Plugin { name: name(nth - 1), version: "^1" }]));
            metadata.optional = Box::leak(Box::new([Requirement::Capability(name(nth * 7 % count + 100_000))]));
        }
        if nth % 10 == 0 {
            metadata.conflicts_with = Box::leak(Box::new([name(nth + 200_000)]));
        }
        metadata.declared.line = nth as u32;
        let metadata: &PluginMetadata = Box::leak(Box::new(metadata));
        &*Box::leak(Box::new(Registration::new::<Numbered<0>>().with_metadata(metadata)))
    });
    Registry::from_registrations(plugins)
}

/// A file of all of these plugins, those that require the others first.
fn file_of_all(registry: &Registry) -> String {
    let mut file = String::from("name: bench\nplugins:\n");
    for plugin in registry.iter().collect::<Vec<_>>().iter().rev() {
        let name = plugin.metadata().name;
        let _ = write!(
            file,
            "  - type: counter\n    name: {name}\n    config:\n      from: 3\n      what: things\n      tags: [a, b]\n"
        );
    }
    file
}

/// A file of this many entries, over the first hundred plugins.
fn file_of(entries: usize) -> String {
    let mut file = String::from("name: bench\nplugins:\n");
    for entry in 0..entries {
        let plugin = entry % 100;
        let _ = write!(
            file,
            "  - type: counter\n    name: n{plugin:03}\n    id: entry-{entry}\n    config:\n      from: {entry}\n      \
             what: things\n      tags: [a, b]\n"
        );
    }
    file
}

/// The time of what is measured within each iteration.
fn summed(mut body: impl FnMut() -> Duration) -> impl FnMut(u32) -> Duration {
    move |iterations| (0..iterations).map(|_| body()).sum()
}

fn timed<T>(body: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let value = body();
    (value, began.elapsed())
}

fn main() {
    let (small, large) = (registry_of(10), registry_of(1000));
    assert_eq!((small.len(), large.len()), (10, 1000));
    for (registry, count) in [(&small, 10), (&large, 1000)] {
        // Neighbours in the list are far from each other in memory, as the names that a program asks for are.
        let names: Vec<String> = (0..count).map(|nth| format!("n{:03}", nth * 7919 % count)).collect();
        let (mut hits, mut next) = (names.iter().cycle(), names.iter().cycle());
        let times = least(
            &format!("Looking a plugin up among {count}"),
            100_000,
            30,
            vec![
                Case::new("look-up", || {
                    let name = hits.next().map_or("", String::as_str);
                    assert!(black_box(registry.get("counter", black_box(name))).is_some());
                }),
                Case::new("look-up-nothing", || {
                    black_box(next.next().map_or("", String::as_str));
                }),
            ],
        );
        println!("  of which the look-up itself: {:.1} ns", times[0] - times[1]);
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a runtime");
    let file = file_of(100);
    let parse = || Composition::from_yaml(&file).expect("the file is right");
    let composition = parse();
    let plan = large.resolve(&composition).expect("the composition is right");
    least(
        "A file of 100 plugins",
        10,
        30,
        vec![
            Case::new("parse-100", || drop(black_box(parse()))),
            Case::new("resolve-100", || drop(black_box(large.resolve(&composition)))),
            Case::timed(
                "start-100",
                summed(|| {
                    let plan = plan.clone();
                    runtime.block_on(async {
                        let began = Instant::now();
                        let platform = Platform::start(plan).await.expect("it starts");
                        let elapsed = began.elapsed();
                        platform.shutdown().await.expect("it stops");
                        elapsed
                    })
                }),
            ),
        ],
    );

    let sizes = [100, 1_000, 10_000];
    let alike: Vec<(&Registry, String)> = sizes.iter().map(|size| (&large, file_of(*size))).collect();
    grow("over 100 plugins", &alike);
    let registries = sizes.map(related);
    let different: Vec<(&Registry, String)> =
        registries.iter().map(|registry| (registry, file_of_all(registry))).collect();
    grow("as many related plugins", &different);
}

/// What files of 100, 1,000 and 10,000 entries cost.
fn grow(what: &str, files: &[(&Registry, String)]) {
    let sizes = [100_usize, 1_000, 10_000];
    let mut times = Vec::new();
    for (size, (registry, file)) in sizes.into_iter().zip(files) {
        let composition = Composition::from_yaml(file).expect("the file is right");
        let found = least(
            &format!("A file of {size} entries, {what}"),
            1,
            (20_000 / size).max(5) as u32,
            vec![
                Case::timed(
                    "parse",
                    summed(|| {
                        let (composition, elapsed) = timed(|| Composition::from_yaml(file));
                        assert!(composition.is_ok());
                        elapsed
                    }),
                ),
                Case::timed(
                    "resolve",
                    summed(|| {
                        let (plan, elapsed) = timed(|| registry.resolve(&composition));
                        assert!(plan.is_ok());
                        elapsed
                    }),
                ),
            ],
        );
        times.push(found[0] + found[1]);
    }
    // n log n is a ratio of one.
    let cost = |nth: usize| times[nth] / (sizes[nth] as f64 * (sizes[nth] as f64).log2());
    at_most(&format!("1,000 entries beside 100, {what}, n log n = 1"), cost(1) / cost(0), 1.0);
    at_most(&format!("10,000 entries beside 100, {what}, n log n = 1"), cost(2) / cost(0), 1.0);
}
