//! Attributes as nearly all are: a key, and one text or number.
//!
//! The law: what is not of that form to the byte is left to `write`, which takes every form.

use crate::text;
use crate::wire::{Reader, Stop};

/// What an attribute holds.
pub enum Short<'a> {
    Text(Reader<'a>),
    Whole(i64),
    Double(f64),
}

/// Takes an attribute of a key and one text, whole number or double, all of it below 128 bytes. None for any other.
#[inline(always)]
pub fn short<'a>(data: Reader<'a>) -> Option<(Reader<'a>, Short<'a>)> {
    let bytes = data.bytes();
    let [0x0a, key_size, ..] = *bytes else { return None };
    let key_end = 2 + usize::from(key_size);
    let [0x12, size, kind, first, ..] = *bytes.get(key_end..)? else { return None };
    if key_size >= 128 || size >= 128 || key_end + 2 + usize::from(size) != bytes.len() {
        return None;
    }
    let mut value = data.part(key_end + 3, bytes.len());
    let found = match kind {
        0x0a if first < 128 && first + 2 == size => {
            value.at += 1;
            Short::Text(value)
        }
        0x18 => Short::Whole(value.varint().ok().filter(|_| value.is_done())? as i64),
        0x21 if size == 9 => Short::Double(f64::from_bits(value.fixed64().ok()?)),
        _ => return None,
    };
    Some((data.part(2, key_end), found))
}

/// Puts such an attribute. None for any other.
#[inline]
pub fn put_short(data: Reader, out: &mut Vec<u8>) -> Option<Result<(), Stop>> {
    let (key, value) = short(data)?;
    Some(put(key, value, out))
}

#[inline(always)]
fn put(key: Reader, value: Short, out: &mut Vec<u8>) -> Result<(), Stop> {
    if key.is_done() {
        out.extend_from_slice(b"{\"value\":{\"");
    } else {
        text::put_between(out, b"{\"key\":\"", key, b"\",\"value\":{\"")?;
    }
    match value {
        Short::Text(value) => return text::put_between(out, b"stringValue\":\"", value, b"\"}}"),
        Short::Whole(number) => {
            out.extend_from_slice(b"intValue\":");
            text::put_signed_digits(out, number);
        }
        Short::Double(number) => {
            out.extend_from_slice(b"doubleValue\":");
            text::put_double(out, number);
        }
    }
    out.extend_from_slice(b"}}");
    Ok(())
}
