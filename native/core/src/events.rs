//! Archive lines to the rows of an index: the events of each line, in its order, in one walk over its JSON.
//!
//! The law: as the Python core's `decode` and `columns.batch_of`, which have the reasons. A line that holds anything with a second
//! reading, or anything to be told of, is refused whole: the caller asks the Python core.

use crate::around::Around;
use crate::columns::Columns;
use crate::json::Json;
use crate::names::Names;
use crate::record::{Reading, each, members};
use crate::telling::Telling;
use crate::wire::Stop;

/// What became of some lines.
pub struct Made {
    pub columns: Columns,
    /// How many lines were read.
    pub lines: usize,
    /// The number of each line that was refused, and how many rows there were before it.
    pub refused: Vec<(usize, usize)>,
}

/// The rows of lines, each given with its offset in the segment of that stem; once there are `enough`, no further line is begun.
pub fn columns_of_lines<'a>(names: &'a Names, stem: &'a [u8], lines: &[(i64, &'a [u8])], enough: usize) -> Made {
    let mut walk = Walk { telling: Telling::new(names, stem, Columns::default()), reading: Reading::new(names) };
    let (mut refused, mut read) = (Vec::new(), 0);
    for &(offset, data) in lines {
        let before = walk.telling.rows.columns.rows();
        if before >= enough {
            break;
        }
        if walk.line(offset, data).is_err() {
            walk.telling.rows.columns.truncate(before);
            refused.push((read, before));
        }
        read += 1;
    }
    Made { columns: walk.telling.rows.columns, lines: read, refused }
}

#[derive(Clone, Copy)]
enum Level {
    Logs,
    Spans,
    Metrics,
    Around,
    Inside,
}

const LINE: [(&[u8], Level); 3] =
    [(b"resourceLogs", Level::Logs), (b"resourceSpans", Level::Spans), (b"resourceMetrics", Level::Metrics)];
const LOG_GROUP: [(&[u8], Level); 2] = [(b"resource", Level::Around), (b"scopeLogs", Level::Inside)];
const SPAN_GROUP: [(&[u8], Level); 2] = [(b"resource", Level::Around), (b"scopeSpans", Level::Inside)];
const LOG_PART: [(&[u8], Level); 2] = [(b"scope", Level::Around), (b"logRecords", Level::Inside)];
const SPAN_PART: [(&[u8], Level); 2] = [(b"scope", Level::Around), (b"spans", Level::Inside)];

/// Lines of one segment under way.
struct Walk<'a> {
    telling: Telling<'a>,
    reading: Reading<'a>,
}

impl<'a> Walk<'a> {
    fn line(&mut self, offset: i64, data: &'a [u8]) -> Result<(), Stop> {
        self.telling.begin(offset);
        let mut from = Json::new(data)?;
        let mut signals = 0;
        members(&mut from, &LINE, |level, from| {
            signals += 1;
            match level {
                Level::Metrics => from.skip(),
                _ => each(from, |from| self.group(matches!(level, Level::Logs), from)),
            }
        })?;
        from.end()?;
        if signals == 1 { Ok(()) } else { Err(Stop::Corrupt) }
    }

    fn group(&mut self, is_log: bool, from: &mut Json<'a>) -> Result<(), Stop> {
        self.telling.around = Around::default();
        let mut has_begun = false;
        members(from, if is_log { &LOG_GROUP } else { &SPAN_GROUP }, |level, from| {
            if matches!(level, Level::Inside) {
                has_begun = true;
                return each(from, |from| self.part(is_log, from));
            }
            if has_begun { Err(Stop::Corrupt) } else { self.telling.around.resource(&mut self.reading.values, from) }
        })
    }

    fn part(&mut self, is_log: bool, from: &mut Json<'a>) -> Result<(), Stop> {
        self.telling.around.clear_scope();
        let mut has_begun = false;
        members(from, if is_log { &LOG_PART } else { &SPAN_PART }, |level, from| {
            if matches!(level, Level::Inside) {
                has_begun = true;
                return each(from, |from| {
                    let record = self.reading.record(is_log, from)?;
                    self.telling.record(is_log, record, &mut self.reading)
                });
            }
            if has_begun { Err(Stop::Corrupt) } else { self.telling.around.scope(&mut self.reading.values, from) }
        })
    }
}
