//! Two plugins, in a crate that the application names.

mod approximate;
mod exact;

#[cfg(test)]
mod tests {
    use mlx_core::registry;

    /// `companion` depends on this crate, so this program holds its plugins twice.
    #[test]
    fn an_exact_twin_is_no_duplicate() {
        assert!(companion::linked());
        let names: Vec<&str> = registry().iter().map(|plugin| plugin.metadata().name).collect();
        assert_eq!(names, ["approximate", "exact"]);
        assert!(registry().problems().is_empty(), "{:?}", registry().problems());
    }
}
