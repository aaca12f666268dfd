//! Starting a thousand plugins that depend on each other, beside what does no more than construct them: by hand, with
//! rudi and with shaku. Then plugins that wait, and how the cost grows.

mod measure;

use measure::{Case, at_most, least};
use mlx_core::{
    Composition, Plan, Platform, Registry,
    plugin::{Declaration, Declared, PluginMetadata, Requirement},
    prelude::*,
    registry::Registration,
};
use rudi::{DynProvider, Module as RudiModule, modules, singleton};
use shaku::{Component, ModuleBuildContext, ModuleBuilder};
use std::{
    fmt::Write as _,
    hint::black_box,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

const PLUGINS: usize = 1000;

/// What a plugin requires: ten layers of a hundred, each plugin two of the layer before.
const fn requires(n: usize) -> Option<[usize; 2]> {
    if n < 100 {
        return None;
    }
    let (layer, tens, ones) = (n / 100 - 1, n / 10 % 10, n % 10);
    Some([layer * 100 + tens * 10 + ones, layer * 100 + ones * 10 + (tens + 1) % 10])
}

const NAMES: &[[u8; 4]; PLUGINS] = &{
    let mut names = [[b'n'; 4]; PLUGINS];
    let mut n = 0;
    while n < PLUGINS {
        names[n] = [b'n', b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    names
};

const fn name(n: usize) -> &'static str {
    match std::str::from_utf8(&NAMES[n]) {
        Ok(name) => name,
        Err(_) => "",
    }
}

/// What the plugins do.
#[mlx_core::contract(name = "node", cardinality = "many")]
trait Node {
    /// Its number.
    #[allow(dead_code, reason = "no one asks here")]
    fn number(&self) -> Result<usize>;
}

// -------------------------------------------------------------------------------------------------------------- mlx

/// Milliseconds that a start waits.
#[derive(PluginConfig)]
struct Settings {
    /// Milliseconds.
    #[config(default = 0)]
    wait: u64,
}

/// Plugin `N`. The linked ones require each other.
struct Numbered<const N: usize, const LINKED: bool>;

#[async_trait]
impl<const N: usize, const LINKED: bool> Plugin for Numbered<N, LINKED> {
    type Config = Settings;
    async fn initialize(config: Settings, _: &InitContext) -> Result<Self> {
        if config.wait > 0 {
            tokio::time::sleep(Duration::from_millis(config.wait)).await;
        }
        Ok(Numbered)
    }
}

impl<const N: usize, const LINKED: bool> Node for Numbered<N, LINKED> {
    fn number(&self) -> Result<usize> {
        Ok(N)
    }
}

impl<const N: usize, const LINKED: bool> Numbered<N, LINKED> {
    const REQUIRES: &'static [Requirement] = match requires(N) {
        Some([a, b]) if LINKED => {
            &[Requirement::Plugin { name: name(a), version: "" }, Requirement::Plugin { name: name(b), version: "" }]
        }
        _ => &[],
    };
}

impl<const N: usize, const LINKED: bool> Declared for Numbered<N, LINKED> {
    type Contract = dyn Node;
    const METADATA: &'static PluginMetadata = &PluginMetadata {
        requires: Self::REQUIRES,
        ..PluginMetadata::new(
            name(N),
            Self::KIND,
            "1.0.0",
            Declaration { krate: "bench", crate_version: "1.0.0", module: "bench", file: file!(), line: N as u32 },
        )
    };
    fn contract(this: Arc<Self>) -> Arc<dyn Node> {
        this
    }
}

// ------------------------------------------------------------------------------------------------------ constructors

/// An instance with what it requires.
struct Wired(usize, [Option<Arc<dyn Node>>; 2]);

impl Node for Wired {
    fn number(&self) -> Result<usize> {
        Ok(self.0 + self.1.iter().flatten().count())
    }
}

/// Boxed, as an asynchronous constructor behind a pointer is.
type Construct<'a> = Pin<Box<dyn Future<Output = Result<Arc<dyn Node>>> + Send + 'a>>;

fn construct(n: usize, before: &[Arc<dyn Node>]) -> Construct<'_> {
    Box::pin(async move {
        let required = requires(n).map_or([None, None], |both| both.map(|n| Some(before[n].clone())));
        Ok(Arc::new(Wired(n, required)) as Arc<dyn Node>)
    })
}

/// The modules of rudi say what they offer through a type.
struct Everything;

