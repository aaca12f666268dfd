//! `docs/pipelines.md` tells of a program that runs: what it quotes of a file stands in the file, and what it says the
//! program prints is what it prints.

use std::{fs, path::Path};

#[allow(dead_code, unreachable_pub)]
#[path = "../examples/nightly/main.rs"]
mod nightly;

#[test]
fn the_page_quotes_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let page = read("docs/pipelines.md");
    let printed = mlx_core::block_on(nightly::run()).expect("a pipeline that succeeds");
    let mut quotes = 0;
    for (marker, rest) in page.split("<!-- ").skip(1).filter_map(|part| part.split_once(" -->\n")) {
        let (_, rest) = rest.split_once('\n').expect("a block");
        let (block, _) = rest.split_once("```").expect("the end of the block");
        match marker {
            "output" => assert_eq!(printed.trim_end(), block.trim_end()),
            source => assert!(read(source).contains(block), "{source} does not contain\n{block}"),
        }
        quotes += 1;
    }
    assert_eq!(quotes, 3);
}
