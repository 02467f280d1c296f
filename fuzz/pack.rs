//! Any record batch, valid or not, is packed or refused as promised: `make fuzz`.

#![no_main]

#[path = "../rust/tests/common/mod.rs"]
mod common;

use common::arbitrary::{Case, silence_arrow};
use common::promises;
use libfuzzer_sys::fuzz_target;

// libFuzzer's own hook, which is there by then, ends the process at every panic.
fuzz_target!(
    init: silence_arrow(),
    |input: &[u8]| {
        if let Some(case) = Case::of(input) {
            promises::hold(&case);
        }
    }
);
