//! AnyValues as they stand in JSON, and JSON inside a text: taken, or put as the plain JSON text that the Python core writes.
//!
//! The law: what has no one plain reading (bytes, numbers that are not finite, names that come twice, other spellings) is refused.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::json::{Json, Number, unsigned};
use crate::text::{put_double, put_number, put_string};
use crate::values::{Text, Value};
use crate::wire::Stop;

/// Levels of AnyValue that are read, and of JSON inside a text.
pub const DEPTH: u32 = 64;
/// So many keys are compared with each other; more are looked up.
const FEW: usize = 24;
const ANY_VALUE: [&[u8]; 7] =
    [b"stringValue", b"intValue", b"boolValue", b"doubleValue", b"bytesValue", b"arrayValue", b"kvlistValue"];

/// Puts a JSON string of text that was one: where nothing had to be unescaped, nothing has to be escaped.
#[inline]
pub fn put_text(out: &mut Vec<u8>, text: &Text) -> Result<(), Stop> {
    match text {
        Cow::Borrowed(text) => {
            out.push(b'"');
            out.extend_from_slice(text);
            out.push(b'"');
            Ok(())
        }
        Cow::Owned(text) => put_string(out, text),
    }
}

pub fn put_truth(out: &mut Vec<u8>, said: bool) {
    out.extend_from_slice(if said { b"true" } else { b"false" });
}

/// Takes an object of a key and a value, the key first; without one it is the empty text. `work` takes the value.
#[inline]
pub fn pair<'a>(from: &mut Json<'a>, work: impl FnOnce(&mut Json<'a>) -> Result<(), Stop>) -> Result<Text<'a>, Stop> {
    from.expect(b'{')?;
    let (mut key, mut work, mut first) = (None, Some(work), true);
    while from.more(&mut first, b'}')? {
        let name = from.text()?;
        from.expect(b':')?;
        match &*name {
            b"key" => {
                if key.is_some() || work.is_none() {
                    return Err(Stop::Corrupt);
                }
                key = Some(from.text()?);
            }
            b"value" => {
                let work = work.take().ok_or(Stop::Corrupt)?;
                if !from.null()? {
                    work(from)?;
                }
            }
            _ => from.skip()?,
        }
    }
    Ok(key.unwrap_or_default())
}

/// Takes an AnyValue; of a list or map the JSON text is put to `text`.
#[inline]
pub fn any_value<'a>(text: &mut Vec<u8>, keys: &mut Vec<Text<'a>>, from: &mut Json<'a>) -> Result<Value<'a>, Stop> {
    let start = text.len();
    only_member(from, |name, from| {
        Ok(match name {
            b"stringValue" => Value::Text(from.text()?),
            b"intValue" => Value::Whole(whole(from)?),
            b"boolValue" => Value::Truth(from.truth()?),
            b"doubleValue" => Value::Double(double(from)?),
            b"arrayValue" | b"kvlistValue" => {
                put_nested(text, keys, from, name == b"kvlistValue", DEPTH)?;
                Value::Nested(start..text.len())
            }
            _ => return Err(Stop::Corrupt),
        })
    })
    .map(|found| found.unwrap_or(Value::Null))
}

/// Takes an object of one member at most.
#[inline]
fn only_member<'a, T>(
    from: &mut Json<'a>, work: impl FnOnce(&[u8], &mut Json<'a>) -> Result<T, Stop>,
) -> Result<Option<T>, Stop> {
    from.expect(b'{')?;
    let mut first = true;
    if !from.more(&mut first, b'}')? {
        return Ok(None);
    }
    let name = from.text()?;
    from.expect(b':')?;
    let found = work(&name, from)?;
    if from.more(&mut first, b'}')? { Err(Stop::Corrupt) } else { Ok(Some(found)) }
}

