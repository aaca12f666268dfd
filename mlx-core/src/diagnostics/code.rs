//! The stable codes of every mistake a user of a composition or a component can make.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $title:literal;)+) => {
        /// A stable identifier of a kind of mistake, printed as `MLX0020`.
        ///
        /// Numbers are never reused. Ranges: 1–19 reading text, 20–49 configuration values, 50–69 compositions,
        /// 70–89 the registry and `plugins.json`, 90–109 running a platform, 110–129 pipelines, 130–169 components and the
        /// `mlx` command, 170–179 policies for calls.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum Code {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$name),+];

            /// What the code means, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)+ }
            }

            /// What the code means and what to do about it.
            pub const fn explanation(self) -> &'static str {
                match self { $(Code::$name => concat!($($doc, "\n"),+),)+ }
            }
        }
    };
}

codes! {
    /// The file does not exist or may not be read. Check the path and the permissions.
    Unreadable = 1, "a file cannot be read";
    /// The text is not well-formed YAML, TOML or JSON. The position is where the reader gave up; the mistake is
    /// often on the line before it (indentation, a missing quote or a missing colon).
    Syntax = 2, "the text is malformed";
    /// The document nests deeper, or expands its aliases to more nodes, than is accepted.
    TooLarge = 3, "the document exceeds a limit";
    /// A mapping names the same key twice. Remove one of the two.
    DuplicateKey = 4, "a key appears twice";
    /// The file's extension is none of those that can be read.
    UnknownFormat = 5, "the file format is not supported";
    /// A YAML feature that has no place in a configuration: a tag, a key that is not a scalar, several documents.
    UnsupportedSyntax = 6, "the syntax is not supported here";

    /// The mapping has a key that its type does not declare. Fix the spelling or remove it.
    UnknownField = 20, "unknown field";
    /// A field that has no default is absent. Add it.
    MissingField = 21, "missing field";
    /// The value is of another type than the field.
    WrongType = 22, "wrong type";
    /// The number lies outside the range that the field accepts.
    OutOfRange = 23, "value out of range";
    /// The text, list or map is shorter or longer than the field accepts.
    WrongLength = 24, "wrong length";
    /// The text is none of the variants that the field accepts.
    UnknownVariant = 25, "unknown variant";
    /// The value has the right type but the field's own check rejects it.
    InvalidValue = 26, "invalid value";
    /// The value is the marker that stands for a secret in output. It was copied from a printed configuration;
    /// put the secret itself there, or a reference such as `${env:NAME}`.
    RedactedSecret = 27, "a redacted secret was given as a value";
    /// `${env:NAME}` names an environment variable that is not set. Set it, or give a default: `${env:NAME:-value}`.
    MissingVariable = 28, "environment variable not set";
    /// `${file:PATH}` names a file that cannot be read.
    MissingFile = 29, "referenced file cannot be read";
    /// A `${…}` reference is malformed, or its scheme is neither `env`, `file` nor the id of a security plugin.
    /// Write `$${` for a literal `${`.
    BadReference = 30, "malformed reference";
    /// The plugin that resolves a secret could not deliver it when the plugin that needs it was started.
    SecretUnavailable = 31, "secret unavailable";
    /// The field is still read, but its plugin means to give it up. The message says what to write instead.
    DeprecatedField = 32, "deprecated field";

    /// No plugin of this name is linked into the program. Fix the spelling, or link the crate that has it with
    /// `mlx_core::link!(crate_name);`.
    UnknownPlugin = 50, "unknown plugin";
    /// No contract of this name is known to the program.
    UnknownPluginType = 51, "unknown plugin type";
    /// The plugin type is reserved for a later version.
    PlannedPluginType = 52, "planned plugin type";
    /// Two plugins have the same id, or two steps of a pipeline the same name. Give one of them another.
    DuplicateId = 53, "an id appears twice";
    /// Two enabled plugins exclude each other. Disable or remove one of them.
    Conflict = 54, "conflicting plugins";
    /// More plugins of a type are enabled than the type accepts. Mark one with `default: true` to keep the
    /// others as named extras, or remove them.
    Cardinality = 55, "too many plugins of a type";
    /// A plugin needs another plugin, a plugin type or a capability that the composition does not enable.
    MissingRequirement = 56, "missing requirement";
    /// A required plugin is there, but its version does not satisfy the requirement.
    VersionMismatch = 57, "version requirement not met";
    /// Plugins require each other in a circle, or steps of a pipeline wait for each other, so none of them can be first.
    Cycle = 58, "requirements form a cycle";
    /// A conflict names a plugin that is not linked but resembles one that is.
    ConflictTypo = 59, "a conflict names no plugin";
    /// The plugin does not support the operating system that the program runs on.
    UnsupportedPlatform = 60, "unsupported operating system";
    /// A profile names a plugin that the composition does not have, or a profile does not exist.
    UnknownProfile = 61, "unknown profile or profile entry";
    /// More than one plugin of a type is marked `default: true`.
    DuplicateDefault = 62, "a type has two defaults";
    /// Of several plugins that cannot run together, `precedence` prefers another one. The plugin is treated as if it
    /// were disabled. To run it instead, put its name first.
    LeftOut = 63, "a plugin is left out for a preferred one";
    /// `precedence` names a plugin type, a capability or a plugin that this program and the composition do not have.
    /// Fix the spelling or remove the name.
    UnknownPreference = 64, "unknown name in precedence";
    /// The plugins of the composition say that together they need more memory, processor cores or graphics processors
    /// than the machine has, or than a limit (a control group) lets the program use. The platform starts all the same.
    /// Remove a plugin, or run the program on a larger machine.
    NotEnoughResources = 65, "the machine has less than the plugins need";
    /// A file includes or extends itself, perhaps through others. The notes say along which way. Move what both need
    /// into a file of its own.
    CircularInclude = 66, "files include each other in a circle";
    /// `${name}` names no variable of the composition. Declare it under `variables`, or fix the spelling; an
    /// environment variable is written `${env:NAME}`.
    UnknownVariable = 67, "unknown variable of the composition";
    /// Variables of the composition stand for each other in a circle, so none of them has a value.
    CircularVariable = 68, "variables form a circle";
    /// An environment variable `MLX__PLUGIN__FIELD`, or an override by the program, names no setting of a plugin of the
    /// composition, or could mean several. Name the plugin by type and id: `MLX__TYPE__ID__FIELD`, `type/id.field`.
    UnknownOverride = 69, "an override names no setting, or several";

    /// Two registered plugins have the same type and name. Rename one, or link only one of the crates.
    DuplicatePlugin = 70, "duplicate plugin";
    /// `link!` names a crate that registers no plugin, because it has none or its features are off.
    UnmetLink = 71, "a linked crate registers no plugin";
    /// A registration contradicts itself or the contract it names.
    BadRegistration = 72, "invalid registration";
    /// `plugins.json` lists a plugin that is not linked into the program. Declare its module, link the crate that has it
    /// with `mlx_core::link!(crate_name);`, or take the entry out of the file.
    NotLinked = 73, "a listed plugin is not linked";
    /// A plugin of the program's own is linked and `plugins.json` does not list it. Add an entry for it, so that tools see it
    /// too.
    NotListed = 74, "a linked plugin is not listed";
    /// The plugin that is linked is not the one that `plugins.json` lists: it has another version, or it is declared in
    /// another file.
    ListedDiffers = 75, "a linked plugin differs from the listed one";

    /// A plugin's `initialize` returned an error, which the message quotes. Everything else that had been started was
    /// stopped again. Mend the cause, or set `on_failure: continue` if the platform can do without the plugin.
    StartFailed = 90, "a plugin did not start";
    /// A plugin did not finish a step before its deadline. If it needs longer, raise its `start_timeout` or
    /// `stop_timeout`; if it blocks its thread, its author should use `tokio::task::spawn_blocking`.
    DeadlineExceeded = 91, "deadline exceeded";
    /// A plugin panicked, which is a mistake in the plugin: report it to its author. The panic was contained; the
    /// plugin counts as failed.
    Panicked = 92, "a plugin panicked";
    /// A plugin's `shutdown` returned an error or was given up, so it may not have given back all that it held. The
    /// others were stopped all the same.
    StopFailed = 93, "a plugin did not stop cleanly";
    /// A plugin was not started because one it requires did not start.
    DependencyFailed = 94, "a required plugin did not start";
    /// A plugin that was started while the platform runs said that it is unhealthy, so callers were not sent to it and
    /// the change was undone. As a warning: it said that it is degraded, and was accepted.
    Unhealthy = 95, "a new plugin is unhealthy";
    /// A plugin could not share what its successor needs, so it was not replaced and runs on.
    HandOverFailed = 96, "a plugin did not hand over";
    /// A plugin cannot be stopped because others require it. Stop those too, in one change.
    StillRequired = 97, "a plugin is still required";
    /// A plugin that cannot run twice was stopped for its successor, the change failed, and then the plugin did not start
    /// again with its old settings. It does not run: mend the cause, and apply a composition.
    RestoreFailed = 98, "a plugin was not restored";
    /// A method of a plugin was called whose author has not written it yet. The position is the line to replace.
    NotImplemented = 99, "a plugin's method is not written yet";

    /// `after`, `data` or a reference names a step that the pipeline does not have. Fix the spelling.
    UnknownStep = 110, "unknown step";
    /// A step names a plugin that the platform does not have. Fix the spelling, or add the plugin to the composition;
    /// where two plugins have the same id, write `type/id`.
    UnknownStepPlugin = 111, "a step's plugin is not part of the platform";
    /// A reference names something that the step does not deliver or the run is not given, or a step did not deliver
    /// what it declares. Fix the spelling, or let the step deliver it.
    UnknownOutput = 112, "unknown output";
    /// A step of a pipeline failed, for the reason that the message quotes. What depends on it was skipped.
    StepFailed = 113, "a step failed";
    /// A pipeline was changed since the record that it is to continue: what a finished step depends on is no longer
    /// what it was. Undo the change, or begin a new record.
    RecordMismatch = 114, "the pipeline is not that of the record";
    /// A line of a pipeline's record, other than the last, cannot be read. It was changed, or the disk is damaged: take
    /// the lines before it as the record, or begin a new one.
    RecordDamaged = 115, "the record of a pipeline is damaged";

    /// No component of the catalogue has this name or alias. Fix the spelling; `mlx list` shows them all.
    UnknownComponent = 130, "unknown component";
    /// A path leaves the folder it belongs to (`..`, an absolute path, a drive letter), means different files on different
    /// systems (letter case, reserved names such as `CON`, a dot or a space at the end), or is none that a component may
    /// write, such as `.git` or `build.rs`.
    CataloguePath = 131, "a path of a catalogue is not safe";
    /// A catalogue holds a symbolic link, a pipe or a device. It consists of folders and regular files alone, so that nothing
    /// outside it is read. Put the file itself there.
    SpecialFile = 132, "neither a file nor a folder";
    /// Two components answer to the same name or alias. Rename one of them.
    DuplicateComponent = 133, "two components of one name";
    /// A component depends on one that the catalogue does not have, or not in a version that it accepts, or components
    /// depend on each other in a circle.
    UnmetDependency = 134, "a dependency between components is not met";
    /// Something is declared and nothing uses it: a variable, a template's file. Use it or remove it.
    Unused = 135, "declared and not used";
    /// A template is malformed, cannot be rendered with these values, does more work than a template may, or puts a text where
    /// it could mean something else. The position is in the template.
    BadTemplate = 136, "a template cannot be rendered";
    /// A template uses a name that is not among its `variables`, or names a secret setting: the value of a secret is never
    /// given to a template.
    UndeclaredVariable = 137, "a template uses a variable that it does not declare";
    /// A file is not what it is recorded to be: it was changed or cut short after its hash was taken, or a rendering differs
    /// from the expected one. If the change was meant, record it again.
    ContentMismatch = 138, "a file differs from what is recorded";
    /// Two templates write the same file, perhaps in another letter case. Give one of them another target.
    TargetCollision = 139, "two templates write one file";

    /// The folder and those above it hold no `mlx.lock`. Change to the project, or make one with `mlx init NAME`.
    NoProject = 140, "not a project";
    /// A path is not relative, leaves the project, runs through a symbolic link, is not portable (reserved on Windows,
    /// control characters, too long) or belongs to `.git` or `.mlx`. Nothing was written.
    UnsafePath = 141, "the path is not safe";
    /// `mlx.lock` was changed by hand, or is of a later version of `mlx`. Restore it from version control.
    BadLock = 142, "mlx.lock cannot be used";
    /// A file is not what it was when the plan was made, or a file has appeared where one is to be created. Nothing was
    /// written: plan again.
    Stale = 143, "the project changed since the plan was made";
    /// Another `mlx` is changing the project. Wait until it has finished.
    Busy = 144, "another command works on the project";
    /// A command was interrupted, and what it left can be neither finished nor undone without losing something, because
    /// a file was changed since. Move the named file aside and run `mlx recover`.
    Unrecovered = 145, "an interrupted change cannot be recovered";
    /// A file has no region of this name, or the region does not end. Paste the lines that the message shows where the
    /// region is to be.
    NoRegion = 146, "a region is missing or malformed";
    /// `Cargo.toml` has a dependency that does not go together with the one that a component needs, or cannot be edited.
    /// Change the requirement of one of the two.
    BadManifest = 147, "Cargo.toml does not fit";
    /// The text is no plan, is of another version, or was changed after it was made. Plan again.
    BadPlan = 148, "the plan cannot be used";
    /// A name or an answer is not what the component accepts. The message says what is.
    BadAnswer = 149, "an answer is not accepted";
    /// Settings that a component needs have no default and were not given. Give them with `--set NAME=VALUE`, in an
    /// answers file, or in the environment.
    MissingAnswer = 150, "an answer is missing";
    /// A secret was given where a command's history, a lock file or a template would show it. Secrets are not asked for
    /// when code is generated: put them into the environment that the program runs in.
    SecretAnswer = 151, "a secret was given as an answer";
    /// Two components, or two plugins, cannot be in one project. Nothing was written: leave one of them out.
    ComponentConflict = 152, "components exclude each other";
    /// A component needs another one in a version that the catalogue or the project does not have, or needs itself in a
    /// circle. The message says who needs what.
    UnmetComponent = 153, "a component's dependency is not met";
    /// A file is to be created where the project has one already, a project inside another, or two paths differ in nothing but
    /// case. Move the file, or choose another name or folder.
    Occupied = 154, "a file is in the way";

    /// An earlier `mlx update` left conflicts. Resolve them and run `mlx update --continue`, or give the update up with
    /// `mlx update --abort`; until then, nothing else changes the project.
    UpdatePending = 155, "an update waits for its conflicts to be resolved";
    /// A file still has the markers of a conflict, or still lies beside the file that it could not be merged into. Resolve the
    /// conflict: take from both sides what is needed, and delete the markers, or the file beside.
    ConflictsLeft = 156, "conflicts are left";
    /// There is no update to continue or to give up: the last one had no conflicts, or is finished.
    NoPendingUpdate = 157, "no update waits";
    /// A component or plugin cannot be removed because others of the project need it. Remove those first.
    StillNeeded = 158, "it is needed by others";
    /// The project has no such component or plugin. `mlx status` shows what it has.
    NotInstalled = 159, "the project does not have it";
    /// The pristine render of a file, which is kept in `.mlx/base`, is gone or was changed, so the file cannot be merged with
    /// what its template has become. Restore it from version control.
    BaseLost = 160, "a pristine render is lost";
    /// What a component had put into a region of a file, or into `Cargo.toml`, is no longer there as it was. It is left alone; if the
    /// template has changed since, the change is to be made by hand.
    EntryChanged = 161, "an entry was changed by hand";
    /// Code of the project mentions a module that was removed with a component. Change it; the compiler shows the places.
    StillMentioned = 162, "code mentions what is removed";

    /// A policy under `resilience` gives the methods of the plugin's type nothing to do. `retry` repeats calls of methods that
    /// the contract declares `#[idempotent]`, and `timeout` and `deadline` give up calls of async methods: where there are
    /// none, remove the policy.
    IneffectivePolicy = 170, "a policy has no effect";
}

impl Code {
    /// The number alone: 20 for `MLX0020`.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Finds a code by what it prints as, in any case: `MLX0020`, `mlx0020`, `20`.
    pub fn find(text: &str) -> Option<Code> {
        let digits = match text.get(..3) {
            Some(prefix) if prefix.eq_ignore_ascii_case("mlx") => &text[3..],
            _ => text,
        };
        let number: u16 = digits.parse().ok()?;
        Code::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MLX{:04}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_by_what_it_prints() {
        for code in Code::ALL {
            assert_eq!(Code::find(&code.to_string()), Some(*code));
        }
        assert_eq!(Code::find("mlx0020"), Some(Code::UnknownField));
        assert_eq!(Code::find("MLX9999"), None);
        assert_eq!(Code::find("🦀"), None);
    }

    #[test]
    fn numbers_rise_and_are_unique() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
    }
}
