//! Columns under way: values one row behind the other, as Arrow has them in memory.
//!
//! The law: a row is put whole or taken back whole. The order of the columns is nobody's: each goes by its name.

use crate::names::{LIFTED_TEXTS, LIFTED_WHOLES};
use crate::wire::Stop;

/// Bytes of one column beyond which no more is put: Arrow counts them in 31 bits.
const MOST: usize = 1 << 30;

/// Columns of text; those that attributes fill come first.
pub const TEXTS: [&str; 21] = [
    LIFTED_TEXTS[0],
    LIFTED_TEXTS[1],
    LIFTED_TEXTS[2],
    LIFTED_TEXTS[3],
    LIFTED_TEXTS[4],
    LIFTED_TEXTS[5],
    LIFTED_TEXTS[6],
    LIFTED_TEXTS[7],
    LIFTED_TEXTS[8],
    "id",
    "type",
    "description",
    "payload",
    "attributes",
    "resource",
    "scope",
    "trace_id",
    "span_id",
    "parent_span_id",
    "signal",
    "_process",
];
pub const RUN: usize = 1;
pub const STATUS: usize = 5;
pub const SOURCE: usize = 6;
pub const ID: usize = 9;
pub const TYPE: usize = 10;
pub const DESCRIPTION: usize = 11;
pub const PAYLOAD: usize = 12;
pub const ATTRIBUTES: usize = 13;
pub const RESOURCE: usize = 14;
pub const SCOPE: usize = 15;
pub const TRACE: usize = 16;
pub const SPAN: usize = 17;
pub const PARENT: usize = 18;
pub const SIGNAL: usize = 19;
pub const PROCESS: usize = 20;

/// Columns of whole numbers of 64 bits; those that attributes fill come first.
pub const LONGS: [&str; 8] =
    [LIFTED_WHOLES[0], LIFTED_WHOLES[1], LIFTED_WHOLES[2], "time", "observed_time", "duration_ns", "dropped", "_line"];
pub const TIME: usize = 3;
pub const OBSERVED: usize = 4;
pub const DURATION: usize = 5;
pub const DROPPED: usize = 6;
pub const LINE: usize = 7;

/// A column's buffers as Arrow has them: which rows have a value (None: all), then the values; of texts and lists the ends
/// before those.
pub type Buffers = Vec<Option<Vec<u8>>>;

/// Which rows have a value.
#[derive(Default)]
struct There(Vec<bool>);

impl There {
    fn bits(&self) -> Option<Vec<u8>> {
        if self.0.iter().all(|&is| is) {
            return None;
        }
        let byte = |eight: &[bool]| eight.iter().enumerate().fold(0u8, |byte, (n, &is)| byte | u8::from(is) << n);
        Some(self.0.chunks(8).map(byte).collect())
    }
}

/// Texts, of which any may be absent.
pub struct Texts {
    pub data: Vec<u8>,
    /// As Arrow has them.
    ends: Vec<u8>,
    end: i32,
    there: There,
    /// How many rows without a value come behind these: most columns have hardly one.
    absent: usize,
}

impl Default for Texts {
    fn default() -> Self {
        Texts { data: Vec::new(), ends: vec![0; 4], end: 0, there: There::default(), absent: 0 }
    }
}

impl Texts {
    /// Ends a row whose text, if it is one, was put to `data`.
    #[inline]
    pub fn end(&mut self, is_there: bool) {
        if !is_there {
            self.absent += 1;
            return;
        }
        if self.absent > 0 {
            self.fill();
        }
        self.end = self.data.len() as i32;
        self.ends.extend_from_slice(&self.end.to_le_bytes());
        self.there.0.push(true);
    }

    #[cold]
    fn fill(&mut self) {
        for _ in 0..self.absent {
            self.ends.extend_from_slice(&self.end.to_le_bytes());
        }
        self.there.0.resize(self.there.0.len() + self.absent, false);
        self.absent = 0;
    }

    #[inline]
    pub fn push(&mut self, text: Option<&[u8]>) {
        self.data.extend_from_slice(text.unwrap_or_default());
        self.end(text.is_some());
    }

    /// The text of the last row.
    pub fn last(&self) -> Option<&[u8]> {
        let rows = self.there.0.len().checked_sub(1).filter(|_| self.absent == 0)?;
        self.data.get(self.end_of(rows)..self.end as usize)
    }

