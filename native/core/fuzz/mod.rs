//! Changed requests thrown at everything that reads requests and lines: what is taken is taken the same way twice.
//!
//! The law: the same seed, the same requests. What is asserted holds for any bytes.

mod change;
mod codec;
mod columns;
mod sieve;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use change::{Chance, change, change_text};
use whence_core::names::Names;
use whence_core::schema::Schema;
use whence_core::wired::Shapes;

/// Inputs that are longer are not kept to be changed further.
const LONGEST: usize = 4096;
const POOL: usize = 3000;
/// A decoder takes microseconds; this is another program on the machine at its worst, or a hang.
const HANG: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Input {
    pub signal: &'static str,
    pub json: bool,
    pub data: Vec<u8>,
}

impl Input {
    pub fn suffix(&self) -> &'static str {
        if self.json { "json" } else { "pb" }
    }
}

/// What became of an input: the same number, the same ways through the decoders.
pub type Outcome = u64;

/// What the decoders are asked with.
pub struct Tables {
    pub schema: Schema,
    pub names: Names,
    pub shapes: Option<Shapes>,
}

/// An input that failed, and the number that says how it was asked.
pub struct Failure {
    pub input: Input,
    pub variant: u64,
}

pub struct Fuzz {
    tables: Tables,
    chance: Chance,
    pool: Vec<Input>,
    /// The smallest input of each outcome.
    pub found: HashMap<Outcome, Input>,
    pub done: u64,
    pub slowest: Duration,
}

impl Fuzz {
    /// Of a folder with the tables `schema.txt` and `names.txt`, and requests named `<signal>-<anything>.pb` or `.json`.
    pub fn new(seeds: &Path, seed: u64) -> Fuzz {
        let text = |name: &str| std::fs::read_to_string(seeds.join(name)).expect(name);
        let schema = Schema::parse(&text("schema.txt")).expect("a schema");
        let names = Names::parse(&text("names.txt")).expect("names");
        let tables = Tables { shapes: Some(Shapes::of(&schema).expect("shapes")), schema, names };
        let pool = read(seeds);
        assert!(!pool.is_empty(), "no seeds in {}", seeds.display());
        let mut fuzz = Fuzz {
            tables,
            chance: Chance(seed | 1 << 63),
            pool: pool.clone(),
            found: HashMap::new(),
            done: 0,
            slowest: Duration::ZERO,
        };
        for input in pool {
            let outcome = codec::run(&fuzz.tables, &input, 7);
            fuzz.note(outcome, &input);
        }
        fuzz
    }

    /// Changes one input and throws it.
    pub fn step(&mut self) -> Result<(), Failure> {
        let (pool, chance) = (&self.pool, &mut self.chance);
        let mut input = pool[chance.below(pool.len())].clone();
        for _ in 0..1 + chance.below(3) {
            let other = &pool[chance.below(pool.len())].data;
            if input.json {
                change_text(&mut input.data, other, chance)
            } else {
                change(&mut input.data, other, chance, 8)
            }
        }
        let (variant, started) = (chance.next(), Instant::now());
        let Ok(outcome) = std::panic::catch_unwind(|| codec::run(&self.tables, &input, variant)) else {
            return Err(Failure { input, variant });
        };
        let taken = started.elapsed();
        self.slowest = self.slowest.max(taken);
        assert!(taken < HANG, "execution {} took {taken:?}", self.done);
        if self.note(outcome, &input) && input.data.len() <= LONGEST {
            if self.pool.len() < POOL {
                self.pool.push(input);
            } else {
                let at = self.chance.below(POOL);
                self.pool[at] = input;
            }
        }
        self.done += 1;
        Ok(())
    }

    /// Notes an outcome with its smallest input; whether it is new, or the input smaller.
    fn note(&mut self, outcome: Outcome, input: &Input) -> bool {
        if self.found.get(&outcome).is_some_and(|known| known.data.len() <= input.data.len()) {
            return false;
        }
        self.found.insert(outcome, input.clone());
        true
    }
}

fn read(folder: &Path) -> Vec<Input> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("SEEDS").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let input = |file: &PathBuf| {
        let name = file.file_name()?.to_str()?;
        let signal = ["logs", "traces", "metrics"].into_iter().find(|signal| name.starts_with(signal))?;
        let json = name.ends_with(".json");
        (json || name.ends_with(".pb")).then(|| Input { signal, json, data: std::fs::read(file).expect("a seed") })
    };
    files.iter().filter_map(input).collect()
}
