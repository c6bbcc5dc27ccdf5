//! JSON text of one log record or span of OpenTelemetry's SDK.
//!
//! The law: the text that the Python core's `record_text` writes, or none.

use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict, PyInt, PyList, PyString, PyTuple, PyType};
use whence_core::text::{put_digits, put_hex, put_number};

use crate::objects::{
    Exact, Names, Odd, get, is_a, put_pairs, put_text, put_text_of, put_value, raised, small, truth, whole,
    whole_or_none,
};

/// What of OpenTelemetry and Python is known by its type: how such an object answers is known too.
pub struct Known {
    /// opentelemetry.attributes.BoundedAttributes
    pub attributes: Py<PyType>,
    /// opentelemetry.trace.TraceFlags
    pub flags: Py<PyType>,
    /// opentelemetry.trace.TraceState
    pub state: Py<PyType>,
    /// types.MappingProxyType
    pub proxy: Py<PyType>,
    /// enum.Enum
    pub choice: Py<PyType>,
    /// The attribute of a span event that only repeats a log event.
    pub projection: Py<PyString>,
    pub names: Names,
}

/// Writes the records of one batch, and remembers for that long what they share.
pub struct Records<'a, 'py> {
    py: Python<'py>,
    known: &'a Known,
    depth: u32,
    /// Members of enums that were asked for their value, which takes a call; they never change.
    choices: Vec<(Bound<'py, PyAny>, i64)>,
    /// The trace states that were asked, and their text if they have any; they never change either.
    states: Vec<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)>,
    /// The trace id last written, and its bytes.
    trace: Option<(Bound<'py, PyAny>, [u8; 16])>,
}

/// How many different objects of a kind are remembered.
const KEPT: usize = 8;
/// The low byte of flags is the W3C trace flags.
const W3C: i64 = 0xff;
/// Whether it is known, here always, and true that a span's parent, or a link's target, was in another process.
const IS_KNOWN: i64 = 0x100;
const IS_REMOTE: i64 = 0x200;

impl<'a, 'py> Records<'a, 'py> {
    pub fn new(py: Python<'py>, known: &'a Known, depth: u32) -> Self {
        Records { py, known, depth, choices: Vec::new(), states: Vec::new(), trace: None }
    }

    /// A LogRecord; answers its time.
    pub fn put_log(&mut self, out: &mut Vec<u8>, item: &Bound<'py, PyAny>) -> Exact<u64> {
        let names = &self.known.names;
        let record = &get(item, &names.log_record)?;
        let observed = whole_or_none(&get(record, &names.observed_timestamp)?)?;
        out.extend_from_slice(b"{\"observedTimeUnixNano\":");
        put_digits(out, observed);
        let time = whole_or_none(&get(record, &names.timestamp)?)?;
        if time > 0 {
            out.extend_from_slice(b",\"timeUnixNano\":");
            put_digits(out, time);
        }
        let severity = get(record, &names.severity_number)?;
        if !severity.is_none() {
            out.extend_from_slice(b",\"severityNumber\":");
            put_number(out, self.choice(&severity)?);
        }
        put_text_of(out, b",\"severityText\":", &get(record, &names.severity_text)?)?;
        put_text_of(out, b",\"eventName\":", &get(record, &names.event_name)?)?;
        let body = get(record, &names.body)?;
        if !body.is_none() {
            out.extend_from_slice(b",\"body\":");
            put_value(out, &body, self.depth)?;
        }
        if let Some(attributes) = self.attributes(&get(record, &names.attributes)?)? {
            self.put_attributes(out, &attributes)?;
        }
        put_count(out, b",\"droppedAttributesCount\":", &get(item, &names.dropped_attributes)?)?;
        let flags = get(record, &names.trace_flags)?;
        if !flags.is_none() {
            let flags = self.flags(&flags)?;
            if flags > 0 {
                out.extend_from_slice(b",\"flags\":");
                put_number(out, flags & W3C);
            }
        }
        let trace = get(record, &names.trace_id)?;
        if !trace.is_none() {
            let trace = self.trace(trace)?;
            if trace != [0; 16] {
                out.extend_from_slice(b",\"traceId\":");
                put_hex(out, &trace);
            }
        }
        let span = whole_or_none(&get(record, &names.span_id)?)?;
        if span > 0 {
            out.extend_from_slice(b",\"spanId\":");
            put_hex(out, &span.to_be_bytes());
        }
        out.push(b'}');
        Ok(if time > 0 { time } else { observed })
    }

