//! What a plugin type is.

use std::any::TypeId;

/// A plugin type. It is implemented by the contract's trait object itself (`impl PluginKind for dyn DataSource`),
/// which [`contract`](crate::contract) writes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin type",
    label = "not a contract",
    note = "a plugin type is a trait with `#[mlx_core::contract(name = \"…\")]` above `#[async_trait]`"
)]
pub trait PluginKind: Send + Sync + 'static {
    /// What is known of the type.
    const INFO: &'static KindInfo;
}

/// A plugin type as data.
#[derive(Clone, Copy, Debug)]
pub struct KindInfo {
    /// The name in a composition: `data_source`.
    pub name: &'static str,
    /// The name of the trait: `DataSource`.
    pub contract: &'static str,
    /// The trait's doc comment.
    pub description: &'static str,
    /// How many plugins of the type may run.
    pub cardinality: Cardinality,
    /// What plugins of the type may declare in `capabilities`; empty when anything goes.
    pub capabilities: &'static [&'static str],
    /// What a handle to such a plugin can call.
    pub methods: &'static [MethodInfo],
    /// The identity of the trait object.
    pub id: TypeId,
}

/// A method of a contract as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodInfo {
    /// Its name.
    pub name: &'static str,
    /// Whether a call can be waited for, and given up.
    pub is_async: bool,
    /// Whether carrying it out twice does no more than once: the contract says `#[idempotent]`. Only such calls are
    /// repeated, see [`Resilience::retry`](crate::resilience::Resilience::retry).
    pub idempotent: bool,
}

impl KindInfo {
    /// Whether plugins of the type may declare the capability.
    pub const fn allows(&self, capability: &str) -> bool {
        let mut index = 0;
        while index < self.capabilities.len() {
            if same(self.capabilities[index].as_bytes(), capability.as_bytes()) {
                return true;
            }
            index += 1;
        }
        self.capabilities.is_empty()
    }

    /// Stops the compiler at a capability that none of a plugin's types allows, and says which they do allow.
    #[doc(hidden)]
    #[track_caller]
    pub const fn assert_allowed(kinds: &[&KindInfo], capability: &str) {
        let mut index = 0;
        while index < kinds.len() {
            if kinds[index].allows(capability) {
                return;
            }
            index += 1;
        }
        // Only now: the compiler puts a text together slowly, and would for every capability of every plugin.
        let mut message = Message { text: [0; 512], len: 0 };
        message.push("`");
        message.push(capability);
        message.push("` is not a capability of ");
        let mut index = 0;
        while index < kinds.len() {
            let kind = kinds[index];
            message.push(if index == 0 { "`" } else { "; nor of `" });
            message.push(kind.name);
            message.push("`, which has");
            let mut known = 0;
            while known < kind.capabilities.len() {
                message.push(if known == 0 { " `" } else { ", `" });
                message.push(kind.capabilities[known]);
                message.push("`");
                known += 1;
            }
            index += 1;
        }
        message.panic();
    }
}

/// A text that is put together in a constant. What is too much for it is left out.
struct Message {
    text: [u8; 512],
    len: usize,
}

impl Message {
    const fn push(&mut self, part: &str) {
        let part = part.as_bytes();
        // Whole parts only, so that the text stays UTF-8.
        if self.len + part.len() > self.text.len() {
            return;
        }
        let mut index = 0;
        while index < part.len() {
            self.text[self.len] = part[index];
            self.len += 1;
            index += 1;
        }
    }

    #[track_caller]
    const fn panic(&self) -> ! {
        match std::str::from_utf8(self.text.split_at(self.len).0) {
            Ok(text) => panic!("{}", text),
            Err(_) => panic!("the plugin type does not have this capability"),
        }
    }
}

/// `==` in a constant.
const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

/// How many plugins of a type may run in one platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// One; others only beside one that is marked `default: true`.
    One,
    /// Any number.
    Many,
    /// One for each value of a setting: two `data_source`s may run if they differ in, say, `region`.
    OnePer(&'static str),
}

impl Cardinality {
    /// For messages: `one`, `many`, `one per region`.
    pub fn describe(self) -> String {
        match self {
            Cardinality::One => "one".to_owned(),
            Cardinality::Many => "many".to_owned(),
            Cardinality::OnePer(setting) => format!("one per {setting}"),
        }
    }
}

/// Plugin types that are planned and have no contract in this version. Their names are reserved.
pub const PLANNED_TYPES: &[&str] = &["cloud_provider", "compute_backend"];
