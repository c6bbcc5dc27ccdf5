//! Changes of a request, in its bytes or its text, the same for the same seed.

/// Numbers without end, the same for the same seed (xorshift).
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Changes a message: most often inside one of its fields, whose size is then written anew.
pub fn change(data: &mut Vec<u8>, other: &[u8], chance: &mut Chance, deep: u32) {
    if deep > 0 && chance.below(8) > 0 {
        let fields = fields(data);
        if !fields.is_empty() {
            let (start, inside, end) = fields[chance.below(fields.len())];
            match chance.below(40) {
                0 => drop(data.drain(start..end)),
                1 => {
                    let copy = data[start..end].to_vec();
                    let at = fields[chance.below(fields.len())].0;
                    data.splice(at..at, copy);
                }
                _ => {
                    let mut part = data[inside..end].to_vec();
                    change(&mut part, other, chance, deep - 1);
                    let mut size = Vec::new();
                    put_varint(&mut size, part.len() as u64);
                    size.extend_from_slice(&part);
                    let tag = start + data[start..].iter().take_while(|&&byte| byte >= 128).count() + 1;
                    data.splice(tag..end, size);
                }
            }
            return;
        }
    }
    change_bytes(data, other, chance);
}

/// Where the fields with a size are: the tag, what is inside, and the end. Empty where it is no message.
fn fields(data: &[u8]) -> Vec<(usize, usize, usize)> {
    let (mut at, mut found) = (0, Vec::new());
    while at < data.len() {
        let start = at;
        let Some(key) = varint(data, &mut at) else { break };
        match key & 7 {
            0 if varint(data, &mut at).is_some() => {}
            1 => at += 8,
            2 => {
                let Some(size) = varint(data, &mut at) else { break };
                if size > (data.len() - at) as u64 {
                    break;
                }
                found.push((start, at, at + size as usize));
                at += size as usize;
            }
            5 => at += 4,
            _ => break,
        }
    }
    found
}

fn varint(data: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *data.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(number);
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

fn change_bytes(data: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(data.len() + 1);
    let until = (at + 1 + chance.below(8)).min(data.len());
    match chance.below(9) {
        0 if at < data.len() => data[at] ^= 1 << chance.below(8),
        1 if at < data.len() => data[at] = chance.next() as u8,
        2 if at < data.len() => data[at] = data[at].wrapping_add([1, 255, 8, 248][chance.below(4)]),
        3 => data.insert(at, chance.next() as u8),
        4 => drop(data.drain(at.min(until)..until)),
        5 => {
            let mut written = Vec::new();
            put_varint(
                &mut written,
                [0, 127, 128, u64::from(u32::MAX), 1 << 63, u64::MAX, chance.next()][chance.below(7)],
            );
            data.splice(at..at, written);
        }
        6 => {
            let from = chance.below(other.len() + 1);
            let end = (from + 1 + chance.below(40)).min(other.len());
            data.splice(at..at, other[from.min(end)..end].iter().copied());
        }
        7 if chance.below(10) == 0 => data.truncate(at),
        _ => {
            let number = ([1, 2, 3, 5, 9, 31, 400][chance.below(7)] << 3) | (chance.next() % 8);
            let mut written = Vec::new();
            put_varint(&mut written, number);
            data.splice(at..at, written);
        }
    }
}

const PIECES: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "0",
    "-0",
    "-0.0",
    "1e2",
    "1.5",
    "1e999",
    "007",
    "18446744073709551615",
    "18446744073709551616",
    "\"NaN\"",
    "\"-12\"",
    "\"\"",
    "\"ab\"",
    "\"/-8=\"",
    "\"\\u0031\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    ",\"traceId\":\"00\"",
    "\"key\":\"k\",",
    "\"stringValue\":\"s\",",
    "\"intValue\":5,",
    "\"kvlistValue\":{\"values\":[]},",
    "\"arrayValue\":{\"values\":[{}]}",
    "\"other\":[{\"a\":[1.5]}],",
    "\"key\":\"log.record.uid\",",
    "\"key\":\"whence.caused_by\",",
    "\"key\":\"whence.payload\",",
    "\"key\":\"whence.projection\",",
    "\"key\":\"whence.turn\",",
    "\"key\":\"service.name\",",
    "\"stringValue\":\"span_event\"",
    "\"stringValue\":\"{\\\"a\\\":[1.50,null]}\"",
    "\"timeUnixNano\":\"1\",",
    "\"attributes\":[],",
    "\u{130}\u{212a}k",
    "\u{2028}",
    "a\\/b",
    "\\u006b",
    "\\u001F\\n",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\",
    " \n",
];

pub fn change_text(data: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    if chance.below(3) == 0 {
        return change_bytes(data, other, chance);
    }
    let begin = chance.below(data.len() + 1);
    let is_place = |byte: &u8| b"{[\":,}]".contains(byte);
    let at = begin + data[begin..].iter().take_while(|byte| !is_place(byte)).count();
    let end = (at + [0, 1, 1, 2, 6][chance.below(5)]).min(data.len());
    data.splice(at..end, PIECES[chance.below(PIECES.len())].bytes());
}
