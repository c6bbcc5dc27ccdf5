//! A span or a log record as it stands in JSON, its fields in whichever order, its links and span events with it.
//!
//! The law: null is absent; a field that comes twice, or has a value that the Python core would stumble over or read in a second
//! way, is refused.

use std::ops::Range;

use crate::json::{Json, Number, unsigned};
use crate::names::Names;
use crate::rows::Hex;
use crate::values::{Text, Value, Values};
use crate::wire::Stop;

/// What a field of a record, a span event, a link or a status is.
#[derive(Clone, Copy)]
pub enum Field {
    Trace,
    Span,
    Parent,
    Name,
    Time,
    OtherTime,
    Attributes,
    Dropped,
    Number,
    Text,
    Body,
    Events,
    Links,
    Status,
}

/// In the order in which our own lines have them.
pub const LOG: [(&[u8], Field); 10] = [
    (b"timeUnixNano", Field::Time),
    (b"severityNumber", Field::Number),
    (b"severityText", Field::Text),
    (b"body", Field::Body),
    (b"attributes", Field::Attributes),
    (b"droppedAttributesCount", Field::Dropped),
    (b"traceId", Field::Trace),
    (b"spanId", Field::Span),
    (b"observedTimeUnixNano", Field::OtherTime),
    (b"eventName", Field::Name),
];
pub const SPAN: [(&[u8], Field); 14] = [
    (b"traceId", Field::Trace),
    (b"spanId", Field::Span),
    (b"parentSpanId", Field::Parent),
    (b"name", Field::Name),
    (b"kind", Field::Number),
    (b"startTimeUnixNano", Field::Time),
    (b"endTimeUnixNano", Field::OtherTime),
    (b"attributes", Field::Attributes),
    (b"droppedAttributesCount", Field::Dropped),
    (b"events", Field::Events),
    (b"droppedEventsCount", Field::Dropped),
    (b"links", Field::Links),
    (b"droppedLinksCount", Field::Dropped),
    (b"status", Field::Status),
];
pub const EVENT: [(&[u8], Field); 4] = [
    (b"timeUnixNano", Field::Time),
    (b"name", Field::Name),
    (b"attributes", Field::Attributes),
    (b"droppedAttributesCount", Field::Dropped),
];
pub const LINK: [(&[u8], Field); 3] =
    [(b"traceId", Field::Trace), (b"spanId", Field::Span), (b"attributes", Field::Attributes)];
pub const STATUS: [(&[u8], Field); 2] = [(b"message", Field::Text), (b"code", Field::Number)];

pub struct Link {
    pub attributes: Range<usize>,
    pub trace: Hex<32>,
    pub span: Hex<16>,
}

/// What is read of a record; what a kind of record does not have is empty.
#[derive(Default)]
pub struct Record<'a> {
    pub trace: Hex<32>,
    pub span: Hex<16>,
    pub parent: Hex<16>,
    /// A span's name, a log record's event name.
    pub name: Text<'a>,
    pub time: i64,
    /// When a span ended, when a log record was observed.
    pub other_time: i64,
    pub attributes: Range<usize>,
    /// Of attributes, events and links.
    pub dropped: i64,
    /// A span's kind, a log record's severity.
    pub number: u64,
    /// A span's status.
    pub code: u64,
    /// What a span's status says, or the text of a log record's severity.
    pub text: Text<'a>,
    pub body: Option<Value<'a>>,
}

/// The record that is read last, and what belongs to it.
pub struct Reading<'a> {
    pub values: Values<'a>,
    pub links: Vec<Link>,
    /// The span's events.
    pub inner: Vec<Record<'a>>,
}

impl<'a> Reading<'a> {
    pub fn new(names: &'a Names) -> Self {
        Reading { values: Values::new(names), links: Vec::new(), inner: Vec::new() }
    }

    pub fn clear(&mut self) {
        self.values.clear();
        self.links.clear();
        self.inner.clear();
    }

