//! Throws changed requests at every decoder: no panic, no hang, no memory that grows, and what is taken is taken the same way twice.
//!
//! `fuzz SCHEMA SEEDS EXECUTIONS [SEED [KEPT]]`: SEEDS is a folder of requests named `<signal>-<anything>.pb` or `.json`. A run
//! with the same arguments does the same. What fails is written to the folder of SCHEMA; the smallest input of each outcome to KEPT.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use whence_core::json::Json;
use whence_core::schema::{Levels, Schema};
use whence_core::sheet::{Limits, Lines};
use whence_core::{lines, make, tree};

/// Inputs that are longer are not kept to be changed further.
const LONGEST: usize = 4096;
const POOL: usize = 3000;
/// A decoder takes microseconds; this is another program on the machine at its worst, or a hang.
const HANG: Duration = Duration::from_secs(20);
const GROWTH_KB: u64 = 64 << 10;

#[derive(Clone)]
struct Input {
    signal: &'static str,
    json: bool,
    data: Vec<u8>,
}

/// What became of an input: the same number, the same ways through the decoders.
type Outcome = u64;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, schema, seeds, executions, rest @ ..] = &args[..] else {
        panic!("usage: fuzz SCHEMA SEEDS EXECUTIONS [SEED [KEPT]]")
    };
    let schema_file = Path::new(schema);
    let schema = Schema::parse(&std::fs::read_to_string(schema_file).expect("SCHEMA")).expect("a schema");
    let executions: u64 = executions.parse().expect("EXECUTIONS, a number");
    let mut chance = Chance(rest.first().map_or(1, |seed| seed.parse().expect("SEED, a number")) | 1 << 63);
    let mut pool = read(Path::new(seeds));
    assert!(!pool.is_empty(), "no seeds in {seeds}");
    let mut found: HashMap<Outcome, Input> = HashMap::new();
    let (begun, mut slowest, mut done, mut memory) = (Instant::now(), Duration::ZERO, 0, 0);
    for input in pool.clone() {
        note(&mut found, run(&schema, &input, 7), &input);
    }
    while done < executions {
        let mut input = pool[chance.below(pool.len())].clone();
        for _ in 0..1 + chance.below(3) {
            let other = &pool[chance.below(pool.len())].data;
            if input.json {
                change_text(&mut input.data, other, &mut chance)
            } else {
                change(&mut input.data, other, &mut chance, 8)
            }
        }
        let (variant, started) = (chance.next(), Instant::now());
        let outcome = std::panic::catch_unwind(|| run(&schema, &input, variant)).unwrap_or_else(|_| {
            let file = schema_file.with_file_name(format!(
                "{}-failed.{}",
                input.signal,
                if input.json { "json" } else { "pb" }
            ));
            std::fs::write(&file, &input.data).expect("a file for what failed");
            println!("failed in execution {done} with variant {variant}: {}", file.display());
            std::process::exit(1);
        });
        let taken = started.elapsed();
        slowest = slowest.max(taken);
        assert!(taken < HANG, "execution {done} took {taken:?}");
        if note(&mut found, outcome, &input) && input.data.len() <= LONGEST {
            if pool.len() < POOL {
                pool.push(input);
            } else {
                let at = chance.below(POOL);
                pool[at] = input;
            }
        }
        done += 1;
        if done == executions / 10 {
            memory = resident();
        }
    }
    let grown = resident().saturating_sub(memory);
    println!(
        "{done} executions in {:.0} s, {} ways through the decoders, slowest {slowest:?}, memory grown by {grown} kB since the first tenth",
        begun.elapsed().as_secs_f64(),
        found.len()
    );
    assert!(grown < GROWTH_KB, "memory grows");
    if let Some(folder) = rest.get(1) {
        keep(&found, Path::new(folder));
    }
}

/// Notes an outcome with its smallest input; whether it is new, or the input smaller.
fn note(found: &mut HashMap<Outcome, Input>, outcome: Outcome, input: &Input) -> bool {
    if found.get(&outcome).is_some_and(|known| known.data.len() <= input.data.len()) {
        return false;
    }
    found.insert(outcome, input.clone());
    true
}

// --- the decoders ---------------------------------------------------------------------------------------------------------

