//! Sieves for Python: many lines in one call, the GIL released.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use whence_core::sieve::{self, Mark};

/// A filter's marks, asked of lines; see `whence.archive.sieve`.
#[pyclass(frozen)]
pub struct Sieve {
    /// On its own: it holds vectors that must lie at multiples of 32 bytes, where Python puts objects at multiples of 16.
    sieve: Box<sieve::Sieve>,
}

#[pymethods]
impl Sieve {
    /// Of a mark as tuples: `("text", bytes, folded)`, `("unless", bytes, tails)`, `("times", low, high)`, `("all", parts)` and
    /// `("any", parts)`; of the text that marks a projection, and the letters that become ASCII ones.
    #[new]
    fn new(mark: &Bound<'_, PyTuple>, projection: &[u8], letters: Vec<Vec<u8>>) -> PyResult<Self> {
        Ok(Sieve { sieve: Box::new(sieve::Sieve::new(mark_of(mark)?, projection, &letters)) })
    }

    /// Which lines may hold a match.
    fn kept(&self, py: Python<'_>, lines: Vec<Bound<'_, PyBytes>>) -> Vec<bool> {
        let data: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        py.detach(|| {
            let mut spare = Vec::new();
            data.iter().map(|line| self.sieve.keeps(line, &mut spare)).collect()
        })
    }

    /// The line with `null` in the place of records that cannot match; None where all of it stays.
    fn left<'py>(&self, py: Python<'py>, line: &[u8]) -> Option<Bound<'py, PyBytes>> {
        let left = py.detach(|| self.sieve.left(line))?;
        Some(PyBytes::new(py, &left))
    }
}

fn mark_of(mark: &Bound<'_, PyTuple>) -> PyResult<Mark> {
    let kind: String = mark.get_item(0)?.extract()?;
    let parts = || -> PyResult<Vec<Mark>> {
        let parts: Vec<Bound<'_, PyTuple>> = mark.get_item(1)?.extract()?;
        parts.iter().map(mark_of).collect()
    };
    match kind.as_str() {
        "text" => Ok(Mark::text(mark.get_item(1)?.extract()?, mark.get_item(2)?.extract()?)),
        "unless" => Ok(Mark::unless(mark.get_item(1)?.extract()?, mark.get_item(2)?.extract()?)),
        "times" => Ok(Mark::Times(mark.get_item(1)?.extract()?, mark.get_item(2)?.extract()?)),
        "all" => Ok(Mark::All(parts()?)),
        "any" => Ok(Mark::AnyOf(parts()?)),
        _ => Err(PyValueError::new_err(format!("no mark is called {kind:?}"))),
    }
}
