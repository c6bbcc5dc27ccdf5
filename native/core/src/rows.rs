//! One event as a row: its fields lifted out of its attributes, its causes, and the digests that the graph of causes asks for.
//!
//! The law: as the Python core's `fields.lift` and `columns.batch_of`. A value of a type that its field does not have stays among
//! the attributes.

use std::ops::Range;

use crate::around::Around;
use crate::blake2b::hash;
use crate::columns::{
    ATTRIBUTES, Columns, DESCRIPTION, DROPPED, DURATION, ID, LINE, OBSERVED, PARENT, PAYLOAD, PROCESS, RESOURCE, RUN,
    SCOPE, SIGNAL, SOURCE, SPAN, STATUS, TIME, TRACE, TYPE,
};
use crate::names::{LIFTED_TEXTS, LIFTED_WHOLES, Names, Role};
use crate::values::{Attribute, Value, Values};
use crate::wire::Stop;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    Log,
    Span,
    SpanEvent,
}

impl Signal {
    fn name(self) -> &'static [u8] {
        match self {
            Signal::Log => b"log",
            Signal::Span => b"span",
            Signal::SpanEvent => b"span_event",
        }
    }
}

/// An id in lower-case hex, if there is one.
pub type Hex<const N: usize> = Option<[u8; N]>;

/// What an event is besides its attributes.
pub struct Facts<'f> {
    pub signal: Signal,
    pub id: &'f [u8],
    pub name: &'f [u8],
    pub time: i64,
    pub observed: Option<i64>,
    pub duration: Option<i64>,
    pub severity: Option<i16>,
    pub description: Option<&'f [u8]>,
    pub status: Option<&'static str>,
    pub trace: Hex<32>,
    pub span: Hex<16>,
    pub parent: Hex<16>,
    pub dropped: i64,
    /// Of a span event: the run of its span, which is its own unless its attributes name one.
    pub span_run: Option<Option<&'f [u8]>>,
    /// What the links of a span say caused it.
    pub causes: &'f [Vec<u8>],
}

/// The attributes that are fields, by their places.
#[derive(Default)]
struct Lifted {
    texts: [Option<usize>; LIFTED_TEXTS.len()],
    wholes: [Option<i64>; LIFTED_WHOLES.len()],
    causes: Option<usize>,
    payload: Option<usize>,
    names_run: bool,
}

fn lift(names: &Names, values: &mut Values, record: Range<usize>) -> Result<Lifted, Stop> {
    let mut found = Lifted::default();
    let mut others: [Option<(usize, usize)>; LIFTED_TEXTS.len()] = Default::default();
    for at in record {
        let Attribute { role, value, is_gone, .. } = &mut values.all[at];
        if *role == Role::NONE || *is_gone {
            continue;
        }
        if let Some(field) = role.text() {
            found.names_run |= *role == Role::RUN;
            match value {
                Value::Text(_) | Value::Whole(_) => found.texts[field] = Some(at),
                Value::Double(_) => return Err(Stop::Corrupt),
                _ => {}
            }
            *is_gone = matches!(value, Value::Text(_) | Value::Whole(_) | Value::Null);
        } else if let Some(field) = role.whole() {
            if let Value::Whole(number) = value {
                found.wholes[field] = Some(*number);
                *is_gone = true;
            }
        } else if *role == Role::CAUSED_BY {
            found.causes = Some(at);
            *is_gone = true;
        } else if *role == Role::PAYLOAD {
            found.payload = Some(at);
            *is_gone = true;
        } else if let Some(place) = role.other() {
            let fits = matches!(value, Value::Text(_) | Value::Whole(_) | Value::Double(_));
            let best = names.others.get(place).map(|&field| &mut others[field]);
            if let Some(best) = best.filter(|best| fits && best.is_none_or(|(known, _)| place < known)) {
                *best = Some((place, at));
            }
        }
    }
    for (text, other) in found.texts.iter_mut().zip(others) {
        *text = text.or(other.map(|(_, at)| at));
    }
    Ok(found)
}

/// The rows so far.
#[derive(Default)]
pub struct Rows {
    pub columns: Columns,
    /// The number of the next event in its line, and the line's offset.
    pub nth: i32,
    pub offset: i64,
    causes: Vec<Vec<u8>>,
    around: Vec<u8>,
    spans: Hashes,
}

/// The ids of the last span and of the last that was around anything, and their digests: span events stand in the one, spans beside
/// each other in the other.
#[derive(Default)]
struct Hashes {
    own: (Vec<u8>, u64),
    around: (Vec<u8>, u64),
}

impl Hashes {
    fn own(&mut self, id: &[u8]) -> u64 {
        keep(&mut self.own, id)
    }

    fn around(&mut self, id: &[u8]) -> u64 {
        if self.own.0 == id {
            return self.own.1;
        }
        if self.around.0 == id { self.around.1 } else { keep(&mut self.around, id) }
    }
}

fn keep(place: &mut (Vec<u8>, u64), id: &[u8]) -> u64 {
    place.0.clear();
    place.0.extend_from_slice(id);
    place.1 = hash(id);
    place.1
}

impl Rows {
    /// Of columns that must be empty.
    pub fn new(columns: Columns) -> Self {
        Rows { columns, ..Rows::default() }
    }

