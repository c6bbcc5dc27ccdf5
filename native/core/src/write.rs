//! Protobuf messages to OTLP JSON text: fields in the order of their numbers, those that are absent or hold the default left out.
//!
//! The law: what a message says does not depend on how its bytes are laid out. Nearly all come in the order of their fields and
//! are written as they are read; the others are looked over first, a field at a time.

use std::borrow::Cow;

use crate::check;
use crate::schema::{Field, Kind, Message, Role, Schema};
use crate::text;
use crate::wire::{ROOM, Reader, Stop};

/// What a record is checked and sorted by, gathered while it is written.
#[derive(Clone, Copy, Default)]
pub struct Notes {
    /// Lengths of ids, and whether they have another byte than zero.
    pub trace: (usize, bool),
    pub span: (usize, bool),
    pub parent: usize,
    /// Whether a link or an exemplar has an id of a wrong length.
    pub wrong_inside: bool,
    pub time: u64,
    pub observed: u64,
}

/// A value as the wire has it.
#[derive(Clone, Copy)]
enum Value<'a> {
    Bytes(&'a [u8]),
    Double(f64),
    Unsigned(u64),
    Signed(i64),
    Small(i64),
    Bool(bool),
}

impl Value<'_> {
    fn is_default(&self) -> bool {
        match *self {
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Double(number) => number.to_bits() == 0,
            Value::Unsigned(number) => number == 0,
            Value::Signed(number) | Value::Small(number) => number == 0,
            Value::Bool(said) => !said,
        }
    }
}

#[inline]
fn read<'a>(kind: Kind, from: &mut Reader<'a>) -> Result<Value<'a>, Stop> {
    let zigzag = |number: u64| (number >> 1) as i64 ^ -((number & 1) as i64);
    Ok(match kind {
        Kind::Text | Kind::Message | Kind::Bytes | Kind::Id => Value::Bytes(from.payload()?),
        Kind::Double => Value::Double(f64::from_bits(from.fixed64()?)),
        Kind::Fixed64 => Value::Unsigned(from.fixed64()?),
        Kind::Uint64 => Value::Unsigned(from.varint()?),
        Kind::Int64 => Value::Signed(from.varint()? as i64),
        Kind::Sfixed64 => Value::Signed(from.fixed64()? as i64),
        Kind::Sint64 => Value::Signed(zigzag(from.varint()?)),
        Kind::Int32 | Kind::Enum => Value::Small(i64::from(from.varint()? as i32)),
        Kind::Uint32 => Value::Small(i64::from(from.varint()? as u32)),
        Kind::Fixed32 => Value::Small(i64::from(from.fixed32()?)),
        Kind::Sfixed32 => Value::Small(i64::from(from.fixed32()? as i32)),
        Kind::Sint32 => Value::Small(zigzag(u64::from(from.varint()? as u32))),
        Kind::Bool => Value::Bool(from.varint()? != 0),
    })
}

/// What is around the field that a message is asked to leave open.
#[derive(Default)]
pub struct Around {
    pub head: Vec<u8>,
    pub tail: Vec<u8>,
}

/// What may still be inside a message.
#[derive(Clone, Copy)]
pub struct Left {
    /// Levels of values.
    pub depth: i64,
    /// Messages inside each other.
    pub room: u32,
}

impl Left {
    fn inside(self) -> Result<Left, Stop> {
        Ok(Left { room: self.room.checked_sub(1).ok_or(Stop::Corrupt)?, ..self })
    }
}

/// Where the values of one field are in a message.
#[derive(Clone, Copy, Default)]
struct Place {
    count: usize,
    /// The tag of the first one that counts, and of the last.
    first: usize,
    last: usize,
}

/// Where each field is in a message.
pub struct Look {
    places: Vec<Place>,
    /// Which field each oneof has at last, by the oneof's number; its place plus one.
    chosen: Vec<usize>,
}

impl Look {
    /// The place of the field that is set of a oneof.
    pub fn chosen(&self, oneof: usize) -> Option<usize> {
        self.chosen[oneof].checked_sub(1)
    }
}

/// Writes messages of a schema.
pub struct Writer<'s> {
    schema: &'s Schema,
    pub notes: Notes,
    /// Whether the fields of messages may be in any order.
    pub any_order: bool,
}

impl<'s> Writer<'s> {
    pub fn new(schema: &'s Schema) -> Self {
        Writer { schema, notes: Notes::default(), any_order: false }
    }

