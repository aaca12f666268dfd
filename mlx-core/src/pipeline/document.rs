//! What a pipeline is: its file, and its making in code.

use crate::{
    ComponentResult, ExecutionContext, PluginConfig,
    config::{Located, Reader},
    diagnostics::{Code, Diagnostic, Error, Location, Result, Source},
    resilience::Retry,
    value::{self, Node, json, yaml},
};
use std::{fmt, future::Future, path::Path, pin::Pin, sync::Arc, time::Duration};

/// Named steps over the plugins of a platform, and what each of them waits for.
///
/// ```
/// # use mlx_core::pipeline::Pipeline;
/// let pipeline = Pipeline::from_yaml(
///     r#"
/// name: nightly
/// steps:
///   - name: load
///     plugin: warehouse
///     input: {table: sales}
///   - name: train
///     plugin: ml_trainer/forest
///     input: {rows: "${steps.load.outputs.rows}"}
///     retry: {max_attempts: 3, initial_backoff: 1s}
///     deadline: 10m
/// "#,
/// )?;
/// assert_eq!(pipeline.steps().len(), 2);
/// # Ok::<(), mlx_core::Error>(())
/// ```
///
/// Reading one collects mistakes instead of stopping at the first: they are reported together with those that only a
/// platform can find, before anything is run.
#[derive(Clone)]
pub struct Pipeline {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) input: Node,
    pub(super) parallelism: Located<usize>,
    pub(super) deadline: Option<Duration>,
    pub(super) steps: Vec<Step>,
    pub(super) problems: Vec<Diagnostic>,
}

/// One step of a [`Pipeline`].
#[derive(Clone)]
pub struct Step {
    pub(super) name: Located<String>,
    pub(super) work: Work,
    pub(super) after: Vec<Located<String>>,
    pub(super) data: Vec<Located<String>>,
    pub(super) input: Node,
    pub(super) outputs: Option<Vec<Located<String>>>,
    pub(super) retry: Option<Retry>,
    pub(super) timeout: Option<Duration>,
    pub(super) deadline: Option<Duration>,
    pub(super) on_failure: OnFailure,
    pub(super) path: String,
    pub(super) location: Option<Location>,
}

/// What a step does.
#[derive(Clone)]
pub(super) enum Work {
    /// Executes a plugin, by id or `type/id`.
    Plugin(Located<String>),
    /// Calls a function of the program.
    Call(Arc<Call>),
}

pub(super) type Call =
    dyn Fn(ExecutionContext) -> Pin<Box<dyn Future<Output = Result<ComponentResult>> + Send>> + Send + Sync;

/// What becomes of the pipeline when a step fails. It has failed either way, and what depends on the step is skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PluginConfig)]
#[config(rename_all = "snake_case")]
pub enum OnFailure {
    /// It ends: running steps are cancelled, and no other begins.
    #[default]
    Abort,
    /// The steps that do not depend on it still run.
    Continue,
}

const FIELDS: &[&str] = &["name", "description", "input", "parallelism", "deadline", "steps"];
const STEP_FIELDS: &[&str] =
    &["name", "plugin", "after", "data", "input", "outputs", "retry", "timeout", "deadline", "on_failure"];

/// How many steps run at the same time unless the pipeline says otherwise.
pub const PARALLELISM: usize = 4;

