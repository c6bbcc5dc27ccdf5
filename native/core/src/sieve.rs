//! Lines asked for marks: texts in their bytes, times, members; and of a line the records that may bear them.
//!
//! The law: the same answer as `whence.archive.marks`, which has the reasons. A record that may bear the marks together with
//! what surrounds it is never left out.

use memchr::memchr_iter;
use memchr::memmem::Finder;

use crate::json::Json;
use crate::wire::Stop;

/// What stands in a line.
pub enum Mark {
    Text(Finder<'static>, bool),
    Unless(Finder<'static>, Vec<Vec<u8>>),
    Times(u64, u64),
    All(Vec<Mark>),
    AnyOf(Vec<Mark>),
}

impl Mark {
    /// A text; `folded`: ASCII letters of either case, given in lower case.
    pub fn text(text: &[u8], folded: bool) -> Self {
        Mark::Text(Finder::new(text).into_owned(), folded)
    }

    /// A text with none of some others behind it.
    pub fn unless(text: &[u8], tails: Vec<Vec<u8>>) -> Self {
        Mark::Unless(Finder::new(text).into_owned(), tails)
    }

    fn is_folded(&self) -> bool {
        match self {
            Mark::Text(_, folded) => *folded,
            Mark::All(parts) | Mark::AnyOf(parts) => parts.iter().any(Mark::is_folded),
            _ => false,
        }
    }

    /// Whether the texts together bear the mark: each a text and the same in lower case.
    fn is_borne(&self, texts: &[(&[u8], &[u8])], times: &Finder) -> bool {
        match self {
            Mark::Text(text, true) => texts.iter().any(|(_, low)| text.find(low).is_some()),
            Mark::Text(text, false) => texts.iter().any(|(text_in, _)| text.find(text_in).is_some()),
            Mark::Unless(text, tails) => texts.iter().any(|(found, _)| has_other(found, text, tails)),
            Mark::Times(low, high) => texts.iter().any(|(found, _)| has_time(found, times, *low, *high)),
            Mark::All(parts) => parts.iter().all(|part| part.is_borne(texts, times)),
            Mark::AnyOf(parts) => parts.iter().any(|part| part.is_borne(texts, times)),
        }
    }
}

fn has_other(line: &[u8], text: &Finder, tails: &[Vec<u8>]) -> bool {
    text.find_iter(line).any(|at| {
        let behind = &line[at + text.needle().len()..];
        !tails.iter().any(|tail| behind.starts_with(tail))
    })
}

fn has_time(line: &[u8], times: &Finder, low: u64, high: u64) -> bool {
    times.find_iter(line).any(|at| match time_at(&line[at + times.needle().len()..]) {
        None => true,
        Some(None) => false,
        Some(Some(time)) => low <= time && time <= high,
    })
}

/// The time behind a member's name: None where it is spelled otherwise than we do, Some(None) where it is beyond 64 bits.
fn time_at(behind: &[u8]) -> Option<Option<u64>> {
    let digits = behind.strip_prefix(b":\"")?;
    let length = digits.iter().take(21).take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || length > 20 || digits[0] == b'0' || digits.get(length) != Some(&b'"') {
        return None;
    }
    let add = |sum: u64, &digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    Some(digits[..length].iter().try_fold(0, add))
}

/// A mark, ready to be asked for.
pub struct Sieve {
    mark: Mark,
    folded: bool,
    times: Finder<'static>,
    projection: Finder<'static>,
    letters: Vec<Finder<'static>>,
}

impl Sieve {
    /// `projection`: the text by which a line says things that do not stand in it; `letters`: those that become ASCII ones
    /// where case is minded no more.
    pub fn new(mark: Mark, projection: &[u8], letters: &[Vec<u8>]) -> Self {
        Sieve {
            folded: mark.is_folded(),
            mark,
            times: Finder::new(b"imeUnixNano\"").into_owned(),
            projection: Finder::new(projection).into_owned(),
            letters: letters.iter().map(|letter| Finder::new(letter).into_owned()).collect(),
        }
    }

    /// Whether a line bears the mark, or hides whether it does.
    pub fn keeps(&self, line: &[u8], spare: &mut Vec<u8>) -> bool {
        let low = self.low(line, spare);
        self.mark.is_borne(&[(line, low)], &self.times) || self.is_veiled(line)
    }

    /// The line with `null` in the place of records that cannot bear the mark; None where all of it stays.
    pub fn left(&self, line: &[u8]) -> Option<Vec<u8>> {
        if self.is_veiled(line) {
            return None;
        }
        let records = records(line)?;
        let (mut around, mut low, mut low_around) = (Vec::new(), Vec::new(), Vec::new());
        let mut end = 0;
        for &(start, behind) in &records {
            around.extend_from_slice(&line[end..start]);
            around.push(b'\n');
            end = behind;
        }
        around.extend_from_slice(&line[end..]);
        let around_too = (&around[..], self.low(&around, &mut low_around));
        let mut out = Vec::new();
        end = 0;
        for &(start, behind) in &records {
            let record = &line[start..behind];
            if !self.mark.is_borne(&[(record, self.low(record, &mut low)), around_too], &self.times) {
                out.extend_from_slice(&line[end..start]);
                out.extend_from_slice(b"null");
                end = behind;
            }
        }
        if end == 0 {
            return None;
        }
        out.extend_from_slice(&line[end..]);
        Some(out)
    }

    fn low<'a>(&self, line: &'a [u8], spare: &'a mut Vec<u8>) -> &'a [u8] {
        if !self.folded {
            return line;
        }
        spare.clear();
        spare.extend_from_slice(line);
        spare.make_ascii_lowercase();
        spare
    }

    fn is_veiled(&self, line: &[u8]) -> bool {
        memchr_iter(b'\\', line).any(|at| is_hiding(&line[at + 1..]))
            || self.projection.find(line).is_some()
            || (self.folded && !line.is_ascii() && self.letters.iter().any(|letter| letter.find(line).is_some()))
    }
}

/// Whether behind a backslash there is an escape that a character may hide behind which we would write otherwise.
fn is_hiding(escape: &[u8]) -> bool {
    match escape {
        [b'/', ..] => true,
        [b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'B' | b'e' | b'E' | b'f' | b'F', ..] => false,
        [b'u', b'0', b'0', b'1', ..] => false,
        [b'u', ..] => true,
        _ => false,
    }
}

/// The arrays on the way to a line's records.
const LEVELS: [[&[u8]; 2]; 3] =
    [[b"resourceLogs", b"resourceSpans"], [b"scopeLogs", b"scopeSpans"], [b"logRecords", b"spans"]];

/// The places of a line's log records or spans. None where the line is no JSON, or not as the Python core reads it at once:
/// then nobody reads a part of it.
fn records(line: &[u8]) -> Option<Vec<(usize, usize)>> {
    let (mut json, mut found) = (Json::new(line).ok()?, Vec::new());
    walk(&mut json, 0, &mut found).and_then(|()| json.end()).ok()?;
    Some(found)
}

fn walk(json: &mut Json, level: usize, found: &mut Vec<(usize, usize)>) -> Result<(), Stop> {
    json.expect(b'{')?;
    let mut first = true;
    while json.more(&mut first, b'}')? {
        let key = json.text()?;
        json.expect(b':')?;
        if !LEVELS[level].contains(&&*key) || json.peek() != b'[' {
            json.skip()?;
            continue;
        }
        json.expect(b'[')?;
        let mut first = true;
        while json.more(&mut first, b']')? {
            if json.peek() != b'{' {
                json.skip()?;
            } else if level + 1 < LEVELS.len() {
                walk(json, level + 1, found)?;
            } else {
                let start = json.place();
                json.skip()?;
                found.push((start, json.place()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sieve(mark: Mark) -> Sieve {
        Sieve::new(mark, b"a.projection", &["\u{212a}".as_bytes().to_vec()])
    }

    fn keeps(mark: Mark, line: &[u8]) -> bool {
        sieve(mark).keeps(line, &mut Vec::new())
    }

    #[test]
    fn texts_stand_in_a_line_or_do_not() {
        assert!(keeps(Mark::text(b"\"a7\"", false), b"{\"x\":\"a7\"}"));
        assert!(!keeps(Mark::text(b"\"a7\"", false), b"{\"x\":\"A7\"}"));
        assert!(keeps(Mark::text(b"\"a7\"", true), b"{\"x\":\"A7\"}"));
        assert!(keeps(Mark::unless(b"\"n\"", vec![b":1,".to_vec()]), b"{\"n\":1,\"n\":2}"));
        assert!(!keeps(Mark::unless(b"\"n\"", vec![b":1,".to_vec()]), b"{\"n\":1,\"m\":2}"));
    }

    #[test]
    fn times_are_within_bounds_or_spelled_otherwise() {
        let within = |line: &[u8]| keeps(Mark::Times(10, 20), line);
        assert!(within(b"{\"timeUnixNano\":\"15\"}"));
        assert!(!within(b"{\"timeUnixNano\":\"21\",\"endTimeUnixNano\":\"9\"}"));
        assert!(!within(b"{\"timeUnixNano\":\"99999999999999999999\"}"));
        assert!(within(b"{\"timeUnixNano\":21}") && within(b"{\"timeUnixNano\":\"021\"}"));
    }

    #[test]
    fn what_may_hide_anything_is_kept() {
        let gone = |line: &[u8]| !keeps(Mark::text(b"zzz", true), line);
        assert!(gone(b"\\n \\\" \\u001b \\u0000") && gone("\u{e9}".as_bytes()));
        assert!(!gone(b"\\u0009") && !gone(b"\\u007a") && !gone(b"\\/"));
        assert!(!gone(b"a.projection") && !gone("\u{212a}".as_bytes()));
    }

    #[test]
    fn only_records_that_may_bear_the_mark_are_left() {
        let line = br#"{"resourceLogs":[{"resource":"r1","scopeLogs":[{"logRecords":[{"x":"a"},{"x":"b"},null,{"y":["a"]}]}]}]}"#;
        let left = |mark: Mark| sieve(mark).left(line).map(|left| String::from_utf8(left).unwrap());
        let both = |one: &[u8]| Mark::All(vec![Mark::text(b"r1", false), Mark::text(one, false)]);
        assert_eq!(
            left(both(b"\"b\"")).unwrap(),
            r#"{"resourceLogs":[{"resource":"r1","scopeLogs":[{"logRecords":[null,{"x":"b"},null,null]}]}]}"#
        );
        assert_eq!(left(Mark::text(b"r1", false)), None);
        assert_eq!(sieve(both(b"b")).left(&line[..line.len() - 1]), None);
    }
}
