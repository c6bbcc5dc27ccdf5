//! JSON text taken apart: exactly what orjson takes, of objects as deep as OTLP's are.
//!
//! The law: what is doubtful is refused, never taken otherwise than the Python core takes it.

use std::borrow::Cow;

use crate::wire::Stop;

/// Objects and arrays inside each other that are passed over where nobody asks for them. Python's reader ends at 1,024 in all.
const SKIPPED_DEPTH: u32 = 500;
/// Objects and arrays in one text, and the size below which there cannot be too many; the Python core's `crowd` has the reasons.
const BRACKETS: usize = 10_000_000;
const SMALL: usize = 1 << 20;

/// A number as JSON has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Whether it is below zero, and how far from it.
    Whole(bool, u64),
    Double(f64),
}

/// Err(Corrupt) for more objects and arrays than a request may hold.
pub fn crowd(data: &[u8]) -> Result<(), Stop> {
    let many = || data.iter().filter(|&&byte| byte == b'{' || byte == b'[').count() > BRACKETS;
    if data.len() > SMALL && many() { Err(Stop::Corrupt) } else { Ok(()) }
}

/// A place in a text, which is UTF-8.
pub struct Json<'a> {
    data: &'a [u8],
    at: usize,
}

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

impl<'a> Json<'a> {
    /// Err(Corrupt) for what is no UTF-8.
    pub fn new(data: &'a [u8]) -> Result<Self, Stop> {
        std::str::from_utf8(data).map_err(|_| Stop::Corrupt)?;
        Ok(Json { data, at: 0 })
    }

    /// Where it is: behind what was taken, or, once the next byte was looked at, before that.
    pub fn place(&self) -> usize {
        self.at
    }