    /// Puts a message.
    ///
    /// Tried in order first, then in any order. Err is Corrupt or Deep; what was put then means nothing.
    pub fn put(&mut self, of: usize, data: &[u8], out: &mut Vec<u8>, left: Left) -> Result<(), Stop> {
        let start = out.len();
        self.in_either_order(|writer| {
            out.truncate(start);
            writer.message(of, data, out, left)
        })
    }

    /// Does a piece of work with fields in order, and where they are not, in any order; from then on all are taken so.
    pub fn in_either_order(&mut self, mut work: impl FnMut(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        self.notes = Notes::default();
        let trouble = match work(self) {
            Err(stop @ (Stop::Disorder | Stop::Deep)) if !self.any_order => stop,
            done => return done,
        };
        self.notes = Notes::default();
        self.any_order = true;
        let done = work(self);
        self.any_order = trouble == Stop::Disorder;
        done
    }

    fn message(&mut self, of: usize, data: &[u8], out: &mut Vec<u8>, left: Left) -> Result<(), Stop> {
        let schema = self.schema;
        let message = &schema.messages[of];
        let start = out.len();
        if self.any_order {
            let look = look(message, data, left.room)?;
            for place in 0..message.fields.len() {
                self.found(message, data, &look, place, out, left)?;
            }
        } else {
            self.flowing(message, data, out, left)?;
        }
        close(out, start);
        Ok(())
    }

    /// Puts the fields of a message as they come. Err(Disorder) where that would not be by number, each once.
    fn flowing(&mut self, message: &Message, data: &[u8], out: &mut Vec<u8>, left: Left) -> Result<(), Stop> {
        let mut from = Reader::new(data);
        let (mut last, mut chosen, mut in_list) = (0, 0u64, false);
        while let Some((number, wire)) = from.tag()? {
            let field = match message.place(number) {
                Some(place) if message.fields[place].takes(wire) => &message.fields[place],
                _ => {
                    from.skip(number, wire, left.room)?;
                    continue;
                }
            };
            if number != last {
                if number < last {
                    return Err(Stop::Disorder);
                }
                if in_list {
                    out.push(b']');
                    in_list = false;
                }
                last = number;
            } else if !field.repeated {
                return Err(Stop::Disorder);
            }
            if field.repeated {
                in_list = self.items(field, wire, &mut from, out, in_list, left)?;
                continue;
            }
            if field.oneof > 0 {
                if chosen >> field.oneof & 1 == 1 {
                    return Err(Stop::Disorder);
                }
                chosen |= 1 << field.oneof;
            }
            let value = read(field.kind, &mut from)?;
            self.single(message, field, value, out, left)?;
        }
        if in_list {
            out.push(b']');
        }
        Ok(())
    }

    /// Puts the next value of a repeated field, or a run of them; gives whether the list is open after it.
    fn items(
        &mut self, field: &Field, wire: u8, from: &mut Reader, out: &mut Vec<u8>, mut in_list: bool, left: Left,
    ) -> Result<bool, Stop> {
        let mut open = |out: &mut Vec<u8>| {
            if in_list {
                out.push(b',');
            } else {
                out.extend_from_slice(&field.key);
                out.push(b'[');
                in_list = true;
            }
        };
        if wire == field.wire {
            open(out);
            let value = read(field.kind, from)?;
            self.value(field, value, out, left)?;
        } else {
            let mut run = Reader::new(from.payload()?);
            while !run.is_done() {
                open(out);
                let value = read(field.kind, &mut run)?;
                self.value(field, value, out, left)?;
            }
        }
        Ok(in_list)
    }

    /// Puts a field that is not repeated, unless it says nothing.
    #[inline]
    fn single(
        &mut self, message: &Message, field: &Field, value: Value, out: &mut Vec<u8>, left: Left,
    ) -> Result<(), Stop> {
        if field.role != Role::None {
            self.note(field.role, value);
        }
        if !field.presence && value.is_default() {
            return Ok(());
        }
        out.extend_from_slice(&field.key);
        if !message.choice || field.kind != Kind::Message {
            self.value(field, value, out, left)
        } else if left.depth < 2 {
            Err(Stop::Deep)
        } else {
            self.value(field, value, out, Left { depth: left.depth - 1, ..left })
        }
    }

    #[inline]
    fn value(&mut self, field: &Field, value: Value, out: &mut Vec<u8>, left: Left) -> Result<(), Stop> {
        match value {
            Value::Bytes(bytes) => match field.kind {
                Kind::Text => return text::put_string(out, bytes),
                Kind::Id => text::put_hex(out, bytes),
                Kind::Message if field.apart => return self.attribute(field.of, bytes, out, left.depth),
                Kind::Message => {
                    return self.message(field.of, bytes, out, left.inside()?);
                }
                _ => text::put_base64(out, bytes),
            },
            Value::Double(number) => text::put_double(out, number),
            Value::Unsigned(number) => text::put_digits(out, number),
            Value::Signed(number) => text::put_digits(out, number),
            Value::Small(number) => text::put_number(out, number),
            Value::Bool(said) => out.extend_from_slice(if said { b"true" } else { b"false" }),
        }
        Ok(())
    }

    /// Puts an attribute: quickly one that is as nearly all are, a key and a text or number of less than 128 bytes.
    #[inline]
    fn attribute(&mut self, pair: usize, data: &[u8], out: &mut Vec<u8>, depth: i64) -> Result<(), Stop> {
        let start = out.len();
        if let Some(done) = short_attribute(data, out) {
            return done;
        }
        out.truncate(start);
        let done = self.message(pair, data, out, Left { depth, room: ROOM });
        if done == Err(Stop::Deep) {
            check::message(self.schema, pair, data, ROOM, false)?; // what is opened is read whole, however deep
        }
        done
    }

    fn note(&mut self, role: Role, value: Value) {
        let notes = &mut self.notes;
        match (role, value) {
            (Role::Trace, Value::Bytes(id)) => notes.trace = (id.len(), id.iter().any(|&byte| byte != 0)),
            (Role::Span, Value::Bytes(id)) => notes.span = (id.len(), id.iter().any(|&byte| byte != 0)),
            (Role::Parent, Value::Bytes(id)) => notes.parent = id.len(),
            (Role::InnerTrace, Value::Bytes(id)) => notes.wrong_inside |= !matches!(id.len(), 0 | 16),
            (Role::InnerSpan, Value::Bytes(id)) => notes.wrong_inside |= !matches!(id.len(), 0 | 8),
            (Role::Time, Value::Unsigned(time)) => notes.time = time,
            (Role::Observed, Value::Unsigned(time)) => notes.observed = time,
            _ => {}
        }
    }

    // --- fields in any order ------------------------------------------------------------------------------------------

    /// Puts one field of a message that was looked over, wherever its values are.
    fn found(
        &mut self, message: &Message, data: &[u8], look: &Look, place: usize, out: &mut Vec<u8>, left: Left,
    ) -> Result<(), Stop> {
        let field = &message.fields[place];
        let here = look.places[place];
        if here.count == 0 {
            return Ok(());
        }
        if field.oneof > 0 && look.chosen(field.oneof) != Some(place) {
            return check_lost(self.schema, field, data, usize::MAX, left.room);
        }
        if field.repeated {
            let mut in_list = false;
            each(field, data, here.first, left.room, |_, wire, from| {
                in_list = self.items(field, wire, from, out, in_list, left)?;
                Ok(())
            })?;
            if in_list {
                out.push(b']');
            }
            return Ok(());
        }
        let mut last = Reader::starting(data, here.last);
        last.tag()?;
        let value = if field.kind == Kind::Message {
            let merged = gather(self.schema, message, data, look, place, left.room)?;
            return self.single(message, field, Value::Bytes(&merged), out, left);
        } else {
            read(field.kind, &mut last)?
        };
        self.single(message, field, value, out, left)
    }

    /// What stands around the values of one field: the rest of the message, but for other members of its oneof.
    pub fn around(
        &mut self, of: usize, data: &[u8], look: &Look, hole: usize, left: Left, found: &mut Around,
    ) -> Result<(), Stop> {
        let schema = self.schema;
        let message = &schema.messages[of];
        let oneof = message.fields[hole].oneof;
        let (mut head, mut tail) = (std::mem::take(&mut found.head), std::mem::take(&mut found.tail));
        let done = self.in_either_order(|writer| {
            head.clear();
            tail.clear();
            for (place, field) in message.fields.iter().enumerate() {
                if place == hole {
                    head.extend_from_slice(&field.key);
                } else if oneof == 0 || field.oneof != oneof {
                    let out = if place < hole { &mut head } else { &mut tail };
                    writer.found(message, data, look, place, out, left)?;
                } else {
                    check_lost(schema, field, data, usize::MAX, left.room)?;
                }
            }
            Ok(())
        });
        if done.is_ok() {
            head[0] = b'{';
            tail.push(b'}');
        }
        *found = Around { head, tail };
        done
    }
}

/// Ends an object whose fields each stand after a comma.
fn close(out: &mut Vec<u8>, start: usize) {
    match out.get_mut(start) {
        Some(first) => {
            *first = b'{';
            out.push(b'}');
        }
        None => out.extend_from_slice(b"{}"),
    }
}

/// Finds where the fields of a message are. Err(Corrupt) for what is none, the insides of messages and runs not looked at.
pub fn look(message: &Message, data: &[u8], room: u32) -> Result<Look, Stop> {
    let mut places = vec![Place::default(); message.fields.len()];
    let mut chosen = vec![0; message.oneofs + 1];
    let mut from = Reader::new(data);
    loop {
        let at = from.at;
        let Some((number, wire)) = from.tag()? else { break };
        let place = message.place(number).filter(|&place| message.fields[place].takes(wire));
        if let Some(place) = place {
            let field = &message.fields[place];
            let here = &mut places[place];
            if here.count == 0 || (field.oneof > 0 && chosen[field.oneof] != place + 1) {
                here.first = at;
            }
            here.count += 1;
            here.last = at;
            chosen[field.oneof] = place + 1;
            if field.kind == Kind::Text {
                check::utf8(from.payload()?)?;
                continue;
            }
        }
        from.skip(number, wire, room)?;
    }
    Ok(Look { places, chosen })
}

/// Goes over the values of a field, from the tag at `start` on.
fn each<'a>(
    field: &Field, data: &'a [u8], start: usize, room: u32,
    mut work: impl FnMut(usize, u8, &mut Reader<'a>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut from = Reader::starting(data, start);
    loop {
        let at = from.at;
        let Some((number, wire)) = from.tag()? else { return Ok(()) };
        if number == field.number && field.takes(wire) {
            work(at, wire, &mut from)?;
        } else {
            from.skip(number, wire, room)?;
        }
    }
}

/// The message in a field: of several values, all of them behind each other, which is what merging them is.
pub fn gather<'a>(
    schema: &Schema, message: &Message, data: &'a [u8], look: &Look, place: usize, room: u32,
) -> Result<Cow<'a, [u8]>, Stop> {
    let (field, here) = (&message.fields[place], look.places[place]);
    if field.oneof > 0 && here.count > 1 {
        check_lost(schema, field, data, here.first, room)?;
    }
    if here.first == here.last {
        let mut from = Reader::starting(data, here.first);
        from.tag()?;
        return Ok(Cow::Borrowed(from.payload()?));
    }
    let mut merged = Vec::new();
    each(field, data, here.first, room, |_, _, from| {
        let part = from.payload()?;
        check::fields(part, room)?; // each must be whole by itself
        merged.extend_from_slice(part);
        Ok(())
    })?;
    Ok(Cow::Owned(merged))
}

