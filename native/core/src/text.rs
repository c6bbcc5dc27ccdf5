//! Single values as JSON text, straight into a buffer.
//!
//! The law: exact. The text is what orjson and Python's `json` write: no escape where none must be, doubles in their shortest
//! digits, what is not finite as text.

use crate::wire::{Reader, Stop};

/// Puts a JSON string of text inside a request. Err(Corrupt) for what is no UTF-8.
#[inline(always)]
pub fn put_text(out: &mut Vec<u8>, text: Reader) -> Result<(), Stop> {
    put_between(out, b"\"", text, b"\"")
}

/// Puts text inside a request as what stands in a JSON string, between two pieces of JSON. Err(Corrupt) for what is no UTF-8.
///
/// Nearly all text is short and plain: it is copied with what follows it, which is then cut off.
#[inline(always)]
pub fn put_between<const BEFORE: usize, const AFTER: usize>(
    out: &mut Vec<u8>, before: &[u8; BEFORE], text: Reader, after: &[u8; AFTER],
) -> Result<(), Stop> {
    let size = text.size();
    out.extend_from_slice(before);
    match text.wide::<WIDE>() {
        Some(wide) if size <= WIDE && is_plain_wide(wide, size) => {
            let end = out.len() + size;
            out.extend_from_slice(wide);
            out.truncate(end);
        }
        _ => put_any(out, text.bytes())?,
    }
    out.extend_from_slice(after);
    Ok(())
}

