//! Roles: named sets of scopes.
//!
//! A scope is `*` (everything), `ACTION:*` or `ACTION:RESOURCE`, such as `predict:iris`.

use mlx_core::{
    diagnostics::{listing, nearest},
    prelude::*,
};
use std::collections::{BTreeMap, BTreeSet};

/// The scopes of each role.
pub type Roles = BTreeMap<String, Vec<String>>;

/// The scopes of somebody who has these roles, each once.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for a role that does not exist, with those that do.
pub fn scopes<'a>(
    roles: &Roles,
    held: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<String>> {
    let mut scopes = BTreeSet::new();
    for role in held {
        scopes.extend(
            roles
                .get(role)
                .ok_or_else(|| unknown(role, roles))?
                .iter()
                .cloned(),
        );
    }
    Ok(scopes.into_iter().collect())
}

fn unknown(role: &str, roles: &Roles) -> Error {
    let known = || roles.keys().map(String::as_str);
    let hint =
        nearest(role, known()).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    Error::invalid(format!(
        "there is no role `{role}`{hint}; the roles are {}",
        listing(known())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles() -> Roles {
        let scopes = |scopes: &[&str]| scopes.iter().map(|&scope| scope.to_owned()).collect();
        Roles::from([
            ("analyst".to_owned(), scopes(&["predict:*", "read:metrics"])),
            ("client".to_owned(), scopes(&["predict:*"])),
        ])
    }

    #[test]
    fn the_scopes_of_several_roles_are_united() -> Result<()> {
        let held = ["client".to_owned(), "analyst".to_owned()];
        assert_eq!(scopes(&roles(), &held)?, ["predict:*", "read:metrics"]);
        assert!(scopes(&roles(), &[])?.is_empty());
        Ok(())
    }

    #[test]
    fn an_unknown_role_names_the_nearest() {
        let error = scopes(&roles(), &["clent".to_owned()]).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `client`"),
            "{error}"
        );
    }
}
