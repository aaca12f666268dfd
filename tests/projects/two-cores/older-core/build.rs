//! Present because `links` needs a build script.
fn main() {}
