//! What a setting's value must be, beyond its kind.

use std::net::IpAddr;

use super::parse::{parse_host_ports, parse_listen_interfaces, parse_outgoing_interfaces};
use super::value::Value;
use crate::base::error::{Error, Result, Status};

/// The check of one setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check {
    Any,
    /// From, to: both allowed.
    Range(i64, i64),
    /// At most that many bytes, no control characters.
    Text(usize),
    OneOf(&'static [&'static str]),
    Fingerprint,
    IpOrEmpty,
    ListenInterfaces,
    OutgoingInterfaces,
    HostPorts,
    /// libtorrent's `proxy_type_t`; there is no I2P.
    ProxyType,
}

const I2P: i64 = 6;

/// Longest text that any setting takes, in bytes.
pub const MAX_TEXT: usize = 8192;

impl Check {
    /// The range of an integer, for descriptions.
    pub fn range(&self) -> (i64, i64) {
        match self {
            Self::Range(min, max) => (*min, *max),
            Self::ProxyType => (0, I2P - 1),
            _ => (i64::MIN, i64::MAX),
        }
    }

    /// Is the value allowed for this setting? It is of the right kind.
    pub fn check(&self, name: &str, value: Value<'_>) -> Result<()> {
        match (self, value) {
            (Self::Range(min, max), Value::Int(v)) if v < *min || v > *max => {
                Err(Error::invalid(format!("{name} is {v}, allowed is {min} to {max}")))
            }
            (Self::ProxyType, Value::Int(I2P)) => {
                Err(Error::new(Status::Unsupported, format!("{name} is {I2P}, and I2P is not supported")))
            }
            (Self::ProxyType, value) => Self::Range(0, I2P - 1).check(name, value),
            (_, Value::Str(s)) => self.check_text(name, s),
            _ => Ok(()),
        }
    }

    fn check_text(&self, name: &str, text: &str) -> Result<()> {
        let longest = if let Self::Text(max) = self { *max } else { MAX_TEXT };
        if text.len() > longest {
            return Err(Error::invalid(format!("{name} has {} bytes, allowed are {longest}", text.len())));
        }
        if text.chars().any(char::is_control) {
            return Err(Error::invalid(format!("{name} holds a control character")));
        }
        match self {
            Self::OneOf(allowed) if !allowed.contains(&text) => {
                Err(Error::invalid(format!("{name} is {text:?}, allowed is one of: {}", allowed.join(", "))))
            }
            Self::Fingerprint if text.len() > 20 || !text.is_ascii() => {
                Err(Error::invalid(format!("{name} is {text:?}, allowed are up to 20 ASCII characters")))
            }
            Self::IpOrEmpty if !text.is_empty() && text.parse::<IpAddr>().is_err() => {
                Err(Error::invalid(format!("{name} is {text:?}, allowed is an IP address or nothing")))
            }
            Self::ListenInterfaces => parse_listen_interfaces(text).map(drop).map_err(|e| named(name, e)),
            Self::OutgoingInterfaces => parse_outgoing_interfaces(text).map(drop).map_err(|e| named(name, e)),
            Self::HostPorts => parse_host_ports(text).map(drop).map_err(|e| named(name, e)),
            _ => Ok(()),
        }
    }
}

fn named(name: &str, mut error: Error) -> Error {
    error.message = format!("{name}: {}", error.message);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_value_that_passes_and_one_that_fails() {
        let cases = [
            (Check::Range(1, 3), Value::Int(3), Value::Int(4)),
            (Check::Range(-1, 3), Value::Int(-1), Value::Int(-2)),
            (Check::Text(3), Value::Str("abc"), Value::Str("abcd")),
            (Check::Any, Value::Str("ä"), Value::Str("a\nb")),
            (Check::OneOf(&["a", "b"]), Value::Str("b"), Value::Str("c")),
            (Check::Fingerprint, Value::Str("-EL0100-"), Value::Str("123456789012345678901")),
            (Check::IpOrEmpty, Value::Str("::1"), Value::Str("localhost")),
            (Check::ListenInterfaces, Value::Str("0.0.0.0:0"), Value::Str("0.0.0.0")),
            (Check::HostPorts, Value::Str("a.b:1"), Value::Str("a.b:0")),
            (Check::ProxyType, Value::Int(5), Value::Int(7)),
        ];
        for (check, good, bad) in cases {
            assert_eq!(check.check("key", good), Ok(()), "{check:?}");
            let error = check.check("key", bad).expect_err("refused");
            assert!(error.message.contains("key"), "{error:?}");
        }
    }
}
