//! What stands in `#[mlx_plugin(…)]`.

use proc_macro2::TokenStream;
use syn::{LitStr, Path};

use crate::{
    arguments::{self, Key, Named},
    errors::Errors,
};

const KEYS: &[Key] = &[
    ("type", "type = \"data_source\"` or `type = my_crate::MyContract"),
    ("name", "name = \"my-plugin\""),
    ("version", "version = \"1.0.0\""),
    ("description", "description = \"What it is.\""),
    ("also", "also = [\"data_source\", my_crate::MyContract]"),
    ("capabilities", "capabilities = [\"sql\"]"),
    ("conflicts_with", "conflicts_with = [\"other-plugin\"]"),
    ("requires", "requires = [\"other-plugin@^1.2\", \"type:data_source\", \"capability:sql\"]"),
    ("optional", "optional = [\"other-plugin@^1.2\", \"type:data_source\", \"capability:sql\"]"),
    ("integration_points", "integration_points = [\"data_source\"]"),
    ("data_formats", "data_formats = [\"parquet\"]"),
    ("platforms", "platforms = [\"linux\", \"macos\"]"),
    ("resources", "resources(memory_mib = 512, cpu_cores = 1, gpus = 0)"),
    ("swap", "swap = \"overlap\""),
    ("stability", "stability = \"stable\""),
    ("license", "license = \"MIT\""),
    ("documentation", "documentation = \"https://…\""),
    ("repository", "repository = \"https://…\""),
    ("registration", "registration = \"inventory\""),
    ("crate", "crate = path::to::mlx_core"),
];

const RESOURCES: &[Key] = &[("memory_mib", "memory_mib = 512"), ("cpu_cores", "cpu_cores = 1"), ("gpus", "gpus = 1")];

/// The arguments as they stand there.
#[derive(Default)]
pub(super) struct Arguments {
    pub(super) kind: Option<Named>,
    /// Whether `type` is there, if only with a value that could not be read.
    pub(super) has_kind: bool,
    pub(super) also: Vec<Named>,
    pub(super) name: Option<LitStr>,
    pub(super) version: Option<LitStr>,
    pub(super) description: Option<LitStr>,
    pub(super) capabilities: Vec<LitStr>,
    pub(super) conflicts_with: Vec<LitStr>,
    pub(super) requires: Vec<LitStr>,
    pub(super) optional: Vec<LitStr>,
    pub(super) integration_points: Vec<LitStr>,
    pub(super) data_formats: Vec<LitStr>,
    pub(super) platforms: Vec<LitStr>,
    pub(super) memory_mib: u32,
    pub(super) cpu_cores: u32,
    pub(super) gpus: u32,
    pub(super) swap: Option<LitStr>,
    pub(super) stability: Option<LitStr>,
    pub(super) license: Option<LitStr>,
    pub(super) documentation: Option<LitStr>,
    pub(super) repository: Option<LitStr>,
    pub(super) registration: Option<LitStr>,
    pub(super) krate: Option<Path>,
}

impl Arguments {
    pub(super) fn parse(tokens: TokenStream, errors: &Errors) -> Arguments {
        let mut all = Arguments::default();
        arguments::parse("mlx_plugin", KEYS, tokens, errors, &mut |key, argument| {
            match key {
                "type" => {
                    all.has_kind = true;
                    all.kind = Some(argument.named()?);
                }
                "also" => all.also = argument.all_named()?,
                "name" => all.name = Some(argument.text()?),
                "version" => all.version = Some(argument.text()?),
                "description" => all.description = Some(argument.text()?),
                "capabilities" => all.capabilities = argument.texts()?,
                "conflicts_with" => all.conflicts_with = argument.texts()?,
                "requires" => all.requires = argument.texts()?,
                "optional" => all.optional = argument.texts()?,
                "integration_points" => all.integration_points = argument.texts()?,
                "data_formats" => all.data_formats = argument.texts()?,
                "platforms" => all.platforms = argument.texts()?,
                "resources" => all.resources(argument.table()?, errors),
                "swap" => all.swap = Some(argument.text()?),
                "stability" => all.stability = Some(argument.text()?),
                "license" => all.license = Some(argument.text()?),
                "documentation" => all.documentation = Some(argument.text()?),
                "repository" => all.repository = Some(argument.text()?),
                "registration" => all.registration = Some(argument.text()?),
                // `crate`; others do not get here.
                _ => all.krate = Some(argument.path()?),
            }
            Ok(())
        });
        all
    }

    fn resources(&mut self, tokens: TokenStream, errors: &Errors) {
        arguments::parse("resources", RESOURCES, tokens, errors, &mut |key, argument| {
            let number = argument.number()?;
            match key {
                "memory_mib" => self.memory_mib = number,
                "cpu_cores" => self.cpu_cores = number,
                _ => self.gpus = number,
            }
            Ok(())
        });
    }
}
