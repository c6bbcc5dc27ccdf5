//! The attributes of a record: what each is called, means and holds, and their plain JSON text as the Python core writes it.
//!
//! The law: of two with the same key there is no saying; they are refused.

use std::borrow::Cow;
use std::ops::Range;

use crate::any_value::{DEPTH, any_value, differ, pair, put_meant, put_text, put_truth, signed};
use crate::json::{Json, Number};
use crate::names::{Names, Role};
use crate::text::{put_double, put_number};
use crate::wire::Stop;

pub type Text<'a> = Cow<'a, [u8]>;

/// A plain value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Truth(bool),
    Whole(i64),
    Double(f64),
    Text(Text<'a>),
    /// A list or map as JSON text, by its place in `Values::text`.
    Nested(Range<usize>),
}

/// One attribute.
#[derive(Clone, Debug)]
pub struct Attribute<'a> {
    pub key: Text<'a>,
    pub value: Value<'a>,
    pub role: Role,
    /// Whether it has become a field, and is no attribute any more.
    pub is_gone: bool,
}

/// The attributes of the record that is read, those of its links and span events among them.
pub struct Values<'a> {
    names: &'a Names,
    pub all: Vec<Attribute<'a>>,
    /// The JSON texts of lists and maps, one behind the other.
    pub text: Vec<u8>,
    /// Those of the maps that are under way.
    pub keys: Vec<Text<'a>>,
}

impl<'a> Values<'a> {
    pub fn new(names: &'a Names) -> Self {
        Values { names, all: Vec::new(), text: Vec::new(), keys: Vec::new() }
    }

    pub fn clear(&mut self) {
        self.all.clear();
        self.text.clear();
        self.keys.clear();
    }

    #[inline]
    pub fn push(&mut self, key: Text<'a>, value: Value<'a>) {
        let role = self.names.role(&key);
        self.all.push(Attribute { key, value, role, is_gone: false });
    }

    /// Takes a list of keys and values, or null; says where they are now.
    pub fn attributes(&mut self, from: &mut Json<'a>) -> Result<Range<usize>, Stop> {
        let start = self.all.len();
        if !from.null()? {
            from.expect(b'[')?;
            let mut first = true;
            while from.more(&mut first, b']')? {
                let mut value = Value::Null;
                let key = pair(from, |from| {
                    value = any_value(&mut self.text, &mut self.keys, from)?;
                    Ok(())
                })?;
                self.push(key, value);
            }
            if !differ(&self.all[start..], |attribute| &attribute.key) {
                return Err(Stop::Corrupt);
            }
        }
        Ok(start..self.all.len())
    }

    /// Takes an AnyValue or null.
    pub fn value(&mut self, from: &mut Json<'a>) -> Result<Value<'a>, Stop> {
        if from.null()? { Ok(Value::Null) } else { any_value(&mut self.text, &mut self.keys, from) }
    }

    /// Takes the value that JSON text in an attribute is. Err(Corrupt) for AnyValues in it too.
    pub fn meant(&mut self, text: &[u8]) -> Result<Value<'a>, Stop> {
        let mut from = Json::new(text)?;
        let start = self.text.len();
        let found = match from.peek() {
            b'{' | b'[' => {
                put_meant(&mut self.text, &mut from, DEPTH)?;
                Value::Nested(start..self.text.len())
            }
            b'"' => Value::Text(Cow::Owned(from.text()?.into_owned())),
            b'n' => from.null().map(|_| Value::Null)?,
            b't' | b'f' => Value::Truth(from.truth()?),
            _ => match from.number()? {
                Number::Double(number) => Value::Double(number),
                Number::Whole(negative, size) => Value::Whole(signed(negative, size)?),
            },
        };
        from.end()?;
        Ok(found)
    }

    /// The texts of a list of nothing else. Err(Corrupt) for any other value.
    pub fn texts_in(&self, place: &Range<usize>) -> Result<Vec<Vec<u8>>, Stop> {
        let mut from = Json::new(&self.text[place.clone()])?;
        let (mut found, mut first) = (Vec::new(), true);
        from.expect(b'[')?;
        while from.more(&mut first, b']')? {
            found.push(from.text()?.into_owned());
        }
        Ok(found)
    }

