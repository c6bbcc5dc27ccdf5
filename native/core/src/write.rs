//! Protobuf messages to OTLP JSON text: fields in the order of their numbers, those that are absent or hold the default left out.
//!
//! The law: what a message says does not depend on how its bytes are laid out. Nearly all come in the order of their fields and
//! are written as they are read; the others are looked over first, a field at a time.

use crate::attribute::put_short;
use crate::check;
use crate::schema::{Field, Kind, Message, Role, Schema};
use crate::text;
use crate::wire::{ROOM, Reader, Stop, parts};

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

    /// What is left to a field's value: a level less to a list or map in a value. None where there is none.
    #[inline]
    fn of(self, message: &Message, field: &Field) -> Option<Left> {
        if !message.choice || field.kind != Kind::Message {
            return Some(self);
        }
        (self.depth > 1).then_some(Left { depth: self.depth - 1, ..self })
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
    /// Whether those of the message that was put last came by their numbers, each once.
    pub was_in_order: bool,
    run: Run,
}

/// The last run of doubles and its text: the bounds of a histogram are those of the one before, and digits are dear.
#[derive(Default)]
struct Run {
    data: Vec<u8>,
    text: Vec<u8>,
}

impl<'s> Writer<'s> {
    pub fn new(schema: &'s Schema) -> Self {
        Writer { schema, notes: Notes::default(), any_order: false, was_in_order: false, run: Run::default() }
    }

    /// Puts a message.
    ///
    /// Tried in order first, then in any order. Err is Corrupt or Deep; what was put then means nothing.
    pub fn put(&mut self, of: usize, data: Reader, out: &mut Vec<u8>, left: Left) -> Result<(), Stop> {
        let start = out.len();
        self.in_either_order(|writer| {
            out.truncate(start);
            writer.message(of, data, out, left)
        })
    }

