//! The resolver beside another one that follows the definitions word for word and looks at every pair: on random
//! programs and compositions both accept the same, report the same mistakes, and find the same order.
//!
//! `MLX_RESOLUTION_CASES=200000 cargo test -p mlx-core --test resolution` looks at as many as it says.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    Cardinality, Plan, PluginMetadata,
    composition::{Machine, PluginEntry},
    contract,
    diagnostics::Code,
    plugin::{Declared, KindInfo, PluginKind, Requirement, Resources},
    prelude::*,
    registry::{Registration, Registry},
};
use std::{any::TypeId, collections::BTreeSet};

/// Something that is never called.
#[contract(name = "base", cardinality = "many")]
#[async_trait]
pub trait Base {}

#[derive(PluginConfig)]
struct Settings {
    region: Option<String>,
    #[allow(dead_code, reason = "nothing is started")]
    token: Option<Secret<String>>,
}

/// What all plugins are; they differ in what they say about themselves.
#[mlx_plugin(type = Base)]
struct Blank;

#[async_trait]
impl Plugin for Blank {
    type Config = Settings;
    async fn initialize(_: Settings, _: &InitContext) -> Result<Self> {
        Ok(Blank)
    }
}

impl Base for Blank {}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
    fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }
    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
    fn word(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }
    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
    /// Mostly none, at most this many.
    fn few<T>(&mut self, chance: u64, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = (0..most).filter(|_| self.percent(chance)).count();
        (0..count).map(|_| make(self)).collect()
    }
}

struct Marker<const N: usize>;

static SOLO: KindInfo = kind::<0>("solo", Cardinality::One);
static PLURAL: KindInfo = kind::<1>("plural", Cardinality::Many);
static REGIONAL: KindInfo = kind::<2>("regional", Cardinality::OnePer("region"));

const fn kind<const N: usize>(name: &'static str, cardinality: Cardinality) -> KindInfo {
    KindInfo {
        name,
        contract: name,
        description: "",
        cardinality,
        capabilities: &[],
        methods: &[],
        id: TypeId::of::<Marker<N>>(),
    }
}

const SECURITY: &KindInfo = <dyn Security as PluginKind>::INFO;
const NAMES: [&str; 6] = ["alpha", "bravo-b", "charlie", "delta-dd", "echo-echo", "foxtrot"];
const CAPABILITIES: [&str; 3] = ["quick", "sturdy", "frugal-one"];
const VERSIONS: [&str; 3] = ["1.0.0", "1.5.0", "2.0.0"];
const RANGES: [&str; 4] = ["", "^1", "^1.2", "2"];

fn leak<T>(list: Vec<T>) -> &'static [T] {
    Box::leak(list.into_boxed_slice())
}

fn requirement(random: &mut Random) -> Requirement {
    match random.below(4) {
        0 => Requirement::Type(random.word(&["solo", "plural", "regional", "security"])),
        1 => Requirement::Capability(random.word(&CAPABILITIES)),
        _ => Requirement::Plugin { name: random.word(&NAMES), version: random.word(&RANGES) },
    }
}

