//! Plugins that register through `inventory`, as they do by default.

mod suite;

suite::speaker!(Zwei, "inventory");
suite::speaker!(Eins, "inventory");
suite::speaker!(Drei, "inventory");

#[test]
fn all_are_found() {
    suite::holds(&["drei", "eins", "zwei"]);
}