    /// Where so many rows end.
    fn end_of(&self, rows: usize) -> usize {
        self.ends[4 * rows..].first_chunk().map_or(0, |end| i32::from_le_bytes(*end) as usize)
    }

    fn truncate(&mut self, rows: usize) {
        self.fill();
        self.ends.truncate(4 * (rows + 1));
        self.there.0.truncate(rows);
        let end = self.end_of(rows);
        self.data.truncate(end);
        self.end = end as i32;
    }

    fn buffers(mut self) -> Buffers {
        self.fill();
        vec![self.there.bits(), Some(self.ends), Some(self.data)]
    }

    /// Takes the memory of buffers such as `buffers` gives.
    fn reuse(&mut self, used: &mut Buffers) {
        if let [_, Some(ends), Some(data)] = &mut used[..] {
            (self.ends, self.data) = (std::mem::take(ends), std::mem::take(data));
            self.ends.truncate(4);
            self.data.clear();
        }
    }
}

/// Numbers of so many bytes, of which any may be absent.
#[derive(Default)]
pub struct Numbers<const SIZE: usize> {
    /// As Arrow has them.
    data: Vec<u8>,
    there: There,
    absent: usize,
}

impl<const SIZE: usize> Numbers<SIZE> {
    /// Puts a number, its least significant byte first.
    #[inline]
    pub fn push(&mut self, value: Option<[u8; SIZE]>) {
        let Some(value) = value else {
            self.absent += 1;
            return;
        };
        if self.absent > 0 {
            self.fill();
        }
        self.data.extend_from_slice(&value);
        self.there.0.push(true);
    }

    #[cold]
    fn fill(&mut self) {
        self.data.resize(self.data.len() + SIZE * self.absent, 0);
        self.there.0.resize(self.there.0.len() + self.absent, false);
        self.absent = 0;
    }

    fn truncate(&mut self, rows: usize) {
        self.fill();
        self.data.truncate(SIZE * rows);
        self.there.0.truncate(rows);
    }

    fn buffers(mut self) -> Buffers {
        self.fill();
        vec![self.there.bits(), Some(self.data)]
    }

    /// Takes the memory of buffers such as `buffers` gives.
    fn reuse(&mut self, used: &mut Buffers) {
        if let [_, Some(data)] = &mut used[..] {
            self.data = std::mem::take(data);
            self.data.clear();
        }
    }
}

/// Every column.
#[derive(Default)]
pub struct Columns {
    pub texts: [Texts; TEXTS.len()],
    pub longs: [Numbers<8>; LONGS.len()],
    pub severity: Numbers<2>,
    pub nth: Numbers<4>,
    pub hash: Numbers<8>,
    pub around: Numbers<8>,
    pub causes: Texts,
    pub cause_hashes: Numbers<8>,
    /// How many causes there are, and where each row's end.
    count: i32,
    cause_ends: Vec<i32>,
}

