//! Tests of the peer protocol's codecs.

mod decoder;
mod extensions;
mod message;
