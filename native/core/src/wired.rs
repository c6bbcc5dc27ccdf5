//! A span or a log record as it stands in protobuf, its fields in the order of their numbers and each once.
//!
//! The law: what `record` reads of the JSON that is made of the same bytes, refusals among it. Whether the bytes are such a record
//! at all, and its text UTF-8, is known before.

use std::borrow::Cow;

use crate::any_value::{DEPTH, deeper, differ, put_text, put_truth};
use crate::attribute::{Short, short};
use crate::record::{EVENT, Field, LINK, LOG, Link, Reading, Record, SPAN, STATUS};
use crate::rows::Hex;
use crate::schema::{Kind, Message, Schema};
use crate::text::{is_unescaped, put_double, put_number};
use crate::values::{Text, Value};
use crate::wire::{ROOM, Reader, Stop, parts};

/// What stands behind each key of a message on the wire.
struct Shape<F>(Vec<Option<F>>);

impl<F: Copy> Shape<F> {
    /// Of what each of a message's fields is. None where a kind is another than what is read here.
    fn of(message: &Message, what: impl Fn(&[u8]) -> Option<F>, kind: impl Fn(F) -> Option<Kind>) -> Option<Self> {
        let mut found = Vec::new();
        for field in &message.fields {
            let Some(what) = what(field.json.as_bytes()) else { continue };
            if kind(what).is_some_and(|kind| kind != field.kind) {
                return None;
            }
            let key = (field.number << 3 | u32::from(field.wire)) as usize;
            if found.len() <= key {
                found.resize(key + 1, None);
            }
            found[key] = Some(what);
        }
        Some(Shape(found))
    }

    /// The next field that means something, what is behind it not yet taken.
    #[inline]
    fn next(&self, from: &mut Reader) -> Result<Option<F>, Stop> {
        while let Some(key) = from.key()? {
            if let Some(&Some(what)) = self.0.get(key as usize) {
                return Ok(Some(what));
            }
            let (number, wire) = parts(key);
            from.skip(number, wire, ROOM)?;
        }
        Ok(None)
    }
}

#[derive(Clone, Copy)]
enum Part {
    Key,
    Value,
}

#[derive(Clone, Copy)]
enum Any {
    Text,
    Whole,
    Truth,
    Double,
    List,
    Map,
    Other,
}

/// A list's or map's own field, or one that has no plain reading.
#[derive(Clone, Copy)]
enum Inside {
    Values,
    Other,
}

/// Where the fields are that `record` reads.
pub struct Shapes {
    log: Shape<Field>,
    span: Shape<Field>,
    event: Shape<Field>,
    link: Shape<Field>,
    status: Shape<Field>,
    pair: Shape<Part>,
    any: Shape<Any>,
    list: Shape<Inside>,
    map: Shape<Inside>,
}

impl Shapes {
    /// None for a schema that has other kinds of fields than are read here.
    pub fn of(schema: &Schema) -> Option<Shapes> {
        let inner = |of: &Message, json: &str| -> Option<usize> {
            of.fields.iter().find(|field| field.json == json && field.kind == Kind::Message).map(|field| field.of)
        };
        let message = |of: usize| &schema.messages[of];
        let record = |of: usize, table: &[(&[u8], Field)]| {
            let what = |json: &[u8]| table.iter().find(|(name, _)| *name == json).map(|(_, what)| *what);
            Shape::of(message(of), what, |field| Some(kind_of(field)))
        };
        let span = message(schema.traces.record);
        let value = inner(message(schema.pair), "value")?;
        let [list, map] = ["arrayValue", "kvlistValue"].map(|name| inner(message(value), name));
        let inside = |of: usize| {
            let what = |json: &[u8]| Some(if json == b"values" { Inside::Values } else { Inside::Other });
            Shape::of(message(of), what, |inside| matches!(inside, Inside::Values).then_some(Kind::Message))
        };
        let is_known = inner(message(list?), "values")? == value && inner(message(map?), "values")? == schema.pair;
        is_known.then_some(())?;
        Some(Shapes {
            log: record(schema.logs.record, &LOG)?,
            span: record(schema.traces.record, &SPAN)?,
            event: record(inner(span, "events")?, &EVENT)?,
            link: record(inner(span, "links")?, &LINK)?,
            status: record(inner(span, "status")?, &STATUS)?,
            pair: Shape::of(message(schema.pair), part, |part| {
                Some(if matches!(part, Part::Key) { Kind::Text } else { Kind::Message })
            })?,
            any: Shape::of(message(value), |json| Some(any(json)), kind_of_any)?,
            list: inside(list?)?,
            map: inside(map?)?,
        })
    }
}

