//! Disk work of a torrent, on the session's bounded blocking threads: writing pieces, reading for uploads, checking.

use std::sync::Arc;

use super::driver::Driver;
use super::runtime;
use crate::base::error::Error;
use crate::disk::checker;
use crate::disk::files::{DiskFailure, DiskStorage};
use crate::disk::patience::patiently;
use crate::engine::output::{DiskJob, UploadRead};
use crate::memory::pool::{BLOCK_SIZE, Block};
use crate::wire::BlockRequest;

/// Pieces handed to the core at once while checking.
const CHECK_BATCH: usize = 64;

/// Starts a job.
pub fn start(driver: &Arc<Driver>, job: DiskJob) {
    let Some(disk) = driver.disk() else { return };
    let task_driver = driver.clone();
    blocking(driver, move || {
        let Some(_leave) = task_driver.use_disk() else { return };
        match job {
            DiskJob::Write { generation, piece, blocks } => write(&task_driver, &disk, generation, piece, blocks),
            DiskJob::Read { generation, read } => serve(&task_driver, &disk, generation, read),
        }
    });
}

/// Runs on a blocking thread; a panic there ends the torrent, not the session.
fn blocking(driver: &Arc<Driver>, work: impl FnOnce() + Send + 'static) {
    let driver = driver.clone();
    driver.session.clone().spawn_blocking(move || {
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
            driver.panicked(runtime::panic_message(panic.as_ref()));
        }
    });
}

fn write(driver: &Arc<Driver>, disk: &DiskStorage, generation: u64, piece: u32, blocks: Vec<Block>) {
    let write = || disk.write_blocks(piece, &blocks);
    let outcome = patiently(|| goes_on(driver, generation), write).map_err(|failure| named(disk, failure));
    drop(blocks);
    driver.run(|core, now| core.piece_written(now, generation, piece, outcome));
}

/// Is the torrent to go on as it did when the work began? What nobody waits for is not tried again.
pub fn goes_on(driver: &Driver, generation: u64) -> bool {
    driver.check().is_ok() && driver.look(|core, _| core.is_current(generation)).unwrap_or(false)
}

/// The error, and the name of the file that it is about.
fn named(disk: &DiskStorage, failure: DiskFailure) -> (Error, String) {
    let file = failure.file.and_then(|f| disk.layout().file(f));
    (failure.error, file.map(|f| f.path.clone()).unwrap_or_default())
}

/// What a caller reads could not be read: the torrent stops, whoever it was read for.
pub fn read_failed(driver: &Arc<Driver>, disk: &DiskStorage, generation: u64, failure: DiskFailure) -> Error {
    let (error, filename) = named(disk, failure);
    driver.run(|core, now| core.disk_failed(now, generation, error.clone(), filename));
    error
}

fn serve(driver: &Arc<Driver>, disk: &DiskStorage, generation: u64, read: UploadRead) {
    let UploadRead { peer, requests } = read;
    for request in requests {
        let data = read_blocks(driver, disk, generation, request);
        driver.run(|core, now| core.upload_read(now, peer, request, data));
    }
}

/// Reads what a peer asked for into blocks of the pool. None: no memory for it now, or no such data.
fn read_blocks(
    driver: &Arc<Driver>,
    disk: &DiskStorage,
    generation: u64,
    request: BlockRequest,
) -> Option<Vec<(Block, u32, u32)>> {
    let mut parts = Vec::new();
    let mut done = 0;
    while done < request.length {
        let len = (request.length - done).min(BLOCK_SIZE);
        // An upload is worth less than a download: without room it waits.
        let mut block = driver.session.pool.reserve()?.into_block(len);
        let begin = request.begin + done;
        let read = || disk.read(request.piece, begin, block.as_mut_slice());
        if let Err(failure) = patiently(|| goes_on(driver, generation), read) {
            read_failed(driver, disk, generation, failure);
            return None;
        }
        parts.push((block.freeze(), 0, len));
        done += len;
    }
    Some(parts)
}

/// Looks at what is on disk, piece by piece, until that is done, or another check was asked for. What is about to be deleted there
/// goes first.
pub fn check(driver: &Arc<Driver>, generation: u64) {
    if !driver.session.deletions.any() {
        return begin_check(driver, generation);
    }
    let task_driver = driver.clone();
    driver.spawn(async move {
        task_driver.session.deletions.over().await;
        begin_check(&task_driver, generation);
    });
}

fn begin_check(driver: &Arc<Driver>, generation: u64) {
    let Some(disk) = driver.disk() else { return };
    let Ok(Some(verifier)) = driver.look(|core, _| core.verifier().cloned()) else { return };
    let task_driver = driver.clone();
    blocking(driver, move || {
        let driver = task_driver;
        let Some(_leave) = driver.use_disk() else { return };
        let mut batch = Vec::with_capacity(CHECK_BATCH);
        let flush = |batch: &mut Vec<checker::Progress>| {
            driver.run(|core, _| batch.drain(..).for_each(|p| core.piece_checked(generation, p.piece, p.have)));
        };
        let outcome = checker::check(
            &disk,
            |piece, digest| verifier.is_right(piece, digest),
            || goes_on(&driver, generation),
            |progress| {
                batch.push(progress);
                if batch.len() == CHECK_BATCH {
                    flush(&mut batch);
                }
                driver.look(|core, _| core.is_current(generation)).unwrap_or(false)
            },
        );
        driver.run(|core, now| {
            batch.drain(..).for_each(|p| core.piece_checked(generation, p.piece, p.have));
            match outcome {
                Ok(true) => {
                    core.check_finished(now, generation);
                    // What had to wait for it: trackers, dials.
                    core.handle_timeout(now);
                }
                // Cut short: whoever did that has begun another, or will.
                Ok(false) => {}
                Err(failure) => {
                    let (error, filename) = named(&disk, failure);
                    core.disk_failed(now, generation, error, filename);
                }
            }
        });
        driver.look_at_time();
    });
}
