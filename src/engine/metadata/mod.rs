//! The metadata while it is downloaded (BEP 9).

pub(in crate::engine) mod fetch;
