//! Canonical OTLP JSON text to lines of the archive, each record's text copied as it stands: what a component has looked into.
//!
//! The law: as the Python core's `from_tree`, which has the reasons. The text is gone over once; what is not of the form that a
//! tree has, or is too deep around its records, is refused, and the Python core asked.

use std::ops::Range;

use crate::json::{Json, Number, unsigned};
use crate::lines::{wrong_log, wrong_span};
use crate::schema::{Levels, Schema};
use crate::sheet::{Ends, Limits, Lines, Reason, Sheet};
use crate::wire::Stop;
use crate::write::{Around, Notes};

/// Objects and arrays inside each other; Python's writer ends at 254.
const INSIDE: u32 = 500;

/// The lines of a tree's text, written into a buffer that must be empty. Err(Corrupt) for what needs the Python core.
pub fn lines_of_text(
    schema: &Schema, levels: &Levels, data: &[u8], limits: Limits, out: Vec<u8>,
) -> Result<Lines, Stop> {
    if limits.depth < 1 {
        return Err(Stop::Corrupt);
    }
    let lists = Lists::new(schema, levels);
    let frame = schema.messages[levels.data].fields[levels.resources].json.as_str();
    let (scopes, metrics, records) = (Vec::new(), Vec::new(), Vec::new());
    let mut reading = Reading { data, lists: &lists, depth: limits.depth, scopes, metrics, records };
    let mut sheet = Sheet::new(frame, limits, out);
    let mut from = Json::new(data)?;
    members(&mut from, |name, _, from| {
        if name != frame.as_bytes() {
            return from.skip();
        }
        items(from, |from| reading.resource(from, &mut sheet))
    })?;
    from.end()?;
    Ok(sheet.finish())
}

// --- the names of lists, and of what stands behind them -------------------------------------------------------------------

/// A list in an object: the names it may have, and those of what is written behind it.
struct List<'s> {
    names: Vec<&'s str>,
    behind: Vec<&'s str>,
}

impl<'s> List<'s> {
    fn new(schema: &'s Schema, names: Vec<&'s str>) -> Self {
        let signals = [&schema.logs, &schema.traces, &schema.metrics];
        let metric = schema.metrics.record;
        let data = schema.messages[metric].fields.iter().filter(|field| field.oneof > 0).map(|field| field.of);
        let holders = signals.into_iter().flat_map(|one| [one.resource, one.scope]).chain([metric]).chain(data);
        let mut behind = Vec::new();
        for of in holders {
            let fields = &schema.messages[of].fields;
            if let Some(place) = fields.iter().position(|field| names.contains(&field.json.as_str())) {
                behind.extend(fields[place + 1..].iter().map(|field| field.json.as_str()));
            }
        }
        List { names, behind }
    }
}

/// Those of one signal.
struct Lists<'s> {
    scopes: List<'s>,
    records: List<'s>,
    /// What has the points of a metric, and the points in that.
    data: List<'s>,
    points: List<'s>,
    kind: Kind,
}

/// What records are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Log,
    Span,
    Point,
}

impl<'s> Lists<'s> {
    fn new(schema: &'s Schema, levels: &Levels) -> Self {
        let name = |of: usize, place: usize| vec![schema.messages[of].fields[place].json.as_str()];
        let data = schema.messages[schema.metrics.record].fields.iter().filter(|field| field.oneof > 0);
        Lists {
            scopes: List::new(schema, name(levels.resource, levels.scopes)),
            records: List::new(schema, name(levels.scope, levels.records)),
            data: List::new(schema, data.map(|field| field.json.as_str()).collect()),
            points: List::new(schema, vec!["dataPoints"]),
            kind: match levels.metrics {
                true => Kind::Point,
                false if std::ptr::eq(levels, &schema.traces) => Kind::Span,
                false => Kind::Log,
            },
        }
    }
}

// --- a resource with all that it holds ------------------------------------------------------------------------------------

/// Where a record stands, and its time; or why it is not stored.
struct Record {
    text: Range<usize>,
    time: Result<u64, Reason>,
}

/// A metric with points, which are so many of the records.
struct Metric {
    ends: Ends,
    points: Range<usize>,
}

/// A scope with what it holds: so many of the records, or of the metrics.
struct Scope {
    around: Around,
    records: Range<usize>,
    metrics: Range<usize>,
}

/// One resource under way. What stands around its records is known when all of it was gone over.
struct Reading<'a> {
    data: &'a [u8],
    lists: &'a Lists<'a>,
    depth: i64,
    scopes: Vec<Scope>,
    metrics: Vec<Metric>,
    records: Vec<Record>,
}

