//! Archive lines to the columns of an index, for Python: buffers as Arrow has them, one bytes object each.

use std::cell::Cell;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use whence_core::columns::{self, Buffers};
use whence_core::events::{Made, columns_of_lines};
use whence_core::filling::Filling;
use whence_core::lines;
use whence_core::make::protobuf_of_json;
use whence_core::names::Names;
use whence_core::sheet::Limits;
use whence_core::terms;

use crate::{Codec, KEPT, Line, Rejected, given, refused, with_spare};

thread_local! {
    /// Memory that the columns of this thread's last request were in.
    static ROWS: Cell<columns::Columns> = Cell::default();
}

/// What attributes mean for an event, and what is made of lines with it.
#[pyclass(frozen)]
pub struct Columns {
    names: Names,
}

/// Buffers by the names of columns, how many rows, how many lines were read, and each line that was refused with the number of
/// rows before it.
type Given<'py> = (Bound<'py, PyDict>, usize, usize, Vec<(usize, usize)>);

#[pymethods]
impl Columns {
    /// Of names in words; see `whence.index.lines`.
    #[new]
    fn new(names: &str) -> PyResult<Self> {
        Ok(Columns { names: Names::parse(names).map_err(PyValueError::new_err)? })
    }

    /// The columns of lines of one segment; once there are `enough` rows, no further line is begun.
    fn of_lines<'py>(
        &self, py: Python<'py>, stem: &str, offsets: Vec<i64>, lines: Vec<Bound<'py, PyBytes>>, enough: usize,
    ) -> PyResult<Given<'py>> {
        let data: Vec<(i64, &[u8])> = offsets.into_iter().zip(lines.iter().map(|line| line.as_bytes())).collect();
        let made = py.detach(|| columns_of_lines(&self.names, stem.as_bytes(), &data, enough));
        Ok(columns(py, made)?.0)
    }

    /// The lines of a request in protobuf or, with `is_json`, in JSON, as `Codec` gives them, and their columns: as of lines of
    /// which the first is to stand at `offset`, the others behind it.
    #[allow(clippy::too_many_arguments)]
    fn of_request<'py>(
        &self, py: Python<'py>, codec: &Codec, signal: &str, data: &[u8], is_json: bool, limits: (i64, i64, i64),
        stem: &str, offset: i64,
    ) -> PyResult<((Vec<Line<'py>>, Rejected), Given<'py>)> {
        let levels = codec.levels(signal)?;
        let limits = Limits { line_bytes: limits.0, records_per_line: limits.1, depth: limits.2 };
        let (lines, made) = py
            .detach(|| {
                let mut request = Vec::new();
                let data = if is_json {
                    protobuf_of_json(&codec.schema, levels, data, &mut request)?;
                    &request[..]
                } else {
                    data
                };
                let filling = Filling::new(codec.shapes.as_ref(), &self.names, stem.as_bytes(), offset, ROWS.take());
                with_spare(|out| lines::lines_and_rows(&codec.schema, levels, data, limits, out, filling))
            })
            .map_err(refused)?;
        let (found, used) = columns(py, made)?;
        if used.room() <= KEPT {
            ROWS.set(used);
        }
        Ok((given(py, lines), found))
    }

    /// The words of columns of text, each given by its ends and its bytes; and the texts whose words are Python's to find.
    #[staticmethod]
    fn words<'py>(
        py: Python<'py>, texts: Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let data: Vec<terms::Texts> = texts.iter().map(|(ends, data)| (ends.as_bytes(), data.as_bytes())).collect();
        let (words, rest) = py.detach(|| terms::words(&data)).map_err(refused)?;
        Ok((PyBytes::new(py, &words), PyBytes::new(py, &rest)))
    }

    /// The keys of a column's texts, 64 bits each.
    #[staticmethod]
    fn keys<'py>(py: Python<'py>, column: &str, ends: &[u8], data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let keys = py.detach(|| terms::keys(column, (ends, data))).map_err(refused)?;
        Ok(PyBytes::new(py, &keys))
    }
}

/// What was made, and the memory that it was in.
fn columns<'py>(py: Python<'py>, made: Made) -> PyResult<(Given<'py>, columns::Columns)> {
    let rows = made.columns.rows();
    let found = PyDict::new(py);
    let buffers = made.columns.buffers();
    for (name, buffers) in &buffers {
        found.set_item(name, tuple(py, buffers)?)?;
    }
    Ok(((found, rows, made.lines, made.refused), columns::Columns::again(buffers)))
}

fn tuple<'py>(py: Python<'py>, buffers: &Buffers) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, buffers.iter().map(|buffer| buffer.as_ref().map(|bytes| PyBytes::new(py, bytes))))
}