impl Pipeline {
    /// A pipeline without steps.
    pub fn new(name: impl Into<String>) -> Self {
        Pipeline {
            name: name.into(),
            description: String::new(),
            input: Node::empty_map(),
            parallelism: PARALLELISM.into(),
            deadline: None,
            steps: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Reads a pipeline from a file: YAML (`.yaml`, `.yml`), TOML (`.toml`) or JSON (`.json`).
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the file cannot be read or is malformed.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let node = value::read_file(path).map_err(|found| Error::from_diagnostics(path.display(), found))?;
        Ok(Pipeline::from_node(&node))
    }

    /// Reads a pipeline from YAML.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the text is malformed.
    pub fn from_yaml(text: &str) -> Result<Self> {
        let node = yaml::parse(&Source::new("<yaml>", text))
            .map_err(|found| Error::from_diagnostics("the pipeline", found))?;
        Ok(Pipeline::from_node(&node))
    }

    /// Reads a pipeline from JSON text.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the text is malformed.
    pub fn from_json(text: &str) -> Result<Self> {
        let node = json::parse(&Source::new("<json>", text))
            .map_err(|found| Error::from_diagnostics("the pipeline", found))?;
        Ok(Pipeline::from_node(&node))
    }

    fn from_node(node: &Node) -> Self {
        let mut cx = Reader::literal();
        let mut pipeline = Pipeline::new("");
        if let Some(mut fields) = cx.fields(node) {
            let name = cx.field::<Located<String>>(&mut fields, "name", None);
            if let Some(name) = name {
                if name.trim().is_empty() {
                    let at = name.location.as_ref();
                    cx.nested("name", |cx| cx.error(Code::WrongLength, "it must not be empty", at));
                }
                pipeline.name = name.value;
            }
            pipeline.description = cx.field(&mut fields, "description", Some(String::new)).unwrap_or_default();
            let input = cx.field::<Node>(&mut fields, "input", Some(Node::empty_map)).unwrap_or_else(Node::empty_map);
            if cx.nested("input", |cx| cx.fields(&input).is_some()) {
                pipeline.input = input;
            }
            if let Some(number) = cx.field(&mut fields, "parallelism", Some(|| PARALLELISM.into())) {
                pipeline.parallelism = number;
            }
            pipeline.deadline = cx.field(&mut fields, "deadline", None).flatten();
            let steps: Vec<Node> = cx.field(&mut fields, "steps", None).unwrap_or_default();
            cx.nested("steps", |cx| {
                for (index, node) in steps.iter().enumerate() {
                    pipeline.steps.extend(cx.element(index, |cx| Step::read(node, cx)));
                }
            });
            if steps.is_empty() && node.as_map().is_some_and(|map| map.get("steps").is_some()) {
                cx.nested("steps", |cx| cx.error(Code::WrongLength, "a pipeline has at least one step", None));
            }
            cx.unknown_keys(fields, FIELDS);
        }
        pipeline.problems = cx.into_parts().0;
        pipeline
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets what a run is given unless its starter says otherwise: an object, read with `${input.KEY}`.
    #[must_use]
    pub fn input(mut self, input: serde_json::Value) -> Self {
        self.input = input.into();
        self
    }

    /// Sets how many steps run at the same time.
    #[must_use]
    pub fn parallelism(mut self, steps: usize) -> Self {
        self.parallelism = steps.into();
        self
    }

    /// Sets how long the whole may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, mut step: Step) -> Self {
        step.path = format!("steps[{}]", self.steps.len());
        self.steps.push(step);
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The steps, in the order of the file.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The mistakes in the file's structure. Running the pipeline reports them too.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("name", &self.name).field("steps", &self.steps).finish_non_exhaustive()
    }
}

impl Step {
    fn new(name: Located<String>, work: Work) -> Self {
        Step {
            location: name.location.clone(),
            name,
            work,
            after: Vec::new(),
            data: Vec::new(),
            input: Node::new(value::Value::Null),
            outputs: None,
            retry: None,
            timeout: None,
            deadline: None,
            on_failure: OnFailure::Abort,
            path: String::new(),
        }
    }

    /// A step that executes a plugin, by id or `type/id`.
    pub fn plugin(name: impl Into<String>, plugin: impl Into<String>) -> Self {
        Step::new(name.into().into(), Work::Plugin(plugin.into().into()))
    }

