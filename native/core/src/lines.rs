//! OTLP requests in protobuf to lines of the archive, to one text, and to a count.
//!
//! The law: as the Python core's `from_protobuf`, which has the reasons: one record's trouble costs nothing but itself; what is
//! no such message at all is refused whole.

use crate::check;
use crate::events::Made;
use crate::filling::{Both, Filling};
use crate::schema::{Levels, Message, Schema};
use crate::sheet::{Ends, Limits, Lines, Reason, Sheet};
use crate::wire::{ROOM, Reader, Stop};
use crate::write::{Around, Left, Notes, Writer, gather, look};

const ANY_DEPTH: i64 = 1 << 20;
/// Messages that may still be inside a resource, a scope, a record, a metric's data and a data point.
const IN_RESOURCE: u32 = ROOM - 1;
const IN_SCOPE: u32 = ROOM - 2;
const IN_RECORD: u32 = ROOM - 3;
const IN_DATA: u32 = ROOM - 4;
const IN_POINT: u32 = ROOM - 5;
/// Levels of values that are written in a tree before protobuf itself is asked whether there may be more.
const TREE_DEPTH: i64 = 32;

/// The lines of a request, in its order, written into a buffer that must be empty. Err(Corrupt) for bytes that are no such
/// request, or hold more than a request may.
pub fn lines_of_protobuf(
    schema: &Schema, levels: &Levels, data: &[u8], limits: Limits, out: Vec<u8>,
) -> Result<Lines, Stop> {
    read(schema, levels, data, limits, out, None).map(|(lines, _)| lines)
}

/// The same, and the rows of its events, which are filled meanwhile.
pub fn lines_and_rows<'a>(
    schema: &Schema, levels: &Levels, data: &'a [u8], limits: Limits, out: Vec<u8>, filling: Filling<'a>,
) -> Result<(Lines, Made), Stop> {
    let (lines, filling) = read(schema, levels, data, limits, out, Some(filling))?;
    let made = filling.map(|filling| filling.finish(lines.lines.len()));
    made.map(|made| (lines, made)).ok_or(Stop::Corrupt)
}

fn read<'a>(
    schema: &Schema, levels: &Levels, data: &'a [u8], limits: Limits, out: Vec<u8>, filling: Option<Filling<'a>>,
) -> Result<(Lines, Option<Filling<'a>>), Stop> {
    check::crowd(schema, levels, data)?;
    let frame = &schema.messages[levels.data].fields[levels.resources].json;
    let mut reading = Reading {
        schema,
        levels,
        limits,
        writer: Writer::new(schema),
        sheet: Sheet::new(frame, limits, out),
        record: Vec::new(),
        around: Around::default(),
        inner: Around::default(),
        ends: Ends::default(),
        was_deep: false,
        filling,
    };
    let top = &schema.messages[levels.data];
    each_message(top, levels.resources, Reader::new(data), ROOM, |group| reading.resource(group))?;
    if reading.was_deep {
        // protobuf itself ends at 100 levels: what goes beyond is refused, not rejected
        check::message(schema, levels.data, Reader::new(data), ROOM, !reading.sheet.has_rejected(Reason::Deep))?;
    }
    Ok((reading.sheet.finish(), reading.filling))
}

/// The whole request as JSON text, nothing rejected. Err(Corrupt) as `lines_of_protobuf`.
pub fn text_of_protobuf(schema: &Schema, levels: &Levels, data: &[u8], mut out: Vec<u8>) -> Result<Vec<u8>, Stop> {
    check::crowd(schema, levels, data)?;
    let mut writer = Writer::new(schema);
    match writer.put(levels.data, Reader::new(data), &mut out, Left { depth: TREE_DEPTH, room: ROOM }) {
        Err(Stop::Deep) => {
            check::message(schema, levels.data, Reader::new(data), ROOM, false)?;
            out.clear();
            writer.put(levels.data, Reader::new(data), &mut out, Left { depth: ANY_DEPTH, room: ROOM })?;
        }
        done => done?,
    }
    Ok(out)
}

/// How many log records, spans or data points a request holds. Err(Corrupt) as `lines_of_protobuf`, attributes not opened.
pub fn count_of_protobuf(schema: &Schema, levels: &Levels, data: &[u8]) -> Result<u64, Stop> {
    check::crowd(schema, levels, data)?;
    check::message(schema, levels.data, Reader::new(data), ROOM, true)?;
    let mut count = 0;
    each_message(&schema.messages[levels.data], levels.resources, Reader::new(data), ROOM, |group| {
        each_message(&schema.messages[levels.resource], levels.scopes, group, IN_RESOURCE, |part| {
            count += count_records(schema, levels, part)?;
            Ok(())
        })
    })?;
    Ok(count)
}