/// A program: some plugins.
fn universe(random: &mut Random) -> Vec<&'static Registration> {
    // Some programs are quarrelsome, and most of what is asked of them is refused.
    let (needs, fights) = match random.percent(60) {
        true => (random.next() % 10, random.next() % 12),
        false => (random.next() % 40, random.next() % 30),
    };
    let mut plugins: Vec<&'static Registration> = Vec::new();
    for number in 0..1 + random.below(7) {
        let kind = *random.pick(&[&SOLO, &SOLO, &PLURAL, &PLURAL, &REGIONAL, SECURITY]);
        let name = random.word(&NAMES);
        if plugins.iter().any(|other| other.metadata().name == name && other.metadata().kind.id == kind.id) {
            continue;
        }
        let also: Vec<&KindInfo> = match random.percent(15) {
            true => [&SOLO, &PLURAL, &REGIONAL].into_iter().filter(|other| other.id != kind.id).take(1).collect(),
            false => Vec::new(),
        };
        let mut metadata: PluginMetadata = *Blank::METADATA;
        metadata.name = name;
        metadata.kind = kind;
        metadata.also = leak(also);
        metadata.version = random.word(&VERSIONS);
        metadata.capabilities = leak(random.few(25, 2, |random| random.word(&CAPABILITIES)));
        metadata.conflicts_with = leak(random.few(fights, 2, |random| match random.percent(60) {
            true => random.word(&NAMES),
            false => random.word(&CAPABILITIES),
        }));
        metadata.requires = leak(random.few(needs, 2, requirement));
        metadata.optional = leak(random.few(40, 2, requirement));
        metadata.platforms = if random.percent(2) { &["plan9"] } else { &[] };
        metadata.resources = Resources { memory_mib: random.below(3) as u32, cpu_cores: 0, gpus: 0 };
        metadata.declared.line = number as u32;
        plugins.push(Box::leak(Box::new(Registration::new::<Blank>().with_metadata(Box::leak(Box::new(metadata))))));
    }
    plugins
}

/// One entry of a composition.
#[derive(Clone, Debug)]
struct Entry {
    kind: &'static str,
    name: &'static str,
    id: Option<&'static str>,
    enabled: bool,
    default: bool,
    region: Option<&'static str>,
    secret: Option<&'static str>,
}

impl Entry {
    fn id(&self) -> &'static str {
        self.id.unwrap_or(self.name)
    }
}

#[derive(Clone, Debug)]
struct Case {
    entries: Vec<Entry>,
    conflicts: Vec<Vec<&'static str>>,
    precedence: Vec<(&'static str, Vec<&'static str>)>,
}

fn case(random: &mut Random, plugins: &[&'static Registration]) -> Case {
    let careless = random.percent(30);
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..random.below(7) {
        let metadata = random.pick(plugins).metadata();
        let (kind, name) = match random.below(30) {
            0 if careless => (metadata.kind.name, "nobody"),
            1 if careless => ("unheard_of", metadata.name),
            _ => (metadata.kind.name, metadata.name),
        };
        let entry = Entry {
            kind,
            name,
            id: random.percent(40).then(|| random.word(&["one", "two", "three", "four", "alpha"])),
            enabled: random.percent(90),
            default: random.percent(if careless { 20 } else { 5 }),
            region: random.percent(60).then(|| random.word(&["eu", "us", "asia"])),
            secret: random.percent(if careless { 8 } else { 2 }).then(|| random.word(&["one", "alpha", "charlie"])),
        };
        if careless || !entries.iter().any(|other| other.kind == entry.kind && other.id() == entry.id()) {
            entries.push(entry);
        }
    }
    let word = |random: &mut Random| match random.below(5) {
        0 => random.word(&CAPABILITIES),
        1 => random.word(&["one", "two"]),
        _ => random.word(&NAMES),
    };
    let conflicts = random.few(15, 2, |random| (0..random.below(4)).map(|_| word(random)).collect());
    let mut precedence: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for _ in 0..random.below(4) {
        let metadata = random.pick(plugins).metadata();
        let key = match metadata.capabilities.first() {
            _ if careless && random.percent(20) => random.word(&["solo", "plural", "regional", "quick", "security"]),
            Some(capability) if random.percent(50) => capability,
            _ => metadata.kind.name,
        };
        let meant: Vec<&'static str> = (entries.iter())
            .filter(|entry| {
                entry.kind == key
                    || plugins
                        .iter()
                        .any(|p| p.metadata().name == entry.name && p.metadata().capabilities.contains(&key))
            })
            .flat_map(|entry| [entry.id(), entry.name])
            .collect();
        if precedence.iter().all(|(known, _)| *known != key) {
            let name = |random: &mut Random| match meant.is_empty() || careless && random.percent(20) {
                true if random.percent(5) => "stranger",
                true => word(random),
                false => random.word(&meant),
            };
            precedence.push((key, (0..random.below(5)).map(|_| name(random)).collect()));
        }
    }
    Case { entries, conflicts, precedence }
}

impl Case {
    fn composition(&self) -> Composition {
        let mut builder = Composition::builder().name("random");
        for entry in &self.entries {
            let mut config = serde_json::Map::new();
            if let Some(region) = entry.region {
                config.insert("region".to_owned(), region.into());
            }
            if let Some(id) = entry.secret {
                config.insert("token".to_owned(), format!("${{{id}:key}}").into());
            }
            builder = builder.plugin_with(entry.kind, entry.name, config.into(), |mut made: PluginEntry| {
                made.enabled = entry.enabled;
                made.default = entry.default;
                // Where it stands is not to tell orders apart.
                made.path = format!("{}.{}", entry.kind, entry.id());
                match entry.id {
                    Some(id) => made.with_id(id),
                    None => made,
                }
            });
        }
        for group in &self.conflicts {
            builder = builder.conflict(group.iter().copied());
        }
        for (of, order) in &self.precedence {
            builder = builder.precedence(of, order.iter().copied());
        }
        builder.build()
    }
}

/// What the definitions say of a composition.
#[derive(Debug, PartialEq)]
struct Verdict {
    mistakes: BTreeSet<Code>,
    left_out: BTreeSet<String>,
    /// Label, what it requires, what it would use, whether it is the default; in order. Empty with mistakes.
    order: Vec<(String, BTreeSet<String>, BTreeSet<String>, bool)>,
}

/// Somebody who is to run.
#[derive(Clone)]
struct One {
    entry: Entry,
    plugin: &'static Registration,
    default: bool,
}

impl One {
    fn about(&self) -> &'static PluginMetadata {
        self.plugin.metadata()
    }
    fn label(&self) -> String {
        format!("{}/{}", self.entry.kind, self.entry.id())
    }
    /// Whether a word in a conflict of the composition means it.
    fn is_called(&self, word: &str) -> bool {
        self.entry.id() == word || self.about().name == word || self.about().capabilities.contains(&word)
    }
}

