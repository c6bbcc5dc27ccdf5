//! Reading Python's objects: what of them is written as it is, straight into a buffer, and no other.
//!
//! The law: exact or not at all. Only the very types that are named here are read; whatever else an object is, does or raises
//! makes its record `Odd`, and the Python core writes that one. While a dict or list is walked no code of Python's runs.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use whence_core::text::{put_base64, put_double, put_signed_digits, put_string};

/// Python's texts of these names.
macro_rules! names {
    ($($name:ident)*) => {
        /// What objects are asked for by name. All made when an encoder is, which is when a program is imported: what is made at its
        /// first use is made under a lock, by a thread that lets go of the interpreter meanwhile, and where the program forks at
        /// that moment the child would wait for that thread for ever.
        pub struct Names { $(pub $name: Py<PyString>,)* }

        impl Names {
            pub fn new(py: Python<'_>) -> Self {
                Names { $($name: PyString::intern(py, stringify!($name)).unbind(),)* }
            }
        }
    };
}

names! {
    _dict attributes body context copy description dropped_attributes dropped_events dropped_links end_time event_name events
    instrumentation_scope is_remote kind links log_record name observed_timestamp parent resource severity_number severity_text
    span_id start_time status status_code timestamp to_header trace_flags trace_id trace_state value
}

/// Why a record is not written here.
pub enum Odd {
    /// It is none of the usual ones, or asking it raised an error.
    Unusual,
    /// Asking it raised what is no error and nobody may hold up: KeyboardInterrupt, SystemExit.
    Ended(PyErr),
}

pub type Exact<T> = Result<T, Odd>;

/// An error that asking an object raised.
pub fn raised(py: Python<'_>, fault: PyErr) -> Odd {
    if fault.is_instance_of::<PyException>(py) { Odd::Unusual } else { Odd::Ended(fault) }
}

/// An attribute of an object.
#[inline]
pub fn get<'py>(object: &Bound<'py, PyAny>, name: &Py<PyString>) -> Exact<Bound<'py, PyAny>> {
    object.getattr(name.bind(object.py())).map_err(|fault| raised(object.py(), fault))
}

/// A whole number of exactly Python's own type, not negative.
#[inline]
pub fn whole(value: &Bound<'_, PyAny>) -> Exact<u64> {
    value.cast_exact::<PyInt>().ok().and_then(|number| number.extract().ok()).ok_or(Odd::Unusual)
}

/// The same, of one that is small.
#[inline]
pub fn small(value: &Bound<'_, PyAny>) -> Exact<i64> {
    i64::try_from(whole(value)?).map_err(|_| Odd::Unusual)
}

/// As `whole`, or 0 for None.
#[inline]
pub fn whole_or_none(value: &Bound<'_, PyAny>) -> Exact<u64> {
    if value.is_none() { Ok(0) } else { whole(value) }
}

/// True or false.
#[inline]
pub fn truth(value: &Bound<'_, PyAny>) -> Exact<bool> {
    value.cast_exact::<PyBool>().map(|value| value.is_true()).map_err(|_| Odd::Unusual)
}

/// Whether a value is of exactly this type.
#[inline]
pub fn is_a<T>(value: &Bound<'_, PyAny>, kind: &Py<T>) -> bool {
    value.get_type_ptr().cast() == kind.as_ptr()
}

/// Characters beyond which a text is encoded apart: what Python is asked to encode in place it keeps as long as the text.
const LONG: usize = 4096;

/// Puts a JSON string of text.
#[inline]
pub fn put_text(out: &mut Vec<u8>, text: &Bound<'_, PyAny>) -> Exact<()> {
    let text = text.cast_exact::<PyString>().map_err(|_| Odd::Unusual)?;
    if text.len().map_err(|_| Odd::Unusual)? > LONG {
        let encoded = text.encode_utf8().map_err(|_| Odd::Unusual)?;
        return put_string(out, encoded.as_bytes()).map_err(|_| Odd::Unusual);
    }
    put_string(out, text.to_str().map_err(|_| Odd::Unusual)?.as_bytes()).map_err(|_| Odd::Unusual)
}