fn kind_of(field: Field) -> Kind {
    match field {
        Field::Trace | Field::Span | Field::Parent => Kind::Id,
        Field::Name | Field::Text => Kind::Text,
        Field::Time | Field::OtherTime => Kind::Fixed64,
        Field::Attributes | Field::Body | Field::Events | Field::Links | Field::Status => Kind::Message,
        Field::Dropped => Kind::Uint32,
        Field::Number => Kind::Enum,
    }
}

fn part(json: &[u8]) -> Option<Part> {
    match json {
        b"key" => Some(Part::Key),
        b"value" => Some(Part::Value),
        _ => None,
    }
}

fn any(json: &[u8]) -> Any {
    match json {
        b"stringValue" => Any::Text,
        b"intValue" => Any::Whole,
        b"boolValue" => Any::Truth,
        b"doubleValue" => Any::Double,
        b"arrayValue" => Any::List,
        b"kvlistValue" => Any::Map,
        _ => Any::Other,
    }
}

fn kind_of_any(any: Any) -> Option<Kind> {
    Some(match any {
        Any::Text => Kind::Text,
        Any::Whole => Kind::Int64,
        Any::Truth => Kind::Bool,
        Any::Double => Kind::Double,
        Any::List | Any::Map => Kind::Message,
        Any::Other => return None,
    })
}

impl<'a> Reading<'a> {
    /// Takes a span or, with `is_log`, a log record.
    pub fn wired(&mut self, shapes: &Shapes, is_log: bool, from: Reader<'a>) -> Result<Record<'a>, Stop> {
        self.clear();
        self.wired_fields(shapes, if is_log { &shapes.log } else { &shapes.span }, from)
    }

    fn wired_fields(
        &mut self, shapes: &Shapes, shape: &Shape<Field>, mut from: Reader<'a>,
    ) -> Result<Record<'a>, Stop> {
        let mut found = Record::default();
        let from = &mut from;
        while let Some(field) = shape.next(from)? {
            match field {
                Field::Trace => found.trace = hex(from.payload()?),
                Field::Span => found.span = hex(from.payload()?),
                Field::Parent => found.parent = hex(from.payload()?),
                Field::Name => found.name = text(from.payload()?),
                Field::Text => found.text = text(from.payload()?),
                Field::Time => found.time = time(from)?,
                Field::OtherTime => found.other_time = time(from)?,
                Field::Dropped => {
                    let count = i64::from(from.varint()? as u32);
                    found.dropped = found.dropped.checked_add(count).ok_or(Stop::Corrupt)?;
                }
                Field::Number => found.number = u64::try_from(from.varint()? as i32).map_err(|_| Stop::Corrupt)?,
                Field::Body => found.body = Some(self.wired_value(shapes, from.payload()?)?),
                Field::Attributes => {
                    let start =
                        if found.attributes.is_empty() { self.values.all.len() } else { found.attributes.start };
                    self.wired_pair(shapes, from.payload()?)?;
                    found.attributes = start..self.values.all.len();
                }
                Field::Events => {
                    let event = self.wired_fields(shapes, &shapes.event, from.payload()?)?;
                    self.inner.push(event);
                }
                Field::Links => {
                    let Record { trace, span, attributes, .. } =
                        self.wired_fields(shapes, &shapes.link, from.payload()?)?;
                    self.links.push(Link { attributes, trace, span });
                }
                Field::Status => {
                    let Record { number, text, .. } = self.wired_fields(shapes, &shapes.status, from.payload()?)?;
                    (found.code, found.text) = (number, text);
                }
            }
        }
        let is_right = differ(&self.values.all[found.attributes.clone()], |attribute| &attribute.key);
        if is_right { Ok(found) } else { Err(Stop::Corrupt) }
    }

    #[inline]
    fn wired_pair(&mut self, shapes: &Shapes, mut from: Reader<'a>) -> Result<(), Stop> {
        if let Some((key, value)) = short(from) {
            let value = match value {
                Short::Text(value) => Value::Text(text(value)),
                Short::Whole(number) => Value::Whole(number),
                Short::Double(number) => Value::Double(finite(number)?),
            };
            self.values.push(text(key), value);
            return Ok(());
        }
        let (mut key, mut value) = (Text::default(), Value::Null);
        while let Some(part) = shapes.pair.next(&mut from)? {
            let inside = from.payload()?;
            match part {
                Part::Key => key = text(inside),
                Part::Value => value = self.wired_value(shapes, inside)?,
            }
        }
        self.values.push(key, value);
        Ok(())
    }