fn conflict(case: &Case, a: &One, b: &One) -> bool {
    let declares = |a: &One, b: &One| {
        !std::ptr::eq(a.plugin, b.plugin)
            && a.about()
                .conflicts_with
                .iter()
                .any(|word| b.about().name == *word || b.about().capabilities.contains(word))
    };
    let composed = case.conflicts.iter().any(|group| {
        (0..group.len()).any(|i| (0..group.len()).any(|j| i != j && a.is_called(group[i]) && b.is_called(group[j])))
    });
    declares(a, b) || declares(b, a) || composed
}

/// Whether a type takes only one of two; `all` are those it could take.
fn crowded(all: &[One], a: &One, b: &One) -> bool {
    let of_type = |one: &One| one.about().kind.id == a.about().kind.id;
    of_type(b)
        && match a.about().kind.cardinality {
            Cardinality::One => !all.iter().any(|one| of_type(one) && one.entry.default),
            Cardinality::Many => false,
            Cardinality::OnePer(_) => a.entry.region.is_some() && a.entry.region == b.entry.region,
        }
}

fn meets(requirement: &Requirement, one: &One) -> bool {
    requirement.names(one.about())
        && match requirement {
            Requirement::Plugin { version, .. } => {
                version.is_empty()
                    || semver::VersionReq::parse(version).unwrap().matches(&one.about().version.parse().unwrap())
            }
            _ => true,
        }
}

/// What can be reached from each along the edges, in at least one step.
fn reachable(edges: &[BTreeSet<usize>]) -> Vec<Vec<bool>> {
    let n = edges.len();
    let mut reach: Vec<Vec<bool>> = (0..n).map(|i| (0..n).map(|j| edges[i].contains(&j)).collect()).collect();
    for k in 0..n {
        for i in 0..n {
            for j in 0..n {
                reach[i][j] |= reach[i][k] && reach[k][j];
            }
        }
    }
    reach
}

