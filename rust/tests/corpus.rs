//! What the fuzzer of `fuzz/` found worth keeping is packed or refused as promised.

mod common;

use std::fs;
use std::path::Path;

use common::arbitrary::{Case, silence_arrow};
use common::promises;

#[test]
fn packing_keeps_its_promises_for_every_kept_input() {
    silence_arrow();
    let mut built = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")).unwrap() {
        if let Some(case) = Case::of(&fs::read(entry.unwrap().path()).unwrap()) {
            promises::hold(&case);
            built += 1;
        }
    }
    assert!(built > 100, "{built}");
}
