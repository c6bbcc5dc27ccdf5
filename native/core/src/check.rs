//! Whether bytes are a message at all, and whether a request holds more than memory is worth.

use crate::schema::{Kind, Levels, Schema};
use crate::wire::{Reader, Stop, parts};

/// Err(Corrupt) for what is no UTF-8.
pub fn utf8(text: &[u8]) -> Result<(), Stop> {
    std::str::from_utf8(text).map(drop).map_err(|_| Stop::Corrupt)
}

/// Err(Corrupt) for what is no run of fields, their insides not looked at.
pub fn fields(mut from: Reader, room: u32) -> Result<(), Stop> {
    while let Some((number, wire)) = from.tag()? {
        from.skip(number, wire, room)?;
    }
    Ok(())
}

/// Err(Corrupt) for what protobuf would not take as a message; `lean`: attributes are bytes that nobody opens.
pub fn message(schema: &Schema, of: usize, mut from: Reader, room: u32, lean: bool) -> Result<(), Stop> {
    let message = &schema.messages[of];
    while let Some(key) = from.key()? {
        let (number, wire) = parts(key);
        let Some(field) = message.taking(key) else {
            from.skip(number, wire, room)?;
            continue;
        };
        if field.kind == Kind::Text {
            utf8(from.payload()?.bytes())?;
        } else if field.kind == Kind::Message && !(lean && field.apart) {
            let room = room.checked_sub(1).ok_or(Stop::Corrupt)?;
            self::message(schema, field.of, from.payload()?, room, lean)?;
        } else if wire == field.wire {
            from.skip(number, wire, room)?;
        } else {
            let mut run = from.payload()?;
            while !run.is_done() {
                run.skip(number, field.wire, room)?;
            }
        }
    }
    Ok(())
}

/// Bytes that cannot become too much.
const SMALL: usize = 1 << 20;
/// Resources, scopes, records and data points in one request; the Python core's `crowd` has the reasons.
const MESSAGES: i64 = 2_000_000;

/// Err(Corrupt) for more messages than a request may hold. What is broken is left to the reading.
pub fn crowd(schema: &Schema, levels: &Levels, data: &[u8]) -> Result<(), Stop> {
    if data.len() <= SMALL {
        return Ok(());
    }
    let number = |of: usize, place: usize| vec![schema.messages[of].fields[place].number];
    let mut wanted = vec![
        number(levels.data, levels.resources),
        number(levels.resource, levels.scopes),
        number(levels.scope, levels.records),
    ];
    if levels.metrics {
        let kinds = || schema.messages[levels.record].fields.iter().filter(|field| field.oneof > 0);
        wanted.push(kinds().map(|field| field.number).collect());
        let points = kinds().filter_map(|field| {
            let inside = &schema.messages[field.of];
            Some(inside.fields[inside.holding()?].number)
        });
        wanted.push(points.collect());
    }
    match left(data, 0, data.len(), &wanted, MESSAGES) {
        Some(left) if left < 0 => Err(Stop::Corrupt),
        _ => Ok(()),
    }
}

/// How many of so many messages are left after those of these levels between two places; below 0 it stops counting.
/// None for what is no protobuf.
fn left(data: &[u8], mut at: usize, end: usize, wanted: &[Vec<u32>], mut left: i64) -> Option<i64> {
    let (here, deeper) = wanted.split_first()?;
    while at < end && left >= 0 {
        let key = varint(data, &mut at)?;
        match key & 7 {
            2 => {
                let size = usize::try_from(varint(data, &mut at)?).ok()?;
                if here.iter().any(|&number| u128::from(number) == key >> 3) {
                    left -= 1;
                    if !deeper.is_empty() && size > 0 {
                        left = self::left(data, at, at.saturating_add(size).min(end), deeper, left)?;
                    }
                }
                at = at.saturating_add(size);
            }
            0 => drop(varint(data, &mut at)?),
            1 => at += 8,
            5 => at += 4,
            3 | 4 => {}
            _ => return None,
        }
    }
    Some(left)
}

fn varint(data: &[u8], at: &mut usize) -> Option<u128> {
    let mut number = 0;
    for n in 0..10 {
        let byte = *data.get(*at)?;
        *at += 1;
        number |= u128::from(byte & 127) << (7 * n);
        if byte < 128 {
            return Some(number);
        }
    }
    None
}