/// Puts an AnyValue or null inside another as JSON text.
fn put_inside<'a>(out: &mut Vec<u8>, keys: &mut Vec<Text<'a>>, from: &mut Json<'a>, left: u32) -> Result<(), Stop> {
    if from.null()? {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let found = only_member(from, |name, from| {
        match name {
            b"stringValue" => put_text(out, &from.text()?)?,
            b"intValue" => put_number(out, whole(from)?),
            b"boolValue" => put_truth(out, from.truth()?),
            b"doubleValue" => put_double(out, double(from)?),
            b"arrayValue" | b"kvlistValue" => put_nested(out, keys, from, name == b"kvlistValue", left)?,
            _ => return Err(Stop::Corrupt),
        }
        Ok(())
    })?;
    if found.is_none() {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

/// Goes over the `values` of a list or map.
fn each_value<'a>(from: &mut Json<'a>, mut work: impl FnMut(&mut Json<'a>) -> Result<(), Stop>) -> Result<(), Stop> {
    only_member(from, |name, from| {
        if name != b"values" {
            return Err(Stop::Corrupt);
        }
        if from.null()? {
            return Ok(());
        }
        from.expect(b'[')?;
        let mut first = true;
        while from.more(&mut first, b']')? {
            work(from)?;
        }
        Ok(())
    })
    .map(drop)
}

/// Puts a list or, with `is_map`, a map of values that are no further inside each other than so many levels.
fn put_nested<'a>(
    out: &mut Vec<u8>, keys: &mut Vec<Text<'a>>, from: &mut Json<'a>, is_map: bool, left: u32,
) -> Result<(), Stop> {
    let left = deeper(left)?;
    let (start, first_key) = (out.len(), keys.len());
    out.push(if is_map { b'{' } else { b'[' });
    each_value(from, |from| {
        if out.len() > start + 1 {
            out.push(b',');
        }
        if is_map { put_pair(out, keys, from, left) } else { put_inside(out, keys, from, left) }
    })?;
    out.push(if is_map { b'}' } else { b']' });
    let is_right = differ(&keys[first_key..], |key| key);
    keys.truncate(first_key);
    if is_right { Ok(()) } else { Err(Stop::Corrupt) }
}

fn put_pair<'a>(out: &mut Vec<u8>, keys: &mut Vec<Text<'a>>, from: &mut Json<'a>, left: u32) -> Result<(), Stop> {
    from.expect(b'{')?;
    let (mut has_key, mut has_value, mut first) = (false, false, true);
    while from.more(&mut first, b'}')? {
        let name = from.text()?;
        from.expect(b':')?;
        match &*name {
            b"key" if !has_key => {
                has_key = true;
                let key = from.text()?;
                put_text(out, &key)?;
                keys.push(key);
                out.push(b':');
            }
            b"value" if has_key && !has_value => {
                has_value = true;
                put_inside(out, keys, from, left)?;
            }
            b"key" | b"value" => return Err(Stop::Corrupt),
            _ => from.skip()?,
        }
    }
    if !has_key {
        return Err(Stop::Corrupt);
    }
    if !has_value {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

/// The levels that are left inside a list or map.
pub fn deeper(left: u32) -> Result<u32, Stop> {
    if left <= 1 { Err(Stop::Corrupt) } else { Ok(left - 1) }
}

/// Puts JSON as `put` would put what it says.
pub fn put_meant(out: &mut Vec<u8>, from: &mut Json, left: u32) -> Result<(), Stop> {
    match from.peek() {
        b'"' => put_text(out, &from.text()?)?,
        b'n' => {
            from.null()?;
            out.extend_from_slice(b"null");
        }
        b't' | b'f' => put_truth(out, from.truth()?),
        open @ (b'{' | b'[') => {
            let left = deeper(left)?;
            from.expect(open)?;
            let close = if open == b'{' { b'}' } else { b']' };
            let (mut first, mut keys) = (true, Vec::new());
            out.push(open);
            while from.more(&mut first, close)? {
                if *out.last().unwrap_or(&open) != open || !keys.is_empty() {
                    out.push(b',');
                }
                if open == b'{' {
                    let key = from.text()?;
                    if ANY_VALUE.contains(&&*key) {
                        return Err(Stop::Corrupt);
                    }
                    put_text(out, &key)?;
                    keys.push(key);
                    from.expect(b':')?;
                    out.push(b':');
                }
                put_meant(out, from, left)?;
            }
            out.push(close);
            if !differ(&keys, |key| key) {
                return Err(Stop::Corrupt);
            }
        }
        _ => match from.number()? {
            Number::Double(number) => put_double(out, number),
            Number::Whole(negative, size) => put_number(out, signed(negative, size)?),
        },
    }
    Ok(())
}

/// Whether no two keys are the same.
#[inline]
pub fn differ<'k, T>(all: &'k [T], key: impl Fn(&'k T) -> &'k [u8]) -> bool {
    if all.len() > FEW {
        let mut seen = HashSet::with_capacity(all.len());
        return all.iter().all(|each| seen.insert(key(each)));
    }
    let is_new = |at: usize| all[..at].iter().all(|before| key(before) != key(&all[at]));
    (1..all.len()).all(is_new)
}

/// Takes an integer of 64 bits, as text or number.
#[inline]
pub fn whole(from: &mut Json) -> Result<i64, Stop> {
    if from.peek() != b'"' {
        return match from.number()? {
            Number::Whole(negative, size) => signed(negative, size),
            Number::Double(_) => Err(Stop::Corrupt),
        };
    }
    match &*from.text()? {
        [b'-', digits @ ..] => signed(true, unsigned(digits).ok_or(Stop::Corrupt)?),
        digits => signed(false, unsigned(digits).ok_or(Stop::Corrupt)?),
    }
}

pub fn signed(negative: bool, size: u64) -> Result<i64, Stop> {
    let number = if negative { -i128::from(size) } else { i128::from(size) };
    i64::try_from(number).map_err(|_| Stop::Corrupt)
}

fn double(from: &mut Json) -> Result<f64, Stop> {
    Ok(match from.number()? {
        Number::Double(number) => number,
        Number::Whole(false, size) => size as f64,
        Number::Whole(true, size) => -(size as f64),
    })
}
