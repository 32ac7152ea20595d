//! kill -9 of the node at any point loses nothing and pays nothing twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::system::{BOND_WEI, Chain, System};

const KILLS: u32 = 10;
const PROMPTS: usize = 5;

/// Pauses of 0 to 1,200 ms from a seed (splitmix64).
struct Pauses(u64);

impl Pauses {
    fn next(&mut self) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Duration::from_millis((z ^ (z >> 31)) % 1200)
    }
}

fn wei(value: &Value) -> u128 {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no amount: {value}"))
}

#[test]
fn kill_9_at_ten_random_points() {
    let Some(system) = System::start("kill_9_at_ten_random_points", Chain::Embedded) else {
        return;
    };
    let seed = std::env::var("SWORN_CRASH_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(1, |now| {
                    u64::try_from(now.as_nanos() & 0xffff_ffff).unwrap_or(1)
                })
        });
    println!("SWORN_CRASH_SEED={seed}");
    let mut pauses = Pauses(seed);
    let asker = system.operator.as_account(1);

    // Prompts come in while the node lives and dies.
    let mut asked: Vec<Value> = Vec::new();
    let mut node = system.node(&system.operator);
    for kill in 0..KILLS {
        if kill % 2 == 0 && asked.len() < PROMPTS {
            let text = format!("Story number {kill}: once upon a time");
            asked.push(asker.json(&["ask", &text, "-n", "2", "--max-new", "32", "--no-wait"]));
        }
        std::thread::sleep(pauses.next());
        node.kill_9();
        node = system.node(&system.operator);
    }

    // All become posted, with the bits that the engine gives for the seed that the chain fixed.
    for prompt in &asked {
        let id = prompt["id"].to_string();
        let shown = wait_until_posted(&system, &id);
        let seed = shown["seed"].as_str().expect("a seed");
        let text = shown["prompt"].as_str().expect("a prompt");
        let local = system.operator.json(&[
            "generate",
            "--model",
            &system.model,
            "--prompt",
            text,
            "--seed",
            seed,
            "-n",
            "2",
            "--max-new",
            "32",
            "--temperature",
            "0.8",
        ]);
        for run in 0..2 {
            assert_eq!(
                shown["responses"][run]["text"], local["responses"][run]["text"],
                "SWORN_CRASH_SEED={seed}: prompt {id}, run {run}"
            );
        }
        for account in [2, 3] {
            let _ = system
                .operator
                .as_account(account)
                .json(&["rank", &id, "2,1"]);
        }
        let rankings = asker.json(&["show", &id])["rankings"]
            .as_array()
            .map_or(0, Vec::len);
        assert_eq!(rankings, 2);
    }

    // Money: every fee reaches the proposer once, every bond came back once, and nothing is left over.
    let prices: u128 = asked.iter().map(|prompt| wei(&prompt["price_wei"])).sum();
    let account = wait_until_settled(&system, prices);
    assert_eq!(
        wei(&account["earned_fees_wei"]),
        prices,
        "SWORN_CRASH_SEED={seed}: fees paid once"
    );
    let bonds = wei(&account["released_bonds_wei"]);
    assert!(
        bonds.is_multiple_of(BOND_WEI)
            && bonds >= BOND_WEI
            && bonds <= BOND_WEI * asked.len() as u128,
        "SWORN_CRASH_SEED={seed}: {bonds} wei of bonds"
    );
}

fn wait_until_posted(system: &System, id: &str) -> Value {
    for _ in 0..600 {
        let shown = system.operator.json(&["show", id]);
        if shown["state"] == "posted" {
            return shown;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!(
        "prompt {id} is not posted after a minute: {}",
        system.operator.json(&["show", id])
    );
}

fn wait_until_settled(system: &System, prices: u128) -> Value {
    for _ in 0..300 {
        let status = system.operator.json(&["status"]);
        if wei(&status["account"]["earned_fees_wei"]) >= prices {
            return status["account"].clone();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!(
        "fees are not settled after half a minute: {}",
        system.operator.json(&["status"])
    );
}
