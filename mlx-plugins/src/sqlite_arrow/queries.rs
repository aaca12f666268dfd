//! A connection on which nothing but queries is allowed.

use mlx_core::{Error, Result};
use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
};

/// Refuses, from now on, every statement that could change anything or reach a file, and tells `reads` of each table
/// that a query reads.
pub(crate) fn allow_queries(connection: &mut Connection, mut reads: impl FnMut(&str) + Send + 'static) -> Result<()> {
    let decide = move |context: AuthContext<'_>| match context.action {
        AuthAction::Read { table_name, .. } => {
            reads(table_name);
            Authorization::Allow
        }
        AuthAction::Select | AuthAction::Function { .. } | AuthAction::Recursive => Authorization::Allow,
        _ => Authorization::Deny,
    };
    connection.authorizer(Some(decide)).map_err(Error::wrap)
}

/// Ends [`allow_queries`].
pub(crate) fn allow_everything(connection: &mut Connection) -> Result<()> {
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).map_err(Error::wrap)
}
