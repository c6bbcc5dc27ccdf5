//! Records of a batch as lines of the archive: gathered by resource and scope, and a line closed where it is full.
//!
//! The law: the same arithmetic as the Python core's `page`.

use std::collections::HashMap;
use std::rc::Rc;

use crate::sheet::{Ends, Limits, Line};

/// What a record stands in. Two are the same where they are the same allocation.
pub type Part = Rc<Ends>;

/// Takes the records of one batch in their order.
pub struct Page {
    limits: Limits,
    frame: Ends,
    groups: Vec<Group>,
    /// Where a resource's group is, and a scope's records in it.
    places: HashMap<(*const Ends, *const Ends), (usize, usize)>,
    resources: HashMap<*const Ends, usize>,
    size: i64,
    line: Line,
    out: Vec<u8>,
    lines: Vec<Line>,
}

struct Group {
    resource: Part,
    scopes: Vec<(Part, Vec<u8>)>,
}

const NOTHING: Line = Line { end: 0, records: 0, first: 0, last: 0 };

impl Page {
    /// A page that writes into an empty buffer; `frame` is the name of the outermost list.
    pub fn new(frame: &str, limits: Limits, out: Vec<u8>) -> Self {
        let frame = Ends { head: format!("{{\"{frame}\":[").into_bytes(), tail: b"]}\n".to_vec() };
        Page {
            limits,
            size: size_of(&frame),
            frame,
            groups: Vec::new(),
            places: HashMap::new(),
            resources: HashMap::new(),
            line: NOTHING,
            out,
            lines: Vec::new(),
        }
    }

    /// The JSON of one record under its resource and scope, and its time, 0 for none.
    pub fn add(&mut self, resource: &Part, scope: &Part, data: &[u8], time: u64) {
        if self.line.records > 0 && self.line.records + 1 > self.limits.records_per_line {
            self.close();
        }
        let key = (Rc::as_ptr(resource), Rc::as_ptr(scope));
        let around = size_of(resource) + size_of(scope) + 2;
        let mut found = self.places.get(&key).copied();
        let mut size = data.len() as i64 + 1 + if found.is_some() { 0 } else { around };
        if self.line.records > 0 && self.size + size > self.limits.line_bytes {
            self.close();
            size += if found.is_some() { around } else { 0 };
            found = None;
        }
        let (group, part) = found.unwrap_or_else(|| self.open(resource, scope));
        let records = &mut self.groups[group].scopes[part].1;
        if !records.is_empty() {
            records.push(b',');
        }
        records.extend_from_slice(data);
        self.size += size;
        let line = &mut self.line;
        line.records += 1;
        if time > 0 && (time < line.first || line.first == 0) {
            line.first = time;
        }
        line.last = line.last.max(time);
    }

    fn open(&mut self, resource: &Part, scope: &Part) -> (usize, usize) {
        let group = *self.resources.entry(Rc::as_ptr(resource)).or_insert_with(|| {
            self.groups.push(Group { resource: resource.clone(), scopes: Vec::new() });
            self.groups.len() - 1
        });
        let scopes = &mut self.groups[group].scopes;
        scopes.push((scope.clone(), Vec::new()));
        let place = (group, scopes.len() - 1);
        self.places.insert((Rc::as_ptr(resource), Rc::as_ptr(scope)), place);
        place
    }

    fn close(&mut self) {
        let out = &mut self.out;
        out.extend_from_slice(&self.frame.head);
        for (number, group) in self.groups.drain(..).enumerate() {
            if number > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&group.resource.head);
            for (number, (scope, records)) in group.scopes.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(&scope.head);
                out.extend_from_slice(records);
                out.extend_from_slice(&scope.tail);
            }
            out.extend_from_slice(&group.resource.tail);
        }
        out.extend_from_slice(&self.frame.tail);
        self.lines.push(Line { end: out.len(), ..self.line });
        self.places.clear();
        self.resources.clear();
        (self.line, self.size) = (NOTHING, size_of(&self.frame));
    }

    /// All the lines, each beginning where the one before ends, the last one closed.
    pub fn finish(mut self) -> (Vec<u8>, Vec<Line>) {
        if self.line.records > 0 {
            self.close();
        }
        (self.out, self.lines)
    }
}

fn size_of(ends: &Ends) -> i64 {
    (ends.head.len() + ends.tail.len()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(head: &str) -> Part {
        Rc::new(Ends { head: format!("{head}[").into_bytes(), tail: b"]".to_vec() })
    }

    fn written(limits: (i64, i64), given: &[(&Part, &Part, &str, u64)]) -> (String, Vec<Line>) {
        let limits = Limits { line_bytes: limits.0, records_per_line: limits.1, depth: 1 };
        let mut page = Page::new("l", limits, Vec::new());
        for (resource, scope, data, time) in given {
            page.add(resource, scope, data.as_bytes(), *time);
        }
        let (data, lines) = page.finish();
        (String::from_utf8(data).unwrap(), lines)
    }

    #[test]
    fn records_are_gathered_by_resource_and_scope_in_the_order_of_the_first() {
        let (r, q, s, t) = (part("r"), part("q"), part("s"), part("t"));
        let given = [(&r, &s, "1", 5), (&q, &s, "2", 0), (&r, &t, "3", 3), (&r, &s, "4", 9)];
        let (data, lines) = written((1000, 128), &given);
        assert_eq!(data, "{\"l\":[r[s[1,4],t[3]],q[s[2]]]}\n");
        assert_eq!(lines, [Line { end: data.len(), records: 4, first: 3, last: 9 }]);
    }

    #[test]
    fn a_line_is_closed_where_it_is_full() {
        let (r, s) = (part("r"), part("s"));
        let given = [(&r, &s, "1", 1), (&r, &s, "2", 2), (&r, &s, "3", 3)];
        assert_eq!(written((1000, 2), &given).0, "{\"l\":[r[s[1,2]]]}\n{\"l\":[r[s[3]]]}\n");
        assert_eq!(written((22, 9), &given).0.lines().count(), 2);
        assert_eq!(written((1, 9), &given).0.lines().count(), 3);
        assert_eq!(written((1, 9), &[]), (String::new(), Vec::new()));
    }
}
