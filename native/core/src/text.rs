//! Single values as JSON text, straight into a buffer.
//!
//! The law: exact. The text is what orjson and Python's `json` write: no escape where none must be, doubles in their shortest
//! digits, what is not finite as text.

use crate::wire::Stop;

/// Puts a JSON string. Err(Corrupt) for what is no UTF-8.
#[inline]
pub fn put_string(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Stop> {
    out.push(b'"');
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        std::str::from_utf8(text).map_err(|_| Stop::Corrupt)?;
        put_escaped(out, text);
    }
    out.push(b'"');
    Ok(())
}

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether none of eight bytes needs more than being copied. May say no where it does not, never yes where it does.
#[inline]
fn is_plain_word(word: u64) -> bool {
    let zero = |word: u64| word.wrapping_sub(EACH) & !word;
    let control = word.wrapping_sub(EACH * 0x20) & !word;
    (word | control | zero(word ^ (EACH * 0x22)) | zero(word ^ (EACH * 0x5c))) & HIGH == 0
}

#[inline]
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

#[cold]
fn put_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut start = 0;
    for (at, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[start..at]);
        start = at + 1;
        let short = match byte {
            b'"' | b'\\' => byte,
            8 => b'b',
            9 => b't',
            10 => b'n',
            12 => b'f',
            13 => b'r',
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(byte >> 4)]);
                out.push(DIGITS[usize::from(byte & 15)]);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(&text[start..]);
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Puts bytes as a JSON string of hex digits.
pub fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.chunks(16) {
        let mut text = [0u8; 32];
        for (pair, &byte) in text.chunks_exact_mut(2).zip(chunk) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        out.extend_from_slice(&text[..2 * chunk.len()]);
    }
    out.push(b'"');
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
pub fn put_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Puts an integer as JSON has those of 64 bits: as text.
#[inline]
pub fn put_digits(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.push(b'"');
    put_number(out, number);
    out.push(b'"');
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
    fn doubles_are_short_and_what_is_not_finite_is_text() {
        let double = |number: f64| written(|out| put_double(out, number));
        assert_eq!([double(1.0), double(-0.0), double(1e300), double(0.1)], ["1.0", "-0.0", "1e+300", "0.1"]);
        assert_eq!([double(f64::NAN), double(f64::NEG_INFINITY)], ["\"NaN\"", "\"-Infinity\""]);
    }
}
