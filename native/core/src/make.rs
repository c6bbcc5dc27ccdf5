//! OTLP JSON to protobuf: fields in the order of their numbers, each once, numbers packed, defaults left out.
//!
//! The law: as the Python core's `to_protobuf`, which has the reasons. Unknown names are passed over, null is absent; a name that
//! comes twice in one object, and every other thing that needs a second thought, is refused.

use crate::json::{Json, Number, unsigned};
use crate::schema::{Field, Kind, Levels, Schema};
use crate::wire::Stop;

/// Messages inside each other that protobuf's readers take, the outermost counted.
const LEVELS: u32 = 101;
/// The one byte that stands for an id that is no hex; its record is rejected for an id of a wrong length.
const WRONG_ID: u8 = 0;

/// Puts a request or a line as protobuf. Err(Corrupt) for what needs the Python core.
pub fn protobuf_of_json(schema: &Schema, levels: &Levels, data: &[u8], out: &mut Vec<u8>) -> Result<(), Stop> {
    crate::json::crowd(data)?;
    let mut from = Json::new(data)?;
    Maker::new(schema).message(levels.data, &mut from, out, LEVELS)?;
    from.end()
}

/// Puts the text of a tree as protobuf. Err(Corrupt) for what needs the Python core: every null among others, which in a tree
/// may be a number that JSON has no form for.
pub fn protobuf_of_text(schema: &Schema, levels: &Levels, data: &[u8], out: &mut Vec<u8>) -> Result<(), Stop> {
    let mut from = Json::new(data)?;
    let mut maker = Maker { has_nulls: false, ..Maker::new(schema) };
    maker.message(levels.data, &mut from, out, LEVELS)?;
    from.end()
}

/// Puts lines of an archive as one request. Err(Corrupt) for what needs the Python core: lines of other signals among others.
pub fn protobuf_of_lines(schema: &Schema, levels: &Levels, lines: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Stop> {
    let mut maker = Maker::new(schema);
    for line in lines {
        let mut from = Json::new(line)?;
        maker.kind = Some(false);
        maker.message(levels.data, &mut from, out, LEVELS)?;
        from.end()?;
        if maker.kind != Some(true) {
            return Err(Stop::Corrupt);
        }
    }
    Ok(())
}

/// How many log records, spans or data points a JSON request holds, the records not looked into. Err(Corrupt) where that
/// needs the Python core.
pub fn count_of_json(schema: &Schema, levels: &Levels, data: &[u8]) -> Result<u64, Stop> {
    crate::json::crowd(data)?;
    let place = |of: usize, place: usize| (of, place);
    let mut path = vec![
        place(levels.data, levels.resources),
        place(levels.resource, levels.scopes),
        place(levels.scope, levels.records),
    ];
    if levels.metrics {
        path.push(place(levels.record, usize::MAX));
    }
    let mut from = Json::new(data)?;
    let count = count(schema, &path, &mut from)?;
    from.end()?;
    Ok(count)
}

/// Counts what is at the end of a path of messages and their fields, in an object that comes next.
fn count(schema: &Schema, path: &[(usize, usize)], from: &mut Json) -> Result<u64, Stop> {
    let Some((&(of, wanted), deeper)) = path.split_first() else {
        from.skip()?;
        return Ok(1);
    };
    let message = &schema.messages[of];
    from.expect(b'{')?;
    let (mut found, mut seen, mut first) = (0, false, true);
    while from.more(&mut first, b'}')? {
        let name = from.text()?;
        from.expect(b':')?;
        let place = message.named_from(&name, 0);
        let is_it =
            place.is_some_and(|place| place == wanted || (wanted == usize::MAX && message.fields[place].oneof > 0));
        if !is_it {
            from.skip()?;
            continue;
        }
        if std::mem::replace(&mut seen, true) {
            return Err(Stop::Corrupt);
        }
        if wanted == usize::MAX {
            let Some(place) = place else { return Err(Stop::Corrupt) };
            let inside = message.fields[place].of;
            let points = schema.messages[inside].holding().ok_or(Stop::Corrupt)?;
            found = count(schema, &[(inside, points)], from)?;
            continue;
        }
        from.expect(b'[')?;
        let mut first = true;
        while from.more(&mut first, b']')? {
            found += count(schema, deeper, from)?;
        }
    }
    Ok(found)
}

struct Maker<'s> {
    schema: &'s Schema,
    /// Where the fields of the messages that are open begin, by their places.
    parts: Vec<(usize, usize)>,
    spare: Vec<u8>,
    /// Of lines: whether this one has its signal's name.
    kind: Option<bool>,
    /// Whether null is a way to say nothing.
    has_nulls: bool,
    plain: Option<Plain<'s>>,
}

