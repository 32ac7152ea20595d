//! `sworn rank`: places for the responses of a prompt.

use alloy::primitives::U256;
use clap::Args;
use serde_json::json;
use sworn_node::chain::abi::prompts;

use super::Context;
use super::failure::Failure;
use super::session::{Mined, Session, block_on, chain};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn rank 3 1,2               response 1 is better than response 2
  sworn rank 3 2,1,2             response 2 is best, the others tie
  sworn rank 3 --all-bad         none is any good
  sworn rank 3 1,2 --account 2   as another development account

Places are in the order of the responses: 1 is best, ties share a place, no place is left out. Ranking again replaces your earlier ranking.")]
pub(crate) struct RankArgs {
    /// Id of the prompt.
    #[arg(value_name = "ID")]
    id: u64,
    /// Place of each response, such as 1,2.
    #[arg(value_name = "PLACES", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..), required_unless_present = "all_bad")]
    places: Vec<u8>,
    /// Every response is bad; without places all of them share place 1.
    #[arg(long)]
    all_bad: bool,
}

pub(crate) fn run(args: &RankArgs, context: &Context) -> Result<(), Failure> {
    if !args.places.is_empty() {
        check(&args.places)?;
    }
    block_on(async {
        let session = Session::open(context).await?;
        let account = session.account()?;
        let prompt = session
            .client
            .prompt(&session.deployment, args.id)
            .await
            .map_err(chain)?;
        let places = if args.places.is_empty() {
            vec![1; usize::from(prompt.nRuns)]
        } else {
            args.places.clone()
        };
        if places.len() != usize::from(prompt.nRuns) {
            return Err(Failure::input(format!(
                "found {} places, expected {}: one for each response of prompt {}",
                places.len(),
                prompt.nRuns,
                args.id
            )));
        }
        let mined = submit(&session, args.id, places.clone(), args.all_bad).await?;
        context.out.document(&json!({ "id": args.id, "ranker": account, "places": places, "all_bad": args.all_bad, "mined": mined }))?;
        context.out.line(format!(
            "prompt {} ranked {} by {account}",
            args.id,
            shown(&places, args.all_bad)
        ));
        context.out.line(mined.to_string());
        Ok(())
    })
}

/// Sends a ranking.
pub(crate) async fn submit(
    session: &Session,
    id: u64,
    places: Vec<u8>,
    all_bad: bool,
) -> Result<Mined, Failure> {
    let call = prompts::rankCall {
        inputId: U256::from(id),
        places,
        allBad: all_bad,
    };
    let receipt = session
        .client
        .transact(session.deployment.prompts, &call, U256::ZERO)
        .await
        .map_err(chain)?;
    Ok(Mined::of(&receipt))
}

/// Places as people write them.
pub(crate) fn shown(places: &[u8], all_bad: bool) -> String {
    let places = places
        .iter()
        .map(u8::to_string)
        .collect::<Vec<_>>()
        .join(",");
    if all_bad {
        format!("{places} (all bad)")
    } else {
        places
    }
}

/// A ranking uses every place from 1 to its largest.
fn check(places: &[u8]) -> Result<(), Failure> {
    let largest = places.iter().copied().max().unwrap_or(0);
    match (1..=largest).find(|place| !places.contains(place)) {
        None => Ok(()),
        Some(missing) => Err(Failure::input(format!(
            "found places {} without place {missing}, expected every place from 1 to {largest}; 1 is best, ties share a place",
            shown(places, false)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rankings_are_dense() {
        for good in [&[1][..], &[1, 2], &[2, 1], &[1, 1], &[2, 1, 2], &[3, 1, 2]] {
            assert!(check(good).is_ok(), "{good:?}");
        }
        for bad in [&[2][..], &[1, 3], &[2, 2], &[1, 1, 3]] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
