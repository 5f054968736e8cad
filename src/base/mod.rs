//! What everything rests on: identifiers, errors, time, text.

pub mod address;
pub mod error;
pub mod out_buffer;
pub mod storage_index;
pub mod text;
pub mod time;
