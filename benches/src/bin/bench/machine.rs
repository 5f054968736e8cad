//! How fast the machine itself is, told beside the figures: what they are made of differs between machines of one name, and a figure that
//! does not travel says so by these.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::MmapMut;
use nix::sys::eventfd::{EfdFlags, EventFd};
use sha1::{Digest, Sha1};

use crate::results::{Figure, Results, quantile};

const SHA1: Figure = Figure::stated("machine.sha1_gb_s", "GB/s", "one stream");
const COPIES: [(usize, Figure); 3] = [
    (
        0,
        Figure::stated("machine.memcpy_page_0_gb_s", "GB/s", "blocks of 16 KiB, from a page's start to a page's start"),
    ),
    (
        16,
        Figure::stated(
            "machine.memcpy_page_16_gb_s",
            "GB/s",
            "blocks of 16 KiB, from a page's start to 16 bytes after one",
        ),
    ),
    (
        64,
        Figure::stated(
            "machine.memcpy_page_64_gb_s",
            "GB/s",
            "blocks of 16 KiB, from a page's start to 64 bytes after one",
        ),
    ),
];
const PAGES: Figure = Figure::stated("machine.fresh_pages_s", "/s", "pages of 4 KiB, touched for the first time");
const WAKE: Figure = Figure::stated(
    "machine.eventfd_wake_us",
    "us",
    "a thread that sleeps on an eventfd while the writer works on, median",
);
const WAKE_TAIL: Figure = Figure::stated("machine.eventfd_wake_p99_us", "us", "the same, 99th percentile");

const MIB: usize = 1 << 20;
const PAGE: usize = 4096;
const BLOCK: usize = 16 << 10;
/// More than caches hold, as a stream's memory is.
const SOURCE: usize = 64 * MIB;
/// A reader's buffer.
const INTO: usize = 256 << 10;
const FRESH: usize = 256 * MIB;
/// The best of them is the machine's speed: the others were disturbed.
const ROUNDS: usize = 5;

pub fn measure(results: &mut Results) {
    let mut source = vec![0_u8; SOURCE + PAGE];
    // Each byte once, so that no page is the one of zeros that the system shares.
    source.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at / 251) as u8);
    results.note(&SHA1, sha1(&source));
    for (offset, figure) in &COPIES {
        results.note(figure, memcpy(&source, *offset));
    }
    results.note(&PAGES, fresh_pages());
    let wakes = eventfd_wakes(1000);
    results.note(&WAKE, quantile(&wakes, 0.5).unwrap_or(f64::NAN));
    results.note(&WAKE_TAIL, quantile(&wakes, 0.99).unwrap_or(f64::NAN));
}

/// The most of a second that a round did, units of work each.
fn best(work: f64, mut round: impl FnMut()) -> f64 {
    let rates = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        round();
        work / began.elapsed().as_secs_f64()
    });
    rates.fold(0.0, f64::max)
}

fn sha1(source: &[u8]) -> f64 {
    best(SOURCE as f64 / 1e9, || {
        black_box(Sha1::digest(&source[..SOURCE]));
    })
}

/// The C library's memcpy: a length that the compiler does not know is copied by it.
fn memcpy(source: &[u8], offset: usize) -> f64 {
    let mut room = vec![1_u8; INTO + 2 * PAGE];
    let (from, to) = (to_page(source), to_page(&room) + offset);
    best(SOURCE as f64 / 1e9, || {
        for (n, block) in source[from..from + SOURCE].chunks(black_box(BLOCK)).enumerate() {
            let at = to + n * BLOCK % INTO;
            room[at..at + block.len()].copy_from_slice(black_box(block));
        }
        black_box(&mut room);
    })
}

/// How far it is to the next page.
fn to_page(memory: &[u8]) -> usize {
    memory.as_ptr().align_offset(PAGE)
}

/// Makes the machine's free memory ready: pages that the host of a virtual machine took back are dear to touch (9 µs for each of 4 KiB
/// were seen), and no work of the client that comes first. More than any client holds besides its files.
pub fn ready_memory() {
    for _ in 0..2 {
        let Ok(mut memory) = MmapMut::map_anon(FRESH) else { return };
        // Large pages, so that those of clients that ask for large ones are among them.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(Advice::HugePage);
        memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        black_box(&mut memory);
    }
}

fn fresh_pages() -> f64 {
    best((FRESH / PAGE) as f64, || {
        // So large a piece of memory comes from the system each time, and goes back to it.
        let mut memory = vec![0_u8; FRESH];
        memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        black_box(memory);
    })
}

/// How long before a wake-up the machine is left idle: the readers that are measured have waited as long.
const HELD: Duration = Duration::from_millis(2);

/// The writer of an eventfd goes on working for so long at most.
const WORKS_ON: Duration = Duration::from_millis(1);

/// So many times, microseconds from the writing of an eventfd to the return of the read that waited for it. The writer goes on working
/// meanwhile, as a thread does that received what others wait for: so another processor has to wake up.
pub fn eventfd_wakes(count: usize) -> Vec<f64> {
    // A read takes one off the counter: a sleeper that comes late still wakes as often as it was woken.
    let Ok(event) = EventFd::from_value_and_flags(0, EfdFlags::EFD_SEMAPHORE) else { return Vec::new() };
    let (start, written, woken) = (Instant::now(), AtomicU64::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let mut took = Vec::with_capacity(count);
            while took.len() < count && event.read().is_ok() {
                let now = start.elapsed().as_nanos() as u64;
                took.push(now.saturating_sub(written.load(Ordering::Acquire)) as f64 / 1e3);
                woken.store(took.len(), Ordering::Release);
            }
            took
        });
        for nth in 1..=count {
            thread::sleep(HELD);
            written.store(start.elapsed().as_nanos() as u64, Ordering::Release);
            // It fails where the counter is full, which it is not: then again, as the sleeper waits for each.
            while event.write(1).is_err() {
                thread::yield_now();
            }
            let begun = Instant::now();
            while woken.load(Ordering::Acquire) < nth && begun.elapsed() < WORKS_ON {
                std::hint::spin_loop();
            }
        }
        sleeper.join().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_speeds_are_told_whatever_was_asked_for() {
        let mut results = Results::new(vec!["stream.".to_owned()]);
        measure(&mut results);
        let table = results.table();
        for name in ["sha1_gb_s", "memcpy_page_16_gb_s", "fresh_pages_s", "eventfd_wake_us", "eventfd_wake_p99_us"] {
            assert!(table.contains(&format!("machine.{name}")), "{name} in {table}");
        }
        assert!(!table.contains("NaN"), "{table}");
    }

    #[test]
    fn as_many_wake_ups_as_were_asked_for() {
        let wakes = eventfd_wakes(20);
        assert_eq!(wakes.len(), 20);
        // Less than a microsecond is no wake-up of a thread that slept.
        assert!(quantile(&wakes, 0.5).is_some_and(|median| median > 0.5), "{wakes:?}");
    }
}