    /// Takes a span or, with `is_log`, a log record.
    pub fn record(&mut self, is_log: bool, from: &mut Json<'a>) -> Result<Record<'a>, Stop> {
        self.clear();
        self.fields(if is_log { &LOG } else { &SPAN }, from)
    }

    fn fields(&mut self, table: &[(&[u8], Field)], from: &mut Json<'a>) -> Result<Record<'a>, Stop> {
        let mut found = Record::default();
        members(from, table, |field, from| {
            match field {
                Field::Trace => found.trace = hex(from)?,
                Field::Span => found.span = hex(from)?,
                Field::Parent => found.parent = hex(from)?,
                Field::Name => found.name = from.text()?,
                Field::Time => found.time = count(from)?,
                Field::OtherTime => found.other_time = count(from)?,
                Field::Attributes => found.attributes = self.values.attributes(from)?,
                Field::Dropped => found.dropped = found.dropped.checked_add(count(from)?).ok_or(Stop::Corrupt)?,
                Field::Number => found.number = number(from)?,
                Field::Text => found.text = from.text()?,
                Field::Body => found.body = Some(self.values.value(from)?),
                Field::Events => each(from, |from| {
                    let event = self.fields(&EVENT, from)?;
                    self.inner.push(event);
                    Ok(())
                })?,
                Field::Links => each(from, |from| {
                    let Record { trace, span, attributes, .. } = self.fields(&LINK, from)?;
                    self.links.push(Link { attributes, trace, span });
                    Ok(())
                })?,
                Field::Status => {
                    let Record { number, text, .. } = self.fields(&STATUS, from)?;
                    (found.code, found.text) = (number, text);
                }
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// Goes over the members of an object that a table names, null ones left out. Err(Corrupt) where one comes twice.
#[inline]
pub fn members<'a, F: Copy>(
    from: &mut Json<'a>, table: &[(&[u8], F)], mut work: impl FnMut(F, &mut Json<'a>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    from.expect(b'{')?;
    let (mut seen, mut next, mut first) = (0u32, 0, true);
    while from.more(&mut first, b'}')? {
        let name = from.text()?;
        from.expect(b':')?;
        let is_it = |(known, _): &(&[u8], F)| *known == &*name;
        let ahead = table[next..].iter().position(is_it).map(|place| next + place);
        let Some(place) = ahead.or_else(|| table[..next].iter().position(is_it)) else {
            from.skip()?;
            continue;
        };
        next = place + 1;
        if seen >> place & 1 == 1 {
            return Err(Stop::Corrupt);
        }
        seen |= 1 << place;
        if !from.null()? {
            work(table[place].1, from)?;
        }
    }
    Ok(())
}

/// Goes over the items of an array.
#[inline]
pub fn each<'a>(from: &mut Json<'a>, mut work: impl FnMut(&mut Json<'a>) -> Result<(), Stop>) -> Result<(), Stop> {
    from.expect(b'[')?;
    let mut first = true;
    while from.more(&mut first, b']')? {
        work(from)?;
    }
    Ok(())
}

/// Takes a time or a count: a whole number from 0 on, as text or number, that a signed one of 64 bits can hold.
#[inline]
fn count(from: &mut Json) -> Result<i64, Stop> {
    let found = if from.peek() == b'"' { unsigned(&from.text()?).ok_or(Stop::Corrupt)? } else { number(from)? };
    i64::try_from(found).map_err(|_| Stop::Corrupt)
}

fn number(from: &mut Json) -> Result<u64, Stop> {
    match from.number()? {
        Number::Whole(false, number) => Ok(number),
        _ => Err(Stop::Corrupt),
    }
}

/// Takes an id in hex of either case; whatever else it is, or all zeros, is none.
#[inline]
fn hex<const N: usize>(from: &mut Json) -> Result<Hex<N>, Stop> {
    if from.peek() != b'"' {
        from.skip()?;
        return Ok(None);
    }
    let text = from.text()?;
    let Ok(mut id) = <[u8; N]>::try_from(&*text) else { return Ok(None) };
    id.make_ascii_lowercase();
    let is_hex = id.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    Ok((is_hex && id.iter().any(|&digit| digit != b'0')).then_some(id))
}