fn prefer(case: &Case, plugins: &[&'static Registration], all: &mut Vec<One>, verdict: &mut Verdict) {
    let mut preferences = case.precedence.clone();
    let is_type = |key: &str| {
        key == "security" || plugins.iter().any(|plugin| plugin.metadata().kinds().any(|kind| kind.name == key))
    };
    preferences.sort_by_key(|(key, _)| (!is_type(key), *key));
    for (key, order) in preferences {
        let about_type = is_type(key);
        let covers = |metadata: &PluginMetadata| match about_type {
            true => metadata.kind.name == key,
            false => metadata.capabilities.contains(&key),
        };
        // A type that no plugin of the program has is unknown to it.
        if !about_type && !plugins.iter().any(|plugin| covers(plugin.metadata())) {
            verdict.mistakes.insert(Code::UnknownPreference);
            continue;
        }
        let linked = |entry: &Entry| {
            plugins.iter().find(|p| p.metadata().kind.name == entry.kind && p.metadata().name == entry.name)
        };
        for word in &order {
            let in_program = plugins.iter().any(|p| covers(p.metadata()) && p.metadata().name == *word);
            let in_file = case.entries.iter().any(|entry| {
                let is_meant = match linked(entry) {
                    Some(plugin) => covers(plugin.metadata()),
                    None => !about_type || entry.kind == key,
                };
                is_meant && (entry.id() == *word || entry.name == *word)
            });
            if !in_program && !in_file {
                verdict.mistakes.insert(Code::UnknownPreference);
            }
        }
        let rank = |one: &One| {
            let place = |name: &str| order.iter().position(|word| *word == name);
            match (place(one.entry.id()), place(one.entry.name)) {
                (None, None) => (usize::MAX, true),
                (Some(id), Some(name)) if name < id => (name, true),
                (Some(id), _) => (id, false),
                (None, Some(name)) => (name, true),
            }
        };
        let mut covered: Vec<usize> = (0..all.len()).filter(|one| covers(all[*one].about())).collect();
        covered.sort_by_key(|one| (rank(&all[*one]), all[*one].entry.kind, all[*one].entry.id()));
        let mut kept: Vec<usize> = Vec::new();
        let (mut lost, mut defaults) = (BTreeSet::new(), BTreeSet::new());
        for one in covered {
            let cannot =
                |other: &&usize| conflict(case, &all[one], &all[**other]) || crowded(all, &all[one], &all[**other]);
            match kept.iter().find(cannot).filter(|other| rank(&all[**other]) < rank(&all[one])) {
                Some(winner) => {
                    lost.insert(one);
                    let kind = all[one].about().kind;
                    if kind.cardinality == Cardinality::One && all[*winner].about().kind.id == kind.id {
                        defaults.insert(*winner);
                    }
                }
                None => kept.push(one),
            }
        }
        for winner in defaults {
            all[winner].default = true;
        }
        let before = std::mem::take(all);
        for (position, one) in before.into_iter().enumerate() {
            match lost.contains(&position) {
                true => drop(verdict.left_out.insert(one.label())),
                false => all.push(one),
            }
        }
    }
}

fn judge(case: &Case, plugins: &[&'static Registration]) -> Verdict {
    let mut verdict = Verdict { mistakes: BTreeSet::new(), left_out: BTreeSet::new(), order: Vec::new() };
    let (mut all, mut unknown): (Vec<One>, Vec<&Entry>) = (Vec::new(), Vec::new());
    for entry in case.entries.iter().filter(|entry| entry.enabled) {
        let found = plugins.iter().find(|p| p.metadata().kind.name == entry.kind && p.metadata().name == entry.name);
        match found {
            Some(plugin) if all.iter().any(|one| one.entry.kind == entry.kind && one.entry.id() == entry.id()) => {
                let _ = plugin;
                verdict.mistakes.insert(Code::DuplicateId);
            }
            Some(plugin) => all.push(One { entry: entry.clone(), plugin, default: entry.default }),
            None => {
                let code = if entry.kind == "unheard_of" { Code::UnknownPluginType } else { Code::UnknownPlugin };
                verdict.mistakes.insert(code);
                unknown.push(entry);
            }
        }
    }
    all.sort_by_key(|one| (one.entry.kind, one.entry.id()));
    prefer(case, plugins, &mut all, &mut verdict);

    let count = all.len();
    let pairs = || (0..count).flat_map(|i| (0..i).map(move |j| (i, j)));
    if all.iter().any(|one| !one.about().platforms.is_empty()) {
        verdict.mistakes.insert(Code::UnsupportedPlatform);
    }
    if pairs()
        .any(|(i, j)| all[i].about().kind.id == all[j].about().kind.id && all[i].entry.default && all[j].entry.default)
    {
        verdict.mistakes.insert(Code::DuplicateDefault);
    }
    if pairs().any(|(i, j)| crowded(&all, &all[i], &all[j])) {
        verdict.mistakes.insert(Code::Cardinality);
    }
    if pairs().any(|(i, j)| conflict(case, &all[i], &all[j])) {
        verdict.mistakes.insert(Code::Conflict);
    }
    let mut requires: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count];
    let mut optional = requires.clone();
    for i in 0..count {
        let others = |requirement: &Requirement| -> BTreeSet<usize> {
            (0..count).filter(|j| *j != i && meets(requirement, &all[*j])).collect()
        };
        for requirement in all[i].about().requires {
            let met_by = others(requirement);
            let named = (0..count).any(|j| j != i && requirement.names(all[j].about()));
            // An entry that cannot be found may be what was meant.
            let excused = unknown.iter().any(|entry| *requirement == Requirement::Type(entry.kind))
                || unknown
                    .iter()
                    .any(|entry| matches!(requirement, Requirement::Plugin { name, .. } if *name == entry.name));
            match (met_by.is_empty(), named, excused) {
                (false, ..) => requires[i].extend(met_by),
                (true, true, _) => drop(verdict.mistakes.insert(Code::VersionMismatch)),
                (true, false, false) => drop(verdict.mistakes.insert(Code::MissingRequirement)),
                (true, false, true) => {}
            }
        }
        for requirement in all[i].about().optional {
            optional[i].extend(others(requirement));
        }
        if let Some(id) = all[i].entry.secret {
            let resolver = (0..count).find(|j| all[*j].about().kind.id == SECURITY.id && all[*j].entry.id() == id);
            match resolver {
                Some(resolver) => drop(requires[i].insert(resolver)),
                None if unknown.iter().any(|entry| entry.id() == id) => {}
                None => drop(verdict.mistakes.insert(Code::BadReference)),
            }
        }
    }
    let reach = reachable(&requires);
    if (0..count).any(|i| reach[i][i]) {
        verdict.mistakes.insert(Code::Cycle);
    }
    if !verdict.mistakes.is_empty() {
        return verdict;
    }
    let both: Vec<BTreeSet<usize>> = (0..count).map(|i| &requires[i] | &optional[i]).collect();
    let reach = reachable(&both);
    // A wish orders unless it is part of a circle.
    let before: Vec<BTreeSet<usize>> =
        (0..count).map(|i| &requires[i] | &optional[i].iter().copied().filter(|j| !reach[*j][i]).collect()).collect();
    let mut placed: Vec<usize> = Vec::new();
    while placed.len() < count {
        // Of those that can come next, the first by type and id.
        let next = (0..count).find(|i| !placed.contains(i) && before[*i].iter().all(|j| placed.contains(j)));
        placed.push(next.unwrap());
    }
    let labels = |of: &BTreeSet<usize>| of.iter().map(|j| all[*j].label()).collect::<BTreeSet<String>>();
    verdict.order = placed
        .iter()
        .map(|i| (all[*i].label(), labels(&requires[*i]), labels(&(&optional[*i] - &requires[*i])), all[*i].default))
        .collect();
    verdict
}

fn found(result: &Result<Plan>) -> Verdict {
    let plan = match result {
        Ok(plan) => plan,
        Err(error) => {
            let diagnostics = error.diagnostics().iter();
            let mistakes = diagnostics.clone().filter(|d| d.is_error()).map(|d| d.code).collect();
            let left_out = diagnostics.filter(|d| d.code == Code::LeftOut).map(|d| d.path.clone().unwrap());
            return Verdict {
                mistakes,
                left_out: left_out.map(|path| path.replace('.', "/")).collect(),
                order: Vec::new(),
            };
        }
    };
    let labels = |of: &[usize]| of.iter().map(|j| plan.steps()[*j].label()).collect::<BTreeSet<String>>();
    Verdict {
        mistakes: BTreeSet::new(),
        left_out: plan.left_out().iter().map(|left_out| left_out.label()).collect(),
        order: plan
            .steps()
            .iter()
            .map(|step| (step.label(), labels(&step.requires), labels(&step.optional), step.default))
            .collect(),
    }
}

fn printed(plan: &Plan) -> String {
    format!("{plan}\n{}\n{}\n{:#}", plan.to_tree(), plan.to_mermaid(), plan.to_json())
}

#[test]
fn the_resolver_agrees_with_the_definitions() {
    let cases: usize = std::env::var("MLX_RESOLUTION_CASES").map_or(2_000, |count| count.parse().unwrap());
    let machine = Machine { memory_mib: Some(4), ..Machine::default() };
    let mut random = Random(20);
    let (mut accepted, mut seen, mut left_out) = (0, BTreeSet::new(), 0);
    let mut done = 0;
    while done < cases {
        let plugins = universe(&mut random);
        let registry = Registry::from_registrations(plugins.iter().copied());
        assert!(registry.problems().is_empty(), "{:?}", registry.problems());
        for _ in 0..20 {
            let case = case(&mut random, &plugins);
            let result = registry.resolve_on(&case.composition(), machine);
            let (is, should_be) = (found(&result), judge(&case, &plugins));
            let told = || {
                format!("case {done}: {case:#?}\nof {:#?}", plugins.iter().map(|p| p.metadata()).collect::<Vec<_>>())
            };
            assert_eq!(is, should_be, "{}\n{result:?}", told());
            accepted += usize::from(result.is_ok());
            left_out += usize::from(!is.left_out.is_empty());
            seen.extend(is.mistakes.iter().copied());

            let mut turned = case.clone();
            random.shuffle(&mut turned.entries);
            random.shuffle(&mut turned.conflicts);
            random.shuffle(&mut turned.precedence);
            let again = registry.resolve_on(&turned.composition(), machine);
            match (&result, &again) {
                (Ok(plan), Ok(again)) => assert_eq!(printed(plan), printed(again), "{}", told()),
                // Which of two with the same id counts depends on which comes first.
                _ if is.mistakes.contains(&Code::DuplicateId) => assert!(again.is_err(), "{}", told()),
                _ => assert_eq!(found(&again), is, "{}", told()),
            }
            done += 1;
        }
    }
    println!("{done} cases, {accepted} accepted, {left_out} with precedence at work, {} kinds of mistakes", seen.len());
    let every = [
        Code::UnknownPlugin,
        Code::UnknownPluginType,
        Code::DuplicateId,
        Code::Conflict,
        Code::Cardinality,
        Code::MissingRequirement,
        Code::VersionMismatch,
        Code::Cycle,
        Code::UnsupportedPlatform,
        Code::DuplicateDefault,
        Code::UnknownPreference,
        Code::BadReference,
    ];
    assert_eq!(seen, BTreeSet::from(every), "everything happens");
    assert!(accepted * 10 > done && left_out * 50 > done, "{accepted} accepted, {left_out} with precedence of {done}");
}
