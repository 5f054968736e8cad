//! Which ports peers are dialled at.

use super::constants::et_port_access;
use super::error::{et_error, et_status};
use super::guard::guard;
use super::session::{et_session, session_of};
use super::sized::{CStruct, read_array};
use crate::base::error::{Error, Result};
use crate::session::{PortAccess, PortRule};

/// What holds for a range of ports.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_port_rule {
    /// sizeof(et_port_rule).
    pub struct_size: usize,
    /// The first port of the range.
    pub first: u16,
    /// The last one.
    pub last: u16,
    /// `ET_PORT_BLOCKED`, or 0: allowed.
    pub access: et_port_access,
}

// SAFETY: begins with its size, and has only numbers.
unsafe impl CStruct for et_port_rule {}

/// Sets the ports at which no peer is dialled, in place of those that were set before.
///
/// rules, rules_len: where two of them name a port the later one holds; a port that none of them names is allowed; {NULL, 0} allows all. At once
/// those who are blocked now leave the lists of all torrents, and connections with them end (`ET_CLOSE_PORT_BLOCKED`): with those that we dialled
/// at such a port, and those that told that they listen at one. Whoever comes later is let in, whatever its port: nobody is dialled for it.
/// `et_peer_blocked_alert` tells. It is not part of `et_session_save_state`.
/// Errors: `ET_ERR_INVALID_ARGUMENT` for a range whose last port is before its first. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_set_port_filter(
    session: *mut et_session,
    rules: *const et_port_rule,
    rules_len: usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let session = session_of(session)?;
            let rules = read_array(rules, rules_len, "rules")?;
            let rules: Vec<_> = rules.iter().enumerate().map(rule_in).collect::<Result<_>>()?;
            session.set_port_filter(&rules)
        })
    }
}

fn rule_in((at, rule): (usize, &et_port_rule)) -> Result<PortRule> {
    let et_port_rule { first, last, access, .. } = *rule;
    if first > last {
        return Err(Error::invalid(format!("rules[{at}] is from port {first} to {last}, allowed is first to last")));
    }
    let known = PortAccess::all().bits();
    let access = PortAccess::from_bits(access)
        .ok_or_else(|| Error::invalid(format!("rules[{at}].access is {access:#x}, allowed are bits of {known:#x}")))?;
    Ok(PortRule { first, last, access })
}
