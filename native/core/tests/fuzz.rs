//! The short version of `make fuzz`, with every sum and every place checked.

#[path = "../fuzz/mod.rs"]
mod fuzz;

use std::path::Path;

use fuzz::{Failure, Fuzz};

const EXECUTIONS: u64 = 1500;

#[test]
fn changed_requests_are_taken_one_way_or_refused() {
    let mut fuzz = Fuzz::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/native"), 7);
    while fuzz.done < EXECUTIONS {
        if let Err(Failure { input, variant }) = fuzz.step() {
            panic!("{} of variant {variant}: {:?}", input.suffix(), String::from_utf8_lossy(&input.data));
        }
    }
}
