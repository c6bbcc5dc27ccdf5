//! OTLP's messages as tables, read from the text that is made of the installed descriptors.
//!
//! The law: no field is written down here by hand, but for those few that a record is checked and sorted by.

use std::collections::HashMap;

/// Protobuf's types, and one of ours: `Id` is bytes that JSON has in hex.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Double,
    Int64,
    Uint64,
    Int32,
    Fixed64,
    Fixed32,
    Bool,
    Text,
    Message,
    Bytes,
    Id,
    Uint32,
    Enum,
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
}

impl Kind {
    fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "double" => Kind::Double,
            "int64" => Kind::Int64,
            "uint64" => Kind::Uint64,
            "int32" => Kind::Int32,
            "fixed64" => Kind::Fixed64,
            "fixed32" => Kind::Fixed32,
            "bool" => Kind::Bool,
            "string" => Kind::Text,
            "message" | "pair" => Kind::Message,
            "bytes" => Kind::Bytes,
            "id" => Kind::Id,
            "uint32" => Kind::Uint32,
            "enum" => Kind::Enum,
            "sfixed32" => Kind::Sfixed32,
            "sfixed64" => Kind::Sfixed64,
            "sint32" => Kind::Sint32,
            "sint64" => Kind::Sint64,
            _ => return None,
        })
    }

    /// The wire type that a single value has.
    pub fn wire(self) -> u8 {
        match self {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
            Kind::Fixed32 | Kind::Sfixed32 => 5,
            Kind::Text | Kind::Message | Kind::Bytes | Kind::Id => 2,
            _ => 0,
        }
    }
}

/// What a field tells about the record that it is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    None,
    Trace,
    Span,
    Parent,
    /// The ids of a link or an exemplar.
    InnerTrace,
    InnerSpan,
    Time,
    Observed,
}

fn role(message: &str, field: &str) -> Role {
    let point = message.starts_with("metrics_v1_") && message.ends_with("DataPoint");
    match (message, field) {
        ("trace_v1_Span" | "logs_v1_LogRecord", "trace_id") => Role::Trace,
        ("trace_v1_Span" | "logs_v1_LogRecord", "span_id") => Role::Span,
        ("trace_v1_Span", "parent_span_id") => Role::Parent,
        ("trace_v1_Span_Link" | "metrics_v1_Exemplar", "trace_id") => Role::InnerTrace,
        ("trace_v1_Span_Link" | "metrics_v1_Exemplar", "span_id") => Role::InnerSpan,
        ("trace_v1_Span", "start_time_unix_nano") => Role::Time,
        ("logs_v1_LogRecord", "time_unix_nano") => Role::Time,
        ("logs_v1_LogRecord", "observed_time_unix_nano") => Role::Observed,
        (_, "time_unix_nano") if point => Role::Time,
        _ => Role::None,
    }
}

/// One field of a message.
pub struct Field {
    pub number: u32,
    pub json: String,
    pub kind: Kind,
    /// The wire type of a single value.
    pub wire: u8,
    pub repeated: bool,
    /// Whether a field that holds its default is another thing than an absent one.
    pub presence: bool,
    /// The number of its oneof in the message, from 1 on; 0 for none.
    pub oneof: usize,
    /// Which message it holds, where it holds messages.
    pub of: usize,
    /// Whether it holds attributes, each of which is read by itself, as the Python core reads them.
    pub apart: bool,
    /// `,"name":`
    pub key: Key,
    /// What stands before a value on the wire, and before a run of them.
    pub tag: Vec<u8>,
    pub packed_tag: Vec<u8>,
    pub role: Role,
}

/// `,"name":`, in room that is copied faster than just the name would be.
pub struct Key {
    text: Vec<u8>,
    wide: [u8; WIDE],
}

const WIDE: usize = 32;

impl Key {
    fn of(json: &str) -> Key {
        let text = format!(",\"{json}\":").into_bytes();
        let mut wide = [0; WIDE];
        wide.iter_mut().zip(&text).for_each(|(to, &byte)| *to = byte);
        Key { text, wide }
    }

    /// `"name":`
    #[inline]
    pub fn quoted(&self) -> &[u8] {
        &self.text[1..]
    }

    #[inline]
    pub fn put(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.text.len();
        if self.text.len() <= WIDE {
            out.extend_from_slice(&self.wide);
            out.truncate(end);
        } else {
            out.extend_from_slice(&self.text);
        }
    }
}

impl Field {
    /// Whether several values may stand in one run of bytes.
    pub fn can_be_packed(&self) -> bool {
        self.repeated && self.wire != 2
    }

    /// Whether this wire type is one that the field may have; any other is an unknown field.
    pub fn takes(&self, wire: u8) -> bool {
        wire == self.wire || (wire == 2 && self.can_be_packed())
    }
}

/// One type of message.
pub struct Message {
    pub name: String,
    /// By number.
    pub fields: Vec<Field>,
    pub oneofs: usize,
    /// Whether it is one of its fields: AnyValue.
    pub choice: bool,
    /// The place of a field by what stands before it on the wire, its number and a wire type that it may have; plus one.
    index: Vec<u8>,
}

impl Message {
    /// The place of the field that stands behind this key on the wire. None for a field that is unknown, or of another wire type.
    #[inline]
    pub fn place(&self, key: u32) -> Option<usize> {
        usize::from(self.index.get(key as usize).copied().unwrap_or(0)).checked_sub(1)
    }

    /// The field that stands behind this key on the wire, as `place`.
    #[inline]
    pub fn taking(&self, key: u32) -> Option<&Field> {
        self.fields.get(self.place(key)?)
    }

