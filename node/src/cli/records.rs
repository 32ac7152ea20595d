//! Records of prompts as the chain tells them: events for texts, views for the rest.

use alloy::primitives::B256;
use sworn_inference::tokenizer::Segment;
use sworn_node::chain::abi::{claims, inbox, models, prompts};
use sworn_node::export::{self, PromptExport, PromptSegment};
use sworn_prover::params::Params;
use sworn_prover::{Digest, payload};

use super::failure::{Classify, Failure, Kind};
use super::session::{Session, chain};
use super::told::{self, Told};

/// `IClaims.Status.Standing`; the ABI has enums as numbers.
const STATUS_STANDING: u8 = 1;

/// How far a prompt is, as far as the chain knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChainState {
    /// Waits for its seed.
    Pending,
    /// Has its seed; nobody has claimed a result.
    Sealed,
    /// A claim stands.
    Claimed,
    /// The claim is final.
    Final,
    /// Every response is on the chain.
    Posted,
    /// Nobody answered; the fee went back.
    Refunded,
}

impl ChainState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ChainState::Pending => "pending",
            ChainState::Sealed => "sealed",
            ChainState::Claimed => "claimed",
            ChainState::Final => "final",
            ChainState::Posted => "posted",
            ChainState::Refunded => "refunded",
        }
    }
}

/// Everything the chain says about a prompt.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) prompt: prompts::PromptRecord,
    pub(crate) input: inbox::Input,
    pub(crate) params: Params,
    pub(crate) state: ChainState,
    pub(crate) claim: Option<(B256, claims::Claim)>,
    pub(crate) responses: Vec<prompts::PostedResponse>,
    pub(crate) rankings: Vec<prompts::Ranking>,
    pub(crate) told: Told,
}

impl Record {
    /// Text of a posted response.
    pub(crate) fn text(&self, run: u32) -> Vec<u8> {
        self.told
            .chunks
            .range((run, 0)..=(run, u32::MAX))
            .flat_map(|(_, (text, _))| text.iter().copied())
            .collect()
    }

    /// The prompt's text parts, one after the other.
    pub(crate) fn prompt_text(&self) -> Vec<u8> {
        let segments = payload::decode(&self.told.payload).unwrap_or_default();
        segments
            .iter()
            .filter_map(|segment| {
                if let Segment::Text(text) = segment {
                    Some(*text)
                } else {
                    None
                }
            })
            .flatten()
            .copied()
            .collect()
    }

    /// As an export takes it.
    pub(crate) fn export(&self, session: &Session, model: &models::Model) -> PromptExport {
        let segments = payload::decode(&self.told.payload).unwrap_or_default();
        let tx_of_run = |run: u32| {
            self.told
                .chunks
                .range((run, 0)..=(run, u32::MAX))
                .next_back()
                .map(|(_, (_, tx))| tx.to_string())
                .unwrap_or_default()
        };
        let responses = self
            .responses
            .iter()
            .zip(0u32..)
            .filter(|(response, _)| response.posted);
        PromptExport {
            input_id: self.id,
            author: self.prompt.author.to_string(),
            asked_at: self.prompt.askedAt,
            segments: segments
                .iter()
                .map(|segment| match segment {
                    Segment::Text(text) => PromptSegment::Text(text.to_vec()),
                    Segment::Control(id) => PromptSegment::Control(*id),
                })
                .collect(),
            params: export::Params {
                n_runs: u32::from(self.params.n_runs),
                max_new_tokens: self.params.max_new_tokens,
                max_total_tokens: self.params.max_total_tokens,
                temperature_milli: self.params.temperature_milli,
                top_k: self.params.top_k,
                top_p_ppm: self.params.top_p_ppm,
                min_p_ppm: self.params.min_p_ppm,
            },
            model: export::Model {
                id: self.prompt.modelId.to_string(),
                name: model.card.name.clone(),
                version: model.card.version.clone(),
                license: model.card.license.clone(),
                license_uri: model.card.licenseUri.clone(),
            },
            responses: responses
                .map(|(response, run)| export::Posted {
                    run,
                    text: self.text(run),
                    finish: finish_name(response.finish).to_owned(),
                    prompt_tokens: response.promptTokens,
                    new_tokens: response.newTokens,
                    posted_at: response.postedAt,
                    text_root: response.textRoot.to_string(),
                    tx: tx_of_run(run),
                })
                .collect(),
            rankings: self
                .rankings
                .iter()
                .map(|ranking| export::Ranked {
                    ranker: ranking.ranker.to_string(),
                    ranked_at: ranking.rankedAt,
                    sequence: ranking.sequence,
                    all_bad: ranking.allBad,
                    places: ranking.places.clone(),
                    tx: self
                        .told
                        .rank_txs
                        .get(&(ranking.ranker, ranking.sequence))
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                })
                .collect(),
            provenance: export::Provenance {
                chain_id: session.client.chain_id(),
                inbox: session.deployment.inbox.to_string(),
                prompts: session.deployment.prompts.to_string(),
                ask_tx: self.told.ask_tx.to_string(),
                claim_id: self
                    .claim
                    .as_ref()
                    .map(|(id, _)| id.to_string())
                    .unwrap_or_default(),
                epoch: self.input.epoch,
                claim_root: self
                    .claim
                    .as_ref()
                    .map(|(_, claim)| claim.root.to_string())
                    .unwrap_or_default(),
                proposer: self
                    .claim
                    .as_ref()
                    .map(|(_, claim)| claim.proposer.to_string())
                    .unwrap_or_default(),
            },
        }
    }
}