/// A key with a text, spelled as we do: of attributes most are.
struct Plain<'s> {
    key: &'s Field,
    value: &'s Field,
    text: &'s Field,
    /// What stands before the key, between it and the text, and behind that.
    before: Vec<u8>,
    between: Vec<u8>,
}

impl<'s> Plain<'s> {
    fn of(schema: &'s Schema) -> Option<Self> {
        let [key, value, ..] = &schema.messages[schema.pair].fields[..] else { return None };
        let text = schema.messages.get(value.of)?.fields.first()?;
        let fits = key.kind == Kind::Text && value.kind == Kind::Message && text.kind == Kind::Text && text.presence;
        let before = [b"{", key.key.quoted(), b"\""].concat();
        let between = [b"\",", value.key.quoted(), b"{", text.key.quoted(), b"\""].concat();
        fits.then_some(Plain { key, value, text, before, between })
    }

    /// Puts such a pair with its size before it. False, and nothing is put or taken, where another is next.
    #[inline]
    fn put(&self, from: &mut Json, out: &mut Vec<u8>) -> bool {
        let place = from.place();
        let found = from.take(&self.before).then(|| Some((from.until(&self.between)?, from.until(b"\"}}")?))).flatten();
        let Some((key, text)) = found.filter(|(key, _)| !key.is_empty()) else {
            from.back(place);
            return false;
        };
        let size = |tag: &[u8], size: usize| tag.len() + varint_size(size) + size;
        let inside = size(&self.text.tag, text.len());
        put_varint(out, (size(&self.key.tag, key.len()) + size(&self.value.tag, inside)) as u64);
        out.extend_from_slice(&self.key.tag);
        put_varint(out, key.len() as u64);
        out.extend_from_slice(key);
        out.extend_from_slice(&self.value.tag);
        put_varint(out, inside as u64);
        out.extend_from_slice(&self.text.tag);
        put_varint(out, text.len() as u64);
        out.extend_from_slice(text);
        true
    }
}

