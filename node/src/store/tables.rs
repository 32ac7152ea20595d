//! The tables. A tag is never reused for something else without a new schema.

use alloy::primitives::B256;

use super::challenges::{StoredFall, StoredNode, StoredReward};
use super::records::{
    Attempt, Cursor, Delivery, LaneKey, NodeReport, Settlement, StoredClaim, StoredInput,
    StoredModel, StoredResult, VoucherKey,
};
use super::table::Table;

/// How far the chain was read.
pub const CURSOR: Table<(), Cursor> = Table::new(1);
/// Hashes of blocks that were read, to find where a reorganised chain forked off.
pub const BLOCKS: Table<u64, B256> = Table::new(2);
/// Inputs by id.
pub const INPUTS: Table<u64, StoredInput> = Table::new(3);
/// Inputs that wait for their seal.
pub const UNSEALED: Table<u64, ()> = Table::new(4);
/// Sealed inputs for which this node has no result.
pub const UNANSWERED: Table<u64, ()> = Table::new(5);
/// Inputs of a lane in order.
pub const LANE_INPUTS: Table<(LaneKey, u32), u64> = Table::new(6);
/// Claims by id.
pub const CLAIMS: Table<B256, StoredClaim> = Table::new(7);
/// Claims of a lane.
pub const LANE_CLAIMS: Table<(LaneKey, B256), ()> = Table::new(8);
/// Lanes in which something is left to do.
pub const OPEN_LANES: Table<LaneKey, ()> = Table::new(9);
/// Results that this node computed, by input.
pub const RESULTS: Table<u64, StoredResult> = Table::new(10);
/// Vouchers that the chain has executed.
pub const DELIVERIES: Table<VoucherKey, Delivery> = Table::new(11);
/// Vouchers that this node tried in vain.
pub const ATTEMPTS: Table<VoucherKey, Attempt> = Table::new(12);
/// Fees paid out or given back, by input.
pub const SETTLEMENTS: Table<u64, Settlement> = Table::new(13);
/// What the operator and the asker should know about an input.
pub const REPORTS: Table<u64, NodeReport> = Table::new(14);
/// Registered models.
pub const MODELS: Table<B256, StoredModel> = Table::new(15);
/// How often the node ended while it computed an input: such an input may be what ended it.
pub const BEGUN: Table<u64, u32> = Table::new(16);
/// Opened nodes of claims, by (claim, key).
pub const NODES: Table<(B256, B256), StoredNode> = Table::new(17);
/// How claims fell.
pub const FALLS: Table<B256, StoredFall> = Table::new(18);
/// Rewards paid for falls, by (claim, place in the chain).
pub const REWARDS: Table<(B256, u64), StoredReward> = Table::new(19);
/// Claims whose challenges may leave something to do.
pub const DISPUTED: Table<B256, ()> = Table::new(20);