    /// The place of the field of this name in JSON, looked for from a place on.
    #[inline]
    pub fn named_from(&self, json: &[u8], next: usize) -> Option<usize> {
        let is_it = |&place: &usize| self.fields[place].json.as_bytes() == json;
        (next..self.fields.len()).find(is_it).or_else(|| (0..next.min(self.fields.len())).find(is_it))
    }

    /// The place of the field that holds the next level: the first one of several messages.
    pub fn holding(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.repeated && field.kind == Kind::Message)
    }
}

/// What holds the records of a signal: messages from the outside in, and the place of each one's field for the next.
pub struct Levels {
    pub data: usize,
    pub resource: usize,
    pub scope: usize,
    pub record: usize,
    pub resources: usize,
    pub scopes: usize,
    pub records: usize,
    /// Whether a record is a metric, whose points are counted.
    pub metrics: bool,
}

/// All of it.
pub struct Schema {
    pub messages: Vec<Message>,
    pub logs: Levels,
    pub traces: Levels,
    pub metrics: Levels,
    pub pair: usize,
}

const HIGHEST: u32 = 1000;

impl Schema {
    /// Reads lines of words: `message NAME`, then its fields as `field NUMBER NAME JSON KIND repeated presence ONEOF OF`, where
    /// the flags are 0 or 1 and `-` stands for nothing; at last `signal NAME MESSAGE`.
    pub fn parse(text: &str) -> Result<Schema, String> {
        let lines = || text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let names: HashMap<&str, usize> = lines()
            .filter_map(|words| match words[..] {
                ["message", name] => Some(text_at(text, name)),
                _ => None,
            })
            .enumerate()
            .map(|(number, name)| (name, number))
            .collect();
        let mut messages: Vec<Message> = Vec::new();
        let mut roots: HashMap<&str, usize> = HashMap::new();
        let unknown = |name: &str| format!("the schema has no message {name}");
        for words in lines() {
            match words[..] {
                ["message", name] => messages.push(Message {
                    name: name.to_owned(),
                    fields: Vec::new(),
                    oneofs: 0,
                    choice: false,
                    index: Vec::new(),
                }),
                ["field", ref rest @ ..] => {
                    let message = messages.last_mut().ok_or("a field outside of a message")?;
                    add(message, rest, &names).ok_or_else(|| format!("cannot read the field {rest:?}"))?;
                }
                ["signal", name, data] => {
                    roots.insert(name, *names.get(data).ok_or_else(|| unknown(data))?);
                }
                _ => return Err(format!("cannot read the line {words:?}")),
            }
        }
        for message in &mut messages {
            message.choice = !message.fields.is_empty() && message.fields.iter().all(|field| field.oneof > 0);
        }
        let levels = |name: &str| {
            roots
                .get(name)
                .and_then(|&data| levels(&messages, data, name == "metrics"))
                .ok_or_else(|| format!("the schema has no {name}"))
        };
        let (logs, traces, metrics) = (levels("logs")?, levels("traces")?, levels("metrics")?);
        let pair = *names.get("common_v1_KeyValue").ok_or_else(|| unknown("common_v1_KeyValue"))?;
        Ok(Schema { messages, logs, traces, metrics, pair })
    }

    /// The levels of a signal by its name.
    pub fn levels(&self, signal: &str) -> Option<&Levels> {
        match signal {
            "logs" => Some(&self.logs),
            "traces" => Some(&self.traces),
            "metrics" => Some(&self.metrics),
            _ => None,
        }
    }
}

fn text_at<'a>(text: &'a str, word: &str) -> &'a str {
    let at = word.as_ptr() as usize - text.as_ptr() as usize;
    &text[at..at + word.len()]
}

fn add(message: &mut Message, words: &[&str], names: &HashMap<&str, usize>) -> Option<()> {
    let [number, name, json, kind, repeated, presence, oneof, of] = *words else { return None };
    let number: u32 = number.parse().ok().filter(|number| (1..=HIGHEST).contains(number))?;
    let (repeated, pair, kind) = (repeated == "1", kind == "pair", Kind::named(kind)?);
    let of = if kind == Kind::Message { *names.get(of)? } else { 0 };
    message.oneofs = message.oneofs.max(if oneof == "-" { 0 } else { oneof.parse().ok()? });
    message.fields.push(Field {
        number,
        json: json.to_owned(),
        kind,
        wire: kind.wire(),
        repeated,
        presence: presence == "1",
        oneof: if oneof == "-" { 0 } else { oneof.parse().ok()? },
        of,
        apart: pair && repeated && message.name != "common_v1_KeyValueList",
        key: Key::of(json),
        tag: tag(number, kind.wire()),
        packed_tag: tag(number, 2),
        role: role(&message.name, name),
    });
    let place = u8::try_from(message.fields.len()).ok()?;
    let field = message.fields.last()?;
    message.index.resize(message.index.len().max(8 * number as usize + 8), 0);
    (0..8)
        .filter(|&wire| field.takes(wire))
        .for_each(|wire| message.index[8 * number as usize + usize::from(wire)] = place);
    Some(())
}

fn tag(number: u32, wire: u8) -> Vec<u8> {
    let mut left = number << 3 | u32::from(wire);
    let mut written = Vec::new();
    while left >= 128 {
        written.push(left as u8 | 128);
        left >>= 7;
    }
    written.push(left as u8);
    written
}

fn levels(messages: &[Message], data: usize, metrics: bool) -> Option<Levels> {
    let step = |from: usize| {
        let place = messages[from].holding()?;
        Some((place, messages[from].fields[place].of))
    };
    let (resources, resource) = step(data)?;
    let (scopes, scope) = step(resource)?;
    let (records, record) = step(scope)?;
    Some(Levels { data, resource, scope, record, resources, scopes, records, metrics })
}
