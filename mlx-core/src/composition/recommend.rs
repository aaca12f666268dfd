//! Plugins of the program that would go well with a composition.

use super::{
    Composition,
    exclusion::declared_conflict,
    resolve::{Resolver, fits},
};
use crate::{
    plugin::{Cardinality, PluginMetadata, Requirement},
    registry::{Registration, Registry},
};
use std::{cmp::Reverse, collections::HashSet, fmt};

/// A plugin that a composition could have beside those it has, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recommendation {
    /// The plugin.
    pub registration: &'static Registration,
    /// Why, the strongest reason first. There is at least one.
    pub reasons: Vec<Reason>,
    /// What it requires that the composition does not have yet.
    pub missing: Vec<Requirement>,
}

/// What relates a plugin to a composition, the strongest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// A plugin of the composition requires something that nothing there is, and this is.
    MeetsRequirement {
        /// The type and the id of the plugin of the composition.
        of: String,
        /// What it requires.
        requirement: Requirement,
    },
    /// A plugin of the composition could use something that nothing there is, and this is.
    MeetsOptional {
        /// The type and the id of the plugin of the composition.
        of: String,
        /// What it could use.
        requirement: Requirement,
    },
    /// One of the two names the other's type as one that it works together with.
    WorksWith {
        /// The type and the id of the plugin of the composition.
        plugin: String,
    },
    /// Both work together with plugins of the same type.
    SharesIntegrationPoint {
        /// The plugin type.
        point: &'static str,
        /// The type and the id of the plugin of the composition.
        with: String,
    },
    /// It can do something that nothing in the composition can. No reason by itself.
    ProvidesCapability(
        /// The capability.
        &'static str,
    ),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::MeetsRequirement { of, requirement } => write!(f, "meets a requirement of {of}: {requirement}"),
            Reason::MeetsOptional { of, requirement } => {
                write!(f, "meets an optional requirement of {of}: {requirement}")
            }
            Reason::WorksWith { plugin } => write!(f, "works together with {plugin}"),
            Reason::SharesIntegrationPoint { point, with } => {
                write!(f, "shares the integration point `{point}` with {with}")
            }
            Reason::ProvidesCapability(capability) => write!(f, "provides the capability `{capability}`"),
        }
    }
}

/// The plugin, and under it the reasons and what it requires in turn.
impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metadata = self.registration.metadata();
        writeln!(f, "{}/{} {}", metadata.kind.name, metadata.name, metadata.version)?;
        for reason in &self.reasons {
            writeln!(f, "  - {reason}")?;
        }
        for requirement in &self.missing {
            writeln!(f, "  - requires {requirement} in turn")?;
        }
        Ok(())
    }
}

impl Reason {
    /// Its place among the reasons, the strongest first.
    const fn strength(&self) -> usize {
        match self {
            Reason::MeetsRequirement { .. } => 0,
            Reason::MeetsOptional { .. } => 1,
            Reason::WorksWith { .. } => 2,
            Reason::SharesIntegrationPoint { .. } => 3,
            Reason::ProvidesCapability(_) => 4,
        }
    }
}

impl Recommendation {
    /// How many reasons there are of each strength.
    fn weight(&self) -> [usize; 5] {
        let mut counts = [0; 5];
        for reason in &self.reasons {
            counts[reason.strength()] += 1;
        }
        counts
    }
}

