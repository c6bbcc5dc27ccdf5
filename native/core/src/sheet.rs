//! Records of a request as lines of the archive: shared out over lines with their resource and scope, or counted as rejected.
//!
//! The law: the same arithmetic as the Python core's `sheet`, which has the reasons; lines stand in one buffer behind each other.

use crate::write::Around;

/// How large a line may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub line_bytes: i64,
    pub records_per_line: i64,
    pub depth: i64,
}

/// Why a record is not stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    Deep,
    TraceId,
    SpanId,
    ParentId,
    Link,
    Exemplar,
}

/// One line: where it ends in the buffer, its records, and their least and greatest time, 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    pub end: usize,
    pub records: i64,
    pub first: u64,
    pub last: u64,
}

/// What became of a request.
pub struct Lines {
    /// All the lines, each beginning where the one before ends.
    pub data: Vec<u8>,
    pub lines: Vec<Line>,
    /// How many records were rejected for what, in the order of the first of each.
    pub rejected: Vec<(Reason, u64)>,
}

impl Lines {
    /// Each line with its offset in a file, the first one's given.
    pub fn placed(&self, offset: i64) -> Vec<(i64, &[u8])> {
        let mut start = 0;
        let place = |line: &Line| {
            let found = (offset + start as i64, &self.data[start..line.end]);
            start = line.end;
            found
        };
        self.lines.iter().map(place).collect()
    }
}

const REPEATED: i64 = 4;

/// What stands around a list, its brackets included.
#[derive(Default)]
pub struct Ends {
    pub head: Vec<u8>,
    pub tail: Vec<u8>,
}

impl Ends {
    fn size(&self) -> i64 {
        (self.head.len() + self.tail.len()) as i64
    }

    /// Takes what is around a list, or what is around it in one thing and around that in another.
    pub fn set(&mut self, outer: &Around, inner: Option<&Around>) {
        self.head.clear();
        self.tail.clear();
        self.head.extend_from_slice(&outer.head);
        self.tail.push(b']');
        if let Some(inner) = inner {
            self.head.extend_from_slice(&inner.head);
            self.tail.extend_from_slice(&inner.tail);
        }
        self.head.push(b'[');
        self.tail.extend_from_slice(&outer.tail);
    }
}

/// Takes the records of one request in their order, and closes a line where it is full.
pub struct Sheet {
    limits: Limits,
    frame: Ends,
    out: Vec<u8>,
    lines: Vec<Line>,
    rejected: Vec<(Reason, u64)>,
    pub resource: Ends,
    pub scope: Ends,
    /// What the present line must still have behind the records of its open scope, and behind that.
    open_scope: Vec<u8>,
    open_resource: Vec<u8>,
    /// Whether the line has a record, and whether it names the present resource and scope.
    begun: bool,
    named: bool,
    in_scope: bool,
    size: i64,
    /// Bytes of records that must follow the present resource and scope before they are worth writing once more.
    due: i64,
    line: Line,
    points: Points,
}

/// The data points of one metric that go into one line together.
#[derive(Default)]
struct Points {
    data: Vec<u8>,
    count: i64,
    size: i64,
    first: u64,
    last: u64,
}

const NOTHING: Line = Line { end: 0, records: 0, first: 0, last: 0 };

impl Sheet {
    /// A sheet that writes behind what is in a buffer, which must be empty; `frame` is the name of the outermost list.
    pub fn new(frame: &str, limits: Limits, out: Vec<u8>) -> Self {
        let frame = Ends { head: format!("{{\"{frame}\":[").into_bytes(), tail: b"]}\n".to_vec() };
        Sheet {
            size: frame.size(),
            limits,
            frame,
            out,
            lines: Vec::new(),
            rejected: Vec::new(),
            resource: Ends::default(),
            scope: Ends::default(),
            open_scope: Vec::new(),
            open_resource: Vec::new(),
            begun: false,
            named: false,
            in_scope: false,
            due: 0,
            line: NOTHING,
            points: Points::default(),
        }
    }

    /// What comes next is of another resource, which `resource` was set to.
    pub fn resource_changed(&mut self) {
        (self.in_scope, self.named, self.due) = (false, false, 0);
    }

    /// What comes next is of another scope, which `scope` was set to.
    pub fn scope_changed(&mut self) {
        self.in_scope = false;
    }

