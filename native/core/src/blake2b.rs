//! BLAKE2b without a key (RFC 7693), of texts as short as ids.

const START: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];
const ORDER: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const BLOCK: usize = 128;

/// The first 16 bytes of the digest whose length is to be so many bytes: at most 16 of them are its own.
pub fn digest(text: &[u8], size: u8) -> [u8; 16] {
    let mut state = START;
    state[0] ^= 0x0101_0000 ^ u64::from(size);
    let mut done = 0;
    while text.len() - done > BLOCK {
        compress(&mut state, &block(&text[done..done + BLOCK]), (done + BLOCK) as u64, false);
        done += BLOCK;
    }
    compress(&mut state, &block(&text[done..]), text.len() as u64, true);
    let mut found = [0; 16];
    found[..8].copy_from_slice(&state[0].to_le_bytes());
    found[8..].copy_from_slice(&state[1].to_le_bytes());
    found
}

/// The digest of 8 bytes as a number, the least significant byte first.
pub fn hash(text: &[u8]) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&digest(text, 8)[..8]);
    u64::from_le_bytes(number)
}

fn block(text: &[u8]) -> [u64; 16] {
    let mut bytes = [0; BLOCK];
    bytes[..text.len()].copy_from_slice(text);
    let mut words = [0; 16];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        *word = u64::from_le_bytes(eight);
    }
    words
}

fn compress(state: &mut [u64; 8], words: &[u64; 16], count: u64, is_last: bool) {
    let mut v = [0; 16];
    v[..8].copy_from_slice(state);
    v[8..].copy_from_slice(&START);
    v[12] ^= count;
    if is_last {
        v[14] = !v[14];
    }
    round::<0>(&mut v, words);
    round::<1>(&mut v, words);
    round::<2>(&mut v, words);
    round::<3>(&mut v, words);
    round::<4>(&mut v, words);
    round::<5>(&mut v, words);
    round::<6>(&mut v, words);
    round::<7>(&mut v, words);
    round::<8>(&mut v, words);
    round::<9>(&mut v, words);
    round::<0>(&mut v, words);
    round::<1>(&mut v, words);
    for (n, word) in state.iter_mut().enumerate() {
        *word ^= v[n] ^ v[n + 8];
    }
}

/// One of twelve rounds, the order of its words known when this is compiled.
#[inline(always)]
fn round<const R: usize>(v: &mut [u64; 16], words: &[u64; 16]) {
    let mut mix = |a: usize, b: usize, c: usize, d: usize, n: usize| {
        v[a] = v[a].wrapping_add(v[b]).wrapping_add(words[ORDER[R][n]]);
        v[d] = (v[d] ^ v[a]).rotate_right(32);
        v[c] = v[c].wrapping_add(v[d]);
        v[b] = (v[b] ^ v[c]).rotate_right(24);
        v[a] = v[a].wrapping_add(v[b]).wrapping_add(words[ORDER[R][n + 1]]);
        v[d] = (v[d] ^ v[a]).rotate_right(16);
        v[c] = v[c].wrapping_add(v[d]);
        v[b] = (v[b] ^ v[c]).rotate_right(63);
    };
    mix(0, 4, 8, 12, 0);
    mix(1, 5, 9, 13, 2);
    mix(2, 6, 10, 14, 4);
    mix(3, 7, 11, 15, 6);
    mix(0, 5, 10, 15, 8);
    mix(1, 6, 11, 12, 10);
    mix(2, 7, 8, 13, 12);
    mix(3, 4, 9, 14, 14);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As Python's `hashlib.blake2b(text, digest_size=size)` has them.
    #[test]
    fn digests_are_those_of_others() {
        assert_eq!(hex(&digest(b"", 8)[..8]), "e4a6a0577479b2b4");
        assert_eq!(hex(&digest(b"abc", 12)[..12]), "48b4f1f9042a2d5033b382b5");
        assert_eq!(hex(&digest(&b"x".repeat(127), 16)[..16]), "faeac286ccce46d5273182d599dd943b");
        assert_eq!(hex(&digest(&b"x".repeat(128), 8)[..8]), "901ce374e8e12402");
        assert_eq!(hex(&digest(&b"x".repeat(129), 12)[..12]), "33f607005de1ae0fa7012fac");
        assert_eq!(hex(&digest(&b"y".repeat(256), 8)[..8]), "ebeb8cd3ce065583");
        assert_eq!(hex(&digest(&b"z".repeat(1000), 16)[..16]), "f44f4097fceb76b05b15883d5d459585");
    }
}