    /// Does a piece of work with fields in order, and where they are not, in any order; from then on all are taken so.
    pub fn in_either_order(&mut self, mut work: impl FnMut(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        self.notes = Notes::default();
        self.was_in_order = !self.any_order;
        let trouble = match work(self) {
            Err(stop @ (Stop::Disorder | Stop::Deep)) if !self.any_order => stop,
            done => return done,
        };
        self.notes = Notes::default();
        (self.any_order, self.was_in_order) = (true, false);
        let done = work(self);
        self.any_order = trouble == Stop::Disorder;
        done
    }

    fn message(&mut self, of: usize, data: Reader, out: &mut Vec<u8>, left: Left) -> Result<(), Stop> {
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
    fn flowing(&mut self, message: &Message, mut from: Reader, out: &mut Vec<u8>, left: Left) -> Result<(), Stop> {
        let (mut last, mut chosen, mut in_list) = (0, 0u64, false);
        while let Some(key) = from.key()? {
            let (number, wire) = parts(key);
            let Some(field) = message.taking(key) else {
                from.skip(number, wire, left.room)?;
                continue;
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
            self.single(message, field, &mut from, out, left)?;
        }
        if in_list {
            out.push(b']');
        }
        Ok(())
    }

    /// Puts the next value of a repeated field, or a run of them; gives whether the list is open after it.
    #[inline]
    fn items(
        &mut self, field: &Field, wire: u8, from: &mut Reader, out: &mut Vec<u8>, in_list: bool, left: Left,
    ) -> Result<bool, Stop> {
        if wire == field.wire {
            self.value(field, from, out, left, true, |out| open(field, in_list, out))?;
            return Ok(true);
        }
        let run = from.payload()?;
        if run.is_done() {
            return Ok(in_list);
        }
        open(field, in_list, out);
        self.run(field, run, out, left)?;
        Ok(true)
    }

    /// Puts a run of numbers, with commas between.
    fn run(&mut self, field: &Field, mut from: Reader, out: &mut Vec<u8>, left: Left) -> Result<(), Stop> {
        let (data, start) = (from.bytes(), out.len());
        let is_dear = field.kind == Kind::Double;
        if is_dear && data == self.run.data {
            out.extend_from_slice(&self.run.text);
            return Ok(());
        }
        while !from.is_done() {
            self.value(field, &mut from, out, left, true, |_| ())?;
            out.push(b',');
        }
        out.pop();
        if is_dear && data.len() <= SHORT_RUN {
            self.run.data.clear();
            self.run.data.extend_from_slice(data);
            self.run.text.clear();
            self.run.text.extend_from_slice(&out[start..]);
        }
        Ok(())
    }

    /// Puts a field that is not repeated, unless it says nothing.
    #[inline]
    fn single(
        &mut self, message: &Message, field: &Field, from: &mut Reader, out: &mut Vec<u8>, left: Left,
    ) -> Result<(), Stop> {
        let left = match left.of(message, field) {
            Some(left) => left,
            None => return Err(from.payload().map_or(Stop::Corrupt, |_| Stop::Deep)),
        };
        self.value(field, from, out, left, field.presence, |out| field.key.put(out))
    }

    /// Puts a value and what stands before it; one that is the default only if it is `kept`.
    #[inline(always)]
    fn value(
        &mut self, field: &Field, from: &mut Reader, out: &mut Vec<u8>, left: Left, kept: bool,
        before: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Stop> {
        let zigzag = |number: u64| (number >> 1) as i64 ^ -((number & 1) as i64);
        let number = match field.kind {
            Kind::Text | Kind::Message | Kind::Bytes | Kind::Id => {
                let inside = from.payload()?;
                if field.kind == Kind::Id {
                    self.note_id(field.role, inside.bytes());
                }
                if !kept && inside.is_done() {
                    return Ok(());
                }
                before(out);
                match field.kind {
                    Kind::Text => text::put_text(out, inside)?,
                    Kind::Message if field.apart => self.attribute(field.of, inside, out, left.depth)?,
                    Kind::Message => self.message(field.of, inside, out, left.inside()?)?,
                    Kind::Id => text::put_hex(out, inside.bytes()),
                    _ => text::put_base64(out, inside.bytes()),
                }
                return Ok(());
            }
            Kind::Fixed64 | Kind::Uint64 => {
                let number = if field.kind == Kind::Fixed64 { from.fixed64()? } else { from.varint()? };
                self.note_time(field.role, number);
                if kept || number != 0 {
                    before(out);
                    text::put_digits(out, number);
                }
                return Ok(());
            }
            Kind::Double => {
                let bits = from.fixed64()?;
                if kept || bits != 0 {
                    before(out);
                    text::put_double(out, f64::from_bits(bits));
                }
                return Ok(());
            }
            Kind::Bool => {
                let said = from.varint()? != 0;
                if kept || said {
                    before(out);
                    out.extend_from_slice(if said { b"true" } else { b"false" });
                }
                return Ok(());
            }
            Kind::Int64 => from.varint()? as i64,
            Kind::Sfixed64 => from.fixed64()? as i64,
            Kind::Sint64 => zigzag(from.varint()?),
            Kind::Int32 | Kind::Enum => i64::from(from.varint()? as i32),
            Kind::Uint32 => i64::from(from.varint()? as u32),
            Kind::Fixed32 => i64::from(from.fixed32()?),
            Kind::Sfixed32 => i64::from(from.fixed32()? as i32),
            Kind::Sint32 => zigzag(u64::from(from.varint()? as u32)),
        };
        if kept || number != 0 {
            before(out);
            if matches!(field.kind, Kind::Int64 | Kind::Sfixed64 | Kind::Sint64) {
                text::put_signed_digits(out, number);
            } else {
                text::put_number(out, number);
            }
        }
        Ok(())
    }

    /// Puts an attribute: quickly one that is as nearly all are, a key and a text or number of less than 128 bytes.
    #[inline]
    fn attribute(&mut self, pair: usize, data: Reader, out: &mut Vec<u8>, depth: i64) -> Result<(), Stop> {
        if let Some(done) = put_short(data, out) {
            return done;
        }
        let done = self.message(pair, data, out, Left { depth, room: ROOM });
        if done == Err(Stop::Deep) {
            check::message(self.schema, pair, data, ROOM, false)?; // what is opened is read whole, however deep
        }
        done
    }

    fn note_id(&mut self, role: Role, id: &[u8]) {
        let notes = &mut self.notes;
        let is_set = || id.iter().any(|&byte| byte != 0);
        match role {
            Role::Trace => notes.trace = (id.len(), is_set()),
            Role::Span => notes.span = (id.len(), is_set()),
            Role::Parent => notes.parent = id.len(),
            Role::InnerTrace => notes.wrong_inside |= !matches!(id.len(), 0 | 16),
            Role::InnerSpan => notes.wrong_inside |= !matches!(id.len(), 0 | 8),
            _ => {}
        }
    }

    #[inline]
    fn note_time(&mut self, role: Role, time: u64) {
        match role {
            Role::Time => self.notes.time = time,
            Role::Observed => self.notes.observed = time,
            _ => {}
        }
    }

    // --- fields in any order ------------------------------------------------------------------------------------------

    /// Puts one field of a message that was looked over, wherever its values are.
    fn found(
        &mut self, message: &Message, data: Reader, look: &Look, place: usize, out: &mut Vec<u8>, left: Left,
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
            each(field, data.starting(here.first), left.room, |_, wire, from| {
                in_list = self.items(field, wire, from, out, in_list, left)?;
                Ok(())
            })?;
            if in_list {
                out.push(b']');
            }
            return Ok(());
        }
        if field.kind == Kind::Message {
            let mut merged = Vec::new();
            let inside = gather(self.schema, message, data, look, place, left.room, &mut merged)?;
            let left = left.of(message, field).ok_or(Stop::Deep)?;
            field.key.put(out);
            return self.message(field.of, inside, out, left.inside()?);
        }
        let mut last = data.starting(here.last);
        last.key()?;
        self.single(message, field, &mut last, out, left)
    }

    /// What stands around the values of one field: the rest of the message, but for other members of its oneof.
    pub fn around(
        &mut self, of: usize, data: Reader, look: &Look, hole: usize, left: Left, found: &mut Around,
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
                    field.key.put(&mut head);
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

/// Bytes of a run of numbers that are worth remembering.
const SHORT_RUN: usize = 1024;

/// Puts what stands before the next item of a list.
#[inline]
fn open(field: &Field, in_list: bool, out: &mut Vec<u8>) {
    if in_list {
        out.push(b',');
    } else {
        field.key.put(out);
        out.push(b'[');
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
pub fn look(message: &Message, mut from: Reader, room: u32) -> Result<Look, Stop> {
    let mut places = vec![Place::default(); message.fields.len()];
    let mut chosen = vec![0; message.oneofs + 1];
    loop {
        let at = from.at;
        let Some(key) = from.key()? else { break };
        let (number, wire) = parts(key);
        if let Some(place) = message.place(key) {
            let field = &message.fields[place];
            let here = &mut places[place];
            if here.count == 0 || (field.oneof > 0 && chosen[field.oneof] != place + 1) {
                here.first = at;
            }
            here.count += 1;
            here.last = at;
            chosen[field.oneof] = place + 1;
            if field.kind == Kind::Text {
                check::utf8(from.payload()?.bytes())?;
                continue;
            }
        }
        from.skip(number, wire, room)?;
    }
    Ok(Look { places, chosen })
}

/// Goes over the values of a field, from a tag on: where its tag is, its wire type, and what is behind that.
fn each<'a>(
    field: &Field, mut from: Reader<'a>, room: u32,
    mut work: impl FnMut(usize, u8, &mut Reader<'a>) -> Result<(), Stop>,
) -> Result<(), Stop> {
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

/// The message in a field: of several values, all of them behind each other in a buffer, which is what merging them is.
pub fn gather<'a>(
    schema: &Schema, message: &Message, data: Reader<'a>, look: &Look, place: usize, room: u32, merged: &'a mut Vec<u8>,
) -> Result<Reader<'a>, Stop> {
    let (field, here) = (&message.fields[place], look.places[place]);
    if field.oneof > 0 && here.count > 1 {
        check_lost(schema, field, data, here.first, room)?;
    }
    if here.first == here.last {
        let mut from = data.starting(here.first);
        from.key()?;
        return from.payload();
    }
    each(field, data.starting(here.first), room, |_, _, from| {
        let part = from.payload()?;
        check::fields(part, room)?; // each must be whole by itself
        merged.extend_from_slice(part.bytes());
        Ok(())
    })?;
    Ok(Reader::new(merged))
}

/// Checks messages that another member of their oneof has replaced: those before the place `end`.
fn check_lost(schema: &Schema, field: &Field, data: Reader, end: usize, room: u32) -> Result<(), Stop> {
    if field.kind != Kind::Message {
        return Ok(());
    }
    each(field, data, room, |at, _, from| {
        let inside = from.payload()?;
        if at < end {
            check::message(schema, field.of, inside, room.checked_sub(1).ok_or(Stop::Corrupt)?, true)?;
        }
        Ok(())
    })
}
