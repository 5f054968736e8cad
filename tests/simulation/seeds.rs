//! A thousand swarms, each out of its number. A failing one is printed; `ET_SIM_SEED=n` replays it with a trace.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::scenario;

fn run_all(seeds: Range<u64>) {
    if std::env::var_os("ET_SIM_SEED").is_some() {
        return;
    }
    let (mut failed, mut steps) = (Vec::new(), 0);
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| scenario::run(seed, false))) {
            Ok(outcome) => steps += outcome.steps,
            Err(_) => {
                println!("seed {seed} failed; replay it with ET_SIM_SEED={seed} cargo test --test simulation replay");
                failed.push(seed);
            }
        }
    }
    println!("{steps} steps");
    assert!(failed.is_empty(), "{} failing seeds: {failed:?}", failed.len());
}

#[test]
fn seeds_0_to_249() {
    run_all(0..250);
}

#[test]
fn seeds_250_to_499() {
    run_all(250..500);
}

#[test]
fn seeds_500_to_749() {
    run_all(500..750);
}

#[test]
fn seeds_750_to_999() {
    run_all(750..1000);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 141, 592, 653] {
        assert_eq!(scenario::run(seed, false), scenario::run(seed, false), "seed {seed}");
    }
}

/// More of them: `ET_SIM_SEEDS=1000..5000 cargo test --test simulation soak -- --ignored`.
#[test]
#[ignore = "as long as one likes"]
fn soak() {
    let range = std::env::var("ET_SIM_SEEDS").unwrap_or_default();
    let (from, to) = range.split_once("..").unwrap_or(("1000", "2000"));
    run_all(from.parse().expect("a seed")..to.parse().expect("a seed"));
}

#[test]
fn replay() {
    if let Some(seed) = std::env::var("ET_SIM_SEED").ok().and_then(|s| s.parse().ok()) {
        let outcome = scenario::run(seed, true);
        println!("{outcome:?}");
    }
}
