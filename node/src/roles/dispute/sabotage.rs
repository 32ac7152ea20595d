//! Lies on purpose, for tests and demonstrations: a node that claims what is not so, answers late or not at all, floods, or claims too often.

use std::fmt;
use std::str::FromStr;

use sworn_prover::dispute::lie::Lie;

/// What a sabotaging node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Claims a lie and defends it as well as it can be.
    Lie(Told),
    /// Claims a lie and answers nothing.
    Silent(Told),
    /// Claims the truth and answers at the last moment.
    Late,
    /// Claims the truth; opens so many nodes of other claims that it knows to be right.
    Flood(u32),
    /// Claims so many different lies of a lane.
    Duplicates(u32, Told),
}

/// A lie and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The lie.
    pub lie: Lie,
    /// Which job of the lane.
    pub lane: u32,
    /// Which run of the job.
    pub run: u32,
    /// What chooses the place in the run.
    pub seed: u64,
}

/// A lie's name on the command line: `element-matmul-totals`.
pub fn name_of(lie: &Lie) -> String {
    let mut name = String::new();
    let mut after_letter = false;
    for c in lie.to_string().chars() {
        if c.is_ascii_uppercase() {
            if after_letter && !name.ends_with('-') {
                name.push('-');
            }
            name.push(c.to_ascii_lowercase());
            after_letter = true;
        } else if c.is_ascii_alphanumeric() {
            name.push(c);
            after_letter = true;
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
    }
    // Without the hiding when there is none.
    let name = name.trim_end_matches('-');
    name.strip_suffix("-none").unwrap_or(name).to_owned()
}

/// The names of all that can be given.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = Lie::all().iter().map(name_of).collect();
    names.extend(["silent", "late", "flood:N", "duplicates:N"].map(str::to_owned));
    names
}

impl FromStr for Sabotage {
    type Err = String;

    /// Reads `LIE`, `LIE@LANE.RUN`, `LIE@LANE.RUN.SEED`, `silent`, `late`, `flood:N` or `duplicates:N`.
    fn from_str(text: &str) -> Result<Sabotage, String> {
        let (what, place) = text.split_once('@').unwrap_or((text, "0.0.0"));
        let bad_place = || {
            format!("found the place `{place}`, expected LANE.RUN or LANE.RUN.SEED, such as 0.1.7")
        };
        let mut numbers = place.split('.').map(str::parse::<u64>);
        let mut number = |default: Option<u64>| match numbers.next() {
            Some(number) => number.map_err(|_| bad_place()),
            None => default.ok_or_else(bad_place),
        };
        let (lane, run, seed) = (number(None)?, number(None)?, number(Some(0))?);
        if place.split('.').count() > 3 {
            return Err(bad_place());
        }
        let told = |lie| {
            Ok::<Told, String>(Told {
                lie,
                lane: u32::try_from(lane).map_err(|_| bad_place())?,
                run: u32::try_from(run).map_err(|_| bad_place())?,
                seed,
            })
        };
        let usual = Lie::Token(sworn_prover::dispute::lie::Hiding::None);
        let (word, count) = what.split_once(':').unwrap_or((what, ""));
        let count = || {
            count
                .parse::<u32>()
                .ok()
                .filter(|n| (1..=10_000).contains(n))
                .ok_or_else(|| {
                    format!("found `{what}`, expected a number from 1 to 10000, such as {word}:20")
                })
        };
        Ok(match word {
            "silent" => Sabotage::Silent(told(usual)?),
            "late" => Sabotage::Late,
            "flood" => Sabotage::Flood(count()?),
            "duplicates" => Sabotage::Duplicates(count()?, told(usual)?),
            _ => {
                let lie = Lie::all().into_iter().find(|lie| name_of(lie) == what);
                let lie = lie.ok_or_else(|| {
                    format!("found `{what}`, expected one of {}", names().join(", "))
                })?;
                Sabotage::Lie(told(lie)?)
            }
        })
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sabotage::Lie(told) => write!(
                f,
                "{}@{}.{}.{}",
                name_of(&told.lie),
                told.lane,
                told.run,
                told.seed
            ),
            Sabotage::Silent(_) => f.write_str("silent"),
            Sabotage::Late => f.write_str("late"),
            Sabotage::Flood(n) => write!(f, "flood:{n}"),
            Sabotage::Duplicates(n, _) => write!(f, "duplicates:{n}"),
        }
    }
}

impl Sabotage {
    /// The lies that it claims, one a claim.
    pub(super) fn lies(&self) -> Vec<Told> {
        match *self {
            Sabotage::Lie(told) | Sabotage::Silent(told) => vec![told],
            Sabotage::Duplicates(n, told) => (0..u64::from(n))
                .map(|i| Told {
                    seed: told.seed + i,
                    ..told
                })
                .collect(),
            Sabotage::Late | Sabotage::Flood(_) => Vec::new(),
        }
    }

    /// Whether it claims lies instead of the truth.
    pub fn lies_in_claims(&self) -> bool {
        !matches!(self, Sabotage::Late | Sabotage::Flood(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lie_has_a_name_of_its_own_and_is_read_by_it() {
        let names: Vec<String> = Lie::all().iter().map(name_of).collect();
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len(), "{names:?}");
        for (lie, name) in Lie::all().into_iter().zip(&names) {
            let Sabotage::Lie(told) = format!("{name}@2.1.9").parse().unwrap() else {
                panic!("{name}")
            };
            assert_eq!((told.lie, told.lane, told.run, told.seed), (lie, 2, 1, 9));
            assert!(
                name.bytes()
                    .all(|b| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit()),
                "{name}"
            );
        }
        assert!(
            names.iter().any(|name| name == "element-matmul-totals"),
            "{names:?}"
        );
        assert_eq!("flood:20".parse(), Ok(Sabotage::Flood(20)));
        assert_eq!("late".parse(), Ok(Sabotage::Late));
        for bad in [
            "",
            "nonsense",
            "flood",
            "flood:0",
            "flood:x",
            "text-byte@1",
            "text-byte@a.b",
            "text-byte@1.2.3.4",
        ] {
            assert!(bad.parse::<Sabotage>().is_err(), "{bad}");
        }
    }
}
