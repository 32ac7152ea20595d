//! `sworn refund` and `sworn withdraw`: money that comes back.

use alloy::primitives::{Address, U256};
use clap::Args;
use serde_json::json;
use sworn_node::chain::abi::{challenges, claims, fees};

use super::Context;
use super::failure::Failure;
use super::output::ether;
use super::session::{Mined, Session, block_on, chain};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn refund 3
  sworn refund 3 --json

Works once the deadline for an answer passed and nobody claimed one. Anyone may call; the fee goes to who paid it and waits there for
`sworn withdraw`.")]
pub(crate) struct RefundArgs {
    /// Id of the prompt.
    #[arg(value_name = "ID")]
    id: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn withdraw
  sworn withdraw --to 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --account 2")]
pub(crate) struct WithdrawArgs {
    /// Where the money goes; the sender when left out.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
}

pub(crate) fn run_refund(args: &RefundArgs, context: &Context) -> Result<(), Failure> {
    block_on(async {
        let session = Session::open(context).await?;
        session.account()?;
        let call = claims::refundCall {
            inputId: U256::from(args.id),
        };
        let receipt = session
            .client
            .transact(session.deployment.claims, &call, U256::ZERO)
            .await
            .map_err(chain)?;
        let mined = Mined::of(&receipt);
        context
            .out
            .document(&json!({ "id": args.id, "refunded": true, "mined": mined }))?;
        context.out.line(format!(
            "the fee of prompt {} can be withdrawn by its payer",
            args.id
        ));
        context.out.line(mined.to_string());
        Ok(())
    })
}

pub(crate) fn run_withdraw(args: &WithdrawArgs, context: &Context) -> Result<(), Failure> {
    block_on(async {
        let session = Session::open(context).await?;
        let Session {
            client,
            deployment: d,
        } = &session;
        let account = session.account()?;
        let to = args.to.unwrap_or(account);
        let (bonds, earned) = client.withdrawable(d, account).await.map_err(chain)?;
        let mut mined = Vec::new();
        if !bonds.is_zero() {
            let receipt = client
                .transact(d.claims, &claims::withdrawCall { to }, U256::ZERO)
                .await
                .map_err(chain)?;
            mined.push(Mined::of(&receipt));
        }
        if !earned.is_zero() {
            let receipt = client
                .transact(d.fees, &fees::withdrawCall { to }, U256::ZERO)
                .await
                .map_err(chain)?;
            mined.push(Mined::of(&receipt));
        }
        let of_challenges = client.challenge_balance(d, account).await.map_err(chain)?;
        if !of_challenges.is_zero() {
            let receipt = client
                .transact(d.disputes, &challenges::withdrawCall { to }, U256::ZERO)
                .await
                .map_err(chain)?;
            mined.push(Mined::of(&receipt));
        }
        context.out.document(&json!({ "account": account, "to": to, "bonds_wei": bonds.to_string(), "fees_wei": earned.to_string(), "challenges_wei": of_challenges.to_string(), "mined": mined }))?;
        if mined.is_empty() {
            context
                .out
                .line(format!("nothing to withdraw for {account}"));
        } else {
            context.out.line(format!(
                "{} ETH of bonds, {} ETH of fees and {} ETH of challenges to {to}",
                ether(bonds),
                ether(earned),
                ether(of_challenges)
            ));
            mined
                .iter()
                .for_each(|mined| context.out.line(mined.to_string()));
        }
        Ok(())
    })
}
