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

/// A place in the bytes of one message.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    data: &'a [u8],
    pub at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Reader { data, at: 0 }
    }

    pub fn starting(data: &'a [u8], at: usize) -> Self {
        Reader { data, at }
    }

    pub fn is_done(&self) -> bool {
        self.at >= self.data.len()
    }

    /// The number of the next field and its wire type; None at the end.
    #[inline]
    pub fn tag(&mut self) -> Result<Option<(u32, u8)>, Stop> {
        let Some(&first) = self.data.get(self.at) else { return Ok(None) };
        let key = if first < 128 {
            self.at += 1;
            u32::from(first)
        } else {
            u32::try_from(self.long(5)?).map_err(|_| Stop::Corrupt)?
        };
        if key < 8 {
            return Err(Stop::Corrupt);
        }
        Ok(Some((key >> 3, (key & 7) as u8)))
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, Stop> {
        match self.data.get(self.at) {
            Some(&first) if first < 128 => {
                self.at += 1;
                Ok(u64::from(first))
            }
            _ => self.long(10),
        }
    }

    fn long(&mut self, most: usize) -> Result<u64, Stop> {
        let mut number = 0u64;
        for (n, &byte) in self.data[self.at..].iter().take(most).enumerate() {
            number |= u64::from(byte & 127) << (7 * n);
            if byte < 128 {
                self.at += n + 1;
                return Ok(number);
            }
        }
        Err(Stop::Corrupt)
    }

    /// Bytes after their number.
    #[inline]
    pub fn payload(&mut self) -> Result<&'a [u8], Stop> {
        let size = match self.data.get(self.at) {
            Some(&first) if first < 128 => {
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
    fn take(&mut self, size: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(size).ok_or(Stop::Corrupt)?;
        let found = self.data.get(self.at..end).ok_or(Stop::Corrupt)?;
        self.at = end;
        Ok(found)
    }

    #[inline]
    pub fn fixed64(&mut self) -> Result<u64, Stop> {
        let found = self.take(8)?;
        Ok(u64::from_le_bytes(found.try_into().map_err(|_| Stop::Corrupt)?))
    }

    #[inline]
    pub fn fixed32(&mut self) -> Result<u32, Stop> {
        let found = self.take(4)?;
        Ok(u32::from_le_bytes(found.try_into().map_err(|_| Stop::Corrupt)?))
    }

    /// Passes over a field that is not known; groups may be inside each other as deep as there is room.
    pub fn skip(&mut self, number: u32, wire: u8, room: u32) -> Result<(), Stop> {
        match wire {
            0 => self.varint().map(drop),
            1 => self.take(8).map(drop),
            2 => self.payload().map(drop),
            5 => self.take(4).map(drop),
            3 => {
                let room = room.checked_sub(1).ok_or(Stop::Corrupt)?;
                loop {
                    match self.tag()? {
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
    }

    #[test]
    fn a_group_ends_with_its_own_number_and_in_the_room_there_is() {
        assert_eq!(Reader::new(&[0x08, 0x01, 0x0c]).skip(1, 3, ROOM), Ok(()));
        assert_eq!(Reader::new(&[0x14]).skip(1, 3, ROOM), Err(Stop::Corrupt));
        assert_eq!(Reader::new(&[0x0b, 0x0c, 0x0c]).skip(1, 3, 1), Err(Stop::Corrupt));
        assert_eq!(Reader::new(&[0x0b, 0x0c, 0x0c]).skip(1, 3, 2), Ok(()));
    }

    #[test]
    fn bytes_end_where_the_message_ends() {
        assert_eq!(Reader::new(&[2, 7, 8]).payload(), Ok(&[7, 8][..]));
        assert_eq!(Reader::new(&[3, 7, 8]).payload(), Err(Stop::Corrupt));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).payload(), Err(Stop::Corrupt));
    }
}
