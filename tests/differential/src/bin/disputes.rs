//! The gas of whole disputes: `cargo run -p sworn-differential --bin disputes [-- --check]` writes, or compares with, `contracts/snapshots/disputes.json`.
//! `--moves` prints every transaction.

use std::path::PathBuf;

use sworn_differential::dispute::scenario::{Cost, Lie, dispute};
use sworn_differential::dispute::shape::{SHAPES, Shape};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wants = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let mut rows = Vec::new();
    println!(
        "{:<6} {:<12} {:>6} {:>9} {:>9} {:>9} {:>9}",
        "shape", "lie", "rounds", "gas", "largest", "calldata", "gas@64"
    );
    for shape in SHAPES {
        for lie in Lie::ALL {
            let cost = dispute(&shape, lie)?;
            if wants("--moves") {
                for sent in &cost.sent {
                    println!(
                        "    {:<28} {:>8} gas {:>7} bytes",
                        sent.what, sent.gas, sent.calldata
                    );
                }
            }
            let row = row(&shape, lie, &cost);
            println!(
                "{:<6} {:<12} {:>6} {:>9} {:>9} {:>9} {:>9}",
                shape.name,
                format!("{lie:?}"),
                row["rounds"],
                row["gas"],
                row["largestTransaction"],
                row["calldataBytes"],
                row["gasAt64"]
            );
            rows.push(row);
        }
    }
    let text = serde_json::to_string_pretty(&rows)? + "\n";
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts/snapshots/disputes.json");
    if wants("--check") {
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            return Err("contracts/snapshots/disputes.json is not what these contracts cost: run `make gas`".into());
        }
    } else {
        std::fs::write(path, text)?;
    }
    Ok(())
}

fn row(shape: &Shape, lie: Lie, cost: &Cost) -> serde_json::Value {
    let sum = |of: fn(&sworn_differential::dispute::world::Sent) -> u64| {
        cost.sent.iter().map(of).sum::<u64>()
    };
    serde_json::json!({
        "shape": shape.name,
        "context": shape.tokens,
        "lie": format!("{lie:?}"),
        "rounds": cost.rounds,
        "gas": sum(|sent| sent.gas),
        "largestTransaction": cost.sent.iter().map(|sent| sent.gas).max(),
        "calldataBytes": sum(|sent| sent.calldata as u64),
        "gasAt64": sum(|sent| sent.gas_at_64),
    })
}
