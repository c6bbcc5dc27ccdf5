//! The events that a span or log record tells of, each as a row.
//!
//! The law: as the Python core's `decode`, which has the reasons. What that would stumble over is refused.

use std::borrow::Cow;
use std::ops::Range;

use crate::around::Around;
use crate::blake2b::digest;
use crate::columns::Columns;
use crate::names::{Names, Role};
use crate::record::{Link, Reading, Record};
use crate::rows::{Facts, Hex, Rows, Signal, put_span_id};
use crate::text::put_number;
use crate::values::{Attribute, Text, Value, Values};
use crate::wire::Stop;

/// The rows of the lines of one segment, under way.
pub struct Telling<'n> {
    pub names: &'n Names,
    /// What surrounds the next record.
    pub around: Around,
    pub rows: Rows,
    stem: &'n [u8],
    /// The number of the next record in its line.
    number: usize,
    id: Vec<u8>,
}

impl<'n> Telling<'n> {
    /// Of rows that are put to columns, which must be empty.
    pub fn new(names: &'n Names, stem: &'n [u8], columns: Columns) -> Self {
        Telling { names, around: Around::default(), rows: Rows::new(columns), stem, number: 0, id: Vec::new() }
    }

    /// What comes next stands in another line, which has this offset.
    pub fn begin(&mut self, offset: i64) {
        self.number = 0;
        self.rows.offset = offset;
        self.rows.nth = 0;
    }

    /// Puts the events of the record that was read last.
    pub fn record<'a>(&mut self, is_log: bool, record: Record<'a>, reading: &mut Reading<'a>) -> Result<(), Stop>
    where
        'n: 'a,
    {
        if is_log {
            self.log(record, &mut reading.values)?;
        } else {
            self.span(record, reading)?;
        }
        self.number += 1;
        Ok(())
    }

    fn log<'a>(&mut self, record: Record<'a>, values: &mut Values<'a>) -> Result<(), Stop>
    where
        'n: 'a,
    {
        let range = record.attributes.clone();
        let time = if record.time == 0 { record.other_time } else { record.time };
        let mut name = record.name;
        if name.is_empty() {
            name = match values.taken(&range, Role::HINT) {
                None | Some(Value::Null) => name,
                Some(Value::Text(text)) => text,
                Some(_) => return Err(Stop::Corrupt),
            };
        }
        self.id.clear();
        match values.taken(&range, Role::ID) {
            Some(Value::Text(id)) if !id.is_empty() => self.id.extend_from_slice(&id),
            None | Some(Value::Null | Value::Text(_)) => {
                put_derived_id(&mut self.id, b"log", self.stem, self.rows.offset, self.number, time);
            }
            Some(_) => return Err(Stop::Corrupt),
        }
        let severity = match record.number {
            0 => severity_named(&record.text)?,
            number => i16::try_from(number).ok().filter(|number| (1..=24).contains(number)),
        };
        let mut more = None;
        let description = match record.body {
            None | Some(Value::Null) => None,
            Some(Value::Text(text)) => Some(text),
            Some(_) if values.has(&range, Role::BODY) => return Err(Stop::Corrupt),
            Some(value) => {
                more = Some(attribute(&self.names.body, value));
                None
            }
        };
        let facts = Facts {
            signal: Signal::Log,
            id: &self.id,
            name: &name,
            time,
            observed: Some(record.other_time).filter(|&observed| observed != 0 && observed != time),
            duration: None,
            severity,
            description: description.as_deref(),
            status: None,
            trace: record.trace,
            span: record.span,
            parent: None,
            dropped: record.dropped,
            span_run: None,
            causes: &[],
        };
        self.rows.push(self.names, &facts, values, range, more.as_slice(), &self.around)
    }