fn count_records(schema: &Schema, levels: &Levels, part: Reader) -> Result<u64, Stop> {
    let mut count = 0;
    each_message(&schema.messages[levels.scope], levels.records, part, IN_SCOPE, |record| {
        count += if levels.metrics { points_in(schema, levels, record)? } else { 1 };
        Ok(())
    })?;
    Ok(count)
}

fn points_in(schema: &Schema, levels: &Levels, metric: Reader) -> Result<u64, Stop> {
    let (mut merged, mut count) = (Vec::new(), 0);
    let Some((kind, data)) = metric_data(schema, levels, metric, &mut merged)? else { return Ok(0) };
    let message = &schema.messages[schema.messages[levels.record].fields[kind].of];
    each_message(message, holding(message)?, data, IN_DATA, |_| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// Which field of a metric has its data, and the data, merged into a buffer where it is in parts; None where it has none.
fn metric_data<'a>(
    schema: &Schema, levels: &Levels, metric: Reader<'a>, merged: &'a mut Vec<u8>,
) -> Result<Option<(usize, Reader<'a>)>, Stop> {
    let message = &schema.messages[levels.record];
    let seen = look(message, metric, IN_RECORD)?;
    let Some(kind) = seen.chosen(1) else { return Ok(None) };
    Ok(Some((kind, gather(schema, message, metric, &seen, kind, IN_RECORD, merged)?)))
}

/// The place of the field that holds data points.
fn holding(message: &Message) -> Result<usize, Stop> {
    message.holding().ok_or(Stop::Corrupt)
}

/// Goes over the messages in a field, in their order.
fn each_message<'a>(
    message: &Message, place: usize, mut from: Reader<'a>, room: u32,
    mut work: impl FnMut(Reader<'a>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let wanted = message.fields[place].number;
    while let Some((number, wire)) = from.tag()? {
        if number == wanted && wire == 2 {
            work(from.payload()?)?;
        } else {
            from.skip(number, wire, room)?;
        }
    }
    Ok(())
}

/// One request under way.
struct Reading<'s, 'a> {
    schema: &'s Schema,
    levels: &'s Levels,
    limits: Limits,
    writer: Writer<'s>,
    sheet: Sheet,
    record: Vec<u8>,
    around: Around,
    inner: Around,
    ends: Ends,
    /// Whether anything was too deep, so that not all of the request has been read.
    was_deep: bool,
    filling: Option<Filling<'a>>,
}

impl<'a> Reading<'_, 'a> {
    fn resource(&mut self, group: Reader<'a>) -> Result<(), Stop> {
        let Levels { resource, scopes, .. } = *self.levels;
        let message = &self.schema.messages[resource];
        let seen = look(message, group, IN_RESOURCE)?;
        let done = self.writer.around(resource, group, &seen, scopes, self.left(IN_RESOURCE), &mut self.around);
        if self.is_deep(done)? {
            let mut count = 0;
            each_message(message, scopes, group, IN_RESOURCE, |part| {
                count += count_records(self.schema, self.levels, part)?;
                Ok(())
            })?;
            self.sheet.reject(Reason::Deep, count);
            return Ok(());
        }
        self.sheet.resource.set(&self.around, None);
        self.sheet.resource_changed();
        if let Some(filling) = &mut self.filling {
            filling.resource(&self.sheet.resource);
        }
        each_message(message, scopes, group, IN_RESOURCE, |part| self.scope(part))
    }

    fn scope(&mut self, part: Reader<'a>) -> Result<(), Stop> {
        let Levels { scope, records, metrics, .. } = *self.levels;
        let message = &self.schema.messages[scope];
        let seen = look(message, part, IN_SCOPE)?;
        let done = self.writer.around(scope, part, &seen, records, self.left(IN_SCOPE), &mut self.around);
        if self.is_deep(done)? {
            let count = count_records(self.schema, self.levels, part)?;
            self.sheet.reject(Reason::Deep, count);
            return Ok(());
        }
        self.sheet.scope.set(&self.around, None);
        self.sheet.scope_changed();
        if let Some(filling) = &mut self.filling {
            filling.scope(&self.sheet.scope);
        }
        each_message(
            message,
            records,
            part,
            IN_SCOPE,
            |record| {
                if metrics { self.metric(record) } else { self.record(record) }
            },
        )
    }

    fn left(&self, room: u32) -> Left {
        Left { depth: self.limits.depth, room }
    }

    /// Whether a piece of work ended for depth. Err for any other end.
    fn is_deep(&mut self, done: Result<(), Stop>) -> Result<bool, Stop> {
        match done {
            Err(Stop::Deep) => {
                self.was_deep = true;
                Ok(true)
            }
            Err(stop) => Err(stop),
            Ok(()) => Ok(false),
        }
    }

    fn record(&mut self, record: Reader<'a>) -> Result<(), Stop> {
        let left = self.left(IN_RECORD);
        self.record.clear();
        let done = self.writer.put(self.levels.record, record, &mut self.record, left);
        if self.is_deep(done)? {
            self.sheet.reject(Reason::Deep, 1);
            return Ok(());
        }
        let notes = self.writer.notes;
        let is_span = std::ptr::eq(self.levels, &self.schema.traces);
        if let Some(reason) = if is_span { wrong_span(&notes) } else { wrong_log(&notes) } {
            self.sheet.reject(reason, 1);
            return Ok(());
        }
        let time = if notes.time == 0 && !is_span { notes.observed } else { notes.time };
        self.sheet.add(&self.record, time, time, 1);
        if let Some(filling) = &mut self.filling {
            let wire = self.writer.was_in_order.then_some(record);
            filling.record(!is_span, Both { wire, json: &self.record }, &self.sheet);
        }
        Ok(())
    }

    fn metric(&mut self, metric: Reader) -> Result<(), Stop> {
        let (schema, record) = (self.schema, self.levels.record);
        let message = &schema.messages[record];
        let seen = look(message, metric, IN_RECORD)?;
        let mut merged = Vec::new();
        let Some((kind, data)) = metric_data(schema, self.levels, metric, &mut merged)? else {
            self.record.clear(); // nothing to store; what it has must be readable all the same
            return self.writer.put(record, metric, &mut self.record, Left { depth: ANY_DEPTH, room: IN_RECORD });
        };
        let done = self.writer.around(record, metric, &seen, kind, self.left(IN_RECORD), &mut self.around);
        if self.is_deep(done)? {
            let count = points_in(schema, self.levels, metric)?;
            self.sheet.reject(Reason::Deep, count);
            return Ok(());
        }
        let inside = message.fields[kind].of;
        let data_message = &schema.messages[inside];
        let points = holding(data_message)?;
        let seen = look(data_message, data, IN_DATA)?;
        self.writer.around(inside, data, &seen, points, self.left(IN_DATA), &mut self.inner)?;
        let mut ends = std::mem::take(&mut self.ends);
        ends.set(&self.around, Some(&self.inner));
        let point_message = data_message.fields[points].of;
        each_message(data_message, points, data, IN_DATA, |point| self.point(point_message, point, &ends))?;
        self.sheet.end_points(&ends);
        self.ends = ends;
        Ok(())
    }

    fn point(&mut self, of: usize, point: Reader, ends: &Ends) -> Result<(), Stop> {
        let left = self.left(IN_POINT);
        self.record.clear();
        let done = self.writer.put(of, point, &mut self.record, left);
        if self.is_deep(done)? {
            self.sheet.reject(Reason::Deep, 1);
        } else if self.writer.notes.wrong_inside {
            self.sheet.reject(Reason::Exemplar, 1);
        } else {
            self.sheet.add_point(ends, &self.record, self.writer.notes.time);
        }
        Ok(())
    }
}

/// What is wrong with the ids of a log record; it needs none.
pub fn wrong_log(notes: &Notes) -> Option<Reason> {
    match (notes.trace.0, notes.span.0) {
        (0 | 16, 0 | 8) => None,
        (0 | 16, _) => Some(Reason::SpanId),
        _ => Some(Reason::TraceId),
    }
}

/// What is wrong with the ids of a span. It needs its own two; its parent's and its links' it does not.
pub fn wrong_span(notes: &Notes) -> Option<Reason> {
    if notes.trace != (16, true) {
        Some(Reason::TraceId)
    } else if notes.span != (8, true) {
        Some(Reason::SpanId)
    } else if !matches!(notes.parent, 0 | 8) {
        Some(Reason::ParentId)
    } else {
        notes.wrong_inside.then_some(Reason::Link)
    }
}
