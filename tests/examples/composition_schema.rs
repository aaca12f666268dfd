//! Prints the schema of compositions for the plugins of this package, for `tests/editors/run`.

fn main() -> mlx_core::Result<()> {
    // Named, so that its plugins are linked.
    let _ = mlx_tests::Surroundings;
    println!("{:#}", mlx_core::registry().composition_schema().as_value());
    Ok(())
}
