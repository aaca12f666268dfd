//! Who may do what.

pub mod roles;

/// Somebody was turned away. The security plugin publishes it as an event of the platform:
/// `platform.events().subscribe::<AccessDenied>()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessDenied {
    /// Who it was; `None` for somebody who is not known.
    pub principal: Option<String>,
    /// What they wanted to do, to what: `predict:iris`. Empty for somebody who is not known.
    pub wanted: String,
}
