//! Protobuf's wire form: tags, numbers and runs of bytes, taken exactly where protobuf's own reader takes them.

/// Why a message is not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// No such message: the whole request is refused.
    Corrupt,
    /// Values inside values, beyond the levels asked for.
    Deep,
    /// Its fields are not in the order of their numbers, or one comes twice: it must be read the other way.
    Disorder,
}

/// Messages that may be inside the outermost one.
pub const ROOM: u32 = 100;

/// A run of bytes inside a request, such as a message or a text, taken from its front.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The whole request: a few bytes are sooner taken together with what follows them than one by one.
    all: &'a [u8],
    pub at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Reader { all: data, at: 0, end: data.len() }
    }

    /// The same run from another place on.
    pub fn starting(self, at: usize) -> Self {
        Reader { at, ..self }
    }

    #[inline]
    pub fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// How many bytes are left.
    #[inline]
    pub fn size(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// The bytes that are left.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.all.get(self.at..self.end).unwrap_or_default()
    }

    /// The bytes between two places in what is left, which must be there.
    #[inline]
    pub fn part(&self, start: usize, end: usize) -> Reader<'a> {
        Reader { at: self.at + start, end: self.at + end, ..*self }
    }

    /// The next so many bytes, whether or not the last of them belong to this run. None at the end of the request.
    #[inline]
    pub fn wide<const SIZE: usize>(&self) -> Option<&'a [u8; SIZE]> {
        self.all.get(self.at..)?.first_chunk()
    }

    #[inline]
    fn next(&self) -> Option<u8> {
        if self.is_done() { None } else { self.all.get(self.at).copied() }
    }

    /// The number of the next field and its wire type, as the wire has them; None at the end.
    #[inline]
    pub fn key(&mut self) -> Result<Option<u32>, Stop> {
        match self.any_key()? {
            Some(key) if key < 8 => Err(Stop::Corrupt),
            key => Ok(key),
        }
    }

    /// As `key`, with the number 0 too, which names no field.
    #[inline]
    fn any_key(&mut self) -> Result<Option<u32>, Stop> {
        let Some(first) = self.next() else { return Ok(None) };
        if first < 128 {
            self.at += 1;
            return Ok(Some(u32::from(first)));
        }
        u32::try_from(self.long(5)?).map(Some).map_err(|_| Stop::Corrupt)
    }

    /// The number of the next field and its wire type; None at the end.
    #[inline]
    pub fn tag(&mut self) -> Result<Option<(u32, u8)>, Stop> {
        Ok(self.key()?.map(parts))
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, Stop> {
        match self.next() {
            Some(first) if first < 128 => {
                self.at += 1;
                Ok(u64::from(first))
            }
            _ => self.long(10),
        }
    }

    /// A number of several bytes: of up to eight at once, where the request has as many.
    #[inline]
    fn long(&mut self, most: usize) -> Result<u64, Stop> {
        if let Some(word) = self.wide::<8>() {
            let word = u64::from_le_bytes(*word);
            let last = !word & HIGH;
            let size = last.trailing_zeros() as usize / 8 + 1;
            if last != 0 && size <= most && size <= self.size() {
                self.at += size;
                return Ok(sevens(word & (last ^ (last - 1))));
            }
        }
        self.longest(most)
    }

    #[cold]
    fn longest(&mut self, most: usize) -> Result<u64, Stop> {
        let mut number = 0u64;
        for (n, &byte) in self.bytes().iter().take(most).enumerate() {
            number |= u64::from(byte & 127) << (7 * n);
            if byte < 128 {
                self.at += n + 1;
                return Ok(number);
            }
        }
        Err(Stop::Corrupt)
    }

    /// A run of bytes, after their number.
    #[inline]
    pub fn payload(&mut self) -> Result<Reader<'a>, Stop> {
        let size = match self.next() {
            Some(first) if first < 128 => {
                self.at += 1;
                usize::from(first)
            }
            _ => {
                let size = self.long(5)?;
                if size > i32::MAX as u64 {
                    return Err(Stop::Corrupt);
                }
                size as usize
            }
        };
        self.take(size)
    }

    #[inline]
    fn take(&mut self, size: usize) -> Result<Reader<'a>, Stop> {
        if size > self.size() {
            return Err(Stop::Corrupt);
        }
        let found = Reader { end: self.at + size, ..*self };
        self.at += size;
        Ok(found)
    }

    #[inline]
    fn fixed<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Stop> {
        self.take(SIZE)?.wide().copied().ok_or(Stop::Corrupt)
    }

    #[inline]
    pub fn fixed64(&mut self) -> Result<u64, Stop> {
        self.fixed().map(u64::from_le_bytes)
    }

    #[inline]
    pub fn fixed32(&mut self) -> Result<u32, Stop> {
        self.fixed().map(u32::from_le_bytes)
    }

    /// Passes over a field that is not known; groups may be inside each other as deep as there is room. What is in a group
    /// may have the number 0, as protobuf's own parser lets it.
    pub fn skip(&mut self, number: u32, wire: u8, room: u32) -> Result<(), Stop> {
        match wire {
            0 => self.varint().map(drop),
            1 => self.take(8).map(drop),
            2 => self.payload().map(drop),
            5 => self.take(4).map(drop),
            3 => {
                let room = room.checked_sub(1).ok_or(Stop::Corrupt)?;
                loop {
                    match self.any_key()?.map(parts) {
                        None => return Err(Stop::Corrupt),
                        Some((found, 4)) if found == number => return Ok(()),
                        Some((found, wire)) => self.skip(found, wire, room)?,
                    }
                }
            }
            _ => Err(Stop::Corrupt),
        }
    }
}

