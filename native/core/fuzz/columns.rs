//! What is asked of the walk from lines to columns: buffers that fit together, rows that are a line's records, the same rows
//! in one go as in many and of a request's JSON as of its canonical line.

use whence_core::columns::{Buffers, Columns, TEXTS};
use whence_core::events::{Made, columns_of_lines};
use whence_core::filling::Filling;
use whence_core::lines;
use whence_core::schema::Levels;
use whence_core::sheet::{Limits, Lines};
use whence_core::terms;

use super::{Outcome, Tables};

const STEM: &[u8] = b"logs-20260101T000000.000000Z-host.1.0123abcd-000001";
const START: i64 = 4711;
const ALL: usize = usize::MAX;
/// Enough for any request that is thrown to be one line.
const WIDE: Limits = Limits { line_bytes: 1 << 30, records_per_line: 1 << 30, depth: 64 };

/// The columns, checked.
struct Table {
    rows: usize,
    lines: usize,
    refused: Vec<(usize, usize)>,
    columns: Vec<(&'static str, Buffers)>,
}

impl Table {
    fn of(tables: &Tables, lines: &[(i64, &[u8])], enough: usize) -> Table {
        let made = columns_of_lines(&tables.names, STEM, lines, enough);
        let read = made.lines;
        let table = Table::made(made, lines);
        assert!(read <= lines.len() && (read == lines.len() || table.rows >= enough), "lines are left over");
        table
    }

    fn made(made: Made, lines: &[(i64, &[u8])]) -> Table {
        let Made { columns, lines: read, refused } = made;
        let table = Table { rows: columns.rows(), lines: read, refused, columns: columns.buffers() };
        table.columns.iter().for_each(|(name, buffers)| fits(name, buffers, table.rows));
        table.in_place(lines);
        table
    }

    fn column(&self, name: &str) -> &Buffers {
        &self.columns.iter().find(|(known, _)| *known == name).expect("a column").1
    }

    /// Where each row's line begins.
    fn places(&self) -> Vec<i64> {
        wholes(&self.column("_line")[1])
    }