    /// Puts an event. `record`: which of the values are its attributes, `more`: those that it has besides, which are no fields.
    pub fn push<'a>(
        &mut self, names: &Names, facts: &Facts, values: &mut Values<'a>, record: Range<usize>, more: &[Attribute<'a>],
        around: &Around,
    ) -> Result<(), Stop> {
        let lifted = lift(names, values, record.clone())?;
        let texts = &mut self.columns.texts;
        for (field, at) in lifted.texts.iter().enumerate() {
            let column = &mut texts[field];
            if let Some(at) = *at {
                values.put_str(&mut column.data, &values.all[at].value)?;
                column.end(true);
                continue;
            }
            column.push(match field {
                RUN => facts.span_run.filter(|_| !lifted.names_run).unwrap_or(around.run.as_deref()),
                SOURCE => around.source.as_deref(),
                STATUS => facts.status.map(str::as_bytes),
                _ => None,
            });
        }
        texts[ID].push(Some(facts.id));
        texts[TYPE].push(Some(facts.name));
        texts[DESCRIPTION].push(facts.description);
        let is_there = put_payload(&mut texts[PAYLOAD].data, values, lifted.payload)?;
        texts[PAYLOAD].end(is_there);
        let start = texts[ATTRIBUTES].data.len();
        values.put_map(&mut texts[ATTRIBUTES].data, [&values.all[record], more])?;
        let is_there = texts[ATTRIBUTES].data.len() > start;
        texts[ATTRIBUTES].end(is_there);
        texts[RESOURCE].push(Some(&around.resource[..]).filter(|text| !text.is_empty()));
        texts[SCOPE].push(Some(&around.scope[..]).filter(|text| !text.is_empty()));
        texts[TRACE].push(facts.trace.as_ref().map(|id| &id[..]));
        texts[SPAN].push(facts.span.as_ref().map(|id| &id[..]));
        texts[PARENT].push(facts.parent.as_ref().map(|id| &id[..]));
        texts[SIGNAL].push(Some(facts.signal.name()));
        texts[PROCESS].push(around.process.as_deref());
        let longs = &mut self.columns.longs;
        for (field, &number) in lifted.wholes.iter().enumerate() {
            longs[field].push(number.map(i64::to_le_bytes));
        }
        longs[TIME].push(Some(facts.time.to_le_bytes()));
        longs[OBSERVED].push(facts.observed.map(i64::to_le_bytes));
        longs[DURATION].push(facts.duration.map(i64::to_le_bytes));
        longs[DROPPED].push(Some(facts.dropped.to_le_bytes()));
        longs[LINE].push(Some(self.offset.to_le_bytes()));
        self.columns.severity.push(facts.severity.map(i16::to_le_bytes));
        self.columns.nth.push(Some(self.nth.to_le_bytes()));
        self.nth = self.nth.checked_add(1).ok_or(Stop::Corrupt)?;
        let own = if facts.signal == Signal::Span { self.spans.own(facts.id) } else { hash(facts.id) };
        self.columns.hash.push(Some(own.to_le_bytes()));
        self.put_around(facts);
        self.put_causes(values, lifted.causes, facts.causes)?;
        self.columns.end_row()
    }

    /// The run of the last event.
    pub fn last_run(&self) -> Option<&[u8]> {
        self.columns.texts[RUN].last()
    }

    fn put_around(&mut self, facts: &Facts) {
        let span = if facts.signal == Signal::Span { &facts.parent } else { &facts.span };
        let (Some(trace), Some(span)) = (&facts.trace, span) else { return self.columns.around.push(None) };
        self.around.clear();
        put_span_id(&mut self.around, trace, span);
        self.columns.around.push(Some(self.spans.around(&self.around).to_le_bytes()));
    }

    fn put_causes(&mut self, values: &Values, said: Option<usize>, more: &[Vec<u8>]) -> Result<(), Stop> {
        self.causes.clear();
        if let Some(at) = said {
            match &values.all[at].value {
                Value::Null => {}
                Value::Nested(place) => self.causes = values.texts_in(place)?,
                value => {
                    let mut cause = Vec::new();
                    values.put_str(&mut cause, value)?;
                    self.causes.push(cause);
                }
            }
        }
        self.causes.extend_from_slice(more);
        for (at, cause) in self.causes.iter().enumerate() {
            if !self.causes[..at].contains(cause) {
                self.columns.cause(cause, hash(cause));
            }
        }
        Ok(())
    }
}

/// Puts a payload as a map, and says whether there is one.
fn put_payload(out: &mut Vec<u8>, values: &Values, payload: Option<usize>) -> Result<bool, Stop> {
    let Some(value) = payload.map(|at| &values.all[at].value).filter(|value| **value != Value::Null) else {
        return Ok(false);
    };
    if values.is_map(value) {
        let start = out.len();
        values.put(out, value)?;
        if out.len() == start + 2 {
            out.truncate(start);
        }
        return Ok(out.len() > start);
    }
    out.extend_from_slice(b"{\"value\":");
    values.put(out, value)?;
    out.push(b'}');
    Ok(true)
}

/// Puts the event id of a span.
pub fn put_span_id(out: &mut Vec<u8>, trace: &[u8; 32], span: &[u8; 16]) {
    out.extend_from_slice(b"span:");
    out.extend_from_slice(trace);
    out.push(b'-');
    out.extend_from_slice(span);
}
