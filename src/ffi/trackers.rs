//! A torrent's trackers and web seeds.

use std::ffi::{c_char, c_void};

use zerocopy::{Immutable, IntoBytes};

use super::bytes::{et_str, str_in, text_in};
use super::error::{et_error, et_status};
use super::guard::guard;
use super::record::Records;
use super::session::et_session;
use super::sized::{CStruct, read_array};
use super::torrent::torrent_of;
use crate::alert::record::{et_storage_index, et_text};
use crate::base::error::{Error, Result};
use crate::session::TrackerStatus;

/// Tiers beyond this number are refused.
const MAX_TIER: i32 = 255;

/// A tracker of a torrent: a record of `et_torrent_trackers`.
#[repr(C)]
#[derive(Debug, Clone, Copy, IntoBytes, Immutable)]
pub struct et_tracker_info {
    /// Bytes of the whole record.
    pub size: u32,
    /// 0 is asked first, where tiers are asked one after the other.
    pub tier: u32,
    /// Failures since it last answered.
    pub fails: u32,
    /// The next three are 1 or 0. An announce is under way.
    pub updating: u32,
    /// It has answered.
    pub verified: u32,
    pub enabled: u32,
    /// Peers in its last answer, -1: none yet.
    pub num_peers: i32,
    /// Seeds and others, as it counts them, -1: unknown.
    pub scrape_complete: i32,
    pub scrape_incomplete: i32,
    /// 0.
    pub reserved: u32,
    /// Milliseconds until it is told again, -1: not planned.
    pub next_announce_ms: i64,
    pub url: et_text,
    /// What it said last, or empty.
    pub message: et_text,
    /// Why it failed last, or empty.
    pub last_error: et_text,
}

/// A tracker that goes in.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_tracker_entry {
    /// `sizeof(et_tracker_entry)`, in each of an array.
    pub struct_size: usize,
    /// http, https or udp.
    pub url: et_str,
    /// 0 to 255.
    pub tier: i32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: plain numbers and pointers, `struct_size` first.
unsafe impl CStruct for et_tracker_entry {}

/// A web seed of a torrent: a record of `et_torrent_web_seeds`.
#[repr(C)]
#[derive(Debug, Clone, Copy, IntoBytes, Immutable)]
pub struct et_web_seed_info {
    /// Bytes of the whole record.
    pub size: u32,
    /// 0.
    pub reserved: u32,
    pub url: et_text,
}

/// Gives a torrent's trackers as records: `et_tracker_info`, walked with `et_record_next`, by tier.
///
/// Their URLs may hold passkeys: keep them out of logs. buf: aligned to 8 bytes. cap, len: bytes.
/// Errors: `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_trackers(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || trackers(&torrent_of(session, torrent)?.trackers()?).give(buf, cap, len)) }
}

fn trackers(trackers: &[TrackerStatus]) -> Records {
    let mut records = Records::default();
    for t in trackers {
        records.push(|s| et_tracker_info {
            size: 0,
            tier: t.tier,
            fails: t.fails,
            updating: t.updating.into(),
            verified: t.verified.into(),
            enabled: t.enabled.into(),
            num_peers: t.num_peers,
            scrape_complete: t.scrape_complete,
            scrape_incomplete: t.scrape_incomplete,
            reserved: 0,
            next_announce_ms: t.next_announce_ms,
            url: s.text(&t.url),
            message: s.text(&t.message),
            last_error: s.text(&t.last_error),
        });
    }
    records
}

/// Adds a tracker, which is told at once. One that is there already stays as it is.
///
/// tier: 0 to 255. Errors: `ET_ERR_INVALID_ARGUMENT` for a URL that is not http, https or udp. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_add_tracker(
    session: *mut et_session,
    torrent: et_storage_index,
    url: *const c_char,
    url_len: usize,
    tier: i32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let torrent = torrent_of(session, torrent)?;
            torrent.add_tracker(text_in(url, url_len, "url")?, tier_in(tier)?)
        })
    }
}

fn tier_in(tier: i32) -> Result<u32> {
    u32::try_from(tier)
        .ok()
        .filter(|_| tier <= MAX_TIER)
        .ok_or_else(|| Error::invalid(format!("tier is {tier}, allowed is 0 to {MAX_TIER}")))
}

/// Replaces a torrent's trackers. {NULL, 0}: it has none.
///
/// Errors: as `et_torrent_add_tracker`; then nothing has changed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_replace_trackers(
    session: *mut et_session,
    torrent: et_storage_index,
    trackers: *const et_tracker_entry,
    trackers_len: usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let torrent = torrent_of(session, torrent)?;
            torrent.replace_trackers(tiers(&read_array(trackers, trackers_len, "trackers")?)?)
        })
    }
}

/// By tier; those between that nobody is in are empty.
///
/// # Safety
/// The entries' URLs are NULL or as long as they say.
unsafe fn tiers(entries: &[et_tracker_entry]) -> Result<Vec<Vec<String>>> {
    let mut tiers: Vec<Vec<String>> = Vec::new();
    for entry in entries {
        if entry.reserved != 0 {
            return Err(Error::invalid(format!("trackers[].reserved is {}, allowed is 0", entry.reserved)));
        }
        // SAFETY: as the caller promised.
        let url = unsafe { str_in(entry.url, "trackers[].url") }?;
        let tier = tier_in(entry.tier)? as usize;
        if tiers.len() <= tier {
            tiers.resize(tier + 1, Vec::new());
        }
        tiers.get_mut(tier).into_iter().for_each(|urls| urls.push(url.to_owned()));
    }
    Ok(tiers)
}

/// Gives the URLs of a torrent's web seeds as records: `et_web_seed_info`, walked with `et_record_next`.
///
/// They are what its torrent file or magnet names, for the caller to know of: this version fetches nothing from web seeds.
/// buf: aligned to 8 bytes. cap, len: bytes. Errors: `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_web_seeds(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || web_seeds(&torrent_of(session, torrent)?.web_seeds()?).give(buf, cap, len)) }
}

fn web_seeds(urls: &[String]) -> Records {
    let mut records = Records::default();
    for url in urls {
        records.push(|s| et_web_seed_info { size: 0, reserved: 0, url: s.text(url) });
    }
    records
}
