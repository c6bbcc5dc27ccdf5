//! Archive lines to the rows of an index: the events of each line, in its order, in one walk over its JSON.
//!
//! The law: as the Python core's `decode` and `columns.batch_of`, which have the reasons. A line that holds anything with a second
//! reading, or anything to be told of, is refused whole: the caller asks the Python core.

use std::borrow::Cow;
use std::ops::Range;

use crate::blake2b::digest;
use crate::columns::Columns;
use crate::json::Json;
use crate::names::{Names, Role};
use crate::record::{Link, Reading, Record, each, members};
use crate::rows::{Around, Facts, Hex, Rows, Signal, put_span_id};
use crate::text::{put_number, put_string};
use crate::values::{Attribute, Text, Value, Values};
use crate::wire::Stop;

/// What became of some lines.
pub struct Made {
    pub columns: Columns,
    /// How many lines were read.
    pub lines: usize,
    /// The number of each line that was refused, and how many rows there were before it.
    pub refused: Vec<(usize, usize)>,
}

/// The rows of lines, each given with its offset in the segment of that stem; once there are `enough`, no further line is begun.
pub fn columns_of_lines<'a>(names: &'a Names, stem: &'a [u8], lines: &[(i64, &'a [u8])], enough: usize) -> Made {
    let mut walk = Walk {
        names,
        stem,
        number: 0,
        around: Around::default(),
        reading: Reading::new(names),
        rows: Rows::default(),
        id: Vec::new(),
    };
    let (mut refused, mut read) = (Vec::new(), 0);
    for &(offset, data) in lines {
        let before = walk.rows.columns.rows();
        if before >= enough {
            break;
        }
        if walk.line(offset, data).is_err() {
            walk.rows.columns.truncate(before);
            refused.push((read, before));
        }
        read += 1;
    }
    Made { columns: walk.rows.columns, lines: read, refused }
}

#[derive(Clone, Copy)]
enum Level {
    Logs,
    Spans,
    Metrics,
    Around,
    Inside,
}

const LINE: [(&[u8], Level); 3] =
    [(b"resourceLogs", Level::Logs), (b"resourceSpans", Level::Spans), (b"resourceMetrics", Level::Metrics)];
const LOG_GROUP: [(&[u8], Level); 2] = [(b"resource", Level::Around), (b"scopeLogs", Level::Inside)];
const SPAN_GROUP: [(&[u8], Level); 2] = [(b"resource", Level::Around), (b"scopeSpans", Level::Inside)];
const LOG_PART: [(&[u8], Level); 2] = [(b"scope", Level::Around), (b"logRecords", Level::Inside)];
const SPAN_PART: [(&[u8], Level); 2] = [(b"scope", Level::Around), (b"spans", Level::Inside)];

/// What a scope or resource says of itself.
#[derive(Clone, Copy)]
enum Said {
    Name,
    Version,
    Attributes,
}

const RESOURCE: [(&[u8], Said); 1] = [(b"attributes", Said::Attributes)];
const SCOPE: [(&[u8], Said); 3] =
    [(b"name", Said::Name), (b"version", Said::Version), (b"attributes", Said::Attributes)];

