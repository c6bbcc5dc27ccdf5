//! The rows of an index filled while a request becomes lines: each record's as it is put to its line.
//!
//! The law: the rows that `events` makes of those lines. A record whose fields come in no order is read from the JSON that was
//! made of it.

use crate::around::Around;
use crate::columns::Columns;
use crate::events::Made;
use crate::json::Json;
use crate::names::Names;
use crate::record::{Reading, members};
use crate::sheet::{Ends, Sheet};
use crate::telling::Telling;
use crate::values::Values;
use crate::wire::{Reader, Stop};
use crate::wired::Shapes;

/// The rows of the lines of one request, under way.
pub struct Filling<'a> {
    shapes: Option<&'a Shapes>,
    telling: Telling<'a>,
    reading: Reading<'a>,
    /// Where the first line is to stand.
    offset: i64,
    /// The number of the line under way, and how many rows there were before it.
    line: Option<usize>,
    before: usize,
    /// Whether the resource, the scope, the line under way has a second reading.
    is_resource_odd: bool,
    is_scope_odd: bool,
    is_refused: bool,
    refused: Vec<(usize, usize)>,
}

/// A record in protobuf, if it is in order, and in JSON.
pub struct Both<'a, 'j> {
    pub wire: Option<Reader<'a>>,
    pub json: &'j [u8],
}

impl<'a> Filling<'a> {
    /// Of lines in the segment of that stem, the first of which is to stand at that offset; `columns` must be empty.
    pub fn new(shapes: Option<&'a Shapes>, names: &'a Names, stem: &'a [u8], offset: i64, columns: Columns) -> Self {
        Filling {
            shapes,
            telling: Telling::new(names, stem, columns),
            reading: Reading::new(names),
            offset,
            line: None,
            before: 0,
            is_resource_odd: false,
            is_scope_odd: false,
            is_refused: false,
            refused: Vec::new(),
        }
    }

    /// What comes next is of the resource that this stands around.
    pub fn resource(&mut self, ends: &Ends) {
        self.telling.around = Around::default();
        let names = self.telling.names;
        let around = &mut self.telling.around;
        let text = [&ends.head[..], &ends.tail].concat();
        self.is_resource_odd = said(&text, b"resource", names, |values, from| around.resource(values, from)).is_err();
    }

    /// What comes next is of the scope that this stands around.
    pub fn scope(&mut self, ends: &Ends) {
        self.telling.around.clear_scope();
        let names = self.telling.names;
        let around = &mut self.telling.around;
        let text = [&ends.head[..], &ends.tail].concat();
        self.is_scope_odd = said(&text, b"scope", names, |values, from| around.scope(values, from)).is_err();
    }

    /// Puts the rows of a record that was put to a sheet last.
    pub fn record(&mut self, is_log: bool, record: Both<'a, '_>, sheet: &Sheet) {
        let (line, start) = sheet.under_way();
        if self.line != Some(line) {
            self.line = Some(line);
            self.before = self.telling.rows.columns.rows();
            self.is_refused = false;
            self.telling.begin(self.offset + start as i64);
        }
        if !self.is_refused && self.put(is_log, record).is_err() {
            self.telling.rows.columns.truncate(self.before);
            self.refused.push((line, self.before));
            self.is_refused = true;
        }
    }

    fn put(&mut self, is_log: bool, record: Both<'a, '_>) -> Result<(), Stop> {
        if self.is_resource_odd || self.is_scope_odd {
            return Err(Stop::Corrupt);
        }
        if let (Some(shapes), Some(wire)) = (self.shapes, record.wire) {
            let found = self.reading.wired(shapes, is_log, wire)?;
            return self.telling.record(is_log, found, &mut self.reading);
        }
        let mut reading = Reading::new(self.telling.names);
        let found = reading.record(is_log, &mut Json::new(record.json)?)?;
        self.telling.record(is_log, found, &mut reading)
    }

    /// The rows of so many lines.
    pub fn finish(self, lines: usize) -> Made {
        Made { columns: self.telling.rows.columns, lines, refused: self.refused }
    }
}

/// Takes the member of that name of an object.
fn said<'t>(
    text: &'t [u8], name: &[u8], names: &'t Names,
    mut work: impl FnMut(&mut Values<'t>, &mut Json<'t>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut values = Values::new(names);
    members(&mut Json::new(text)?, &[(name, ())], |(), from| work(&mut values, from))
}
