//! The values that settings have.

use std::fmt;

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Bool,
    Str,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int => "an integer",
            Self::Bool => "a bool",
            Self::Str => "a string",
        })
    }
}

/// A setting's value, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Int(i64),
    Bool(bool),
    Str(&'a str),
}

impl Value<'_> {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Int(_) => Kind::Int,
            Self::Bool(_) => Kind::Bool,
            Self::Str(_) => Kind::Str,
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(v) => write!(f, "{v}"),
            Self::Bool(v) => write!(f, "{v}"),
            Self::Str(v) => write!(f, "{v:?}"),
        }
    }
}

/// A setting's value, owned.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    Int(i64),
    Bool(bool),
    Str(String),
}

impl Stored {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Int(v) => Value::Int(*v),
            Self::Bool(v) => Value::Bool(*v),
            Self::Str(v) => Value::Str(v),
        }
    }

    pub(super) fn of(value: Value<'_>) -> Self {
        match value {
            Value::Int(v) => Self::Int(v),
            Value::Bool(v) => Self::Bool(v),
            Value::Str(v) => Self::Str(v.to_owned()),
        }
    }
}

/// A type that a field of [`Settings`](super::Settings) has.
pub(super) trait Field {
    fn of_default(value: Value<'static>) -> Self;
    fn value(&self) -> Value<'_>;
    /// Takes a value of its own kind, ignores any other.
    fn store(&mut self, value: Value<'_>);
}

impl Field for i64 {
    fn of_default(value: Value<'static>) -> Self {
        if let Value::Int(v) = value { v } else { 0 }
    }

    fn value(&self) -> Value<'_> {
        Value::Int(*self)
    }

    fn store(&mut self, value: Value<'_>) {
        if let Value::Int(v) = value {
            *self = v;
        }
    }
}

impl Field for bool {
    fn of_default(value: Value<'static>) -> Self {
        value == Value::Bool(true)
    }

    fn value(&self) -> Value<'_> {
        Value::Bool(*self)
    }

    fn store(&mut self, value: Value<'_>) {
        if let Value::Bool(v) = value {
            *self = v;
        }
    }
}

impl Field for String {
    fn of_default(value: Value<'static>) -> Self {
        if let Value::Str(v) = value { v.to_owned() } else { Self::new() }
    }

    fn value(&self) -> Value<'_> {
        Value::Str(self)
    }

    fn store(&mut self, value: Value<'_>) {
        if let Value::Str(v) = value {
            v.clone_into(self);
        }
    }
}
