//! Clients that take turns at the same work, and what their pairs come to.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::Plan;
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

/// Gives a client a directory that is empty, and gone afterwards.
pub fn with_data<T>(plan: &Plan, run: impl FnOnce(&Path) -> Result<T, String>) -> Result<T, String> {
    let data = plan.scratch.join("got");
    fs::create_dir_all(&data).map_err(|error| error.to_string())?;
    let outcome = run(&data);
    fs::remove_dir_all(&data).map_err(|error| error.to_string())?;
    outcome
}