impl Registry {
    /// The plugins of this program that are related to a composition and could be added to it: they run on this
    /// operating system, conflict with nothing there, and their type has room for another one. What the composition
    /// names already, enabled or not, is not among them.
    ///
    /// First come those with the most reasons of the strongest kind, then of the next; then it is by type and name.
    /// Mistakes in the composition do not matter here: [`resolve`](Registry::resolve) reports them.
    ///
    /// ```no_run
    /// # use mlx_core::{Composition, registry};
    /// for recommendation in registry().recommend(&Composition::from_path("platform.yaml")?) {
    ///     print!("{recommendation}");
    /// }
    /// # Ok::<(), mlx_core::Error>(())
    /// ```
    pub fn recommend(&self, composition: &Composition) -> Vec<Recommendation> {
        let layered = composition.layered(self);
        let mut resolver = Resolver::new(self, &layered);
        resolver.plugins();
        resolver.precedence();
        let present: HashSet<(&str, &str)> =
            composition.plugins().iter().map(|entry| (entry.kind.as_str(), entry.name.as_str())).collect();
        let mut found: Vec<Recommendation> = self
            .iter()
            .filter(|registration| {
                let metadata = registration.metadata();
                !present.contains(&(metadata.kind.name, metadata.name))
                    && metadata.supports_this_platform()
                    && resolver.has_room(metadata)
                    && !resolver.conflicts_with(registration)
            })
            .filter_map(|registration| {
                let reasons = resolver.reasons(registration.metadata());
                let missing = registration.metadata().requires.iter().copied();
                let missing = missing.filter(|requirement| !resolver.meets(requirement)).collect();
                (!reasons.is_empty()).then_some(Recommendation { registration, reasons, missing })
            })
            .collect();
        // They are sorted by type and name already.
        found.sort_by_key(|recommendation| Reverse(recommendation.weight()));
        found
    }
}

impl Resolver<'_> {
    fn has_room(&self, metadata: &PluginMetadata) -> bool {
        let mut there = self.candidates.iter().filter(|candidate| candidate.metadata().kind.id == metadata.kind.id);
        match metadata.kind.cardinality {
            // Another value of the setting is another place.
            Cardinality::Many | Cardinality::OnePer(_) => true,
            Cardinality::One => there.clone().next().is_none() || there.any(|candidate| candidate.entry.default),
        }
    }

    fn conflicts_with(&self, registration: &'static Registration) -> bool {
        let metadata = registration.metadata();
        let declared = self.candidates.iter().any(|candidate| {
            let other = candidate.registration;
            declared_conflict(registration, other).or_else(|| declared_conflict(other, registration)).is_some()
        });
        let is_meant = |name: &str| metadata.name == name || metadata.capabilities.contains(&name);
        declared
            || self.composition.conflicts.iter().any(|group| {
                group.iter().enumerate().filter(|(_, name)| is_meant(name)).any(|(nth, _)| {
                    let others = group.iter().enumerate().filter(|(other, _)| *other != nth);
                    others.flat_map(|(_, name)| self.index.matching(name)).next().is_some()
                })
            })
    }

    /// Whether something in the composition meets a requirement.
    fn meets(&self, requirement: &Requirement) -> bool {
        let metadata = || self.candidates.iter().map(|candidate| candidate.metadata());
        metadata().any(|metadata| requirement.names(metadata) && fits(requirement, metadata))
    }

    fn reasons(&self, metadata: &'static PluginMetadata) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for candidate in &self.candidates {
            let other = candidate.metadata();
            let would_meet = |requirement: &&Requirement| {
                requirement.names(metadata) && fits(requirement, metadata) && !self.meets(requirement)
            };
            for requirement in other.requires.iter().filter(would_meet) {
                reasons.push(Reason::MeetsRequirement { of: candidate.label(), requirement: *requirement });
            }
            for requirement in other.optional.iter().filter(would_meet) {
                reasons.push(Reason::MeetsOptional { of: candidate.label(), requirement: *requirement });
            }
            let names = |a: &PluginMetadata, b: &PluginMetadata| {
                b.kinds().any(|kind| a.integration_points.contains(&kind.name))
            };
            if names(metadata, other) || names(other, metadata) {
                reasons.push(Reason::WorksWith { plugin: candidate.label() });
            }
            for point in metadata.integration_points.iter().filter(|point| other.integration_points.contains(point)) {
                reasons.push(Reason::SharesIntegrationPoint { point, with: candidate.label() });
            }
        }
        if !reasons.is_empty() {
            let there = |capability: &str| {
                self.candidates.iter().any(|candidate| candidate.metadata().capabilities.contains(&capability))
            };
            let further = metadata.capabilities.iter().filter(|capability| !there(capability));
            reasons.extend(further.map(|capability| Reason::ProvidesCapability(capability)));
        }
        reasons.sort();
        reasons.dedup();
        reasons
    }
}