/// Name of a finish code in output.
pub(crate) fn finish_name(code: u8) -> &'static str {
    match code {
        0 => "length",
        1 => "stop",
        2 => "too_long",
        3 => "scored",
        _ => "unknown",
    }
}

/// How far an input is, and the claim that counts: the final one, else the oldest that stands.
pub(crate) async fn state(
    session: &Session,
    input: &inbox::Input,
    id: u64,
    all_posted: bool,
) -> Result<(ChainState, Option<(B256, claims::Claim)>), Failure> {
    let Session {
        client,
        deployment: d,
    } = session;
    if input.seed.is_zero() {
        let refunded = client.is_settled(d, id).await.map_err(chain)?;
        return Ok((
            if refunded {
                ChainState::Refunded
            } else {
                ChainState::Pending
            },
            None,
        ));
    }
    if let Some(claim_id) = client
        .final_claim(d, input.epoch, input.modelId)
        .await
        .map_err(chain)?
    {
        let claim = client.claim(d, claim_id).await.map_err(chain)?;
        return Ok((
            if all_posted {
                ChainState::Posted
            } else {
                ChainState::Final
            },
            Some((claim_id, claim)),
        ));
    }
    for claim_id in client
        .lane_claims(d, input.epoch, input.modelId)
        .await
        .map_err(chain)?
    {
        let claim = client.claim(d, claim_id).await.map_err(chain)?;
        if claim.status == STATUS_STANDING {
            return Ok((ChainState::Claimed, Some((claim_id, claim))));
        }
    }
    let refunded = client.is_settled(d, id).await.map_err(chain)?;
    Ok((
        if refunded {
            ChainState::Refunded
        } else {
            ChainState::Sealed
        },
        None,
    ))
}

/// The record of a prompt, given what events say.
pub(crate) async fn load(session: &Session, id: u64, told: Told) -> Result<Record, Failure> {
    let Session {
        client,
        deployment: d,
    } = session;
    let prompt = client.prompt(d, id).await.map_err(chain)?;
    let input = client.input(d, id).await.map_err(chain)?;
    let params = Params::unpack(Digest(input.params.0)).exit(Kind::Chain)?;
    let mut responses = Vec::new();
    for run in 0..u32::from(prompt.nRuns) {
        responses.push(client.response(d, id, run).await.map_err(chain)?);
    }
    let mut rankings = Vec::new();
    while (rankings.len() as u64) < u64::from(prompt.nRankers) {
        let page = client
            .rankings(d, id, rankings.len() as u64, 100)
            .await
            .map_err(chain)?;
        if page.is_empty() {
            break;
        }
        rankings.extend(page);
    }
    let all_posted = prompt.nPosted == prompt.nRuns;
    let (state, claim) = state(session, &input, id, all_posted).await?;
    Ok(Record {
        id,
        prompt,
        input,
        params,
        state,
        claim,
        responses,
        rankings,
        told,
    })
}

/// The record of one prompt.
pub(crate) async fn one(session: &Session, id: u64) -> Result<Record, Failure> {
    let told = told::read(session, Some(id))
        .await?
        .remove(&id)
        .unwrap_or_default();
    load(session, id, told).await
}
