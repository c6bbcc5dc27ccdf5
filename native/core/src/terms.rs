//! What an index lists of a block's texts: their words, and digests of whole values.
//!
//! The law: as the Python core's `needs.words_in` and `terms.key_of`. Text beyond ASCII has its words from Python, which knows the
//! letters as the questions do.

use std::collections::HashSet;

use crate::blake2b::digest;
use crate::wire::Stop;

/// Texts as Arrow has them: where each ends, before those where the first begins, as 32 bits, the least significant byte first;
/// and their bytes.
pub type Texts<'a> = (&'a [u8], &'a [u8]);

fn each<'a>((ends, data): Texts<'a>, mut work: impl FnMut(&'a [u8])) -> Result<(), Stop> {
    let mut places = ends.chunks_exact(4).map(|end| {
        let mut four = [0; 4];
        four.copy_from_slice(end);
        u32::from_le_bytes(four) as usize
    });
    let mut start = places.next().unwrap_or_default();
    for end in places {
        work(data.get(start..end).ok_or(Stop::Corrupt)?);
        start = end;
    }
    Ok(())
}

/// The words of the texts, each once with a space behind it; and the texts that are not ASCII, with a space behind each.
pub fn words(columns: &[Texts]) -> Result<(Vec<u8>, Vec<u8>), Stop> {
    let (mut folded, mut rest) = (Vec::new(), Vec::new());
    for &column in columns {
        folded.reserve(column.1.len());
        each(column, |text| {
            if text.is_ascii() {
                folded.extend(text.iter().map(|&byte| FOLDED[usize::from(byte)]));
                folded.push(b' ');
            } else {
                rest.extend_from_slice(text);
                rest.push(b' ');
            }
        })?;
    }
    let mut seen: HashSet<&[u8]> = HashSet::new();
    let mut found = Vec::new();
    for word in folded.split(|&byte| byte == b' ') {
        if !word.is_empty() && seen.insert(word) {
            found.extend_from_slice(word);
            found.push(b' ');
        }
    }
    Ok((found, rest))
}

/// ASCII in lower case, and a space for whatever is no letter and no digit.
const FOLDED: [u8; 256] = {
    let (mut table, mut byte) = ([b' '; 256], 0u8);
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// Of each text, 48 bits of the digest of a column's name and it, sixteen bits left free below them.
pub fn keys(column: &str, texts: Texts) -> Result<Vec<u8>, Stop> {
    let mut text = column.as_bytes().to_vec();
    text.push(0);
    let size = text.len();
    let mut found = Vec::with_capacity(texts.0.len() * 2);
    each(texts, |value| {
        text.truncate(size);
        text.extend_from_slice(value);
        found.extend_from_slice(&[0, 0]);
        found.extend_from_slice(&digest(&text, 6)[..6]);
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(all: &[u32]) -> Vec<u8> {
        all.iter().flat_map(|end| end.to_le_bytes()).collect()
    }

    #[test]
    fn words_are_folded_and_given_once() {
        let found = words(&[(&ends(&[0, 4, 4, 7]), b"Ab,7ab!"), (&ends(&[1, 3, 6]), b"xa \xc3\xa9b")]);
        assert_eq!(found, Ok((b"ab 7 a ".to_vec(), b"\xc3\xa9b ".to_vec())));
        assert_eq!(words(&[(&ends(&[0, 5]), b"ab")]), Err(Stop::Corrupt));
        assert_eq!(words(&[(b"", b"")]), Ok((Vec::new(), Vec::new())));
    }

    #[test]
    fn keys_are_of_the_columns_name_and_the_value() {
        let found = keys("run", (&ends(&[0, 1, 2]), b"aa")).unwrap();
        assert_eq!((found.len(), found[..8] == found[8..], &found[..2]), (16, true, &[0u8, 0][..]));
        assert_ne!(keys("type", (&ends(&[0, 1, 2]), b"aa")).unwrap(), found);
    }
}