fn run(schema: &Schema, input: &Input, variant: u64) -> Outcome {
    let levels = schema.levels(input.signal).expect("a signal");
    let limits = Limits {
        line_bytes: [1, 700, 1 << 20][variant as usize % 3],
        records_per_line: [1, 2, 128][(variant >> 8) as usize % 3],
        depth: [1, 3, 32][(variant >> 16) as usize % 3],
    };
    if !input.json {
        return binary(schema, levels, &input.data, limits);
    }
    let counted = make::count_of_json(schema, levels, &input.data);
    let (mut request, mut of_lines) = (Vec::new(), Vec::new());
    let made = make::protobuf_of_json(schema, levels, &input.data, &mut request);
    let lines = make::protobuf_of_lines(schema, levels, &[&input.data, &input.data], &mut of_lines);
    let mut outcome =
        1 << 63 | u64::from(counted.is_ok()) << 60 | u64::from(made.is_ok()) << 61 | u64::from(lines.is_ok()) << 62;
    if made.is_ok() {
        if lines.is_ok() {
            assert_eq!(of_lines, [&request[..], &request].concat(), "a line is another request");
        }
        let count = lines::count_of_protobuf(schema, levels, &request).expect("what is made of JSON is protobuf");
        if let Ok(counted) = counted {
            assert_eq!(counted, count, "JSON is counted otherwise than its protobuf");
        }
        outcome |= binary(schema, levels, &request, limits);
    }
    outcome
}

fn binary(schema: &Schema, levels: &Levels, data: &[u8], limits: Limits) -> Outcome {
    let lines = lines::lines_of_protobuf(schema, levels, data, limits, Vec::new());
    let text = lines::text_of_protobuf(schema, levels, data, Vec::new());
    let count = lines::count_of_protobuf(schema, levels, data);
    let mut outcome = u64::from(lines.is_ok()) | u64::from(text.is_ok()) << 1 | u64::from(count.is_ok()) << 2;
    if let (Ok(made), Ok(text)) = (&lines, &text) {
        of_tree(schema, levels, text, limits, made);
    }
    if let Ok(made) = lines {
        let (mut start, mut records) = (0, 0);
        for line in &made.lines {
            let data = &made.data[start..line.end];
            assert_eq!(data.last(), Some(&b'\n'), "a line without an end");
            let mut json = Json::new(data).expect("a line is UTF-8");
            json.skip().and_then(|()| json.end()).expect("a line is JSON");
            assert!(line.records > 0 && (line.first <= line.last), "a line with nothing in it");
            records += line.records as u64;
            start = line.end;
        }
        assert_eq!(start, made.data.len(), "bytes behind the last line");
        for &(reason, rejected) in &made.rejected {
            outcome |= 1 << (8 + reason as u64);
            records += rejected;
        }
        assert_eq!(count, Ok(records), "records are stored, rejected or neither");
        outcome |= (made.lines.len().min(3) as u64) << 16;
    }
    if let Ok(text) = text {
        again(schema, levels, &text);
        outcome |= u64::from(text.len().max(1).ilog2()) << 24;
    }
    outcome
}

/// A tree's text makes the lines of the request that it is of, where it is not left to the Python core.
fn of_tree(schema: &Schema, levels: &Levels, text: &[u8], limits: Limits, made: &Lines) {
    if let Ok(found) = tree::lines_of_text(schema, levels, text, limits, Vec::new()) {
        assert!(found.data == made.data && found.lines == made.lines, "a tree has other lines");
        assert_eq!(found.rejected, made.rejected, "of a tree others are rejected");
    }
}

/// Canonical text makes a request that makes the same text.
fn again(schema: &Schema, levels: &Levels, text: &[u8]) {
    let mut request = Vec::new();
    if make::protobuf_of_json(schema, levels, text, &mut request).is_ok() {
        let again = lines::text_of_protobuf(schema, levels, &request, Vec::new());
        assert_eq!(again.as_deref(), Ok(text), "canonical text does not come back");
    }
}

// --- changes --------------------------------------------------------------------------------------------------------------

