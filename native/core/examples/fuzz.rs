//! Throws changed requests at every decoder: no panic, no hang, no memory that grows, and what is taken is taken the same way twice.
//!
//! `fuzz SEEDS EXECUTIONS [SEED [KEPT]]`: SEEDS is a folder as `Fuzz::new` has it. A run with the same arguments does the same.
//! What fails is written to `native/target`; the smallest input of each outcome to KEPT.

#[path = "../fuzz/mod.rs"]
mod fuzz;

use std::path::Path;
use std::time::Instant;

use fuzz::{Failure, Fuzz};

const GROWTH_KB: u64 = 64 << 10;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, seeds, executions, rest @ ..] = &args[..] else { panic!("usage: fuzz SEEDS EXECUTIONS [SEED [KEPT]]") };
    let executions: u64 = executions.parse().expect("EXECUTIONS, a number");
    let seed = rest.first().map_or(1, |seed| seed.parse().expect("SEED, a number"));
    let (begun, mut early) = (Instant::now(), 0);
    let mut fuzz = Fuzz::new(Path::new(seeds), seed);
    while fuzz.done < executions {
        if let Err(failure) = fuzz.step() {
            tell(&fuzz, &failure);
            std::process::exit(1);
        }
        if fuzz.done == executions / 10 {
            early = memory("VmRSS:");
        }
    }
    let grown = memory("VmRSS:").saturating_sub(early);
    println!(
        "{} executions in {:.0} s, {} ways through the decoders, slowest {:?}; memory {} kB at most, grown by {grown} kB since the \
         first tenth",
        fuzz.done,
        begun.elapsed().as_secs_f64(),
        fuzz.found.len(),
        fuzz.slowest,
        memory("VmHWM:"),
    );
    assert!(grown < GROWTH_KB, "memory grows");
    if let Some(folder) = rest.get(1) {
        keep(&fuzz, Path::new(folder));
    }
}

fn tell(fuzz: &Fuzz, Failure { input, variant }: &Failure) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(format!(
        "{}-failed.{}",
        input.signal,
        input.suffix()
    ));
    std::fs::write(&file, &input.data).expect("a file for what failed");
    println!("failed in execution {} with variant {variant}: {}", fuzz.done, file.display());
}

fn keep(fuzz: &Fuzz, folder: &Path) {
    for (outcome, input) in &fuzz.found {
        let name = format!("{}-{outcome:016x}.{}", input.signal, input.suffix());
        std::fs::write(folder.join(name), &input.data).expect("KEPT");
    }
}

/// Memory of this process in kB, now or at most; 0 where the system does not say.
fn memory(which: &str) -> u64 {
    let said = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = said.lines().find_map(|line| line.strip_prefix(which));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