    /// The next byte behind white space; 0 at the end.
    #[inline]
    pub fn peek(&mut self) -> u8 {
        loop {
            match self.data.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&byte) => return byte,
                None => return 0,
            }
        }
    }

    /// Takes a byte that must come next, white space aside.
    #[inline]
    pub fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.peek() == byte {
            self.at += 1;
            return Ok(());
        }
        Err(Stop::Corrupt)
    }

    /// Ok where nothing but white space follows.
    pub fn end(&mut self) -> Result<(), Stop> {
        self.peek();
        if self.at == self.data.len() { Ok(()) } else { Err(Stop::Corrupt) }
    }

    /// Whether there is another item behind `first` or a comma, in what `close` ends; the end is taken.
    #[inline]
    pub fn more(&mut self, first: &mut bool, close: u8) -> Result<bool, Stop> {
        if self.peek() == close {
            self.at += 1;
            return Ok(false);
        }
        if !std::mem::take(first) {
            self.expect(b',')?;
            if self.peek() == close {
                return Err(Stop::Corrupt);
            }
        }
        Ok(true)
    }

    /// Takes `null` if that is next.
    #[inline]
    pub fn null(&mut self) -> Result<bool, Stop> {
        if self.peek() != b'n' {
            return Ok(false);
        }
        self.word(b"null")?;
        Ok(true)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        if self.data[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(Stop::Corrupt)
    }

    /// Takes exactly these bytes, if they come next.
    #[inline]
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        let is_next = self.data[self.at..].starts_with(bytes);
        self.at += if is_next { bytes.len() } else { 0 };
        is_next
    }

    /// Takes what is between here and some bytes that begin with a quote, and those. None, and nothing is taken, where there is
    /// an escape or anything else before.
    #[inline]
    pub fn until(&mut self, quote: &[u8]) -> Option<&'a [u8]> {
        let start = self.at;
        if self.plain().is_ok() {
            let found = &self.data[start..self.at];
            if self.take(quote) {
                return Some(found);
            }
        }
        self.at = start;
        None
    }

    /// Goes back to a place.
    pub fn back(&mut self, place: usize) {
        self.at = place;
    }

    /// Takes `true` or `false`.
    pub fn truth(&mut self) -> Result<bool, Stop> {
        let said = self.peek() == b't';
        self.word(if said { b"true" } else { b"false" })?;
        Ok(said)
    }

    /// Takes a string.
    #[inline]
    pub fn text(&mut self) -> Result<Cow<'a, [u8]>, Stop> {
        self.expect(b'"')?;
        let start = self.at;
        self.plain()?;
        if self.data[self.at] == b'"' {
            let found = &self.data[start..self.at];
            self.at += 1;
            return Ok(Cow::Borrowed(found));
        }
        self.escaped(start)
    }

    /// Goes on to the next quote or backslash. Err(Corrupt) for a control character, or none of all.
    #[inline]
    fn plain(&mut self) -> Result<(), Stop> {
        while let Some(word) = self.data[self.at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            let zero = |word: u64| word.wrapping_sub(EACH) & !word;
            let control = word.wrapping_sub(EACH * 0x20) & !word;
            let found = (control | zero(word ^ (EACH * 0x22)) | zero(word ^ (EACH * 0x5c))) & HIGH;
            if found == 0 {
                self.at += 8;
                continue;
            }
            self.at += found.trailing_zeros() as usize / 8;
            return if self.data[self.at] < 0x20 { Err(Stop::Corrupt) } else { Ok(()) };
        }
        while let Some(&byte) = self.data.get(self.at) {
            match byte {
                b'"' | b'\\' => return Ok(()),
                0..0x20 => return Err(Stop::Corrupt),
                _ => self.at += 1,
            }
        }
        Err(Stop::Corrupt)
    }

    #[cold]
    fn escaped(&mut self, start: usize) -> Result<Cow<'a, [u8]>, Stop> {
        let mut found = self.data[start..self.at].to_vec();
        loop {
            if self.data[self.at] == b'"' {
                self.at += 1;
                return Ok(Cow::Owned(found));
            }
            let kind = *self.data.get(self.at + 1).ok_or(Stop::Corrupt)?;
            self.at += 2;
            let byte = match kind {
                b'"' | b'\\' | b'/' => kind,
                b'b' => 8,
                b't' => 9,
                b'n' => 10,
                b'f' => 12,
                b'r' => 13,
                b'u' => {
                    let character = self.character()?;
                    found.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    0
                }
                _ => return Err(Stop::Corrupt),
            };
            if kind != b'u' {
                found.push(byte);
            }
            let start = self.at;
            self.plain()?;
            found.extend_from_slice(&self.data[start..self.at]);
        }
    }

    /// What follows `\u`. Err(Corrupt) for half of a pair of surrogates.
    fn character(&mut self) -> Result<char, Stop> {
        let first = self.unit()?;
        let code = if (0xD800..0xDC00).contains(&first) {
            self.word(b"\\u")?;
            let second = self.unit()?;
            if !(0xDC00..0xE000).contains(&second) {
                return Err(Stop::Corrupt);
            }
            0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
        } else {
            first
        };
        char::from_u32(code).ok_or(Stop::Corrupt)
    }

    fn unit(&mut self) -> Result<u32, Stop> {
        let digits = self.data.get(self.at..self.at + 4).ok_or(Stop::Corrupt)?;
        self.at += 4;
        digits.iter().try_fold(0, |found, &digit| {
            let value = char::from(digit).to_digit(16).ok_or(Stop::Corrupt)?;
            Ok(found << 4 | value)
        })
    }

    /// Takes a number. Err(Corrupt) for one beyond 64 bits or what a double can be near to, and for minus zero without a point.
    pub fn number(&mut self) -> Result<Number, Stop> {
        self.peek();
        let start = self.at;
        let negative = self.data.get(start) == Some(&b'-');
        self.at += usize::from(negative);
        let whole = self.digits()?;
        let leading_zero = whole[0] == b'0';
        if leading_zero && whole.len() > 1 {
            return Err(Stop::Corrupt);
        }
        let mut is_whole = true;
        if self.data.get(self.at) == Some(&b'.') {
            is_whole = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.data.get(self.at) {
            is_whole = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.data.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        if is_whole {
            let size = unsigned(whole).ok_or(Stop::Corrupt)?;
            if negative && (size == 0 || size > 1 << 63) {
                return Err(Stop::Corrupt);
            }
            return Ok(Number::Whole(negative, size));
        }
        let text = std::str::from_utf8(&self.data[start..self.at]).map_err(|_| Stop::Corrupt)?;
        let number: f64 = text.parse().map_err(|_| Stop::Corrupt)?;
        if number.is_finite() { Ok(Number::Double(number)) } else { Err(Stop::Corrupt) }
    }

    /// One or more digits.
    #[inline]
    fn digits(&mut self) -> Result<&'a [u8], Stop> {
        let start = self.at;
        while self.data.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at > start { Ok(&self.data[start..self.at]) } else { Err(Stop::Corrupt) }
    }

    /// Passes over a value.
    pub fn skip(&mut self) -> Result<(), Stop> {
        self.skip_within(SKIPPED_DEPTH)
    }

    fn skip_within(&mut self, left: u32) -> Result<(), Stop> {
        match self.peek() {
            b'"' => self.text().map(drop),
            b'n' => self.word(b"null"),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            open @ (b'{' | b'[') => {
                let left = left.checked_sub(1).ok_or(Stop::Corrupt)?;
                self.at += 1;
                let mut first = true;
                while self.more(&mut first, if open == b'{' { b'}' } else { b']' })? {
                    if open == b'{' {
                        self.text()?;
                        self.expect(b':')?;
                    }
                    self.skip_within(left)?;
                }
                Ok(())
            }
            _ => self.number().map(drop),
        }
    }
}

