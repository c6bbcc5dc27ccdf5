//! whence's native core for Python: bytes in, bytes out, and the GIL released between.
//!
//! The law: nothing here decides or says anything; what is refused is refused without words, and the caller asks the Python
//! core, which has them.
#![deny(unsafe_code)]

mod batch;
mod columns;
mod objects;
mod records;
mod sieve;

use std::cell::Cell;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use whence_core::schema::{Levels, Schema};
use whence_core::sheet::{Limits, Lines, Reason};
use whence_core::wire::Stop;
use whence_core::wired::Shapes;
use whence_core::{lines, make, sheet, tree};

pyo3::create_exception!(_native, Refused, pyo3::exceptions::PyException, "What the native core does not take.");

thread_local! {
    /// Memory that the last request of this thread was written in: new pages for each would cost more than the writing.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes that a thread keeps between requests.
const KEPT: usize = 16 << 20;

fn with_spare<T>(work: impl FnOnce(Vec<u8>) -> T) -> T {
    let mut spare = SPARE.take();
    spare.clear();
    work(spare)
}

fn give_back(used: Vec<u8>) {
    if used.capacity() <= KEPT {
        SPARE.set(used);
    }
}

fn refused(_: Stop) -> PyErr {
    Refused::new_err(())
}

type Line<'py> = (Bound<'py, PyBytes>, i64, u64, u64);
type Rejected = Vec<(&'static str, u64)>;

/// OTLP's messages as they are installed, and what is made of them.
#[pyclass(frozen)]
struct Codec {
    schema: Schema,
    shapes: Option<Shapes>,
}

impl Codec {
    fn levels(&self, signal: &str) -> PyResult<&Levels> {
        self.schema.levels(signal).ok_or_else(|| PyValueError::new_err(format!("no signal is called {signal:?}")))
    }
}

#[pymethods]
impl Codec {
    /// Of a schema in words; see `whence.otlp.from_native`.
    #[new]
    fn new(schema: &str) -> PyResult<Self> {
        let schema = Schema::parse(schema).map_err(PyValueError::new_err)?;
        Ok(Codec { shapes: Shapes::of(&schema), schema })
    }

    /// Lines of a request, each with its records and times, and how many records were rejected for which reason.
    fn lines_of_protobuf<'py>(
        &self, py: Python<'py>, signal: &str, data: &[u8], line_bytes: i64, records_per_line: i64, depth: i64,
    ) -> PyResult<(Vec<Line<'py>>, Rejected)> {
        let levels = self.levels(signal)?;
        let limits = Limits { line_bytes, records_per_line, depth };
        let made = py.detach(|| with_spare(|out| lines::lines_of_protobuf(&self.schema, levels, data, limits, out)));
        Ok(given(py, made.map_err(refused)?))
    }

    /// A request as JSON text.
    fn text_of_protobuf<'py>(&self, py: Python<'py>, signal: &str, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let levels = self.levels(signal)?;
        let made = py.detach(|| with_spare(|out| lines::text_of_protobuf(&self.schema, levels, data, out)));
        Ok(bytes_of(py, made.map_err(refused)?))
    }

    /// Lines of a request in JSON, as of the same request in protobuf.
    fn lines_of_json<'py>(
        &self, py: Python<'py>, signal: &str, data: &[u8], line_bytes: i64, records_per_line: i64, depth: i64,
    ) -> PyResult<(Vec<Line<'py>>, Rejected)> {
        let levels = self.levels(signal)?;
        let limits = Limits { line_bytes, records_per_line, depth };
        let made = py.detach(|| {
            let mut request = Vec::with_capacity(data.len() / 2);
            make::protobuf_of_json(&self.schema, levels, data, &mut request)?;
            with_spare(|out| lines::lines_of_protobuf(&self.schema, levels, &request, limits, out))
        });
        Ok(given(py, made.map_err(refused)?))
    }

    /// Lines of a canonical tree's text, each record as it stands in it.
    fn lines_of_text<'py>(
        &self, py: Python<'py>, signal: &str, data: &[u8], line_bytes: i64, records_per_line: i64, depth: i64,
    ) -> PyResult<(Vec<Line<'py>>, Rejected)> {
        let levels = self.levels(signal)?;
        let limits = Limits { line_bytes, records_per_line, depth };
        let made = py.detach(|| with_spare(|out| tree::lines_of_text(&self.schema, levels, data, limits, out)));
        Ok(given(py, made.map_err(refused)?))
    }

    /// A request in JSON as canonical JSON text.
    fn text_of_json<'py>(&self, py: Python<'py>, signal: &str, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let levels = self.levels(signal)?;
        let made = py.detach(|| {
            let mut request = Vec::with_capacity(data.len() / 2);
            make::protobuf_of_json(&self.schema, levels, data, &mut request)?;
            with_spare(|out| lines::text_of_protobuf(&self.schema, levels, &request, out))
        });
        Ok(bytes_of(py, made.map_err(refused)?))
    }

    /// A request in JSON as protobuf.
    fn protobuf_of_json<'py>(&self, py: Python<'py>, signal: &str, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let levels = self.levels(signal)?;
        let made = py.detach(|| {
            with_spare(|mut out| make::protobuf_of_json(&self.schema, levels, data, &mut out).map(|()| out))
        });
        Ok(bytes_of(py, made.map_err(refused)?))
    }

    /// A canonical tree's text as protobuf.
    fn protobuf_of_text<'py>(&self, py: Python<'py>, signal: &str, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let levels = self.levels(signal)?;
        let made = py.detach(|| {
            with_spare(|mut out| make::protobuf_of_text(&self.schema, levels, data, &mut out).map(|()| out))
        });
        Ok(bytes_of(py, made.map_err(refused)?))
    }

    /// Lines of an archive as one request.
    fn protobuf_of_lines<'py>(
        &self, py: Python<'py>, signal: &str, lines: Vec<Bound<'py, PyBytes>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let levels = self.levels(signal)?;
        let data: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let made = py.detach(|| {
            with_spare(|mut out| make::protobuf_of_lines(&self.schema, levels, &data, &mut out).map(|()| out))
        });
        Ok(bytes_of(py, made.map_err(refused)?))
    }

    /// How many records a request in JSON holds.
    fn count_of_json(&self, py: Python<'_>, signal: &str, data: &[u8]) -> PyResult<u64> {
        let levels = self.levels(signal)?;
        py.detach(|| make::count_of_json(&self.schema, levels, data)).map_err(refused)
    }

    /// How many records a request holds.
    fn count_of_protobuf(&self, py: Python<'_>, signal: &str, data: &[u8]) -> PyResult<u64> {
        let levels = self.levels(signal)?;
        py.detach(|| lines::count_of_protobuf(&self.schema, levels, data)).map_err(refused)
    }
}