/// Checks messages that another member of their oneof has replaced: those before the place `end`.
fn check_lost(schema: &Schema, field: &Field, data: &[u8], end: usize, room: u32) -> Result<(), Stop> {
    if field.kind != Kind::Message {
        return Ok(());
    }
    each(field, data, 0, room, |at, _, from| {
        let inside = from.payload()?;
        if at < end {
            check::message(schema, field.of, inside, room.checked_sub(1).ok_or(Stop::Corrupt)?, true)?;
        }
        Ok(())
    })
}

/// Puts an attribute of a key and one text, whole number or double, all of it below 128 bytes. None for any other.
#[inline]
fn short_attribute(data: &[u8], out: &mut Vec<u8>) -> Option<Result<(), Stop>> {
    let [0x0a, size, rest @ ..] = data else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*size))?;
    let [0x12, size, kind, value @ ..] = rest else { return None };
    if *size >= 128 || data[1] >= 128 || usize::from(*size) != value.len() + 1 {
        return None;
    }
    if key.is_empty() {
        out.extend_from_slice(b"{\"value\":{\"");
    } else {
        out.extend_from_slice(b"{\"key\":");
        if let Err(stop) = text::put_string(out, key) {
            return Some(Err(stop));
        }
        out.extend_from_slice(b",\"value\":{\"");
    }
    match (kind, value) {
        (0x0a, [size, text @ ..]) if usize::from(*size) == text.len() && *size < 128 => {
            out.extend_from_slice(b"stringValue\":");
            if let Err(stop) = text::put_string(out, text) {
                return Some(Err(stop));
            }
        }
        (0x18, _) => {
            let mut from = Reader::new(value);
            let number = from.varint().ok().filter(|_| from.is_done())?;
            out.extend_from_slice(b"intValue\":");
            text::put_digits(out, number as i64);
        }
        (0x21, _) => {
            let bits = u64::from_le_bytes(value.try_into().ok()?);
            out.extend_from_slice(b"doubleValue\":");
            text::put_double(out, f64::from_bits(bits));
        }
        _ => return None,
    }
    out.extend_from_slice(b"}}");
    Some(Ok(()))
}