/// A number of digits only, of 64 bits. None for anything else.
#[inline]
pub fn unsigned(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |found: u64, digit: &u8| found.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
    if digits.len() < 20 {
        return Some(digits.iter().fold(0, add));
    }
    digits.iter().try_fold(0u64, |found, digit| found.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &[u8]) -> Result<(), Stop> {
        let mut from = Json::new(text)?;
        from.skip()?;
        from.end()
    }

    #[test]
    fn json_is_taken_and_nothing_that_is_nearly_json() {
        for right in [
            &b"{}"[..],
            b" [ 1 , -2.5e+3, \"\\u00e9\\ud83d\\ude00\", true, null, {\"a\" : [ ] } ] \n",
            b"0",
            b"-0.0",
            b"18446744073709551615",
        ] {
            assert_eq!(whole(right), Ok(()), "{}", String::from_utf8_lossy(right));
        }
        for wrong in [
            &b""[..],
            b"{",
            b"{,}",
            b"[1,]",
            b"[,1]",
            b"{\"a\"}",
            b"{\"a\":}",
            b"{a:1}",
            b"01",
            b"+1",
            b".5",
            b"1.",
            b"1e",
            b"-",
            b"NaN",
            b"\"\\ud800\"",
            b"\"\\udc00\\ud800\"",
            b"\"\\x\"",
            b"\"\n\"",
            b"\"",
            b"\"\\",
            b"tru",
            b"1 2",
            b"\xff",
            b"\xef\xbb\xbf1",
            b"18446744073709551616",
            b"1e400",
            b"[1 2]",
            b"{\"a\" 1}",
            b"[",
            b"]",
        ] {
            assert_eq!(whole(wrong), Err(Stop::Corrupt), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn depth_has_an_end() {
        assert_eq!(whole(&[b"[".repeat(500), b"]".repeat(500)].concat()), Ok(()));
        assert_eq!(whole(&[b"[".repeat(501), b"]".repeat(501)].concat()), Err(Stop::Corrupt));
        assert_eq!(whole(&b"[".repeat(1_000_000)), Err(Stop::Corrupt));
    }

    #[test]
    fn strings_end_at_any_distance() {
        for size in 0..40 {
            let text = [b"\"".to_vec(), vec![b'x'; size], b"\\n\"".to_vec()].concat();
            let found = Json::new(&text).and_then(|mut from| from.text().map(Cow::into_owned));
            assert_eq!(found, Ok([vec![b'x'; size], b"\n".to_vec()].concat()));
        }
    }

    #[test]
    fn numbers_are_of_64_bits_or_doubles() {
        let number = |text: &str| Json::new(text.as_bytes()).and_then(|mut from| from.number());
        assert_eq!(number("-9223372036854775808"), Ok(Number::Whole(true, 1 << 63)));
        assert_eq!(number("-9223372036854775809"), Err(Stop::Corrupt));
        assert_eq!(number("0.1"), Ok(Number::Double(0.1)));
        assert_eq!(number("-0"), Err(Stop::Corrupt));
    }
}