/// Puts a JSON string. Err(Corrupt) for what is no UTF-8.
#[inline]
pub fn put_string(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Stop> {
    out.push(b'"');
    put_any(out, text)?;
    out.push(b'"');
    Ok(())
}

#[inline(never)]
fn put_any(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Stop> {
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        std::str::from_utf8(text).map_err(|_| Stop::Corrupt)?;
        put_escaped(out, text);
    }
    Ok(())
}

const WIDE: usize = 32;
/// From `WIDE` less a number on, as many bytes are set as that number.
const MASK: [u8; 2 * WIDE] = {
    let mut mask = [0; 2 * WIDE];
    let mut at = 0;
    while at < WIDE {
        mask[at] = 0xff;
        at += 1;
    }
    mask
};

/// Whether none of the first bytes needs more than being copied: each is ASCII, no control, no quote, no backslash.
#[inline(always)]
fn is_plain_wide(wide: &[u8; WIDE], size: usize) -> bool {
    let mask = &MASK[WIDE - size..][..WIDE];
    let mut found = 0;
    for (&byte, &counts) in wide.iter().zip(mask) {
        // as a signed number, what is not ASCII is below zero
        found |= u8::from(((byte as i8) < 0x20) | (byte == b'"') | (byte == b'\\')) & counts;
    }
    found == 0
}

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks those of eight bytes that JSON escapes. May mark what stands behind such a byte, never too few.
#[inline]
fn escaped_of(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(EACH) & !word;
    let control = word.wrapping_sub(EACH * 0x20) & !word;
    (control | zero(word ^ (EACH * 0x22)) | zero(word ^ (EACH * 0x5c))) & HIGH
}

/// Whether none of eight bytes needs more than being copied. May say no where it does not, never yes where it does.
#[inline]
fn is_plain_word(word: u64) -> bool {
    (word & HIGH) | escaped_of(word) == 0
}

fn is_plain(text: &[u8]) -> bool {
    let mut left = text;
    while let Some((word, rest)) = left.split_first_chunk::<8>() {
        if !is_plain_word(u64::from_le_bytes(*word)) {
            return false;
        }
        left = rest;
    }
    if let Some(last) = text.last_chunk::<8>() {
        return left.is_empty() || is_plain_word(u64::from_le_bytes(*last));
    }
    left.iter().all(|&byte| (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\')
}

/// Puts text with escapes where JSON must have them.
#[cold]
fn put_escaped(out: &mut Vec<u8>, mut text: &[u8]) {
    while !text.is_empty() {
        let (plain, rest) = text.split_at(plain_start(text));
        out.extend_from_slice(plain);
        let Some((&byte, rest)) = rest.split_first() else { return };
        put_escape(out, byte);
        text = rest;
    }
}

/// Whether JSON has text inside a request as it is.
#[inline(always)]
pub fn is_unescaped(text: Reader) -> bool {
    match text.wide::<WIDE>() {
        Some(wide) if text.size() <= WIDE && is_plain_wide(wide, text.size()) => true,
        _ => is_long_unescaped(text.bytes()),
    }
}

#[inline(never)]
fn is_long_unescaped(text: &[u8]) -> bool {
    is_plain(text) || plain_start(text) == text.len()
}

/// How many bytes stand before the first that JSON escapes.
fn plain_start(text: &[u8]) -> usize {
    let words = text.chunks_exact(8).map(|word| escaped_of(u64::from_le_bytes(word.try_into().unwrap_or_default())));
    let mut at = 0;
    for found in words {
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + text[at..].iter().take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\').count()
}

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        8 => b'b',
        9 => b't',
        10 => b'n',
        12 => b'f',
        13 => b'r',
        _ => {
            let digit = |half: u8| DIGITS[usize::from(half)];
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Puts bytes as a JSON string of hex digits.
pub fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    if let Ok(id) = <&[u8; 16]>::try_from(bytes) {
        out.extend_from_slice(hex(id).as_flattened());
    } else if let Ok(id) = <&[u8; 8]>::try_from(bytes) {
        out.extend_from_slice(hex(id).as_flattened());
    } else {
        bytes.iter().for_each(|&byte| out.extend_from_slice(&hex(&[byte])[0]));
    }
    out.push(b'"');
}

/// The two digits of each byte: without a table and alike for all of them, so that they are made at once.
#[inline]
fn hex<const SIZE: usize>(bytes: &[u8; SIZE]) -> [[u8; 2]; SIZE] {
    let digit = |half: u8| half + if half > 9 { b'a' - 10 } else { b'0' };
    bytes.map(|byte| [digit(byte >> 4), digit(byte & 15)])
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Puts bytes as a JSON string of base64, the standard alphabet with padding.
pub fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        let digit = |n: u32| BASE64[(bits >> (18 - 6 * n) & 63) as usize];
        let mut text = [digit(0), digit(1), digit(2), digit(3)];
        for padding in text.iter_mut().skip(chunk.len() + 1) {
            *padding = b'=';
        }
        out.extend_from_slice(&text);
    }
    out.push(b'"');
}

/// Puts a JSON number, or text for what is not finite.
pub fn put_double(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    } else if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if number > 0.0 {
        out.extend_from_slice(b"\"Infinity\"");
    } else {
        out.extend_from_slice(b"\"-Infinity\"");
    }
}

/// Puts a JSON number.
#[inline]
pub fn put_number(out: &mut Vec<u8>, number: i64) {
    if (0..10).contains(&number) {
        return out.push(b'0' + number as u8);
    }
    if number < 0 {
        out.push(b'-');
    }
    put_unsigned(out, number.unsigned_abs());
}

/// Puts an integer as JSON has those of 64 bits: as text.
#[inline]
pub fn put_digits(out: &mut Vec<u8>, number: u64) {
    out.push(b'"');
    put_unsigned(out, number);
    out.push(b'"');
}

/// Puts an integer as JSON has those of 64 bits: as text.
#[inline]
pub fn put_signed_digits(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(if number < 0 { b"\"-" } else { b"\"" });
    put_unsigned(out, number.unsigned_abs());
    out.push(b'"');
}

/// Puts the digits of a number, eight of them at a time.
#[inline]
fn put_unsigned(out: &mut Vec<u8>, number: u64) {
    let (rest, last) = (number / EIGHT, number % EIGHT);
    if rest == 0 {
        return put_first(out, last);
    }
    let (first, middle) = (rest / EIGHT, rest % EIGHT);
    if first == 0 {
        put_first(out, middle);
    } else {
        put_first(out, first);
        out.extend_from_slice(&eight(middle));
    }
    out.extend_from_slice(&eight(last));
}

const EIGHT: u64 = 100_000_000;

/// Puts a number of at most eight digits, without zeros before it.
#[inline]
fn put_first(out: &mut Vec<u8>, number: u64) {
    let digits = u64::from_le_bytes(eight(number));
    let zeros = ((digits ^ ZEROS).trailing_zeros() / 8).min(7);
    let end = out.len() + 8 - zeros as usize;
    out.extend_from_slice(&(digits >> (8 * zeros)).to_le_bytes());
    out.truncate(end);
}

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The eight digits of a number below `EIGHT`: halved three times, all parts at once, by multiplying instead of dividing.
#[inline]
fn eight(number: u64) -> [u8; 8] {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0xf_000f_000f_000f;
    (tens | ((twos - 10 * tens) << 8) | ZEROS).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(work: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        work(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_escaped_where_json_must_be_and_nowhere_else() {
        let escaped = |text: &str| written(|out| put_string(out, text.as_bytes()).unwrap());
        assert_eq!(escaped("plain text, long enough for words"), "\"plain text, long enough for words\"");
        assert_eq!(escaped("a\"b\\c/d\u{1}\u{7f}\n\u{e9}\u{2028}"), "\"a\\\"b\\\\c/d\\u0001\u{7f}\\n\u{e9}\u{2028}\"");
        for at in 0..20 {
            let mut text = vec![b'x'; 20];
            text[at] = b'"';
            assert!(!is_plain(&text), "a quote at {at}");
        }
    }

    #[test]
    fn what_is_no_utf8_is_refused() {
        for text in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"abcdefgh\xc3"] {
            assert_eq!(put_string(&mut Vec::new(), text), Err(Stop::Corrupt));
        }
    }

    #[test]
    fn bytes_are_hex_or_base64() {
        assert_eq!(written(|out| put_hex(out, &[0, 0x9a, 0xff])), "\"009aff\"");
        let base64 = |bytes: &[u8]| written(|out| put_base64(out, bytes));
        assert_eq!(
            [base64(b""), base64(b"f"), base64(b"fo"), base64(b"foo")],
            ["\"\"", "\"Zg==\"", "\"Zm8=\"", "\"Zm9v\""]
        );
    }

    #[test]
    fn text_is_the_same_wherever_it_stands_in_a_request() {
        for size in 0..70 {
            for special in [None, Some("\""), Some("\u{e9}"), Some("\u{1f}")] {
                let mut text = "x".repeat(size);
                text.insert_str(size / 2, special.unwrap_or(""));
                let alone = written(|out| put_string(out, text.as_bytes()).unwrap());
                for behind in [0, 5, 31, 32, 80] {
                    let request = [&[text.len() as u8], text.as_bytes(), &vec![0xff; behind]].concat();
                    let inside = Reader::new(&request).payload().unwrap();
                    assert_eq!(written(|out| put_text(out, inside).unwrap()), alone);
                }
            }
        }
    }

    #[test]
    fn numbers_have_their_digits_and_no_more() {
        let mut number = 1u64;
        for _ in 0..20 {
            for near in [number - 1, number, number + 1, number.wrapping_mul(7), number.wrapping_mul(9)] {
                assert_eq!(written(|out| put_digits(out, near)), format!("\"{near}\""));
                assert_eq!(written(|out| put_signed_digits(out, near as i64)), format!("\"{}\"", near as i64));
                assert_eq!(written(|out| put_number(out, near as i64)), (near as i64).to_string());
            }
            number = number.wrapping_mul(10);
        }
        for number in [i64::MIN, -1, 0, i64::MAX] {
            assert_eq!(written(|out| put_number(out, number)), number.to_string());
        }
        for number in (0..100_000_000).step_by(9_973) {
            assert_eq!(eight(number), *format!("{number:08}").as_bytes());
        }
    }

    #[test]
    fn doubles_are_short_and_what_is_not_finite_is_text() {
        let double = |number: f64| written(|out| put_double(out, number));
        assert_eq!([double(1.0), double(-0.0), double(1e300), double(0.1)], ["1.0", "-0.0", "1e+300", "0.1"]);
        assert_eq!([double(f64::NAN), double(f64::NEG_INFINITY)], ["\"NaN\"", "\"-Infinity\""]);
    }
}
