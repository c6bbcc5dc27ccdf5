//! What is asked of the codec about one input, and what must hold of its answers; its lines go on to be asked themselves.

use whence_core::json::Json;
use whence_core::schema::{Levels, Schema};
use whence_core::sheet::{Limits, Lines};
use whence_core::{lines, make, tree};

use super::{Input, Outcome, Tables, columns, sieve};

pub fn run(tables: &Tables, input: &Input, variant: u64) -> Outcome {
    let schema = &tables.schema;
    let levels = schema.levels(input.signal).expect("a signal");
    let limits = Limits {
        line_bytes: [1, 700, 1 << 20][variant as usize % 3],
        records_per_line: [1, 2, 128][(variant >> 8) as usize % 3],
        depth: [1, 3, 32][(variant >> 16) as usize % 3],
    };
    sieve::of_line(&input.data, variant);
    if !input.json {
        return binary(tables, levels, &input.data, limits, variant);
    }
    let counted = make::count_of_json(schema, levels, &input.data);
    let (mut request, mut of_lines) = (Vec::new(), Vec::new());
    let made = make::protobuf_of_json(schema, levels, &input.data, &mut request);
    let lines = make::protobuf_of_lines(schema, levels, &[&input.data, &input.data], &mut of_lines);
    let mut outcome =
        1 << 63 | u64::from(counted.is_ok()) << 60 | u64::from(made.is_ok()) << 61 | u64::from(lines.is_ok()) << 62;
    outcome |= columns::of_line(tables, levels, &input.data, made.is_ok().then_some(&request[..]));
    if made.is_ok() {
        if lines.is_ok() {
            assert_eq!(of_lines, [&request[..], &request].concat(), "a line is another request");
        }
        let count = lines::count_of_protobuf(schema, levels, &request).expect("what is made of JSON is protobuf");
        if let Ok(counted) = counted {
            assert_eq!(counted, count, "JSON is counted otherwise than its protobuf");
        }
        outcome |= binary(tables, levels, &request, limits, variant);
    }
    outcome
}

fn binary(tables: &Tables, levels: &Levels, data: &[u8], limits: Limits, variant: u64) -> Outcome {
    let schema = &tables.schema;
    let lines = lines::lines_of_protobuf(schema, levels, data, limits, Vec::new());
    let text = lines::text_of_protobuf(schema, levels, data, Vec::new());
    let count = lines::count_of_protobuf(schema, levels, data);
    let mut outcome = u64::from(lines.is_ok()) | u64::from(text.is_ok()) << 1 | u64::from(count.is_ok()) << 2;
    if let (Ok(made), Ok(text)) = (&lines, &text) {
        of_tree(schema, levels, text, limits, made);
    }
    if let Ok(made) = lines {
        let (mut start, mut records) = (0, 0);
        for line in &made.lines {
            let data = &made.data[start..line.end];
            assert_eq!(data.last(), Some(&b'\n'), "a line without an end");
            let mut json = Json::new(data).expect("a line is UTF-8");
            json.skip().and_then(|()| json.end()).expect("a line is JSON");
            assert!(line.records > 0 && (line.first <= line.last), "a line with nothing in it");
            records += line.records as u64;
            start = line.end;
        }
        assert_eq!(start, made.data.len(), "bytes behind the last line");
        for &(reason, rejected) in &made.rejected {
            outcome |= 1 << (8 + reason as u64);
            records += rejected;
        }
        assert_eq!(count, Ok(records), "records are stored, rejected or neither");
        outcome |= (made.lines.len().min(3) as u64) << 16;
        if !levels.metrics {
            outcome |= columns::of_lines(tables, levels, data, limits, &made, variant);
            if let Some((_, line)) = made.placed(0).get(variant as usize % made.lines.len().max(1)) {
                outcome |= sieve::of_line(line, variant);
            }
        }
    }
    if let Ok(text) = text {
        again(schema, levels, &text);
        outcome |= u64::from(text.len().max(1).ilog2()) << 24;
    }
    outcome
}

/// A tree's text makes the lines of the request that it is of, where it is not left to the Python core.
fn of_tree(schema: &Schema, levels: &Levels, text: &[u8], limits: Limits, made: &Lines) {
    if let Ok(found) = tree::lines_of_text(schema, levels, text, limits, Vec::new()) {
        assert!(found.data == made.data && found.lines == made.lines, "a tree has other lines");
        assert_eq!(found.rejected, made.rejected, "of a tree others are rejected");
    }
}

/// Canonical text makes a request that makes the same text.
fn again(schema: &Schema, levels: &Levels, text: &[u8]) {
    let mut request = Vec::new();
    if make::protobuf_of_json(schema, levels, text, &mut request).is_ok() {
        let again = lines::text_of_protobuf(schema, levels, &request, Vec::new());
        assert_eq!(again.as_deref(), Ok(text), "canonical text does not come back");
    }
}
