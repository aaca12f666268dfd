//! The command line.

use clap::{
    Args, Parser, Subcommand, ValueEnum, ValueHint,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};
use clap_complete::Shell;
use std::{ffi::OsString, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  mlx init my-ml-platform
  mlx add api-serving --set port=9000
  mlx add data-source --plugin-type=snowflake
  mlx add plugin-registry --plugin-type=ml_platform --name=databricks
  mlx update --dry-run --diff

Exit codes: 0 done, or nothing to do; 1 an error; 2 wrong usage; 3 conflicts are left; 4 out of date.";

/// Components for ML platforms in Rust.
#[derive(Debug, Parser)]
#[command(name = "mlx", version, arg_required_else_help = true, after_help = EXAMPLES, max_term_width = 120)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Run as if started in this folder
    #[arg(short = 'C', long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,
    /// A folder with components over those that come with mlx; may be given several times
    #[arg(long = "catalog", global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) catalogs: Vec<PathBuf>,
    /// Print JSON (docs/schemas/command.schema.json)
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing about what is done
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Never ask; nothing is asked without a terminal anyway
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    #[default]
    Auto,
    Always,
    Never,
}

/// What every command takes that writes to a project.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Writing")]
pub(crate) struct Writing {
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show the changes line by line; implies --dry-run
    #[arg(long)]
    pub(crate) diff: bool,
    /// Write the plan to a file for `mlx apply`, and do nothing else
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) plan: Option<PathBuf>,
    /// Leave Rust files as the templates have them; rustfmt is run otherwise
    #[arg(long)]
    pub(crate) no_fmt: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Answers {
    /// A setting of the component, such as port=9000; `mlx info COMPONENT` lists them
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// A file of settings: JSON, YAML or TOML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) answers: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a project that builds, tests and runs at once
    Init {
        /// Its name, and the folder that is made for it
        #[arg(value_name = "NAME")]
        name: String,
        /// Where generated code has the mlx crates from: path, path:FOLDER, git:URL or registry [default: path, the checkout
        /// that this command was built from]
        #[arg(long, value_name = "SOURCE")]
        mlx_source: Option<String>,
        #[command(flatten)]
        answers: Answers,
        #[command(flatten)]
        writing: Writing,
    },
    /// Add a component, or a plugin made from one
    Add {
        /// The component; `mlx list` has them all
        component: String,
        /// A plugin type that the component makes, or one of its vendors: ml_platform, snowflake
        #[arg(long, value_name = "TYPE")]
        plugin_type: Option<String>,
        /// The name of the plugin
        #[arg(long)]
        name: Option<String>,
        /// The version of the component: 1.2.0, or a range such as ^1
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
        #[command(flatten)]
        answers: Answers,
        #[command(flatten)]
        writing: Writing,
    },
    /// Add the components and plugins of a composition file
    Compose {
        /// A file, or the name of a composition of the catalogue, such as enterprise-stack
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        composition: String,
        #[command(flatten)]
        writing: Writing,
    },
    /// Bring components up to the versions of the catalogue, keeping what was changed by hand
    Update {
        /// Which ones; all unless given
        #[arg(value_name = "COMPONENT")]
        components: Vec<String>,
        /// Go on after the conflicts were resolved
        #[arg(long = "continue", conflicts_with_all = ["abort", "components"])]
        resume: bool,
        /// Give up an update with conflicts: every file is as it was before
        #[arg(long, conflicts_with = "components")]
        abort: bool,
        #[command(flatten)]
        writing: Writing,
    },
    /// Remove a component or a plugin; files that were changed by hand are kept aside
    Remove {
        /// A component, or a plugin as type/name
        #[arg(value_name = "COMPONENT")]
        component: String,
        #[command(flatten)]
        writing: Writing,
    },
    /// What is in the project: unchanged, changed by hand, missing, outdated
    Status {
        /// End with 4 unless everything is there and up to date
        #[arg(long)]
        check: bool,
    },
    /// What was changed by hand, line by line
    Diff {
        /// Which components; all unless given
        #[arg(value_name = "COMPONENT")]
        components: Vec<String>,
    },
    /// Compare every hash of the lock file with the files; end with 4 if one differs that should not
    Verify,
    /// Compile the project, and say which component each mistake comes from
    Check {
        /// Run its tests too
        #[arg(long)]
        test: bool,
    },
    /// Compare the plugins of plugins.json with those that are linked into the program
    Doctor,
    /// Carry out a plan that was written with --plan
    Apply {
        /// The plan
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        plan: PathBuf,
    },
    /// Finish or undo a change that was interrupted; other commands do so by themselves
    Recover,
    /// List the components of the catalogue
    List {
        /// Vendors too
        #[arg(long)]
        all: bool,
    },
    /// Find components by name, description, plugin type or vendor
    Search {
        /// What to look for; all words have to be found
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// What a component makes, and its settings
    Info {
        /// The component
        component: String,
    },
    /// For authors of components
    Catalog {
        #[command(subcommand)]
        command: CatalogCommand,
    },
    /// Explain an error code, such as MLX0020
    Explain {
        /// The code; without one, all codes are listed
        code: Option<String>,
    },
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Look for mistakes in a catalogue: files, schemas, variables, targets, samples
    Check {
        /// Its folder [default: the one that comes with mlx]
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
        /// First record what the samples are rendered as now, and write registry.json anew if there is one
        #[arg(long, requires = "folder")]
        write: bool,
    },
    /// Make each sample in a project of its own, and compile and test it
    Test {
        /// Its folder [default: the one that comes with mlx]
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
        /// Only these components
        #[arg(long = "only", value_name = "COMPONENT")]
        only: Vec<String>,
    },
}

/// An error of clap, with what is better advice: `mlx add api-serving --port 9000` means a setting of the component.
pub(crate) fn hinted(mut error: clap::Error, given: &[OsString]) -> clap::Error {
    let is_add = given.iter().skip(1).any(|word| word == "add");
    if error.kind() == ErrorKind::UnknownArgument
        && is_add
        && error.get(ContextKind::SuggestedArg).is_none()
        && let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg)
        && let Some(setting) = option.strip_prefix("--").filter(|name| !name.is_empty())
    {
        // The value is not shown: it may be a secret.
        let tip =
            format!("settings of a component are given with '--set': '--set {}=VALUE'", setting.replace('-', "_"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
    error
}
