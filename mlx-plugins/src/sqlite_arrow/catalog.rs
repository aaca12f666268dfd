//! What tables a database has, and their columns.

use super::{Deadline, failure, types};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use mlx_core::{Error, Result};
use rusqlite::Connection;
use std::sync::Arc;

/// The names of the tables and views, sorted.
pub(crate) fn tables(connection: &Connection, deadline: &Deadline) -> Result<Vec<String>> {
    const SQL: &str = r"select name from sqlite_schema
        where type in ('table', 'view') and name not like 'sqlite\_%' escape '\' order by name";
    let mut statement = connection.prepare(SQL).map_err(|error| failure(error, deadline))?;
    let names = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect);
    names.map_err(|error| failure(error, deadline))
}

/// The columns of a table as they are declared; `Null` is the type of a column that can hold anything.
pub(crate) fn table_schema(connection: &Connection, table: &str, deadline: &Deadline) -> Result<SchemaRef> {
    const SQL: &str = r#"select name, type, "notnull" from pragma_table_info(?)"#;
    let mut statement = connection.prepare(SQL).map_err(|error| failure(error, deadline))?;
    let fields: Vec<Field> = statement
        .query_map([table], |row| {
            let (name, declaration, not_null): (String, String, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Field::new(name, types::promised(&declaration).unwrap_or(DataType::Null), !not_null))
        })
        .and_then(Iterator::collect)
        .map_err(|error| failure(error, deadline))?;
    if fields.is_empty() {
        let known = tables(connection, deadline)?;
        let known = mlx_core::diagnostics::listing(known.iter().map(String::as_str));
        let known = if known.is_empty() { "there are none".to_owned() } else { format!("there are {known}") };
        return Err(Error::not_found(format!("there is no table `{table}`; {known}")));
    }
    Ok(Arc::new(Schema::new(fields)))
}