/// Lines of one segment under way.
struct Walk<'a> {
    names: &'a Names,
    stem: &'a [u8],
    /// The number of the next record in its line.
    number: usize,
    around: Around,
    reading: Reading<'a>,
    rows: Rows,
    id: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn line(&mut self, offset: i64, data: &'a [u8]) -> Result<(), Stop> {
        self.number = 0;
        self.rows.offset = offset;
        self.rows.nth = 0;
        let mut from = Json::new(data)?;
        let mut signals = 0;
        members(&mut from, &LINE, |level, from| {
            signals += 1;
            match level {
                Level::Metrics => from.skip(),
                _ => each(from, |from| self.group(matches!(level, Level::Logs), from)),
            }
        })?;
        from.end()?;
        if signals == 1 { Ok(()) } else { Err(Stop::Corrupt) }
    }

    fn group(&mut self, is_log: bool, from: &mut Json<'a>) -> Result<(), Stop> {
        self.around = Around::default();
        let mut has_begun = false;
        members(from, if is_log { &LOG_GROUP } else { &SPAN_GROUP }, |level, from| {
            if matches!(level, Level::Inside) {
                has_begun = true;
                return each(from, |from| self.part(is_log, from));
            }
            if has_begun { Err(Stop::Corrupt) } else { self.resource(from) }
        })
    }

    fn part(&mut self, is_log: bool, from: &mut Json<'a>) -> Result<(), Stop> {
        self.around.scope.clear();
        self.around.source = None;
        let mut has_begun = false;
        members(from, if is_log { &LOG_PART } else { &SPAN_PART }, |level, from| {
            if matches!(level, Level::Inside) {
                has_begun = true;
                return each(from, |from| {
                    let record = self.reading.record(is_log, from)?;
                    if is_log {
                        self.log(record)?
                    } else {
                        self.span(record)?
                    }
                    self.number += 1;
                    Ok(())
                });
            }
            if has_begun { Err(Stop::Corrupt) } else { self.scope(from) }
        })
    }

    fn resource(&mut self, from: &mut Json<'a>) -> Result<(), Stop> {
        let values = &mut self.reading.values;
        values.clear();
        members(from, &RESOURCE, |_, from| values.attributes(from).map(drop))?;
        let around = &mut self.around;
        values.put_map(&mut around.resource, [&values.all, &[]])?;
        let text = |role: Role| -> Result<Option<Vec<u8>>, Stop> {
            let found = values.all.iter().find(|attribute| attribute.role == role).map(|attribute| &attribute.value);
            let Some(value) = found.filter(|value| **value != Value::Null) else { return Ok(None) };
            let mut text = Vec::new();
            values.put_str(&mut text, value)?;
            Ok(Some(text))
        };
        around.run = match text(Role::RUN)? {
            None => text(Role::SERVICE_NAME)?,
            run => run,
        };
        around.process = match (text(Role::SERVICE_INSTANCE)?, text(Role::PROCESS_PID)?) {
            (Some(instance), _) => Some(json_list(&[&instance])?),
            (None, Some(pid)) => Some(json_list(&[&text(Role::HOST_NAME)?.unwrap_or(b"None".to_vec()), &pid])?),
            (None, None) => None,
        };
        Ok(())
    }

    fn scope(&mut self, from: &mut Json<'a>) -> Result<(), Stop> {
        let values = &mut self.reading.values;
        values.clear();
        let (mut name, mut version) = (Text::default(), Text::default());
        members(from, &SCOPE, |said, from| {
            match said {
                Said::Name => name = from.text()?,
                Said::Version => version = from.text()?,
                Said::Attributes => {
                    values.attributes(from)?;
                }
            }
            Ok(())
        })?;
        let Around { scope, source, .. } = &mut self.around;
        let mut before = b'{';
        for (key, text) in [(&b"\"name\":"[..], &name), (b"\"version\":", &version)] {
            if !text.is_empty() {
                scope.push(before);
                scope.extend_from_slice(key);
                put_string(scope, text)?;
                before = b',';
            }
        }
        if !values.all.is_empty() {
            scope.push(before);
            scope.extend_from_slice(b"\"attributes\":");
            values.put_map(scope, [&values.all, &[]])?;
        }
        if !scope.is_empty() {
            scope.push(b'}');
        }
        *source = Some(name.into_owned()).filter(|name| !name.is_empty());
        Ok(())
    }

    fn log(&mut self, record: Record<'a>) -> Result<(), Stop> {
        let Reading { values, .. } = &mut self.reading;
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

    fn span(&mut self, record: Record<'a>) -> Result<(), Stop> {
        let range = record.attributes.clone();
        if let Some(log) = original(&mut self.reading.values, &range)? {
            let inside = if record.parent.is_some() { (record.trace, record.parent) } else { (None, None) };
            return self.projected(&log, &record, range, inside);
        }
        self.id.clear();
        match (&record.trace, &record.span) {
            (Some(trace), Some(span)) => put_span_id(&mut self.id, trace, span),
            _ => put_derived_id(&mut self.id, b"span", self.stem, self.rows.offset, self.number, record.time),
        }
        let Reading { values, links, .. } = &mut self.reading;
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
        let inner = std::mem::take(&mut self.reading.inner);
        if inner.is_empty() {
            return Ok(());
        }
        let run = self.rows.last_run().map(<[u8]>::to_vec);
        for (n, event) in inner.iter().enumerate() {
            self.span_event(&record, event, n, run.as_deref())?;
        }
        self.reading.inner = inner; // its memory is used again
        Ok(())
    }

    fn span_event(&mut self, span: &Record<'a>, event: &Record<'a>, n: usize, run: Option<&[u8]>) -> Result<(), Stop> {
        let range = event.attributes.clone();
        if let Some(log) = original(&mut self.reading.values, &range)? {
            return self.projected(&log, event, range, (span.trace, span.span));
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
        self.rows.push(self.names, &facts, &mut self.reading.values, range, &[], &self.around)
    }

    /// Puts the log event that a span event or span projects, as it was.
    fn projected(
        &mut self, log: &Original<'a>, record: &Record<'a>, range: Range<usize>, inside: (Hex<32>, Hex<16>),
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
        self.rows.push(self.names, &facts, &mut self.reading.values, range, &[], &self.around)
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

/// A list of texts as Python's `json.dumps` writes it.
fn json_list(texts: &[&[u8]]) -> Result<Vec<u8>, Stop> {
    let mut out = vec![b'['];
    for (n, text) in texts.iter().enumerate() {
        let text = std::str::from_utf8(text).map_err(|_| Stop::Corrupt)?;
        out.extend_from_slice(if n > 0 { b", \"" } else { b"\"" });
        for unit in text.encode_utf16() {
            match unit {
                0x22 | 0x5c => out.extend_from_slice(&[b'\\', unit as u8]),
                0x20..0x7f => out.push(unit as u8),
                8 => out.extend_from_slice(b"\\b"),
                9 => out.extend_from_slice(b"\\t"),
                10 => out.extend_from_slice(b"\\n"),
                12 => out.extend_from_slice(b"\\f"),
                13 => out.extend_from_slice(b"\\r"),
                _ => out.extend_from_slice(format!("\\u{unit:04x}").as_bytes()),
            }
        }
        out.push(b'"');
    }
    out.push(b']');
    Ok(out)
}