    /// The JSON of one record, or of `records` that stay together; their least and greatest time, 0 for none.
    pub fn add(&mut self, data: &[u8], first: u64, last: u64, records: i64) {
        let size = data.len() as i64 + 1;
        let full = self.line.records + records > self.limits.records_per_line
            || self.size + size + self.missing() > self.limits.line_bytes;
        if full && self.line.records > 0 && self.due <= 0 {
            self.close();
        }
        self.put(data, size);
        let line = &mut self.line;
        line.records += records;
        let least = match (first, last) {
            (0, time) | (time, 0) => time,
            _ => first.min(last),
        };
        if least > 0 && (least < line.first || line.first == 0) {
            line.first = least;
        }
        line.last = line.last.max(first).max(last);
    }

    fn missing(&self) -> i64 {
        if self.in_scope {
            return 0;
        }
        let size = self.scope.size() + 1;
        if self.named { size } else { size + self.resource.size() + 1 }
    }

    fn put(&mut self, data: &[u8], size: i64) {
        if self.in_scope {
            self.out.push(b',');
        } else {
            self.begin();
        }
        self.out.extend_from_slice(data);
        self.size += size;
        self.due -= size;
    }

    fn begin(&mut self) {
        let around = self.missing();
        self.size += around;
        self.due = self.due.max(0) + around / REPEATED;
        if self.begun {
            self.out.extend_from_slice(&self.open_scope);
        }
        if self.named {
            self.out.push(b',');
        } else {
            if self.begun {
                self.out.extend_from_slice(&self.open_resource);
                self.out.push(b',');
            } else {
                self.out.extend_from_slice(&self.frame.head);
            }
            self.out.extend_from_slice(&self.resource.head);
            self.open_resource.clone_from(&self.resource.tail);
        }
        self.out.extend_from_slice(&self.scope.head);
        self.open_scope.clone_from(&self.scope.tail);
        (self.begun, self.named, self.in_scope) = (true, true, true);
    }

    fn close(&mut self) {
        self.out.extend_from_slice(&self.open_scope);
        self.out.extend_from_slice(&self.open_resource);
        self.out.extend_from_slice(&self.frame.tail);
        self.lines.push(Line { end: self.out.len(), ..self.line });
        self.line = NOTHING;
        (self.begun, self.named, self.in_scope, self.due) = (false, false, false, 0);
        self.size = self.frame.size();
    }

    /// The number of the line under way, and where it begins in the buffer.
    pub fn under_way(&self) -> (usize, usize) {
        (self.lines.len(), self.lines.last().map_or(0, |line| line.end))
    }

    /// The JSON and time of one data point of a metric that `around` stands around.
    pub fn add_point(&mut self, around: &Ends, point: &[u8], time: u64) {
        let alone = self.frame.size() + self.resource.size() + self.scope.size() + around.size() + 2;
        let room = self.limits.line_bytes - alone;
        let points = &self.points;
        let full = points.count >= self.limits.records_per_line || points.size + point.len() as i64 > room;
        if points.size > around.size() / REPEATED && full {
            self.end_points(around);
        }
        let points = &mut self.points;
        if points.count > 0 {
            points.data.push(b',');
        } else {
            points.data.extend_from_slice(&around.head);
        }
        points.data.extend_from_slice(point);
        points.count += 1;
        points.size += point.len() as i64 + 1;
        if time > 0 && (time < points.first || points.first == 0) {
            points.first = time;
        }
        points.last = points.last.max(time);
    }

    /// Writes the data points of a metric that wait.
    pub fn end_points(&mut self, around: &Ends) {
        let mut points = std::mem::take(&mut self.points);
        if points.count > 0 {
            points.data.extend_from_slice(&around.tail);
            self.add(&points.data, points.first, points.last, points.count);
        }
        points.data.clear();
        self.points.data = points.data;
    }

    /// So many records are not stored.
    pub fn reject(&mut self, reason: Reason, records: u64) {
        if records == 0 {
            return;
        }
        match self.rejected.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += records,
            None => self.rejected.push((reason, records)),
        }
    }

    /// Whether a record was rejected for this.
    pub fn has_rejected(&self, reason: Reason) -> bool {
        self.rejected.iter().any(|(known, _)| *known == reason)
    }

    /// All the lines, the last one closed, and what was rejected.
    pub fn finish(mut self) -> Lines {
        if self.line.records > 0 {
            self.close();
        }
        Lines { data: self.out, lines: self.lines, rejected: self.rejected }
    }
}