    /// A Span, its span events that only project a log event left out; answers its time.
    pub fn put_span(&mut self, out: &mut Vec<u8>, span: &Bound<'py, PyAny>) -> Exact<u64> {
        let names = &self.known.names;
        let context = &get(span, &names.context)?;
        let parent = Some(get(span, &names.parent)?).filter(|parent| !parent.is_none());
        self.put_ids(out, context, parent.as_ref())?;
        out.extend_from_slice(b",\"name\":");
        put_text(out, &get(span, &names.name)?)?;
        out.extend_from_slice(b",\"kind\":");
        let kind = get(span, &names.kind)?;
        put_number(out, self.choice(&kind)?.checked_add(1).ok_or(Odd::Unusual)?);
        out.extend_from_slice(b",\"startTimeUnixNano\":");
        let start = whole_or_none(&get(span, &names.start_time)?)?;
        put_digits(out, start);
        out.extend_from_slice(b",\"endTimeUnixNano\":");
        put_digits(out, whole_or_none(&get(span, &names.end_time)?)?);
        if let Some(parent) = parent {
            out.extend_from_slice(b",\"parentSpanId\":");
            put_hex(out, &whole(&get(&parent, &names.span_id)?)?.to_be_bytes());
        }
        self.put_state(out, context)?;
        if let Some(attributes) = self.attributes(&get(span, &names.attributes)?)? {
            self.put_attributes(out, &attributes)?;
        }
        put_count(out, b",\"droppedAttributesCount\":", &get(span, &names.dropped_attributes)?)?;
        self.put_events(out, &get(span, &names.events)?)?;
        put_count(out, b",\"droppedEventsCount\":", &get(span, &names.dropped_events)?)?;
        self.put_links(out, &get(span, &names.links)?)?;
        put_count(out, b",\"droppedLinksCount\":", &get(span, &names.dropped_links)?)?;
        self.put_status(out, &get(span, &names.status)?)?;
        out.push(b'}');
        Ok(start)
    }

    fn put_events(&mut self, out: &mut Vec<u8>, events: &Bound<'py, PyAny>) -> Exact<()> {
        let (py, names) = (self.py, &self.known.names);
        let mut any = false;
        for event in items(events)? {
            let attributes = get(&event, &names.attributes)?;
            if is_a(&attributes, &self.known.proxy) {
                return Err(Odd::Unusual); // what it has and what it gives may be two things
            }
            let attributes = self.attributes(&attributes)?;
            if let Some(attributes) = &attributes
                && attributes.contains(&self.known.projection).map_err(|fault| raised(py, fault))?
            {
                continue;
            }
            out.extend_from_slice(if any { b",{\"timeUnixNano\":" } else { b",\"events\":[{\"timeUnixNano\":" });
            any = true;
            put_digits(out, whole_or_none(&get(&event, &names.timestamp)?)?);
            out.extend_from_slice(b",\"name\":");
            put_text(out, &get(&event, &names.name)?)?;
            self.put_described(out, attributes.as_ref(), &event)?;
        }
        if any {
            out.push(b']');
        }
        Ok(())
    }

    fn put_links(&mut self, out: &mut Vec<u8>, links: &Bound<'py, PyAny>) -> Exact<()> {
        let names = &self.known.names;
        let mut any = false;
        for link in items(links)? {
            out.extend_from_slice(if any { b"," } else { b",\"links\":[" });
            any = true;
            let context = get(&link, &names.context)?;
            self.put_ids(out, &context, Some(&context))?;
            self.put_state(out, &context)?;
            let attributes = self.attributes(&get(&link, &names.attributes)?)?;
            self.put_described(out, attributes.as_ref(), &link)?;
        }
        if any {
            out.push(b']');
        }
        Ok(())
    }

    /// The attributes of a span event or link, and its closing brace.
    fn put_described(
        &self, out: &mut Vec<u8>, attributes: Option<&Bound<'py, PyDict>>, item: &Bound<'py, PyAny>,
    ) -> Exact<()> {
        if let Some(attributes) = attributes {
            self.put_attributes(out, attributes)?;
        }
        put_count(out, b",\"droppedAttributesCount\":", &get(item, &self.known.names.dropped_attributes)?)?;
        out.push(b'}');
        Ok(())
    }

    fn put_status(&mut self, out: &mut Vec<u8>, status: &Bound<'py, PyAny>) -> Exact<()> {
        let names = &self.known.names;
        let code = get(status, &names.status_code)?;
        let code = self.choice(&code)?;
        let start = out.len();
        out.extend_from_slice(b",\"status\":{\"code\":");
        put_number(out, code);
        let described = out.len();
        put_text_of(out, b",\"message\":", &get(status, &names.description)?)?;
        if code == 0 && out.len() == described {
            out.truncate(start);
        } else {
            out.push(b'}');
        }
        Ok(())
    }

    /// The beginning of a span or link: its ids and flags, which say whether `parent` is remote.
    fn put_ids(
        &mut self, out: &mut Vec<u8>, context: &Bound<'py, PyAny>, parent: Option<&Bound<'py, PyAny>>,
    ) -> Exact<()> {
        let names = &self.known.names;
        out.extend_from_slice(b"{\"traceId\":");
        put_hex(out, &self.trace(get(context, &names.trace_id)?)?);
        out.extend_from_slice(b",\"spanId\":");
        put_hex(out, &whole(&get(context, &names.span_id)?)?.to_be_bytes());
        let mut flags = self.flags(&get(context, &names.trace_flags)?)? & W3C | IS_KNOWN;
        if let Some(parent) = parent
            && truth(&get(parent, &names.is_remote)?)?
        {
            flags |= IS_REMOTE;
        }
        out.extend_from_slice(b",\"flags\":");
        put_number(out, flags);
        Ok(())
    }