impl RudiModule for Everything {
    fn providers() -> Vec<DynProvider> {
        (0..PLUGINS)
            .map(|n| {
                let build = move |cx: &mut rudi::Context| -> Arc<dyn Node> {
                    let mut required = [None, None];
                    if let Some(both) = requires(n) {
                        required = both.map(|n| Some(cx.resolve_with_name(name(n))));
                    }
                    Arc::new(Wired(n, required))
                };
                singleton(build).name(name(n)).into()
            })
            .collect()
    }
}

struct ShakuModule(Vec<Arc<dyn Provided>>);

trait Provided: shaku::Interface {}

struct ShakuNode<const N: usize>(#[allow(dead_code, reason = "kept as by the others")] [Option<Arc<dyn Provided>>; 2]);

impl<const N: usize> Provided for ShakuNode<N> {}

macro_rules! components {
    ($($hundreds:literal)+) => { $(components!(@ $hundreds, 0 1 2 3 4 5 6 7 8 9);)+ };
    (@ $hundreds:literal, $($tens:literal)+) => { $(components!(@ $hundreds, $tens, 0 1 2 3 4 5 6 7 8 9);)+ };
    (@ $hundreds:literal, $tens:literal, $($ones:literal)+) => {
        $(impl Component<ShakuModule> for ShakuNode<{ $hundreds * 100 + $tens * 10 + $ones }> {
            type Interface = dyn Provided;
            type Parameters = ();
            fn build(_cx: &mut ModuleBuildContext<ShakuModule>, (): ()) -> Box<dyn Provided> {
                const N: usize = $hundreds * 100 + $tens * 10 + $ones;
                // Chosen while compiling: the first layer names itself, and is not asked.
                const FIRST: usize = match requires(N) { Some([first, _]) => first, None => N };
                const SECOND: usize = match requires(N) { Some([_, second]) => second, None => N };
                if FIRST == N {
                    return Box::new(ShakuNode::<N>([None, None]));
                }
                let first = _cx.build_component::<ShakuNode<FIRST>>();
                let second = _cx.build_component::<ShakuNode<SECOND>>();
                Box::new(ShakuNode::<N>([Some(first), Some(second)]))
            }
        })+
    };
}
components!(0 1 2 3 4 5 6 7 8 9);

macro_rules! table {
    ($of:ident) => { &[table!(@ $of, 0), table!(@ $of, 1), table!(@ $of, 2), table!(@ $of, 3), table!(@ $of, 4),
        table!(@ $of, 5), table!(@ $of, 6), table!(@ $of, 7), table!(@ $of, 8), table!(@ $of, 9)] };
    (@ $of:ident, $hundreds:literal) => { [table!(@ $of, $hundreds, 0), table!(@ $of, $hundreds, 1),
        table!(@ $of, $hundreds, 2), table!(@ $of, $hundreds, 3), table!(@ $of, $hundreds, 4),
        table!(@ $of, $hundreds, 5), table!(@ $of, $hundreds, 6), table!(@ $of, $hundreds, 7),
        table!(@ $of, $hundreds, 8), table!(@ $of, $hundreds, 9)] };
    (@ $of:ident, $hundreds:literal, $tens:literal) => { table!(# $of, $hundreds, $tens, 0 1 2 3 4 5 6 7 8 9) };
    (# $of:ident, $hundreds:literal, $tens:literal, $($ones:literal)+) => {
        [$($of!({ $hundreds * 100 + $tens * 10 + $ones })),+]
    };
}

macro_rules! linked {
    ($n:expr) => {
        Registration::new::<Numbered<$n, true>>()
    };
}
macro_rules! unlinked {
    ($n:expr) => {
        Registration::new::<Numbered<$n, false>>()
    };
}
macro_rules! component {
    ($n:expr) => {
        |cx| cx.build_component::<ShakuNode<$n>>()
    };
}

static LINKED: &[[[Registration; 10]; 10]] = table!(linked);
/// A hundred are enough: they may run several times.
static UNLINKED: &[[[Registration; 10]; 10]] = &[table!(@ unlinked, 0)];

type Build = fn(&mut ModuleBuildContext<ShakuModule>) -> Arc<dyn Provided>;
static COMPONENTS: &[[[Build; 10]; 10]; 10] = table!(component);

impl shaku::Module for ShakuModule {
    type Submodules = ();
    fn build(mut cx: ModuleBuildContext<Self>) -> Self {
        ShakuModule(COMPONENTS.iter().flatten().flatten().map(|build| build(&mut cx)).collect())
    }
}

// ------------------------------------------------------------------------------------------------------ measurements

/// A plan of so many entries over the plugins of a registry.
fn plan(registrations: &'static [[[Registration; 10]; 10]], entries: usize, wait: u64) -> Plan {
    let mut file = String::from("plugins:\n");
    for entry in 0..entries {
        let _ = writeln!(
            file,
            "  - {{type: node, name: {}, id: e{entry}, config: {{wait: {wait}}}}}",
            name(entry % (registrations.len() * 100))
        );
    }
    let composition = Composition::from_yaml(&file).expect("the file is right");
    let registry = Registry::from_registrations(registrations.iter().flatten().flatten());
    registry.resolve(&composition).expect("the composition is right")
}

/// The time of a start; the stop is not measured.
fn start(runtime: &tokio::runtime::Runtime, plan: &Plan) -> Duration {
    let plan = plan.clone();
    runtime.block_on(async {
        let began = Instant::now();
        let platform = Platform::start(plan).await.expect("it starts");
        let elapsed = began.elapsed();
        platform.shutdown().await.expect("it stops");
        elapsed
    })
}

/// The time of what is measured within each iteration.
fn summed(mut body: impl FnMut() -> Duration) -> impl FnMut(u32) -> Duration {
    move |iterations| (0..iterations).map(|_| body()).sum()
}

fn timed<T>(body: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    let value = black_box(body());
    let elapsed = began.elapsed();
    drop(value);
    elapsed
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a runtime");
    let linked = plan(LINKED, PLUGINS, 0);
    let alone = plan(UNLINKED, PLUGINS, 0);
    let times = least(
        "A thousand plugins that do nothing, each of which requires two",
        1,
        100,
        vec![
            Case::timed(
                "constructors",
                summed(|| {
                    timed(|| {
                        runtime.block_on(async {
                            let mut made: Vec<Arc<dyn Node>> = Vec::with_capacity(PLUGINS);
                            for n in 0..PLUGINS {
                                let next = construct(black_box(n), &made).await.expect("it is made");
                                made.push(next);
                            }
                            made
                        })
                    })
                }),
            ),
            Case::timed(
                "rudi",
                summed(|| {
                    let mut cx = rudi::Context::create(modules![Everything]);
                    timed(|| {
                        for n in 0..PLUGINS {
                            black_box(cx.resolve_with_name::<Arc<dyn Node>>(name(n)));
                        }
                    })
                }),
            ),
            Case::timed(
                "shaku",
                summed(|| timed(|| ModuleBuilder::<ShakuModule>::with_submodules(()).build().0.len())),
            ),
            Case::timed("start-linked", summed(|| start(&runtime, &linked))),
            Case::timed("start-unlinked", summed(|| start(&runtime, &alone))),
        ],
    );
    let a_plugin = |nth: usize| (times[nth] - times[0]) / PLUGINS as f64 / 1000.0;
    at_most("µs a plugin more than its constructor, rudi", a_plugin(1), 3.0);
    at_most("µs a plugin more than its constructor, shaku", a_plugin(2), 3.0);
    at_most("µs a plugin more than its constructor, mlx", a_plugin(3), 3.0);
    at_most("µs a plugin more than its constructor, mlx, without requirements", a_plugin(4), 3.0);

    let waiting = plan(UNLINKED, 100, 10);
    let times = least(
        "A hundred plugins that each wait 10 ms",
        1,
        30,
        vec![Case::timed("wait-100", summed(|| start(&runtime, &waiting)))],
    );
    at_most("ms", times[0] / 1e6, 20.0);

    let sizes = [100, 1_000, 10_000];
    let mut costs = Vec::new();
    for size in sizes {
        let plan = plan(UNLINKED, size, 0);
        let rounds = (100_000 / size).clamp(50, 100) as u32;
        let times = least(
            &format!("{size} plugins that do nothing"),
            1,
            rounds,
            vec![Case::timed("grow", summed(|| start(&runtime, &plan)))],
        );
        costs.push(times[0] / (size as f64 * (size as f64).log2()));
    }
    at_most("1,000 plugins beside 100, n log n = 1", costs[1] / costs[0], 1.0);
    at_most("10,000 plugins beside 1,000, n log n = 1", costs[2] / costs[1], 1.0);
}