    /// Rows stand in the order of their lines, are numbered in each, and a line that was refused has none.
    fn in_place(&self, lines: &[(i64, &[u8])]) {
        let places = self.places();
        let (mut before, mut next) = (i64::MIN, 0);
        for (&place, nth) in places.iter().zip(self.column("_nth")[1].as_deref().expect("numbers").chunks_exact(4)) {
            let nth = i32::from_le_bytes(nth.try_into().expect("32 bits"));
            next = if place == before { next + 1 } else { 0 };
            assert!(place >= before && nth == next, "a row in the wrong place");
            before = place;
        }
        for &(number, rows) in &self.refused {
            assert!(number < self.lines, "a line is refused that was not read");
            let place = lines[number].0;
            assert!(rows == places.partition_point(|&row| row < place), "rows before a refused line are miscounted");
            assert!(!places.contains(&place), "a refused line has rows");
        }
    }
}

/// Buffers are as long as Arrow says, and ends go up to the end of what they divide.
fn fits(name: &str, buffers: &Buffers, rows: usize) {
    let there = |bits: &Option<Vec<u8>>, rows: usize| {
        assert!(bits.as_ref().is_none_or(|bits| bits.len() == rows.div_ceil(8)), "{name}: a bit for each row");
    };
    let divides = |ends: &Option<Vec<u8>>, rows: usize, size: usize| {
        let ends: Vec<i32> = ends
            .as_deref()
            .expect("ends")
            .chunks_exact(4)
            .map(|end| i32::from_le_bytes(end.try_into().expect("32 bits")))
            .collect();
        assert!(ends.len() == rows + 1 && ends[0] == 0 && ends.is_sorted(), "{name}: ends that go up");
        assert!(ends[rows] as usize == size, "{name}: the last end is the end");
    };
    let size = |buffer: &Option<Vec<u8>>| buffer.as_ref().map_or(0, Vec::len);
    match &buffers[..] {
        [bits, ends, text] if name != "_causes" => {
            there(bits, rows);
            divides(ends, rows, size(text));
            assert!(std::str::from_utf8(text.as_deref().expect("text")).is_ok(), "{name}: text is UTF-8");
        }
        [ends, None, hashes] => divides(ends, rows, size(hashes) / 8),
        [ends, bits, inner, text] => {
            let items = size(inner) / 4 - 1;
            divides(ends, rows, items);
            there(bits, items);
            divides(inner, items, size(text));
        }
        [bits, numbers] if name != "_exact" => {
            there(bits, rows);
            let each = match name {
                "severity" => 2,
                "_nth" => 4,
                _ => 8,
            };
            assert!(size(numbers) == rows * each, "{name}: a number for each row");
        }
        [None, bits] => there(bits, rows),
        _ => panic!("{name}: buffers of no kind"),
    }
}

fn wholes(buffer: &Option<Vec<u8>>) -> Vec<i64> {
    let each = |number: &[u8]| i64::from_le_bytes(number.try_into().expect("64 bits"));
    buffer.as_deref().expect("numbers").chunks_exact(8).map(each).collect()
}

/// The lines of a request, with their columns.
pub fn of_lines(
    tables: &Tables, levels: &Levels, request: &[u8], limits: Limits, made: &Lines, variant: u64,
) -> Outcome {
    let lines = made.placed(START);
    let whole = Table::of(tables, &lines, ALL);
    in_one_pass(tables, levels, request, limits, made, &whole);
    let places = whole.places();
    for (number, (line, &(place, _))) in made.lines.iter().zip(&lines).enumerate() {
        let rows = places.iter().filter(|&&row| row == place).count() as i64;
        let is_log = std::ptr::eq(levels, &tables.schema.logs);
        let is_refused = whole.refused.iter().any(|&(refused, _)| refused == number);
        assert!(
            is_refused || if is_log { rows == line.records } else { rows >= line.records },
            "line {number} of {} records has {rows} rows",
            line.records
        );
    }
    if variant >> 24 & 3 == 0 {
        in_parts(tables, &lines, &whole, [1, 2, 9][(variant >> 26) as usize % 3]);
        of_terms(&whole);
    }
    u64::from(!whole.refused.is_empty()) << 32 | (whole.rows.min(3) as u64) << 33
}

/// Lines and rows of a request at once.
fn in_one_pass(tables: &Tables, levels: &Levels, request: &[u8], limits: Limits, made: &Lines, whole: &Table) {
    let filling = Filling::new(tables.shapes.as_ref(), &tables.names, STEM, START, Columns::default());
    let found = lines::lines_and_rows(&tables.schema, levels, request, limits, Vec::new(), filling);
    let (lines, rows) = found.expect("what becomes lines becomes lines and rows");
    assert!(lines.data == made.data && lines.lines == made.lines, "with rows there are other lines");
    let table = Table::made(rows, &made.placed(START));
    assert_eq!((table.lines, &table.refused), (whole.lines, &whole.refused), "in one pass other lines are refused");
    for ((name, one), (_, other)) in table.columns.iter().zip(&whole.columns) {
        assert!(one == other, "{name}: of a request {one:?}, of its lines {other:?}");
    }
}

/// A few rows at a time, as an index asks for them.
fn in_parts(tables: &Tables, lines: &[(i64, &[u8])], whole: &Table, enough: usize) {
    let (mut at, mut rows, mut refused) = (0, 0, 0);
    let mut texts = vec![Vec::new(); TEXTS.len()];
    while at < lines.len() {
        let part = Table::of(tables, &lines[at..], enough);
        assert!(part.lines > 0, "no line is read");
        (at, rows, refused) = (at + part.lines, rows + part.rows, refused + part.refused.len());
        for (text, name) in texts.iter_mut().zip(TEXTS) {
            text.extend_from_slice(part.column(name)[2].as_deref().expect("text"));
        }
    }
    assert!((rows, refused) == (whole.rows, whole.refused.len()), "in parts there are other rows");
    for (text, name) in texts.iter().zip(TEXTS) {
        assert!(Some(text) == whole.column(name)[2].as_ref(), "in parts {name} is another");
    }
}

fn of_terms(whole: &Table) {
    let columns: Vec<terms::Texts> = TEXTS
        .iter()
        .map(|name| &whole.column(name)[1..])
        .map(|found| (found[0].as_deref().expect("ends"), found[1].as_deref().expect("text")))
        .collect();
    let (words, _) = terms::words(&columns).expect("words");
    assert!(words.iter().all(|byte| *byte == b' ' || byte.is_ascii_digit() || byte.is_ascii_lowercase()));
    for (name, column) in TEXTS.iter().zip(columns) {
        assert_eq!(terms::keys(name, column).map(|keys| keys.len()), Ok(8 * whole.rows), "a key for each text");
    }
}

/// A line as it came, and the request that was made of it: where nothing of it is rejected, its line has the same rows.
pub fn of_line(tables: &Tables, levels: &Levels, line: &[u8], request: Option<&[u8]>) -> Outcome {
    let end = START + line.len() as i64 + 1;
    let twice = Table::of(tables, &[(START, line), (end, line)], ALL);
    let found = Table::of(tables, &[(START, line)], ALL);
    let is_refused = !found.refused.is_empty();
    assert!(
        twice.rows == 2 * found.rows && twice.refused.len() == 2 * found.refused.len(),
        "a line is read in two ways"
    );
    let outcome = u64::from(is_refused) << 40 | (found.rows.min(3) as u64) << 41;
    let made = request
        .filter(|_| !is_refused && !levels.metrics)
        .map(|request| lines::lines_of_protobuf(&tables.schema, levels, request, WIDE, Vec::new()));
    let Some(Ok(made)) = made else { return outcome };
    if made.rejected.is_empty() && made.lines.len() == 1 {
        let canonical = Table::of(tables, &made.placed(START), ALL);
        for ((name, one), (_, other)) in found.columns.iter().zip(&canonical.columns) {
            assert!(one == other, "{name}: of a line as it came {one:?}, of the canonical one {other:?}");
        }
        return outcome | 1 << 43;
    }
    outcome
}
