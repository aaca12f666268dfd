//! Plugins of both backends in one program.

mod suite;

suite::speaker!(Zwei, "linkme");
suite::speaker!(Eins, "inventory");
suite::speaker!(Drei, "linkme");
suite::speaker!(Vier, "inventory");

#[test]
fn all_are_found() {
    suite::holds(&["drei", "eins", "vier", "zwei"]);
}