    fn span<'a>(&mut self, record: Record<'a>, reading: &mut Reading<'a>) -> Result<(), Stop>
    where
        'n: 'a,
    {
        let range = record.attributes.clone();
        if let Some(log) = original(&mut reading.values, &range)? {
            let inside = if record.parent.is_some() { (record.trace, record.parent) } else { (None, None) };
            return self.projected(&log, &record, range, &mut reading.values, inside);
        }
        self.id.clear();
        match (&record.trace, &record.span) {
            (Some(trace), Some(span)) => put_span_id(&mut self.id, trace, span),
            _ => put_derived_id(&mut self.id, b"span", self.stem, self.rows.offset, self.number, record.time),
        }
        let Reading { values, links, inner } = reading;
        let mut more = Vec::new();
        let kind: &[u8] = match record.number {
            1 => b"internal",
            2 => b"server",
            3 => b"client",
            4 => b"producer",
            5 => b"consumer",
            _ => b"",
        };
        if !kind.is_empty() && !values.has(&range, Role::SPAN_KIND) {
            more.push(attribute(&self.names.span_kind, Value::Text(Cow::Borrowed(kind))));
        }
        if !record.text.is_empty() && !values.has(&range, Role::SPAN_MESSAGE) {
            more.push(attribute(&self.names.span_message, Value::Text(record.text.clone())));
        }
        let mut causes = Vec::new();
        for link in links.iter() {
            causes.extend(link_cause(link, values, &self.id)?);
        }
        let facts = Facts {
            signal: Signal::Span,
            id: &self.id,
            name: &record.name,
            time: record.time,
            observed: None,
            duration: Some(record.other_time).filter(|&end| end != 0).map(|end| (end - record.time).max(0)),
            severity: (record.code == 2).then_some(ERROR),
            description: None,
            status: [None, Some("ok"), Some("error")].get(record.code as usize).copied().flatten(),
            trace: record.trace,
            span: record.span,
            parent: record.parent,
            dropped: record.dropped,
            span_run: None,
            causes: &causes,
        };
        self.rows.push(self.names, &facts, values, range, &more, &self.around)?;
        if inner.is_empty() {
            return Ok(());
        }
        let run = self.rows.last_run().map(<[u8]>::to_vec);
        for (n, event) in inner.iter().enumerate() {
            self.span_event(&record, event, n, run.as_deref(), values)?;
        }
        Ok(())
    }

    fn span_event<'a>(
        &mut self, span: &Record<'a>, event: &Record<'a>, n: usize, run: Option<&[u8]>, values: &mut Values<'a>,
    ) -> Result<(), Stop> {
        let range = event.attributes.clone();
        if let Some(log) = original(values, &range)? {
            return self.projected(&log, event, range, values, (span.trace, span.span));
        }
        let mut id = self.id.clone();
        id.push(b'#');
        put_number(&mut id, n as i64);
        let facts = Facts {
            signal: Signal::SpanEvent,
            id: &id,
            name: &event.name,
            time: event.time,
            observed: None,
            duration: None,
            severity: (*event.name == *self.names.exception).then_some(ERROR),
            description: None,
            status: None,
            trace: span.trace,
            span: span.span,
            parent: None,
            dropped: event.dropped,
            span_run: Some(run),
            causes: &[],
        };
        self.rows.push(self.names, &facts, values, range, &[], &self.around)
    }

    /// Puts the log event that a span event or span projects, as it was.
    fn projected<'a>(
        &mut self, log: &Original<'a>, record: &Record<'a>, range: Range<usize>, values: &mut Values<'a>,
        inside: (Hex<32>, Hex<16>),
    ) -> Result<(), Stop> {
        let facts = Facts {
            signal: Signal::Log,
            id: &log.id,
            name: &record.name,
            time: record.time,
            observed: None,
            duration: None,
            severity: log.severity,
            description: log.description.as_deref(),
            status: None,
            trace: inside.0,
            span: inside.1,
            parent: None,
            dropped: 0,
            span_run: None,
            causes: &[],
        };
        self.rows.push(self.names, &facts, values, range, &[], &self.around)
    }
}

/// A log event as its projection tells it; its attributes are what is left of the projection's.
struct Original<'a> {
    id: Text<'a>,
    severity: Option<i16>,
    description: Option<Text<'a>>,
}