/// A field's number and its wire type, of what stands before it.
#[inline]
pub fn parts(key: u32) -> (u32, u8) {
    (key >> 3, (key & 7) as u8)
}

const HIGH: u64 = 0x8080_8080_8080_8080;

/// The number that the lower seven bits of each of eight bytes are, the lowest first.
#[inline]
fn sevens(word: u64) -> u64 {
    let pairs = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let fours = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    (fours & 0x0fff_ffff) | ((fours & 0x0fff_ffff_0000_0000) >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_of_five_bytes_at_most_and_name_a_field() {
        assert_eq!(Reader::new(&[0x0a]).tag(), Ok(Some((1, 2))));
        assert_eq!(Reader::new(&[0x8a, 0x80, 0x80, 0x80, 0x00]).tag(), Ok(Some((1, 2))));
        for wrong in [&[0x02][..], &[0x8a, 0x80, 0x80, 0x80, 0x80, 0x00], &[0xff, 0xff, 0xff, 0xff, 0x7f], &[0x80]] {
            assert_eq!(Reader::new(wrong).tag(), Err(Stop::Corrupt), "{wrong:?}");
        }
        assert_eq!(Reader::new(&[]).tag(), Ok(None));
    }

    #[test]
    fn numbers_are_of_ten_bytes_at_most() {
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Reader::new(&most).varint(), Ok(u64::MAX));
        assert_eq!(Reader::new(&[0x80; 11]).varint(), Err(Stop::Corrupt));
        for bits in 0..64 {
            for number in [1u64 << bits, u64::MAX >> bits, 0x0123_4567_89ab_cdef >> bits] {
                let mut written = Vec::new();
                let mut left = number;
                while left >= 128 {
                    written.push(left as u8 | 128);
                    left >>= 7;
                }
                written.push(left as u8);
                assert_eq!(Reader::new(&written).varint(), Ok(number));
                written.extend_from_slice(&[0xff; 9]);
                assert_eq!(Reader::new(&written).varint(), Ok(number));
            }
        }
    }

    #[test]
    fn a_group_ends_with_its_own_number_and_in_the_room_there_is() {
        assert_eq!(Reader::new(&[0x08, 0x01, 0x0c]).skip(1, 3, ROOM), Ok(()));
        assert_eq!(Reader::new(&[0x14]).skip(1, 3, ROOM), Err(Stop::Corrupt));
        assert_eq!(Reader::new(&[0x00, 0x01, 0x03, 0x04, 0x0c]).skip(1, 3, ROOM), Ok(()));
        assert_eq!(Reader::new(&[0x04, 0x0c]).skip(1, 3, ROOM), Err(Stop::Corrupt));
        assert_eq!(Reader::new(&[0x0b, 0x0c, 0x0c]).skip(1, 3, 1), Err(Stop::Corrupt));
        assert_eq!(Reader::new(&[0x0b, 0x0c, 0x0c]).skip(1, 3, 2), Ok(()));
    }

    #[test]
    fn bytes_end_where_the_message_ends() {
        let payload = |data: &'static [u8]| Reader::new(data).payload().map(|found| found.bytes());
        assert_eq!(payload(&[2, 7, 8]), Ok(&[7, 8][..]));
        assert_eq!(payload(&[3, 7, 8]), Err(Stop::Corrupt));
        assert_eq!(payload(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(Stop::Corrupt));
        let mut inside = Reader::new(&[3, 1, 2, 0x88, 1, 0, 0, 0, 0, 0, 0, 0]).payload().unwrap();
        assert_eq!((inside.varint(), inside.varint(), inside.varint()), (Ok(1), Ok(2), Err(Stop::Corrupt)));
        assert_eq!((inside.fixed32(), inside.size()), (Err(Stop::Corrupt), 1));
    }
}
