//! Questions on a terminal. Nothing depends on them: whatever is asked can be given with `--set` or `--answers`.

use mlx_components::catalogue::{Variable, VariableKind};
use mlx_core::{Context, Error, JsonValue, Result};
use std::io::{self, IsTerminal};

/// Whether somebody can be asked.
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn answered<T>(answer: Result<T, inquire::InquireError>) -> Result<T> {
    use inquire::InquireError::{OperationCanceled, OperationInterrupted};
    answer.map_err(|error| match error {
        OperationCanceled | OperationInterrupted => Error::cancelled("given up; nothing was done"),
        other => Error::wrap(other).context("asking"),
    })
}

/// Asks for the value of a variable until it is one.
pub(crate) fn variable(name: &str, variable: &Variable) -> Result<JsonValue> {
    let question = format!("{}:", variable.description.trim_end_matches('.'));
    if !variable.choices.is_empty() {
        return choice(&question, &variable.choices).map(JsonValue::from);
    }
    if variable.kind == VariableKind::Boolean {
        let default = variable.default.as_ref().and_then(JsonValue::as_bool).unwrap_or(false);
        return answered(inquire::Confirm::new(&question).with_default(default).prompt()).map(JsonValue::from);
    }
    let default =
        variable.default.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let checked = |text: &str| variable.parse(name, text).map(drop);
    let prompt = inquire::Text::new(&question).with_help_message(name);
    let prompt = match &default {
        Some(default) => prompt.with_default(default),
        None => prompt,
    };
    variable.parse(name, &until(prompt, checked)?).context("reading the answer")
}

/// Asks until the answer is accepted.
fn until(prompt: inquire::Text<'_, 'static>, check: impl Fn(&str) -> Result<()>) -> Result<String> {
    loop {
        let answer = answered(prompt.clone().prompt())?;
        match check(&answer) {
            Ok(()) => return Ok(answer),
            Err(error) => eprintln!("{}", error.report()),
        }
    }
}

/// Asks for one of a list.
pub(crate) fn choice(question: &str, choices: &[String]) -> Result<String> {
    answered(inquire::Select::new(question, choices.to_vec()).prompt())
}

/// Asks for a name until it is one.
pub(crate) fn name(question: &str, check: impl Fn(&str) -> Result<()>) -> Result<String> {
    until(inquire::Text::new(question), check)
}
