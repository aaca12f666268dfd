//! Values in place of `?`.

use super::{Deadline, failure};
use mlx_core::{Error, Result};
use rusqlite::{Statement, types::Value};

/// Binds the parameters of a statement, in order. Booleans become 0 and 1; lists and objects become their JSON text,
/// which `json_each(?)` takes apart.
pub(super) fn bind(statement: &mut Statement<'_>, values: &[serde_json::Value], deadline: &Deadline) -> Result<()> {
    if values.len() != statement.parameter_count() {
        return Err(failure(
            rusqlite::Error::InvalidParameterCount(values.len(), statement.parameter_count()),
            deadline,
        ));
    }
    for (index, value) in values.iter().enumerate() {
        let value = match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Integer((*value).into()),
            serde_json::Value::Number(number) => match (number.as_i64(), number.is_u64(), number.as_f64()) {
                (Some(number), ..) => Value::Integer(number),
                (None, false, Some(number)) => Value::Real(number),
                _ => {
                    let place = index + 1;
                    return Err(Error::invalid(format!("parameter {place}: {number} is larger than SQLite can hold")));
                }
            },
            serde_json::Value::String(text) => Value::Text(text.clone()),
            nested => Value::Text(nested.to_string()),
        };
        statement.raw_bind_parameter(index + 1, value).map_err(|error| failure(error, deadline))?;
    }
    Ok(())
}
