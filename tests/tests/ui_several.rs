//! What the compiler says of several mistakes at once: all of them.

#[test]
fn several_mistakes_are_several_errors() {
    trybuild::TestCases::new().compile_fail("ui_several/*.rs");
}
