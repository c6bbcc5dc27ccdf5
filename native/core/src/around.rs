//! What surrounds records, resource and scope, as their events have it.
//!
//! The law: as the Python core's `decode`. What has a second reading is refused.

use crate::json::Json;
use crate::names::Role;
use crate::record::members;
use crate::text::put_string;
use crate::values::{Text, Value, Values};
use crate::wire::Stop;

/// What surrounds a record, and so holds for its event unless it says otherwise. Texts of JSON are empty where there is nothing.
#[derive(Default)]
pub struct Around {
    pub resource: Vec<u8>,
    pub process: Option<Vec<u8>>,
    pub run: Option<Vec<u8>>,
    pub scope: Vec<u8>,
    pub source: Option<Vec<u8>>,
}

/// What a scope or resource says of itself.
#[derive(Clone, Copy)]
enum Said {
    Name,
    Version,
    Attributes,
}

const RESOURCE: [(&[u8], Said); 1] = [(b"attributes", Said::Attributes)];
const SCOPE: [(&[u8], Said); 3] =
    [(b"name", Said::Name), (b"version", Said::Version), (b"attributes", Said::Attributes)];

impl Around {
    /// What comes next has no scope yet.
    pub fn clear_scope(&mut self) {
        self.scope.clear();
        self.source = None;
    }

    /// Takes a resource.
    pub fn resource<'a>(&mut self, values: &mut Values<'a>, from: &mut Json<'a>) -> Result<(), Stop> {
        values.clear();
        members(from, &RESOURCE, |_, from| values.attributes(from).map(drop))?;
        values.put_map(&mut self.resource, [&values.all, &[]])?;
        let text = |role: Role| -> Result<Option<Vec<u8>>, Stop> {
            let found = values.all.iter().find(|attribute| attribute.role == role).map(|attribute| &attribute.value);
            let Some(value) = found.filter(|value| **value != Value::Null) else { return Ok(None) };
            let mut text = Vec::new();
            values.put_str(&mut text, value)?;
            Ok(Some(text))
        };
        self.run = match text(Role::RUN)? {
            None => text(Role::SERVICE_NAME)?,
            run => run,
        };
        self.process = match (text(Role::SERVICE_INSTANCE)?, text(Role::PROCESS_PID)?) {
            (Some(instance), _) => Some(json_list(&[&instance])?),
            (None, Some(pid)) => Some(json_list(&[&text(Role::HOST_NAME)?.unwrap_or(b"None".to_vec()), &pid])?),
            (None, None) => None,
        };
        Ok(())
    }

    /// Takes a scope.
    pub fn scope<'a>(&mut self, values: &mut Values<'a>, from: &mut Json<'a>) -> Result<(), Stop> {
        values.clear();
        let (mut name, mut version) = (Text::default(), Text::default());
        members(from, &SCOPE, |said, from| {
            match said {
                Said::Name => name = from.text()?,
                Said::Version => version = from.text()?,
                Said::Attributes => {
                    values.attributes(from)?;
                }
            }
            Ok(())
        })?;
        let Around { scope, source, .. } = self;
        let mut before = b'{';
        for (key, text) in [(&b"\"name\":"[..], &name), (b"\"version\":", &version)] {
            if !text.is_empty() {
                scope.push(before);
                scope.extend_from_slice(key);
                put_string(scope, text)?;
                before = b',';
            }
        }
        if !values.all.is_empty() {
            scope.push(before);
            scope.extend_from_slice(b"\"attributes\":");
            values.put_map(scope, [&values.all, &[]])?;
        }
        if !scope.is_empty() {
            scope.push(b'}');
        }
        *source = Some(name.into_owned()).filter(|name| !name.is_empty());
        Ok(())
    }
}

/// A list of texts as Python's `json.dumps` writes it.
fn json_list(texts: &[&[u8]]) -> Result<Vec<u8>, Stop> {
    let mut out = vec![b'['];
    for (n, text) in texts.iter().enumerate() {
        let text = std::str::from_utf8(text).map_err(|_| Stop::Corrupt)?;
        out.extend_from_slice(if n > 0 { b", \"" } else { b"\"" });
        for unit in text.encode_utf16() {
            match unit {
                0x22 | 0x5c => out.extend_from_slice(&[b'\\', unit as u8]),
                0x20..0x7f => out.push(unit as u8),
                8 => out.extend_from_slice(b"\\b"),
                9 => out.extend_from_slice(b"\\t"),
                10 => out.extend_from_slice(b"\\n"),
                12 => out.extend_from_slice(b"\\f"),
                13 => out.extend_from_slice(b"\\r"),
                _ => out.extend_from_slice(format!("\\u{unit:04x}").as_bytes()),
            }
        }
        out.push(b'"');
    }
    out.push(b']');
    Ok(out)
}