impl Reading<'_> {
    fn resource(&mut self, from: &mut Json, sheet: &mut Sheet) -> Result<(), Stop> {
        self.scopes.clear();
        self.metrics.clear();
        self.records.clear();
        let lists = self.lists;
        let work = |reading: &mut Self, from: &mut Json| items(from, |from| reading.scope(from));
        let Some(around) = self.around(from, &lists.scopes, b"resource", work)? else { return Ok(()) };
        sheet.resource.set(&around, None);
        sheet.resource_changed();
        for scope in &self.scopes {
            sheet.scope.set(&scope.around, None);
            sheet.scope_changed();
            match lists.kind {
                Kind::Point => self.metrics[scope.metrics.clone()].iter().for_each(|one| self.give_points(one, sheet)),
                _ => self.give_records(scope, sheet),
            }
        }
        Ok(())
    }

    fn scope(&mut self, from: &mut Json) -> Result<(), Stop> {
        let (records, metrics) = (self.records.len(), self.metrics.len());
        let lists = self.lists;
        let work = |reading: &mut Self, from: &mut Json| {
            items(from, |from| match lists.kind {
                Kind::Point => reading.metric(from),
                kind => reading.record(from, kind),
            })
        };
        if let Some(around) = self.around(from, &lists.records, b"scope", work)? {
            let (records, metrics) = (records..self.records.len(), metrics..self.metrics.len());
            self.scopes.push(Scope { around, records, metrics });
        }
        Ok(())
    }

    fn metric(&mut self, from: &mut Json) -> Result<(), Stop> {
        let (lists, begin) = (self.lists, self.records.len());
        let mut inner = None;
        let points = |reading: &mut Self, from: &mut Json| items(from, |from| reading.record(from, Kind::Point));
        let outer = self.around(from, &lists.data, b"metadata", |reading, from| {
            inner = reading.around(from, &lists.points, b"", points)?;
            Ok(())
        })?;
        if let (Some(outer), Some(inner)) = (outer, inner) {
            let mut ends = Ends::default();
            ends.set(&outer, Some(&inner));
            self.metrics.push(Metric { ends, points: begin..self.records.len() });
        }
        Ok(())
    }

    /// Takes an object with one list in it; gives what is around that, or None where there is none. Err(Corrupt) where
    /// `checked`, another part of the object, is too deep, and where there are two lists.
    fn around(
        &mut self, from: &mut Json, list: &List, checked: &[u8],
        mut work: impl FnMut(&mut Self, &mut Json) -> Result<(), Stop>,
    ) -> Result<Option<Around>, Stop> {
        let (data, depth) = (self.data, self.depth);
        let (mut around, mut found) = (Around::default(), None);
        members(from, |name, start, from| {
            if let Some(known) = list.names.iter().find(|known| known.as_bytes() == name) {
                return if found.replace(known).is_some() { Err(Stop::Corrupt) } else { work(self, from) };
            }
            if name != checked {
                from.skip()?;
            } else if deepest(from, INSIDE)? >= depth {
                return Err(Stop::Corrupt);
            }
            let is_behind = list.behind.iter().any(|other| other.as_bytes() == name);
            let side = if is_behind { &mut around.tail } else { &mut around.head };
            side.push(b',');
            side.extend_from_slice(&data[start..from.place()]);
            Ok(())
        })?;
        let Some(name) = found else { return Ok(None) };
        around.head.extend_from_slice(format!(",\"{name}\":").as_bytes());
        around.head[0] = b'{';
        around.tail.push(b'}');
        Ok(Some(around))
    }

    fn record(&mut self, from: &mut Json, kind: Kind) -> Result<(), Stop> {
        let start = from.place();
        let (mut notes, mut time, mut deep) = (Notes::default(), None, 0);
        members(from, |name, _, from| {
            match (name, kind) {
                (b"traceId", Kind::Log | Kind::Span) => notes.trace = id(from)?,
                (b"spanId", Kind::Log | Kind::Span) => notes.span = id(from)?,
                (b"parentSpanId", Kind::Span) => notes.parent = id(from)?.0,
                (b"links", Kind::Span) | (b"exemplars", Kind::Point) => deep = deep.max(linked(from, &mut notes)?),
                (b"startTimeUnixNano", Kind::Span) | (b"timeUnixNano", Kind::Log | Kind::Point) => time = moment(from)?,
                (b"observedTimeUnixNano", Kind::Log) => notes.observed = moment(from)?.unwrap_or(0),
                _ => deep = deep.max(level(name) + deepest(from, INSIDE)?),
            }
            Ok(())
        })?;
        let reason = match kind {
            _ if deep >= self.depth => Some(Reason::Deep),
            Kind::Log => wrong_log(&notes),
            Kind::Span => wrong_span(&notes),
            Kind::Point => notes.wrong_inside.then_some(Reason::Exemplar),
        };
        let time = reason.map_or(Ok(time.unwrap_or(notes.observed)), Err);
        self.records.push(Record { text: start..from.place(), time });
        Ok(())
    }

    fn give_records(&self, scope: &Scope, sheet: &mut Sheet) {
        for record in &self.records[scope.records.clone()] {
            match record.time {
                Ok(time) => sheet.add(&self.data[record.text.clone()], time, time, 1),
                Err(reason) => sheet.reject(reason, 1),
            }
        }
    }

    fn give_points(&self, metric: &Metric, sheet: &mut Sheet) {
        for point in &self.records[metric.points.clone()] {
            match point.time {
                Ok(time) => sheet.add_point(&metric.ends, &self.data[point.text.clone()], time),
                Err(reason) => sheet.reject(reason, 1),
            }
        }
        sheet.end_points(&metric.ends);
    }
}