    #[inline]
    fn wired_value(&mut self, shapes: &Shapes, from: Reader<'a>) -> Result<Value<'a>, Stop> {
        let (out, keys) = (&mut self.values.text, &mut self.values.keys);
        let start = out.len();
        let found = only_member(shapes, from, |any, from| {
            Ok(match any {
                Any::Text => Value::Text(text(from.payload()?)),
                Any::Whole => Value::Whole(from.varint()? as i64),
                Any::Truth => Value::Truth(from.varint()? != 0),
                Any::Double => Value::Double(double(from)?),
                Any::List | Any::Map => {
                    put_nested(out, keys, shapes, any, from.payload()?, DEPTH)?;
                    Value::Nested(start..out.len())
                }
                Any::Other => return Err(Stop::Corrupt),
            })
        })?;
        Ok(found.unwrap_or(Value::Null))
    }
}

/// Takes an AnyValue, of one member at most.
#[inline]
fn only_member<'a, T>(
    shapes: &Shapes, mut from: Reader<'a>, work: impl FnOnce(Any, &mut Reader<'a>) -> Result<T, Stop>,
) -> Result<Option<T>, Stop> {
    let Some(any) = shapes.any.next(&mut from)? else { return Ok(None) };
    let found = work(any, &mut from)?;
    if !from.is_done() && shapes.any.next(&mut from)?.is_some() {
        return Err(Stop::Corrupt);
    }
    Ok(Some(found))
}

/// Puts an AnyValue inside another as JSON text.
fn put_inside<'a>(
    out: &mut Vec<u8>, keys: &mut Vec<Text<'a>>, shapes: &Shapes, from: Reader<'a>, left: u32,
) -> Result<(), Stop> {
    let found = only_member(shapes, from, |any, from| {
        match any {
            Any::Text => put_text(out, &text(from.payload()?))?,
            Any::Whole => put_number(out, from.varint()? as i64),
            Any::Truth => put_truth(out, from.varint()? != 0),
            Any::Double => put_double(out, double(from)?),
            Any::List | Any::Map => put_nested(out, keys, shapes, any, from.payload()?, left)?,
            Any::Other => return Err(Stop::Corrupt),
        }
        Ok(())
    })?;
    if found.is_none() {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

fn put_nested<'a>(
    out: &mut Vec<u8>, keys: &mut Vec<Text<'a>>, shapes: &Shapes, any: Any, mut from: Reader<'a>, left: u32,
) -> Result<(), Stop> {
    let left = deeper(left)?;
    let is_map = matches!(any, Any::Map);
    let (shape, brackets) = if is_map { (&shapes.map, b"{}") } else { (&shapes.list, b"[]") };
    let first_key = keys.len();
    out.push(brackets[0]);
    let mut is_first = true;
    while let Some(inside) = shape.next(&mut from)? {
        if matches!(inside, Inside::Other) {
            return Err(Stop::Corrupt);
        }
        let item = from.payload()?;
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        if is_map {
            put_pair(out, keys, shapes, item, left)?;
        } else {
            put_inside(out, keys, shapes, item, left)?;
        }
    }
    out.push(brackets[1]);
    let is_right = differ(&keys[first_key..], |key| key);
    keys.truncate(first_key);
    if is_right { Ok(()) } else { Err(Stop::Corrupt) }
}

fn put_pair<'a>(
    out: &mut Vec<u8>, keys: &mut Vec<Text<'a>>, shapes: &Shapes, mut from: Reader<'a>, left: u32,
) -> Result<(), Stop> {
    let (mut key, mut value) = (Text::default(), None);
    while let Some(part) = shapes.pair.next(&mut from)? {
        let inside = from.payload()?;
        match part {
            Part::Key => key = text(inside),
            Part::Value => value = Some(inside),
        }
    }
    if key.is_empty() {
        return Err(Stop::Corrupt); // in JSON it has no key at all
    }
    put_text(out, &key)?;
    keys.push(key);
    out.push(b':');
    match value {
        Some(value) => put_inside(out, keys, shapes, value, left),
        None => {
            out.extend_from_slice(b"null");
            Ok(())
        }
    }
}

/// Text, borrowed where JSON has it as it is.
#[inline]
fn text(from: Reader<'_>) -> Text<'_> {
    if is_unescaped(from) { Cow::Borrowed(from.bytes()) } else { Cow::Owned(from.bytes().to_vec()) }
}

#[inline]
fn time(from: &mut Reader) -> Result<i64, Stop> {
    i64::try_from(from.fixed64()?).map_err(|_| Stop::Corrupt)
}

fn double(from: &mut Reader) -> Result<f64, Stop> {
    finite(f64::from_bits(from.fixed64()?))
}

#[inline]
fn finite(number: f64) -> Result<f64, Stop> {
    if number.is_finite() { Ok(number) } else { Err(Stop::Corrupt) }
}

/// An id in hex; one of another length, or of zeros, is none.
#[inline]
fn hex<const N: usize>(from: Reader) -> Hex<N> {
    let bytes = from.bytes();
    if bytes.len() * 2 != N || bytes.iter().all(|&byte| byte == 0) {
        return None;
    }
    let mut found = [0; N];
    for (two, byte) in found.chunks_exact_mut(2).zip(bytes) {
        let digit = |half: u8| half + if half > 9 { b'a' - 10 } else { b'0' };
        two.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    Some(found)
}
