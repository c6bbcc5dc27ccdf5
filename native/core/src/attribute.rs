//! Attributes as nearly all are: a key, and one text or number.
//!
//! The law: what is not of that form to the byte is left to `write`, which takes every form.

use crate::text;
use crate::wire::{Reader, Stop};

/// Puts an attribute of a key and one text, whole number or double, all of it below 128 bytes. None for any other.
#[inline]
pub fn short_attribute(data: Reader, out: &mut Vec<u8>) -> Option<Result<(), Stop>> {
    let bytes = data.bytes();
    let [0x0a, key_size, ..] = *bytes else { return None };
    let key_end = 2 + usize::from(key_size);
    let [0x12, size, kind, first, ..] = *bytes.get(key_end..)? else { return None };
    if key_size >= 128 || size >= 128 || key_end + 2 + usize::from(size) != bytes.len() {
        return None;
    }
    let key = data.part(2, key_end);
    let done = if key_size == 0 {
        out.extend_from_slice(b"{\"value\":{\"");
        Ok(())
    } else {
        text::put_between(out, b"{\"key\":\"", key, b"\",\"value\":{\"")
    };
    if done.is_err() {
        return Some(done);
    }
    let mut value = data.part(key_end + 3, bytes.len());
    match kind {
        0x0a if first < 128 && first + 2 == size => {
            value.at += 1;
            return Some(text::put_between(out, b"stringValue\":\"", value, b"\"}}"));
        }
        0x18 => {
            let number = value.varint().ok().filter(|_| value.is_done())?;
            out.extend_from_slice(b"intValue\":");
            text::put_signed_digits(out, number as i64);
        }
        0x21 if size == 9 => {
            out.extend_from_slice(b"doubleValue\":");
            text::put_double(out, f64::from_bits(value.fixed64().ok()?));
        }
        _ => return None,
    }
    out.extend_from_slice(b"}}");
    Some(Ok(()))
}
