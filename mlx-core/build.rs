//! Present because `links` needs a build script; see `links` in Cargo.toml.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
}
