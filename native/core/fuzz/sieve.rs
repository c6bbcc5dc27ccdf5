//! What is asked of the sieve: that it never leaves out a line, or of a line a record, in which what it looks for stands for
//! whoever reads the JSON.

use whence_core::json::{Json, Number};
use whence_core::sieve::{Mark, Sieve};
use whence_core::text::put_string;
use whence_core::wire::Stop;

use super::Outcome;

/// As `whence.archive.marks` has them.
const PROJECTION: &[u8] = b"whence.projection";
const FOLDING: [&str; 3] = ["\u{130}", "\u{131}", "\u{212a}"];
/// Objects and arrays inside each other that are looked into here.
const DEPTH: u32 = 400;

/// What stands in a line for whoever reads it.
#[derive(Default)]
struct Said {
    texts: Vec<Vec<u8>>,
    times: Vec<u64>,
    /// Members that are whole numbers: names and values.
    numbers: Vec<(Vec<u8>, u64)>,
}

impl Said {
    fn by(line: &[u8]) -> Result<Said, Stop> {
        let (mut said, mut from) = (Said::default(), Json::new(line)?);
        said.value(&mut from, b"", DEPTH)?;
        from.end()?;
        Ok(said)
    }

    fn value(&mut self, from: &mut Json, member: &[u8], left: u32) -> Result<(), Stop> {
        let is_time = member.ends_with(b"imeUnixNano");
        match from.peek() {
            b'"' => {
                let text = from.text()?.into_owned();
                let digits = std::str::from_utf8(&text).ok().filter(|_| is_time);
                self.times.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
                self.texts.push(text);
            }
            b'{' => {
                let (left, mut first) = (left.checked_sub(1).ok_or(Stop::Corrupt)?, true);
                from.expect(b'{')?;
                while from.more(&mut first, b'}')? {
                    let name = from.text()?.into_owned();
                    from.expect(b':')?;
                    self.value(from, &name, left)?;
                    self.texts.push(name);
                }
            }
            b'[' => {
                let (left, mut first) = (left.checked_sub(1).ok_or(Stop::Corrupt)?, true);
                from.expect(b'[')?;
                while from.more(&mut first, b']')? {
                    self.value(from, b"", left)?;
                }
            }
            b'-' | b'0'..=b'9' => {
                if let Number::Whole(false, number) = from.number()? {
                    self.times.extend(is_time.then_some(number));
                    self.numbers.extend((!member.is_empty()).then(|| (member.to_vec(), number)));
                }
            }
            _ => from.skip()?,
        }
        Ok(())
    }

    fn count(&self, text: &[u8]) -> usize {
        self.texts.iter().filter(|known| *known == text).count()
    }
}

pub fn of_line(line: &[u8], variant: u64) -> Outcome {
    let Ok(said) = Said::by(line) else {
        let sieve = sieve(Mark::text(b"a", variant & 1 == 0));
        sieve.keeps(line, &mut Vec::new());
        sieve.left(line);
        return 0;
    };
    let pick = |shift: u32, many: usize| (variant >> shift) as usize % many.max(1);
    let mut outcome = 0;
    if let (Some(one), Some(other)) =
        (said.texts.get(pick(4, said.texts.len())), said.texts.get(pick(20, said.texts.len())))
    {
        outcome |= holds(line, &said, "a text", quoted(one), &[one]);
        outcome |= holds(line, &said, "a word", folded(one), &[one]);
        outcome |= holds(line, &said, "one of two", Mark::AnyOf(vec![quoted(one), quoted(other)]), &[one, other]);
        // what surrounds the records is said of each of them
        let around =
            sieve(Mark::AnyOf(Vec::new())).left(line).map(|around| Said::by(&around).expect("no record is JSON"));
        let one_stays = around.is_some_and(|around| around.count(other) > 0);
        let both = Mark::All(vec![quoted(one), quoted(other)]);
        holds(line, &said, "both", both, &[one][usize::from(!one_stays)..]);
    }
    if let Some(&time) = said.times.get(pick(12, said.times.len())) {
        let (low, high) = (time.saturating_sub(variant >> 40 & 9), time.saturating_add(variant >> 44 & 9));
        holds(line, &said, "a time", Mark::Times(low, high), &[]);
    }
    if let Some((name, number)) = said.numbers.get(pick(16, said.numbers.len())) {
        let others = (0..25).filter(|other| other != number);
        let tails = others.flat_map(|other| [",", "}"].map(|end| format!(":{other}{end}").into_bytes())).collect();
        // a control character may be escaped otherwise than we do; no member that is asked for has one
        if let Some(name) = spelled(name).filter(|name| !name.contains(&b'\\')) {
            holds(line, &said, "a number", Mark::unless(&[b"\"", &name[..], b"\""].concat(), tails), &[]);
        }
    }
    outcome
}

/// The line is kept, and what is left of it still says these texts as often.
fn holds(line: &[u8], said: &Said, what: &str, mark: Mark, texts: &[&Vec<u8>]) -> Outcome {
    let sieve = sieve(mark);
    assert!(sieve.keeps(line, &mut Vec::new()), "a line is left out in which {what} stands");
    let Some(left) = sieve.left(line) else { return 1 << 48 };
    let still = Said::by(&left).expect("what is left is JSON");
    for text in texts {
        assert!(still.count(text) == said.count(text), "a record is left out in which {what} stands");
    }
    1 << 49
}

fn sieve(mark: Mark) -> Sieve {
    Sieve::new(mark, PROJECTION, &FOLDING.map(|letter| letter.as_bytes().to_vec()))
}

/// The mark of a whole text; characters that may be escaped in several ways are left out, as in `whence.archive.spelled`.
fn quoted(text: &[u8]) -> Mark {
    let pieces: Vec<&[u8]> = text.split(|byte| *byte < 0x20).collect();
    let last = pieces.len() - 1;
    let mark = |(n, piece): (usize, &&[u8])| {
        let piece = spelled(piece).filter(|piece| !piece.is_empty())?;
        let (before, behind) = (if n == 0 { "\"" } else { "" }, if n == last { "\"" } else { "" });
        Some(Mark::text(&[before.as_bytes(), &piece, behind.as_bytes()].concat(), false))
    };
    Mark::All(pieces.iter().enumerate().filter_map(mark).collect())
}

/// The mark of a text's words in any case.
fn folded(text: &[u8]) -> Mark {
    let text = String::from_utf8_lossy(text).replace('\u{130}', "i").to_lowercase();
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    Mark::All(words.map(|word| Mark::text(word.as_bytes(), true)).collect())
}

/// As we write a text, without the quotes around it.
fn spelled(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put_string(&mut out, text).ok()?;
    Some(out[1..out.len() - 1].to_vec())
}
