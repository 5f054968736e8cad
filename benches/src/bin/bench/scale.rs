//! What a block costs the engine in a large torrent and in a large swarm, in instructions: how many times those in a small one. Counted by
//! callgrind, so neither the machine nor what else it does has a part in it, and one run is enough.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Plan;
use crate::results::{Figure, Results};

const SMALL: Size = Size { pieces: 1000, peers: 5 };
const MANY_PIECES: Size = Size { pieces: 200_000, ..SMALL };
const MANY_PEERS: Size = Size { peers: 500, ..SMALL };

const AGAINST_PIECES: &str = "1,000 pieces";
const AGAINST_PEERS: &str = "5 peers";

const STREAM: [(Figure, Size); 2] = [
    (Figure::new("scale.picker_200k_pieces", 1.2, "ratio", AGAINST_PIECES), MANY_PIECES),
    (Figure::new("scale.picker_500_peers", 1.2, "ratio", AGAINST_PEERS), MANY_PEERS),
];
const DOWNLOAD: [(Figure, Size); 2] = [
    (Figure::new("scale.download_200k_pieces", 1.2, "ratio", AGAINST_PIECES), MANY_PIECES),
    // Of five fast ones blocks are asked for by the hundred, of five hundred slow ones singly: it has no bar.
    (Figure::stated("scale.download_500_peers", "ratio", AGAINST_PEERS), MANY_PEERS),
];

#[derive(Debug, Clone, Copy)]
struct Size {
    pieces: u32,
    peers: u32,
}

pub fn measure(plan: &Plan, results: &mut Results) {
    for (mode, figures) in [("stream", &STREAM), ("download", &DOWNLOAD)] {
        if !figures.iter().any(|(figure, _)| results.wants(figure)) {
            continue;
        }
        let small = instructions(plan, mode, SMALL);
        for (figure, size) in figures {
            if !results.wants(figure) {
                continue;
            }
            let ratio = small.clone().and_then(|small| Ok(vec![instructions(plan, mode, *size)? / small]));
            results.put_or_skip(figure, ratio);
        }
    }
}

/// Instructions a block.
fn instructions(plan: &Plan, mode: &str, size: Size) -> Result<f64, String> {
    let counts = plan.scratch.join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*picker_scale::counted*"]);
    command.arg(format!("--callgrind-out-file={}", counts.display()));
    command.arg(plan.target.join("release/picker-scale")).args(["--mode", mode]);
    command.args(["--pieces", &size.pieces.to_string(), "--peers", &size.peers.to_string()]);
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("valgrind does not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("picker-scale failed: {}", said.lines().last().unwrap_or_default()));
    }
    let printed: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let blocks = printed["blocks"].as_f64().filter(|blocks| *blocks > 0.0).ok_or("no block was counted")?;
    let counts = std::fs::read_to_string(counts).map_err(|error| error.to_string())?;
    let total = total(&counts).filter(|total| *total > 0.0).ok_or("callgrind counted nothing")?;
    eprintln!("{mode}, {} pieces, {} peers: {:.0} instructions a block", size.pieces, size.peers, total / blocks);
    Ok(total / blocks)
}

/// Of a file that callgrind wrote.
fn total(counts: &str) -> Option<f64> {
    counts.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_what_callgrind_wrote() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 12\n\nfn=(1) x\n3 12\ntotals: 12\n"), Some(12.0));
        assert_eq!(total("version: 1\n"), None);
    }
}
