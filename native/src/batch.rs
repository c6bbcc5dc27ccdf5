//! A batch of OpenTelemetry's objects to lines of the archive, for the recorder.
//!
//! The law: a record that is `Odd` is the Python core's to write, and what that cannot write either is counted.

use std::collections::HashMap;
use std::rc::Rc;

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyType};
use whence_core::page::{Page, Part};
use whence_core::sheet::{Ends, Limits};

use crate::objects::{Exact, Names, Odd};
use crate::records::{Known, Records};
use crate::{Line, lines_of, with_spare};

/// Values inside each other that are looked into here: what is nested deeper is the Python core's.
const DEPTH: i64 = 64;

/// Records after which another thread that waits for the interpreter may have it: half a millisecond's work.
const TURN: usize = 256;

/// What became of a batch: its lines, and how many records could not be written, the last of these and why.
type Encoded<'py> = (Vec<Line<'py>>, u64, Option<(Bound<'py, PyAny>, PyErr)>);

/// Encodes logs or spans of the SDK. See `whence.otlp.from_objects_native`.
#[pyclass(frozen)]
pub struct Encoder {
    known: Known,
    frame: String,
    spans: bool,
    /// Of a record that is odd, and the depth it may have: its JSON and time. Raises what it meets.
    text: Py<PyAny>,
    /// Of a resource, of a scope: what stands before and behind it.
    resource: Py<PyAny>,
    scope: Py<PyAny>,
}

#[pymethods]
impl Encoder {
    #[new]
    #[pyo3(signature = (frame, *, text, resource, scope, attributes, flags, state, proxy, choice, projection))]
    #[allow(clippy::too_many_arguments)] // they are named
    fn new(
        frame: String, text: Py<PyAny>, resource: Py<PyAny>, scope: Py<PyAny>, attributes: Py<PyType>,
        flags: Py<PyType>, state: Py<PyType>, proxy: Py<PyType>, choice: Py<PyType>, projection: Bound<'_, PyString>,
    ) -> PyResult<Self> {
        let spans = match frame.as_str() {
            "resourceLogs" => false,
            "resourceSpans" => true,
            _ => return Err(PyValueError::new_err(format!("no records of {frame:?} are encoded"))),
        };
        let names = Names::new(projection.py());
        let projection = projection.unbind();
        let known = Known { attributes, flags, state, proxy, choice, projection, names };
        Ok(Encoder { known, frame, spans, text, resource, scope })
    }

    /// The lines of a batch of records, in their order.
    fn lines<'py>(
        &self, items: &Bound<'py, PyAny>, line_bytes: i64, records_per_line: i64, depth: i64,
    ) -> PyResult<Encoded<'py>> {
        let py = items.py();
        let limits = Limits { line_bytes, records_per_line, depth };
        let mut batch = Batch {
            encoder: self,
            depth,
            records: Records::new(py, &self.known, depth.clamp(0, DEPTH) as u32),
            page: with_spare(|out| Page::new(&self.frame, limits, out)),
            resources: HashMap::new(),
            scopes: HashMap::new(),
            out: Vec::new(),
        };
        let (mut failed, mut last) = (0, None);
        for (number, item) in items.try_iter()?.enumerate() {
            let item = item?;
            if number % TURN == TURN - 1 {
                py.detach(|| {});
            }
            match batch.add(&item) {
                Ok(()) => {}
                Err(fault) if !fault.is_instance_of::<PyException>(py) => return Err(fault),
                Err(fault) => (failed, last) = (failed + 1, Some((item, fault))),
            }
        }
        let (data, lines) = batch.page.finish();
        Ok((lines_of(py, data, &lines), failed, last))
    }
}

/// The parts that were met in a batch, by their object's place in memory, which it has for as long as it is held here.
type Met<'py> = HashMap<usize, (Bound<'py, PyAny>, Part)>;

struct Batch<'a, 'py> {
    encoder: &'a Encoder,
    depth: i64,
    records: Records<'a, 'py>,
    page: Page,
    resources: Met<'py>,
    scopes: Met<'py>,
    /// The record at hand.
    out: Vec<u8>,
}

impl<'py> Batch<'_, 'py> {
    fn add(&mut self, item: &Bound<'py, PyAny>) -> PyResult<()> {
        let (py, names) = (item.py(), &self.encoder.known.names);
        let time = match self.write(item) {
            Ok(time) => time,
            Err(Odd::Ended(fault)) => return Err(fault),
            Err(Odd::Unusual) => {
                let (data, time): (Bound<'py, PyBytes>, u64) =
                    self.encoder.text.bind(py).call1((item, self.depth))?.extract()?;
                self.out.clear();
                self.out.extend_from_slice(data.as_bytes());
                time
            }
        };
        let resource = part(&mut self.resources, item.getattr(names.resource.bind(py))?, &self.encoder.resource)?;
        let scope = part(&mut self.scopes, item.getattr(names.instrumentation_scope.bind(py))?, &self.encoder.scope)?;
        self.page.add(&resource, &scope, &self.out, time);
        Ok(())
    }

    fn write(&mut self, item: &Bound<'py, PyAny>) -> Exact<u64> {
        self.out.clear();
        if self.encoder.spans {
            self.records.put_span(&mut self.out, item)
        } else {
            self.records.put_log(&mut self.out, item)
        }
    }
}

fn part<'py>(met: &mut Met<'py>, of: Bound<'py, PyAny>, ends: &Py<PyAny>) -> PyResult<Part> {
    if let Some((_, part)) = met.get(&(of.as_ptr() as usize)) {
        return Ok(part.clone());
    }
    let (head, tail): (Vec<u8>, Vec<u8>) = ends.bind(of.py()).call1((&of,))?.extract()?;
    let part = Rc::new(Ends { head, tail });
    met.insert(of.as_ptr() as usize, (of, part.clone()));
    Ok(part)
}