    /// A step that calls a function, in a task of its own: a panic is a failure of the step, no more.
    ///
    /// ```
    /// # use mlx_core::{pipeline::Step, prelude::*};
    /// Step::call("double", |cx| async move {
    ///     let number = cx.input().as_f64().context("a number")?;
    ///     Ok(ComponentResult::success().output("double", 2.0 * number))
    /// });
    /// ```
    pub fn call<F, R>(name: impl Into<String>, work: F) -> Self
    where
        F: Fn(ExecutionContext) -> R + Send + Sync + 'static,
        R: Future<Output = Result<ComponentResult>> + Send + 'static,
    {
        Step::new(name.into().into(), Work::Call(Arc::new(move |cx| Box::pin(work(cx)))))
    }

    /// Reads a step. It is kept when its name and plugin can be read, whatever else is wrong with it, so that what
    /// depends on it is not reported as well.
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let mut fields = cx.fields(node)?;
        let names = |cx: &mut Reader<'_>, fields: &mut _, key| {
            cx.field::<Vec<Located<String>>>(fields, key, Some(Vec::new)).unwrap_or_default()
        };
        let name = cx.field::<Located<String>>(&mut fields, "name", None);
        let plugin = cx.field::<Located<String>>(&mut fields, "plugin", None);
        let after = names(cx, &mut fields, "after");
        let data = names(cx, &mut fields, "data");
        let input = cx.field::<Node>(&mut fields, "input", Some(|| Node::new(value::Value::Null)));
        let outputs = cx.field::<Option<Vec<Located<String>>>>(&mut fields, "outputs", None).flatten();
        let retry = cx.field::<Option<Retry>>(&mut fields, "retry", None).flatten();
        let timeout = cx.field::<Option<Duration>>(&mut fields, "timeout", None).flatten();
        let deadline = cx.field::<Option<Duration>>(&mut fields, "deadline", None).flatten();
        let on_failure = cx.field(&mut fields, "on_failure", Some(OnFailure::default)).unwrap_or_default();
        cx.unknown_keys(fields, STEP_FIELDS);
        let step = Step { path: cx.path(), ..Step::new(name?, Work::Plugin(plugin?)) };
        let input = input.unwrap_or_else(|| step.input.clone());
        Some(Step { after, data, input, outputs, retry, timeout, deadline, on_failure, ..step })
    }

    /// Waits for another step's success before it begins. A step named in a reference or in `data` needs no mention.
    #[must_use]
    pub fn after(mut self, step: impl Into<String>) -> Self {
        self.after.push(step.into().into());
        self
    }

    /// Takes the typed data that another step delivers, a [`DataFrame`](crate::DataFrame), say:
    /// [`ExecutionContext::data`] has it.
    #[must_use]
    pub fn data(mut self, step: impl Into<String>) -> Self {
        self.data.push(step.into().into());
        self
    }

    /// Sets the input. A text in it may refer to what other steps delivered: `${steps.load.outputs.rows}`.
    #[must_use]
    pub fn input(mut self, input: serde_json::Value) -> Self {
        self.input = input.into();
        self
    }

    /// Declares what the step delivers, so that a reference to anything else is refused before the run, and the step
    /// fails when it does not keep its word.
    #[must_use]
    pub fn outputs<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.outputs = Some(names.into_iter().map(|name| name.into().into()).collect());
        self
    }

    /// Has the step tried again when it fails.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets how long one attempt may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how long the step may take, all its attempts and the pauses between them together.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets what becomes of the pipeline when the step fails.
    #[must_use]
    pub fn on_failure(mut self, policy: OnFailure) -> Self {
        self.on_failure = policy;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plugin that it executes, as it was written; `None` for a function.
    pub fn plugin_id(&self) -> Option<&str> {
        match &self.work {
            Work::Plugin(id) => Some(id.as_str()),
            Work::Call(_) => None,
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("name", &self.name()).field("plugin", &self.plugin_id()).finish_non_exhaustive()
    }
}
