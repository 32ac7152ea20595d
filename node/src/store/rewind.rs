//! Undoing blocks that are no longer part of the chain.
//!
//! Every record read from events names the block of each event it holds, so a rewind drops exactly what later blocks told.
//! What this node computed stays: a result names its seed and is used again if the seed comes back.

use super::tables::{
    ATTEMPTS, BLOCKS, CLAIMS, CURSOR, DELIVERIES, DISPUTED, FALLS, INPUTS, LANE_CLAIMS,
    LANE_INPUTS, MODELS, NODES, OPEN_LANES, REWARDS, SETTLEMENTS, UNANSWERED, UNSEALED,
};
use super::{Cursor, Store, StoreError, StoredInput, Writes};

impl Store {
    /// Forgets every event after block `to.number`, which becomes the last block read.
    pub fn rewind(&self, to: Cursor) -> Result<(), StoreError> {
        let last_good = to.number;
        let mut writes = self.begin();
        for item in self.scan(INPUTS) {
            let (_, input) = item?;
            rewind_input(&mut writes, input, last_good)?;
        }
        for item in self.scan(CLAIMS) {
            let (id, mut claim) = item?;
            let before = claim.clone();
            if claim.block > last_good {
                writes.remove(CLAIMS, &id);
                writes.remove(LANE_CLAIMS, &(claim.lane, id));
                writes.put(OPEN_LANES, &claim.lane, &())?;
                continue;
            }
            claim.end = claim.end.filter(|(_, block)| *block <= last_good);
            claim.bond_gone = claim.bond_gone.filter(|block| *block <= last_good);
            if claim != before {
                writes.put(DISPUTED, &id, &())?;
                writes.put(CLAIMS, &id, &claim)?;
                writes.put(OPEN_LANES, &claim.lane, &())?;
            }
        }
        for item in self.scan(DELIVERIES) {
            let (key, delivery) = item?;
            if delivery.block > last_good {
                writes.remove(DELIVERIES, &key);
                writes.remove(ATTEMPTS, &key);
                reopen_lane_of(&mut writes, key.input)?;
            }
        }
        for item in self.scan(SETTLEMENTS) {
            let (id, settlement) = item?;
            if settlement.block > last_good {
                writes.remove(SETTLEMENTS, &id);
                reopen_lane_of(&mut writes, id)?;
            }
        }
        self.rewind_challenges(&mut writes, last_good)?;
        for item in self.scan(MODELS) {
            let (id, model) = item?;
            if model.block > last_good {
                writes.remove(MODELS, &id);
            }
        }
        for item in self.scan_from(BLOCKS, &(last_good + 1)) {
            let (number, _) = item?;
            writes.remove(BLOCKS, &number);
        }
        writes.put(CURSOR, &(), &to)?;
        writes.commit()?;
        self.flush()
    }
}

impl Store {
    fn rewind_challenges(&self, writes: &mut Writes<'_>, last_good: u64) -> Result<(), StoreError> {
        for item in self.scan(NODES) {
            let (key, mut node) = item?;
            if node.opened.block > last_good {
                writes.remove(NODES, &key);
                continue;
            }
            let before = node.clone();
            node.revealed = node.revealed.filter(|reveal| reveal.block <= last_good);
            node.reclaimed = node.reclaimed.filter(|block| *block <= last_good);
            if node != before {
                writes.put(DISPUTED, &key.0, &())?;
                writes.put(NODES, &key, &node)?;
            }
        }
        for item in self.scan(FALLS) {
            let (claim, mut fall) = item?;
            if fall.block > last_good {
                writes.put(DISPUTED, &claim, &())?;
                writes.remove(FALLS, &claim);
                continue;
            }
            let before = fall.clone();
            fall.redeemed.retain(|(block, _)| *block <= last_good);
            fall.settled = fall.settled.filter(|settled| settled.block <= last_good);
            if fall != before {
                writes.put(DISPUTED, &claim, &())?;
                writes.put(FALLS, &claim, &fall)?;
            }
        }
        for item in self.scan(REWARDS) {
            let (key, reward) = item?;
            if reward.block > last_good {
                writes.remove(REWARDS, &key);
            }
        }
        Ok(())
    }
}

fn rewind_input(
    writes: &mut Writes<'_>,
    mut input: StoredInput,
    last_good: u64,
) -> Result<(), StoreError> {
    let before = input.clone();
    if let Some(seal) = input.seal.filter(|seal| seal.block > last_good) {
        let lane = super::LaneKey {
            epoch: seal.epoch,
            model: input.model,
        };
        writes.remove(LANE_INPUTS, &(lane, seal.lane_index));
        writes.remove(UNANSWERED, &input.id);
        writes.put(UNSEALED, &input.id, &())?;
        input.seal = None;
    }
    if input.block > last_good {
        writes.remove(INPUTS, &input.id);
        writes.remove(UNSEALED, &input.id);
        return Ok(());
    }
    input.rearms.retain(|r| r.block <= last_good);
    if input != before {
        writes.put(INPUTS, &input.id, &input)?;
    }
    Ok(())
}

fn reopen_lane_of(writes: &mut Writes<'_>, input: u64) -> Result<(), StoreError> {
    if let Some(lane) = writes.read(INPUTS, &input)?.and_then(|input| input.lane()) {
        writes.put(OPEN_LANES, &lane, &())?;
    }
    Ok(())
}