    fn put_state(&mut self, out: &mut Vec<u8>, context: &Bound<'py, PyAny>) -> Exact<()> {
        let (py, names) = (self.py, &self.known.names);
        let state = get(context, &names.trace_state)?;
        if state.is_none() {
            return Ok(());
        }
        if !is_a(&state, &self.known.state) {
            return Err(Odd::Unusual);
        }
        let header = match self.states.iter().find(|(known, _)| known.is(&state)) {
            Some((_, header)) => header.clone(),
            None => {
                let given = state.is_truthy().map_err(|fault| raised(py, fault))?;
                let header = given.then(|| state.call_method0(names.to_header.bind(py))).transpose();
                let header = header.map_err(|fault| raised(py, fault))?;
                if self.states.len() < KEPT {
                    self.states.push((state, header.clone()));
                }
                header
            }
        };
        if let Some(header) = header {
            out.extend_from_slice(b",\"traceState\":");
            put_text(out, &header)?;
        }
        Ok(())
    }

    /// `,"attributes":` and the list.
    fn put_attributes(&self, out: &mut Vec<u8>, attributes: &Bound<'py, PyDict>) -> Exact<()> {
        out.extend_from_slice(b",\"attributes\":[");
        put_pairs(out, attributes, self.depth)?;
        out.push(b']');
        Ok(())
    }

    /// The dict in attributes, or none of attributes without any.
    fn attributes(&self, attributes: &Bound<'py, PyAny>) -> Exact<Option<Bound<'py, PyDict>>> {
        let (py, names) = (self.py, &self.known.names);
        let fault = |fault| raised(py, fault);
        let found = if attributes.is_none() {
            return Ok(None);
        } else if is_a(attributes, &self.known.attributes) {
            // what its `copy` copies, as long as it is called so
            match attributes.getattr_opt(names._dict.bind(py)).map_err(fault)? {
                Some(inside) => inside,
                None => attributes.call_method0(names.copy.bind(py)).map_err(fault)?,
            }
        } else if is_a(attributes, &self.known.proxy) {
            if !attributes.is_truthy().map_err(fault)? {
                return Ok(None);
            }
            let copied = attributes.call_method0(names.copy.bind(py)).map_err(fault)?;
            return copied.cast_into_exact().map(Some).map_err(|_| Odd::Unusual);
        } else {
            attributes.clone()
        };
        let found = found.cast_into_exact::<PyDict>().map_err(|_| Odd::Unusual)?;
        Ok(Some(found).filter(|found| !found.is_empty()))
    }

    /// The number of a member of an enum.
    fn choice(&mut self, member: &Bound<'py, PyAny>) -> Exact<i64> {
        if let Some((_, number)) = self.choices.iter().find(|(known, _)| known.is(member)) {
            return Ok(*number);
        }
        let number = small(&get(member, &self.known.names.value)?)?;
        let lasting = member.is_instance(self.known.choice.bind(self.py)).map_err(|fault| raised(self.py, fault))?;
        if lasting && self.choices.len() < KEPT {
            self.choices.push((member.clone(), number));
        }
        Ok(number)
    }

    fn flags(&self, flags: &Bound<'py, PyAny>) -> Exact<i64> {
        if !is_a(flags, &self.known.flags) && !flags.is_exact_instance_of::<PyInt>() {
            return Err(Odd::Unusual);
        }
        flags.extract().ok().filter(|&flags| flags >= 0).ok_or(Odd::Unusual)
    }

    fn trace(&mut self, number: Bound<'py, PyAny>) -> Exact<[u8; 16]> {
        if let Some((last, bytes)) = &self.trace
            && last.is(&number)
        {
            return Ok(*bytes);
        }
        let id: u128 = number.cast_exact::<PyInt>().map_err(|_| Odd::Unusual)?.extract().map_err(|_| Odd::Unusual)?;
        self.trace = Some((number, id.to_be_bytes()));
        Ok(id.to_be_bytes())
    }
}

fn put_count(out: &mut Vec<u8>, name: &[u8], count: &Bound<'_, PyAny>) -> Exact<()> {
    let count = small(count)?;
    if count > 0 {
        out.extend_from_slice(name);
        put_number(out, count);
    }
    Ok(())
}

/// The items of a tuple or list.
fn items<'py>(of: &Bound<'py, PyAny>) -> Exact<Vec<Bound<'py, PyAny>>> {
    if let Ok(found) = of.cast_exact::<PyTuple>() {
        return Ok(found.iter().collect());
    }
    of.cast_exact::<PyList>().map(|found| found.iter().collect()).map_err(|_| Odd::Unusual)
}