/// Numbers without end, the same for the same seed (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Changes a message: most often inside one of its fields, whose size is then written anew.
fn change(data: &mut Vec<u8>, other: &[u8], chance: &mut Chance, deep: u32) {
    if deep > 0 && chance.below(8) > 0 {
        let fields = fields(data);
        if !fields.is_empty() {
            let (start, inside, end) = fields[chance.below(fields.len())];
            match chance.below(40) {
                0 => drop(data.drain(start..end)),
                1 => {
                    let copy = data[start..end].to_vec();
                    let at = fields[chance.below(fields.len())].0;
                    data.splice(at..at, copy);
                }
                _ => {
                    let mut part = data[inside..end].to_vec();
                    change(&mut part, other, chance, deep - 1);
                    let mut size = Vec::new();
                    put_varint(&mut size, part.len() as u64);
                    size.extend_from_slice(&part);
                    let tag = start + data[start..].iter().take_while(|&&byte| byte >= 128).count() + 1;
                    data.splice(tag..end, size);
                }
            }
            return;
        }
    }
    change_bytes(data, other, chance);
}

/// Where the fields with a size are: the tag, what is inside, and the end. Empty where it is no message.
fn fields(data: &[u8]) -> Vec<(usize, usize, usize)> {
    let (mut at, mut found) = (0, Vec::new());
    while at < data.len() {
        let start = at;
        let Some(key) = varint(data, &mut at) else { break };
        match key & 7 {
            0 if varint(data, &mut at).is_some() => {}
            1 => at += 8,
            2 => {
                let Some(size) = varint(data, &mut at) else { break };
                if size > (data.len() - at) as u64 {
                    break;
                }
                found.push((start, at, at + size as usize));
                at += size as usize;
            }
            5 => at += 4,
            _ => break,
        }
    }
    found
}

fn varint(data: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *data.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(number);
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

fn change_bytes(data: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(data.len() + 1);
    let until = (at + 1 + chance.below(8)).min(data.len());
    match chance.below(9) {
        0 if at < data.len() => data[at] ^= 1 << chance.below(8),
        1 if at < data.len() => data[at] = chance.next() as u8,
        2 if at < data.len() => data[at] = data[at].wrapping_add([1, 255, 8, 248][chance.below(4)]),
        3 => data.insert(at, chance.next() as u8),
        4 => drop(data.drain(at.min(until)..until)),
        5 => {
            let mut written = Vec::new();
            put_varint(
                &mut written,
                [0, 127, 128, u64::from(u32::MAX), 1 << 63, u64::MAX, chance.next()][chance.below(7)],
            );
            data.splice(at..at, written);
        }
        6 => {
            let from = chance.below(other.len() + 1);
            let end = (from + 1 + chance.below(40)).min(other.len());
            data.splice(at..at, other[from.min(end)..end].iter().copied());
        }
        7 if chance.below(10) == 0 => data.truncate(at),
        _ => {
            let number = ([1, 2, 3, 5, 9, 31, 400][chance.below(7)] << 3) | (chance.next() % 8);
            let mut written = Vec::new();
            put_varint(&mut written, number);
            data.splice(at..at, written);
        }
    }
}

const PIECES: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "0",
    "-0",
    "-0.0",
    "1e2",
    "1.5",
    "1e999",
    "007",
    "18446744073709551615",
    "18446744073709551616",
    "\"NaN\"",
    "\"-12\"",
    "\"\"",
    "\"ab\"",
    "\"/-8=\"",
    "\"\\u0031\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    ",\"traceId\":\"00\"",
    "\"key\":\"k\",",
    "\"stringValue\":\"s\",",
    "\"intValue\":5,",
    "\"kvlistValue\":{\"values\":[]},",
    "\"arrayValue\":{\"values\":[{}]}",
    "\"other\":[{\"a\":[1.5]}],",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\",
    " \n",
];

fn change_text(data: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    if chance.below(3) == 0 {
        return change_bytes(data, other, chance);
    }
    let begin = chance.below(data.len() + 1);
    let is_place = |byte: &u8| b"{[\":,}]".contains(byte);
    let at = begin + data[begin..].iter().take_while(|byte| !is_place(byte)).count();
    let end = (at + [0, 1, 1, 2, 6][chance.below(5)]).min(data.len());
    data.splice(at..end, PIECES[chance.below(PIECES.len())].bytes());
}

// --- files ----------------------------------------------------------------------------------------------------------------

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

fn keep(found: &HashMap<Outcome, Input>, folder: &Path) {
    for (outcome, input) in found {
        let name = format!("{}-{outcome:016x}.{}", input.signal, if input.json { "json" } else { "pb" });
        std::fs::write(folder.join(name), &input.data).expect("KEPT");
    }
}

/// Memory of this process in kB; 0 where the system does not say.
fn resident() -> u64 {
    let said = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = said.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