/// Puts `,"name":` and a JSON string, where there is text.
#[inline]
pub fn put_text_of(out: &mut Vec<u8>, name: &[u8], text: &Bound<'_, PyAny>) -> Exact<()> {
    if text.is_none() || text.cast_exact::<PyString>().is_ok_and(|text| text.is_empty().unwrap_or(false)) {
        return Ok(());
    }
    out.extend_from_slice(name);
    put_text(out, text)
}

/// Puts OTLP's list of keys and values, in order, without its brackets.
pub fn put_pairs(out: &mut Vec<u8>, values: &Bound<'_, PyDict>, depth: u32) -> Exact<()> {
    for (number, (key, value)) in values.iter().enumerate() {
        out.extend_from_slice(if number > 0 { b",{\"key\":" } else { b"{\"key\":" });
        put_text(out, &key)?;
        out.extend_from_slice(b",\"value\":");
        put_value(out, &value, depth)?;
        out.push(b'}');
    }
    Ok(())
}

/// Puts the JSON object of one AnyValue of at most `depth` levels.
pub fn put_value(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: u32) -> Exact<()> {
    if value.is_exact_instance_of::<PyString>() {
        out.extend_from_slice(b"{\"stringValue\":");
        put_text(out, value)?;
    } else if let Ok(number) = value.cast_exact::<PyInt>() {
        out.extend_from_slice(b"{\"intValue\":");
        put_signed_digits(out, number.extract::<i64>().map_err(|_| Odd::Unusual)?);
    } else if let Ok(truth) = value.cast_exact::<PyBool>() {
        out.extend_from_slice(if truth.is_true() { b"{\"boolValue\":true" } else { b"{\"boolValue\":false" });
    } else if let Ok(number) = value.cast_exact::<PyFloat>() {
        out.extend_from_slice(b"{\"doubleValue\":");
        put_float(out, number.value());
    } else if value.is_none() {
        out.push(b'{');
    } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        out.extend_from_slice(b"{\"bytesValue\":");
        put_base64(out, bytes.as_bytes());
    } else {
        put_values(out, value, depth)?;
    }
    out.push(b'}');
    Ok(())
}

/// Puts a number as Python's `repr` has it, or text for what is not finite.
fn put_float(out: &mut Vec<u8>, number: f64) {
    if number == 0.0 || number.abs() >= 1e-4 || number.is_nan() {
        return put_double(out, number);
    }
    let text = format!("{number:e}"); // where JSON's writer has zeros or a short exponent, Python has two digits at least
    let (digits, exponent) = text.split_once("e-").unwrap_or((&text, "0"));
    out.extend_from_slice(format!("{digits}e-{exponent:0>2}").as_bytes());
}

/// A list or a map, without the closing brace.
fn put_values(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: u32) -> Exact<()> {
    if depth <= 1 {
        return Err(Odd::Unusual);
    }
    if let Ok(values) = value.cast_exact::<PyDict>() {
        out.extend_from_slice(b"{\"kvlistValue\":{");
        if !values.is_empty() {
            out.extend_from_slice(b"\"values\":[");
            put_pairs(out, values, depth - 1)?;
            out.push(b']');
        }
    } else if let Ok(values) = value.cast_exact::<PyList>() {
        put_items(out, values.len(), values.iter(), depth)?;
    } else if let Ok(values) = value.cast_exact::<PyTuple>() {
        put_items(out, values.len(), values.iter(), depth)?;
    } else {
        return Err(Odd::Unusual);
    }
    out.push(b'}');
    Ok(())
}

fn put_items<'py>(
    out: &mut Vec<u8>, count: usize, items: impl Iterator<Item = Bound<'py, PyAny>>, depth: u32,
) -> Exact<()> {
    out.extend_from_slice(b"{\"arrayValue\":{");
    if count == 0 {
        return Ok(());
    }
    out.extend_from_slice(b"\"values\":[");
    for (number, item) in items.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        put_value(out, &item, depth - 1)?;
    }
    out.push(b']');
    Ok(())
}