/// The log event that attributes project; None where they project none, and then they are as they were.
fn original<'a>(values: &mut Values<'a>, range: &Range<usize>) -> Result<Option<Original<'a>>, Stop> {
    match values.find(range, Role::PROJECTION) {
        Some(Value::Text(mark)) if matches!(&**mark, b"span_event" | b"span") => {}
        Some(Value::Nested(_)) => return Err(Stop::Corrupt),
        _ => return Ok(None),
    }
    match values.find(range, Role::ID) {
        Some(Value::Text(id)) if !id.is_empty() => {}
        _ => return Ok(None),
    }
    let _ = values.taken(range, Role::PROJECTION);
    let Some(Value::Text(id)) = values.taken(range, Role::ID) else { return Err(Stop::Corrupt) };
    let severity = match values.taken(range, Role::PROJECTED_SEVERITY) {
        Some(Value::Text(text)) => severity_member(&text),
        _ => None,
    };
    let description = match values.taken(range, Role::PROJECTED_DESCRIPTION) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    match values.taken(range, Role::PROJECTED_JSON) {
        Some(Value::Nested(place)) if values.text[place.start] == b'[' => {
            for key in values.texts_in(&place)? {
                values.read_text(range, &key)?;
            }
        }
        _ => {}
    }
    Ok(Some(Original { id, severity, description }))
}

/// What a span link says caused the span; see the Python core's `_link_cause`.
fn link_cause(link: &Link, values: &Values, span: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
    match values.find(&link.attributes, Role::EFFECT) {
        None => {}
        Some(Value::Text(effect)) if &**effect == span => {}
        Some(_) => return Ok(None),
    }
    match values.find(&link.attributes, Role::CAUSE) {
        None | Some(Value::Null) => {}
        Some(Value::Text(cause)) if cause.is_empty() => {}
        Some(Value::Text(cause)) => return Ok(Some(cause.to_vec())),
        Some(_) => return Err(Stop::Corrupt),
    }
    let (Some(trace), Some(span)) = (&link.trace, &link.span) else { return Ok(None) };
    let mut id = Vec::with_capacity(54);
    put_span_id(&mut id, trace, span);
    Ok(Some(id))
}

fn attribute<'a>(name: &'a [u8], value: Value<'a>) -> Attribute<'a> {
    Attribute { key: Cow::Borrowed(name), value, role: Role::NONE, is_gone: false }
}

const ERROR: i16 = 17;
const SEVERITIES: [&[u8]; 6] = [b"TRACE", b"DEBUG", b"INFO", b"WARN", b"ERROR", b"FATAL"];

/// The number of a severity's short name.
fn severity_member(name: &[u8]) -> Option<i16> {
    let (word, step) = match name {
        [word @ .., step @ b'2'..=b'4'] => (word, i16::from(step - b'1')),
        word => (word, 0),
    };
    let group = SEVERITIES.iter().position(|&known| known == word)?;
    Some(4 * group as i16 + step + 1)
}

/// The number of a severity by its short name in any case, or a logging library's.
fn severity_named(text: &[u8]) -> Result<Option<i16>, Stop> {
    if !text.is_ascii() {
        return Err(Stop::Corrupt); // Python's upper case knows letters that become ASCII
    }
    Ok(match &*text.to_ascii_uppercase() {
        b"NOTICE" => Some(10),
        b"WARNING" => Some(13),
        b"CRITICAL" => Some(21),
        name => severity_member(name),
    })
}

/// Puts an id for a record that has none, of its place and time.
fn put_derived_id(out: &mut Vec<u8>, kind: &[u8], stem: &[u8], offset: i64, number: usize, time: i64) {
    let mut text = stem.to_vec();
    text.push(b'\n');
    put_number(&mut text, offset);
    text.push(b'\n');
    put_number(&mut text, number as i64);
    text.push(b'\n');
    put_number(&mut text, time);
    out.extend_from_slice(kind);
    out.push(b':');
    for byte in &digest(&text, 12)[..12] {
        out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
}
