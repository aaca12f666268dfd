//! Plugins that all chose `registration = "linkme"`.

mod suite;

suite::speaker!(Zwei, "linkme");
suite::speaker!(Eins, "linkme");
suite::speaker!(Drei, "linkme");

#[test]
fn all_are_found() {
    suite::holds(&["drei", "eins", "zwei"]);
}
