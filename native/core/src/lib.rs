//! OTLP's bytes to lines of the archive and back, without objects between.
//!
//! The law: the same answer as the pure Python core, byte for byte. What is refused is refused without words: the caller asks
//! the Python core, which has them.
#![forbid(unsafe_code)]

pub mod any_value;
pub mod around;
pub mod attribute;
pub mod blake2b;
pub mod check;
pub mod columns;
pub mod events;
pub mod filling;
pub mod json;
pub mod lines;
pub mod make;
pub mod names;
pub mod page;
pub mod record;
pub mod rows;
pub mod schema;
pub mod sheet;
pub mod sieve;
pub mod telling;
pub mod terms;
pub mod text;
pub mod tree;
pub mod values;
pub mod wire;
pub mod wired;
pub mod write;