    /// The value of the attribute of a role among some.
    pub fn find(&self, range: &Range<usize>, role: Role) -> Option<&Value<'a>> {
        self.all[range.clone()].iter().find(|attribute| attribute.role == role).map(|attribute| &attribute.value)
    }

    pub fn has(&self, range: &Range<usize>, role: Role) -> bool {
        self.find(range, role).is_some()
    }

    /// The same, which is then no attribute any more.
    pub fn taken(&mut self, range: &Range<usize>, role: Role) -> Option<Value<'a>> {
        let found = self.all[range.clone()].iter_mut().find(|attribute| attribute.role == role)?;
        found.is_gone = true;
        Some(std::mem::replace(&mut found.value, Value::Null))
    }

    /// Puts the value that an attribute's text says as JSON in its place. Err(Corrupt) where it is no text.
    pub fn read_text(&mut self, range: &Range<usize>, key: &[u8]) -> Result<(), Stop> {
        let is_it = |attribute: &Attribute| !attribute.is_gone && *attribute.key == *key;
        let Some(place) = self.all[range.clone()].iter().position(is_it) else { return Ok(()) };
        let at = range.start + place;
        let Value::Text(text) = std::mem::replace(&mut self.all[at].value, Value::Null) else {
            return Err(Stop::Corrupt);
        };
        self.all[at].value = self.meant(&text)?;
        Ok(())
    }

    /// Whether a value is a map.
    pub fn is_map(&self, value: &Value) -> bool {
        matches!(value, Value::Nested(place) if self.text[place.start] == b'{')
    }

    /// Puts a value as JSON text.
    #[inline]
    pub fn put(&self, out: &mut Vec<u8>, value: &Value) -> Result<(), Stop> {
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Truth(said) => put_truth(out, *said),
            Value::Whole(number) => put_number(out, *number),
            Value::Double(number) => put_double(out, *number),
            Value::Text(text) => put_text(out, text)?,
            Value::Nested(place) => out.extend_from_slice(&self.text[place.clone()]),
        }
        Ok(())
    }

    /// Puts attributes that are no fields as a JSON object; of none, nothing.
    pub fn put_map(&self, out: &mut Vec<u8>, parts: [&[Attribute<'a>]; 2]) -> Result<(), Stop> {
        let mut before = b'{';
        for attribute in parts.into_iter().flatten().filter(|attribute| !attribute.is_gone) {
            out.push(before);
            put_text(out, &attribute.key)?;
            out.push(b':');
            self.put(out, &attribute.value)?;
            before = b',';
        }
        if before == b',' {
            out.push(b'}');
        }
        Ok(())
    }

    /// Puts what Python's `str` makes of a value. Err(Corrupt) where that is another thing than its JSON text.
    pub fn put_str(&self, out: &mut Vec<u8>, value: &Value) -> Result<(), Stop> {
        match value {
            Value::Whole(number) => put_number(out, *number),
            Value::Text(text) => out.extend_from_slice(text),
            _ => return Err(Stop::Corrupt),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::tests::names;

    fn map_of(text: &str) -> Result<String, Stop> {
        let names = names();
        let mut values = Values::new(&names);
        let mut from = Json::new(text.as_bytes())?;
        let place = values.attributes(&mut from)?;
        from.end()?;
        let mut out = Vec::new();
        values.put_map(&mut out, [&values.all[place], &[]])?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn attributes_are_plain_json() {
        assert_eq!(map_of("null").as_deref(), Ok(""));
        assert_eq!(map_of("[]").as_deref(), Ok(""));
        assert_eq!(
            map_of(
                r#"[{"key":"a","value":{"stringValue":"x\n\/"}},{"key":"b","value":{"intValue":"-5"}},{"key":"c"},
                {"key":"d","value":{"doubleValue":1}},{"value":null},{"key":"e","value":{"kvlistValue":{"values":[
                {"key":"f","value":{"arrayValue":{"values":[{"boolValue":true},{},null,{"arrayValue":{}}]}}}]}}}]"#
            )
            .as_deref(),
            Ok(r#"{"a":"x\n/","b":-5,"c":null,"d":1.0,"":null,"e":{"f":[true,null,null,[]]}}"#)
        );
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        for doubtful in [
            "{}",
            "[null]",
            r#"[{"key":1}]"#,
            r#"[{"key":"a"},{"key":"a"}]"#,
            r#"[{"value":{"intValue":"1"},"key":"a"}]"#,
            r#"[{"key":"a","value":{"intValue":"1","stringValue":"b"}}]"#,
            r#"[{"key":"a","value":{"bytesValue":"AA=="}}]"#,
            r#"[{"key":"a","value":{"doubleValue":"NaN"}}]"#,
            r#"[{"key":"a","value":{"intValue":"9223372036854775808"}}]"#,
            r#"[{"key":"a","value":{"intValue":" 1"}}]"#,
            r#"[{"key":"a","value":{"kvlistValue":{"values":[{"key":"b"},{"key":"b"}]}}}]"#,
        ] {
            assert_eq!(map_of(doubtful), Err(Stop::Corrupt), "{doubtful}");
        }
        let many: Vec<String> = (0..100).map(|n| format!("{{\"key\":\"k{}\"}}", n % 99)).collect();
        assert_eq!(map_of(&format!("[{}]", many[..99].join(","))).map(|text| text.len()), Ok(90 + 890 + 100));
        assert_eq!(map_of(&format!("[{}]", many.join(","))), Err(Stop::Corrupt));
    }

    #[test]
    fn text_that_is_json_is_what_it_says() {
        let names = names();
        let mut values = Values::new(&names);
        let mut said = |text: &str| {
            let value = values.meant(text.as_bytes())?;
            let mut out = Vec::new();
            values.put(&mut out, &value).map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(
            said(r#" {"a" : [1, 2.50, "x\u0041", {}, [] , null]} "#).as_deref(),
            Ok(r#"{"a":[1,2.5,"xA",{},[],null]}"#)
        );
        assert_eq!(said("\"x\"").as_deref(), Ok("\"x\""));
        for doubtful in ["", "{", r#"{"intValue":"1"}"#, r#"{"a":1,"a":2}"#, "18446744073709551615", "1 2"] {
            assert_eq!(said(doubtful), Err(Stop::Corrupt), "{doubtful}");
        }
    }
}
