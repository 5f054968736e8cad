//! Disk work in a process that has no descriptors left: others give theirs back, so it is tried again for a while.

use std::thread;
use std::time::{Duration, Instant};

use crate::disk::files::DiskFailure;

/// For so long after the first failure.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Does `work`, again and again for a while where no file can be opened for want of descriptors, or until `goes_on` says no.
/// Any other failure is one at once. Blocking.
pub fn patiently<T>(
    mut goes_on: impl FnMut() -> bool,
    mut work: impl FnMut() -> Result<T, DiskFailure>,
) -> Result<T, DiskFailure> {
    let mut first = None;
    loop {
        match work() {
            Err(failure) if failure.is_shortage() => {
                let first = *first.get_or_insert_with(Instant::now);
                if first.elapsed() >= PATIENCE || !goes_on() {
                    return Err(failure);
                }
            }
            outcome => return outcome,
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use super::*;
    use crate::base::error::{Error, Operation};

    fn failure(operation: Operation, errno: rustix::io::Errno) -> DiskFailure {
        let error = io::Error::from_raw_os_error(errno.raw_os_error());
        DiskFailure { error: Error::io(operation, &error, "f"), file: None }
    }

    #[test]
    fn a_shortage_is_sat_out_and_nothing_else_is() {
        let shortage = failure(Operation::FileOpen, rustix::io::Errno::MFILE);
        let tries = Cell::new(0);
        let fail_twice = || {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(shortage.clone()) } else { Ok(7) }
        };
        assert_eq!(patiently(|| true, fail_twice), Ok(7));
        assert_eq!(tries.get(), 3);

        tries.set(0);
        assert_eq!(patiently(|| tries.get() < 2, fail_twice), Err(shortage.clone()), "it was told to end");
        assert_eq!(tries.get(), 2);

        for other in [
            failure(Operation::FileOpen, rustix::io::Errno::ACCESS),
            failure(Operation::FileWrite, rustix::io::Errno::NOSPC),
        ] {
            tries.set(0);
            let fail = || -> Result<(), _> {
                tries.set(tries.get() + 1);
                Err(other.clone())
            };
            assert_eq!((patiently(|| true, fail), tries.get()), (Err(other.clone()), 1));
        }
    }
}