// --- values ---------------------------------------------------------------------------------------------------------------

/// Goes over the members of an object: the name, where that begins, and the value, which must be taken.
fn members(from: &mut Json, mut work: impl FnMut(&[u8], usize, &mut Json) -> Result<(), Stop>) -> Result<(), Stop> {
    from.expect(b'{')?;
    let mut first = true;
    while from.more(&mut first, b'}')? {
        let start = from.place();
        let name = from.text()?;
        from.expect(b':')?;
        work(&name, start, from)?;
    }
    Ok(())
}

/// Goes over the items of an array, each of which must be taken.
fn items(from: &mut Json, mut work: impl FnMut(&mut Json) -> Result<(), Stop>) -> Result<(), Stop> {
    from.expect(b'[')?;
    let mut first = true;
    while from.more(&mut first, b']')? {
        work(from)?;
    }
    Ok(())
}

/// Passes over a value; gives how many lists and maps of values are inside each other in it.
fn deepest(from: &mut Json, left: u32) -> Result<i64, Stop> {
    let mut found = 0;
    match from.peek() {
        b'{' => {
            let left = left.checked_sub(1).ok_or(Stop::Corrupt)?;
            members(from, |name, _, from| {
                found = found.max(level(name) + deepest(from, left)?);
                Ok(())
            })?;
        }
        b'[' => {
            let left = left.checked_sub(1).ok_or(Stop::Corrupt)?;
            items(from, |from| {
                found = found.max(deepest(from, left)?);
                Ok(())
            })?;
        }
        _ => from.skip()?,
    }
    Ok(found)
}

/// What a field's name adds to the depth of its value.
fn level(name: &[u8]) -> i64 {
    i64::from(name == b"arrayValue" || name == b"kvlistValue")
}

/// Takes links or exemplars: notes whether one has an id of a wrong length, and gives their depth.
fn linked(from: &mut Json, notes: &mut Notes) -> Result<i64, Stop> {
    let mut deep = 0;
    items(from, |from| {
        members(from, |name, _, from| {
            match name {
                b"traceId" => notes.wrong_inside |= !matches!(id(from)?.0, 0 | 16),
                b"spanId" => notes.wrong_inside |= !matches!(id(from)?.0, 0 | 8),
                _ => deep = deep.max(level(name) + deepest(from, INSIDE)?),
            }
            Ok(())
        })
    })?;
    Ok(deep)
}

/// Takes an id: its length in bytes, that of what is no hex being 1, and whether it has another byte than zero.
fn id(from: &mut Json) -> Result<(usize, bool), Stop> {
    let text = from.text()?;
    if text.len() % 2 == 1 || !text.iter().all(u8::is_ascii_hexdigit) {
        return Ok((1, false));
    }
    Ok((text.len() / 2, text.iter().any(|&digit| digit != b'0')))
}

/// Takes a time; None where nothing is said: an empty text, or the number zero.
fn moment(from: &mut Json) -> Result<Option<u64>, Stop> {
    if from.peek() == b'"' {
        let text = from.text()?;
        return if text.is_empty() { Ok(None) } else { unsigned(&text).map(Some).ok_or(Stop::Corrupt) };
    }
    match from.number()? {
        Number::Whole(false, time) => Ok((time > 0).then_some(time)),
        _ => Err(Stop::Corrupt),
    }
}