/// How many bytes a number takes.
#[inline]
fn varint_size(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

impl<'s> Maker<'s> {
    fn new(schema: &'s Schema) -> Self {
        Maker { schema, parts: Vec::new(), spare: Vec::new(), kind: None, has_nulls: true, plain: Plain::of(schema) }
    }

    /// Puts a message, without its size.
    fn message(&mut self, of: usize, from: &mut Json, out: &mut Vec<u8>, room: u32) -> Result<(), Stop> {
        from.expect(b'{')?;
        let room = room.checked_sub(1).ok_or(Stop::Corrupt)?;
        let message = &self.schema.messages[of];
        let (begin, start) = (self.parts.len(), out.len());
        let (mut seen, mut chosen) = (0u64, 0u64);
        let (mut next, mut in_order, mut first) = (0, true, true);
        while from.more(&mut first, b'}')? {
            let ahead = message.fields[next..].iter().position(|field| from.take(field.key.quoted()));
            let place = if let Some(ahead) = ahead {
                next + ahead
            } else {
                let name = from.text()?;
                from.expect(b':')?;
                let Some(place) = message.named_from(&name, next) else {
                    if room == LEVELS - 1 && self.kind.is_some() && name.starts_with(b"resource") {
                        return Err(Stop::Corrupt); // perhaps another signal's
                    }
                    from.skip()?;
                    continue;
                };
                place
            };
            if place >= 64 || seen >> place & 1 == 1 {
                return Err(Stop::Corrupt);
            }
            seen |= 1 << place;
            if from.null()? {
                if self.has_nulls {
                    continue;
                }
                return Err(Stop::Corrupt);
            }
            let field = &message.fields[place];
            if field.oneof > 0 {
                if chosen >> field.oneof & 1 == 1 {
                    return Err(Stop::Corrupt);
                }
                chosen |= 1 << field.oneof;
            }
            in_order &= place >= next;
            next = place + 1;
            self.parts.push((place, out.len()));
            self.field(field, from, out, room)?;
        }
        if !in_order {
            self.sort(begin, start, out);
        }
        self.parts.truncate(begin);
        if room == LEVELS - 1 && self.kind.is_some() {
            self.kind = Some(seen != 0);
        }
        Ok(())
    }

    /// Puts the fields of a message, which begins at `start` and whose parts begin at `begin`, in the order of their places.
    #[cold]
    fn sort(&mut self, begin: usize, start: usize, out: &mut Vec<u8>) {
        let parts = &self.parts[begin..];
        let mut sorted: Vec<(usize, usize, usize)> = Vec::with_capacity(parts.len());
        for (n, &(place, at)) in parts.iter().enumerate() {
            sorted.push((place, at, parts.get(n + 1).map_or(out.len(), |part| part.1)));
        }
        sorted.sort_unstable();
        self.spare.clear();
        self.spare.extend_from_slice(&out[start..]);
        out.truncate(start);
        for (_, at, end) in sorted {
            out.extend_from_slice(&self.spare[at - start..end - start]);
        }
    }

    fn field(&mut self, field: &Field, from: &mut Json, out: &mut Vec<u8>, room: u32) -> Result<(), Stop> {
        if !field.repeated {
            if field.kind != Kind::Message {
                return scalar(field, from, out, !field.presence, true);
            }
            out.extend_from_slice(&field.tag);
            return sized(out, |out| self.message(field.of, from, out, room));
        }
        from.expect(b'[')?;
        let mut first = true;
        if field.can_be_packed() {
            let start = out.len();
            out.extend_from_slice(&field.packed_tag);
            let empty = out.len() + 1;
            sized(out, |out| {
                while from.more(&mut first, b']')? {
                    scalar(field, from, out, false, false)?;
                }
                Ok(())
            })?;
            if out.len() == empty {
                out.truncate(start);
            }
            return Ok(());
        }
        while from.more(&mut first, b']')? {
            if field.kind == Kind::Message {
                out.extend_from_slice(&field.tag);
                if room >= 2
                    && self.plain.as_ref().is_some_and(|plain| field.of == self.schema.pair && plain.put(from, out))
                {
                    continue;
                }
                sized(out, |out| self.message(field.of, from, out, room))?;
            } else {
                scalar(field, from, out, false, true)?;
            }
        }
        Ok(())
    }
}

/// Puts what some work puts after its number of bytes.
#[inline]
fn sized(out: &mut Vec<u8>, work: impl FnOnce(&mut Vec<u8>) -> Result<(), Stop>) -> Result<(), Stop> {
    let start = out.len() + 1;
    out.push(0);
    work(out)?;
    let size = out.len() - start;
    if size < 128 {
        out[start - 1] = size as u8;
        return Ok(());
    }
    let mut written = [0u8; 10];
    let count = varint_into(&mut written, size as u64);
    out.resize(out.len() + count - 1, 0);
    out.copy_within(start..start + size, start - 1 + count);
    out[start - 1..start - 1 + count].copy_from_slice(&written[..count]);
    Ok(())
}

#[inline]
fn varint_into(written: &mut [u8; 10], mut number: u64) -> usize {
    let mut count = 0;
    while number >= 128 {
        written[count] = number as u8 | 128;
        number >>= 7;
        count += 1;
    }
    written[count] = number as u8;
    count + 1
}

#[inline]
fn put_varint(out: &mut Vec<u8>, number: u64) {
    if number < 128 {
        out.push(number as u8);
        return;
    }
    let mut written = [0u8; 10];
    let count = varint_into(&mut written, number);
    out.extend_from_slice(&written[..count]);
}

/// Puts a single value; `unless_default`: only one that is not the default; `tagged`: after its tag.
#[inline]
fn scalar(field: &Field, from: &mut Json, out: &mut Vec<u8>, unless_default: bool, tagged: bool) -> Result<(), Stop> {
    let put = |out: &mut Vec<u8>, is_default: bool| {
        let wanted = !(unless_default && is_default);
        if wanted && tagged {
            out.extend_from_slice(&field.tag);
        }
        wanted
    };
    match field.kind {
        Kind::Text => {
            let text = from.text()?;
            if put(out, text.is_empty()) {
                put_varint(out, text.len() as u64);
                out.extend_from_slice(&text);
            }
        }
        Kind::Id => {
            let text = from.text()?;
            if put(out, text.is_empty()) {
                put_id(out, &text);
            }
        }
        Kind::Bytes => {
            let text = from.text()?;
            let bytes = base64(&text)?;
            if put(out, bytes.is_empty()) {
                put_varint(out, bytes.len() as u64);
                out.extend_from_slice(&bytes);
            }
        }
        Kind::Bool => {
            let said = from.truth()?;
            if put(out, !said) {
                out.push(u8::from(said));
            }
        }
        Kind::Double => {
            let number = double(from)?;
            if put(out, number.to_bits() == 0) {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        kind => {
            let number = whole(kind, from)?;
            if put(out, number == 0) {
                put_whole(out, kind, number);
            }
        }
    }
    Ok(())
}

fn put_id(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    put_varint(out, text.len() as u64 / 2);
    for pair in text.chunks(2) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        match *pair {
            [high, low] if value(high).is_some() && value(low).is_some() => {
                out.push((value(high).unwrap_or(0) << 4 | value(low).unwrap_or(0)) as u8);
            }
            _ => {
                out.truncate(start);
                out.extend_from_slice(&[1, WRONG_ID]);
                return;
            }
        }
    }
}

/// The bytes of base64 of either alphabet, padded or not.
fn base64(text: &[u8]) -> Result<Vec<u8>, Stop> {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let text = &text[..text.len() - padding];
    let mut found = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.chunks(4) {
        let mut bits = 0u32;
        for &byte in chunk {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return Err(Stop::Corrupt),
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - chunk.len());
        let count = [0, 0, 1, 2, 3][chunk.len()];
        let bytes = bits.to_be_bytes();
        if count == 0 || bytes[1 + count..].iter().any(|&byte| byte != 0) {
            return Err(Stop::Corrupt);
        }
        found.extend_from_slice(&bytes[1..1 + count]);
    }
    Ok(found)
}

fn double(from: &mut Json) -> Result<f64, Stop> {
    if from.peek() == b'"' {
        return match &*from.text()? {
            b"NaN" => Ok(f64::NAN),
            b"Infinity" => Ok(f64::INFINITY),
            b"-Infinity" => Ok(f64::NEG_INFINITY),
            _ => Err(Stop::Corrupt),
        };
    }
    Ok(match from.number()? {
        Number::Double(number) => number,
        Number::Whole(false, size) => size as f64,
        Number::Whole(true, size) => -(size as f64),
    })
}

/// An integer that a field of a kind can hold, as the 64 bits of it.
#[inline]
fn whole(kind: Kind, from: &mut Json) -> Result<i128, Stop> {
    let (negative, size) = if from.peek() == b'"' {
        if kind == Kind::Enum {
            return Err(Stop::Corrupt);
        }
        let text = from.text()?;
        let (negative, digits) = match &*text {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        (negative, unsigned(digits).ok_or(Stop::Corrupt)?)
    } else {
        match from.number()? {
            Number::Whole(negative, size) => (negative, size),
            Number::Double(_) => return Err(Stop::Corrupt),
        }
    };
    let number = if negative { -i128::from(size) } else { i128::from(size) };
    let (least, most) = match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Enum => (i128::from(i32::MIN), i128::from(i32::MAX)),
        Kind::Uint32 | Kind::Fixed32 => (0, i128::from(u32::MAX)),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
        _ => (0, i128::from(u64::MAX)),
    };
    if (least..=most).contains(&number) { Ok(number) } else { Err(Stop::Corrupt) }
}

fn put_whole(out: &mut Vec<u8>, kind: Kind, number: i128) {
    match kind {
        Kind::Fixed64 | Kind::Sfixed64 => out.extend_from_slice(&(number as u64).to_le_bytes()),
        Kind::Fixed32 | Kind::Sfixed32 => out.extend_from_slice(&(number as u32).to_le_bytes()),
        Kind::Sint32 | Kind::Sint64 => put_varint(out, (number << 1 ^ number >> 127) as u64),
        _ => put_varint(out, number as u64),
    }
}
