//! `docs/macros/tutorial.md` tells of programs that run: what it quotes of a file stands in the file.

use std::{fs, path::Path};

#[allow(dead_code, unreachable_pub)]
#[path = "../examples/weather/main.rs"]
mod weather;

#[test]
fn the_program_of_the_tutorial_runs() {
    mlx_core::block_on(weather::run()).expect("a platform that starts and stops");
}

#[test]
fn the_tutorial_quotes_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let tutorial = read("docs/macros/tutorial.md");
    let mut quotes = 0;
    for (before, rest) in tutorial.match_indices("```").map(|(at, _)| tutorial.split_at(at)).step_by(2) {
        let last = before.lines().rev().find(|line| !line.is_empty()).unwrap_or_default();
        let (fence, rest) = rest.split_once('\n').expect("a block");
        let (block, _) = rest.split_once("```").expect("the end of the block");
        let source = last.strip_prefix("<!-- ").and_then(|last| last.strip_suffix(" -->"));
        let source = source.unwrap_or_else(|| panic!("the block\n{block}does not say from which file it is"));
        assert!(read(source).contains(block), "{source} does not contain\n{block}");
        assert!(
            fence.contains("ignore") || !fence.contains("rust"),
            "{source}: rustdoc would compile a quote on its own"
        );
        quotes += 1;
    }
    assert!(quotes > 8, "{quotes} quotes");
}