fn bytes_of(py: Python<'_>, made: Vec<u8>) -> Bound<'_, PyBytes> {
    let bytes = PyBytes::new(py, &made);
    give_back(made);
    bytes
}

fn given(py: Python<'_>, made: Lines) -> (Vec<Line<'_>>, Rejected) {
    let rejected = made.rejected.iter().map(|&(reason, count)| (name(reason), count)).collect();
    (lines_of(py, made.data, &made.lines), rejected)
}

fn lines_of<'py>(py: Python<'py>, made: Vec<u8>, lines: &[sheet::Line]) -> Vec<Line<'py>> {
    let mut start = 0;
    let mut found = Vec::with_capacity(lines.len());
    for line in lines {
        let data = PyBytes::new(py, &made[start..line.end]);
        found.push((data, line.records, line.first, line.last));
        start = line.end;
    }
    give_back(made);
    found
}

/// The name of a reason in `whence.otlp.reasons`.
fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::Deep => "DEEP",
        Reason::TraceId => "TRACE_ID",
        Reason::SpanId => "SPAN_ID",
        Reason::ParentId => "PARENT_ID",
        Reason::Link => "LINK",
        Reason::Exemplar => "EXEMPLAR",
    }
}

#[pymodule]
mod _native {
    /// Raised whenever what Python calls here changes; `whence.native` takes no other.
    #[pymodule_export]
    const EDITION: u32 = 4;
    #[pymodule_export]
    use super::columns::Columns;
    #[pymodule_export]
    use super::sieve::Sieve;
    #[pymodule_export]
    use super::{Codec, Refused};
    #[pymodule_export]
    use crate::batch::Encoder;

    /// What PyO3 makes under a lock when it is first asked for is made now, before any thread can fork in the midst of it.
    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        pyo3::Python::initialize();
        module.py().get_type::<pyo3::panic::PanicException>();
        Ok(())
    }
}
