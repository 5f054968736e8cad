//! Clients that take turns at the same work, and what their pairs come to.

use std::fs;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::Path;

use crate::Plan;
use crate::machine;
use crate::results::{Figure, Results};

/// What the runs of one client took, or why there are none.
pub type Runs<T> = Result<Vec<T>, String>;

/// One of those that take turns.
pub struct Client<'a, T> {
    pub name: &'static str,
    /// Nobody asks for its figures where this is false.
    pub wanted: bool,
    pub run: &'a dyn Fn(usize) -> Result<T, String>,
}

/// Lets each client run in each round, and tells what it took. Round 0 is a warm-up and does not count. A client that failed
/// once is not asked again: its figures say why.
pub fn take_turns<T, const N: usize>(
    rounds: RangeInclusive<usize>,
    clients: &[Client<'_, T>; N],
    tell: impl Fn(&str, usize, &T),
) -> [Runs<T>; N] {
    let mut runs: [Runs<T>; N] = std::array::from_fn(|_| Ok(Vec::new()));
    for round in rounds {
        for (client, runs) in clients.iter().zip(&mut runs) {
            let (Ok(so_far), true) = (runs.as_mut(), client.wanted) else { continue };
            machine::ready_memory();
            match (client.run)(round) {
                Ok(took) => {
                    tell(client.name, round, &took);
                    if round > 0 {
                        so_far.push(took);
                    }
                }
                Err(reason) => *runs = Err(reason),
            }
        }
    }
    runs
}

/// The ratios of the pairs: ours of a round to the peer's of the same round.
pub fn ratio<T>(
    results: &mut Results,
    figure: &Figure,
    ours: &Runs<T>,
    peer: &Runs<T>,
    of: impl Fn(&T) -> Result<f64, String>,
) {
    let ratios = match (ours, peer) {
        (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
        (Ok(ours), Ok(peer)) => ours.iter().zip(peer).map(|(ours, peer)| Ok(of(ours)? / of(peer)?)).collect(),
    };
    results.put_or_skip(figure, ratios);
}

/// Gives a client that writes a directory with the content's file in it, of its full length and of zeros: its pages are there before
/// any clock starts. What fresh pages cost is the machine's affair, and no client's work.
pub fn with_written_data<T>(plan: &Plan, run: impl FnOnce(&Path) -> Result<T, String>) -> Result<T, String> {
    with_data(plan, |data| {
        write_zeros(&data.join("content.bin"), plan.size).map_err(|error| format!("the file of zeros: {error}"))?;
        run(data)
    })
}

fn write_zeros(path: &Path, mut left: u64) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    // Written, not made longer: that would leave a hole, and no pages.
    let zeros = vec![0; 1 << 20];
    while left > 0 {
        let now = left.min(zeros.len() as u64) as usize;
        file.write_all(&zeros[..now])?;
        left -= now as u64;
    }
    Ok(())
}

/// Gives a client a directory that is empty, and gone afterwards.
pub fn with_data<T>(plan: &Plan, run: impl FnOnce(&Path) -> Result<T, String>) -> Result<T, String> {
    let data = plan.scratch.join("got");
    fs::create_dir_all(&data).map_err(|error| error.to_string())?;
    let outcome = run(&data);
    fs::remove_dir_all(&data).map_err(|error| error.to_string())?;
    outcome
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_file_of_zeros_has_its_pages() {
        let path = std::env::temp_dir().join(format!("et-bench-zeros-{}", std::process::id()));
        let length = (3 << 20) + 5;
        write_zeros(&path, length).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!((metadata.len(), bytes.iter().all(|byte| *byte == 0)), (length, true));
        // Some file systems count late, none counts blocks for a hole.
        assert!(metadata.blocks() == 0 || metadata.blocks() * 512 >= length, "{} blocks", metadata.blocks());
    }
}