impl Columns {
    /// Empty columns in the memory of others' buffers, as `buffers` gave them: new pages for each would cost more than the filling.
    pub fn again(mut used: Vec<(&'static str, Buffers)>) -> Columns {
        let mut columns = Columns::default();
        let mut used = used.iter_mut().map(|(_, buffers)| buffers);
        columns.texts.iter_mut().zip(&mut used).for_each(|(column, used)| column.reuse(used));
        columns.longs.iter_mut().zip(&mut used).for_each(|(column, used)| column.reuse(used));
        columns
    }

    /// Bytes of memory that the texts have, whether or not there is anything in them.
    pub fn room(&self) -> usize {
        self.texts.iter().map(|column| column.data.capacity() + column.ends.capacity()).sum()
    }

    pub fn rows(&self) -> usize {
        self.cause_ends.len()
    }

    /// Puts a cause of the row under way, and its digest.
    pub fn cause(&mut self, text: &[u8], hash: u64) {
        self.causes.push(Some(text));
        self.cause_hashes.push(Some(hash.to_le_bytes()));
        self.count += 1;
    }

    /// Ends a row whose causes were put. Err(Corrupt) where a column holds too much.
    pub fn end_row(&mut self) -> Result<(), Stop> {
        self.cause_ends.push(self.count);
        let most = self.texts.iter().map(|column| column.data.len()).max().unwrap_or_default();
        if most.max(self.causes.data.len()) > MOST { Err(Stop::Corrupt) } else { Ok(()) }
    }

    /// Takes back all rows but the first so many, and what was put of one that is not whole.
    pub fn truncate(&mut self, rows: usize) {
        self.texts.iter_mut().for_each(|column| column.truncate(rows));
        self.longs.iter_mut().for_each(|column| column.truncate(rows));
        self.severity.truncate(rows);
        self.nth.truncate(rows);
        self.hash.truncate(rows);
        self.around.truncate(rows);
        self.cause_ends.truncate(rows);
        self.count = self.cause_ends.last().copied().unwrap_or_default();
        self.causes.truncate(self.count as usize);
        self.cause_hashes.truncate(self.count as usize);
    }

    /// The buffers by the names of the columns; of lists the ends come first, then the buffers of what is in them.
    pub fn buffers(self) -> Vec<(&'static str, Buffers)> {
        let rows = self.rows();
        let mut found: Vec<(&'static str, Buffers)> = Vec::with_capacity(TEXTS.len() + LONGS.len() + 7);
        found.extend(TEXTS.into_iter().zip(self.texts).map(|(name, column)| (name, column.buffers())));
        found.extend(LONGS.into_iter().zip(self.longs).map(|(name, column)| (name, column.buffers())));
        found.push(("severity", self.severity.buffers()));
        found.push(("_nth", self.nth.buffers()));
        found.push(("_hash", self.hash.buffers()));
        found.push(("_around", self.around.buffers()));
        found.push(("_exact", vec![None, Some(vec![0xff; rows.div_ceil(8)])]));
        let mut ends = vec![0; 4];
        self.cause_ends.iter().for_each(|end| ends.extend_from_slice(&end.to_le_bytes()));
        let mut causes = vec![Some(ends.clone())];
        causes.extend(self.causes.buffers());
        found.push(("caused_by", causes));
        let mut hashes = self.cause_hashes.buffers();
        hashes.insert(0, Some(ends));
        found.push(("_causes", hashes));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &mut Columns, text: Option<&[u8]>, causes: &[&[u8]]) {
        columns.texts.iter_mut().for_each(|column| column.push(text));
        columns.longs.iter_mut().for_each(|column| column.push(None));
        columns.severity.push(Some([9, 0]));
        columns.nth.push(Some([0; 4]));
        columns.hash.push(Some([1; 8]));
        columns.around.push(None);
        for cause in causes {
            columns.cause(cause, 7);
        }
        columns.end_row().unwrap();
    }

    #[test]
    fn rows_are_taken_back_whole() {
        let mut columns = Columns::default();
        row(&mut columns, Some(b"ab"), &[b"x", b"y"]);
        row(&mut columns, None, &[b"z"]);
        columns.texts[0].push(Some(b"half a row"));
        columns.truncate(1);
        row(&mut columns, Some(b""), &[]);
        assert_eq!(columns.rows(), 2);
        let found = columns.buffers();
        let of = |name: &str| found.iter().find(|(each, _)| *each == name).unwrap().1.clone();
        assert_eq!(of("id"), [None, Some(vec![0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0]), Some(b"ab".to_vec())]);
        assert_eq!(of("caused_by")[0], Some(vec![0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0]));
        assert_eq!(of("caused_by")[3], Some(b"xy".to_vec()));
        assert_eq!(of("_around")[0], Some(vec![0]));
        assert_eq!(of("_exact"), [None, Some(vec![0xff])]);
    }

    #[test]
    fn memory_that_is_used_again_is_empty() {
        let mut columns = Columns::default();
        row(&mut columns, Some(b"ab"), &[b"x"]);
        let mut again = Columns::again(columns.buffers());
        assert!(again.rows() == 0 && again.room() > 0);
        let mut fresh = Columns::default();
        for columns in [&mut again, &mut fresh] {
            row(columns, None, &[]);
            row(columns, Some(b"c"), &[b"y"]);
        }
        assert_eq!(again.buffers(), fresh.buffers());
    }

    #[test]
    fn what_is_absent_has_no_bit() {
        let mut column = Texts::default();
        for n in 0..9 {
            column.push((n % 3 == 0).then_some(&b"x"[..]));
        }
        assert_eq!(column.buffers()[0], Some(vec![0b0100_1001, 0]));
    }
}
