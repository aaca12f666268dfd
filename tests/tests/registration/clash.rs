//! One name from both backends: neither hides the other.

// Nothing is created here.
#[allow(dead_code)]
mod suite;

mod first {
    crate::suite::speaker!(Eins, "linkme");
}

mod second {
    crate::suite::speaker!(Eins, "inventory");
}

#[test]
fn both_are_named() {
    let problems = mlx_core::registry().problems();
    let report = format!("{problems:?}");
    assert_eq!(problems.len(), 1, "{report}");
    assert!(report.contains("::first") && report.contains("::second"), "{report}");
}
