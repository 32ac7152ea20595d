//! The claim tree of a lane (`prover/SPEC.md` section 6): leaf i is the job record of the lane's i-th sealed input.

use crate::dispute::shape::levels_down;
use crate::merkle::{self, Tree};
use crate::record::JobRecord;
use crate::{Digest, Error};

/// The tree that a claim states the root of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimTree {
    tree: Tree,
}

impl ClaimTree {
    /// The tree over a lane's jobs, in the order of their lane indices.
    #[must_use]
    pub fn new(jobs: &[JobRecord]) -> ClaimTree {
        ClaimTree {
            tree: Tree::new(jobs.iter().map(JobRecord::digest).collect()),
        }
    }

    /// What the claim states.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// The digests that a claim is made with: what an opening of the root would give, without the absent ones.
    #[must_use]
    pub fn digests(&self) -> &[Digest] {
        let depth = self.tree.depth();
        self.tree.level(depth - levels_down(depth))
    }

    /// The nodes at a height that are not absent; jobs have height 0.
    #[must_use]
    pub fn level(&self, height: u32) -> &[Digest] {
        self.tree.level(height)
    }

    /// Levels above the jobs.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.tree.depth()
    }

    /// Inputs of the lane.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether the lane has no input; such a lane needs no claim.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// The path of the job at `lane_index`.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`].
    pub fn job_path(&self, lane_index: u32) -> Result<Vec<Digest>, Error> {
        let index = u64::from(lane_index);
        if index >= self.len() as u64 {
            return Err(Error::IndexOutOfRange {
                what: "lane",
                found: index,
                expected: self.len() as u64,
            });
        }
        self.tree.path(index)
    }
}

/// Checks that `job` stands at `lane_index` of the claim with root `root` on a lane of `lane_count` inputs.
///
/// # Errors
/// [`Error::IndexOutOfRange`], [`Error::PathLength`] or [`Error::WrongRoot`].
pub fn verify_job(
    job: &JobRecord,
    lane_index: u32,
    lane_count: u32,
    path: &[Digest],
    root: Digest,
) -> Result<(), Error> {
    let (found, expected) = (u64::from(lane_index), u64::from(lane_count));
    if found >= expected {
        return Err(Error::IndexOutOfRange {
            what: "lane",
            found,
            expected,
        });
    }
    merkle::verify(
        "claim",
        job.digest(),
        found,
        merkle::depth(expected),
        path,
        root,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(count: u64) -> Vec<JobRecord> {
        let job = |input_id| JobRecord {
            input_id,
            n_runs: 1,
            runs_root: Digest::of(&[input_id as u8]),
            score_root: Digest::ZERO,
        };
        (0..count).map(job).collect()
    }

    #[test]
    fn every_job_is_provable_only_in_its_place() {
        for count in 1..12u32 {
            let jobs = jobs(u64::from(count));
            let claim = ClaimTree::new(&jobs);
            for (i, job) in (0..).zip(&jobs) {
                let path = claim.job_path(i).unwrap();
                assert_eq!(verify_job(job, i, count, &path, claim.root()), Ok(()));
                for other in (0..count + 2).filter(|other| *other != i) {
                    assert!(verify_job(job, other, count, &path, claim.root()).is_err());
                }
                let changed = JobRecord { n_runs: 2, ..*job };
                assert!(verify_job(&changed, i, count, &path, claim.root()).is_err());
            }
            assert!(claim.job_path(count).is_err(), "padding is no job");
        }
    }

    #[test]
    fn a_claim_is_made_with_its_top_digests() {
        for (count, expected) in [
            (1, 1),
            (2, 2),
            (3, 3),
            (64, 64),
            (65, 9),
            (130, 9),
            (200, 13),
        ] {
            let claim = ClaimTree::new(&jobs(count));
            assert_eq!(claim.digests().len(), expected, "{count} jobs");
            let height = claim.depth() - levels_down(claim.depth());
            assert_eq!(
                Tree::on(height, claim.digests().to_vec()).root(),
                claim.root()
            );
        }
    }

    #[test]
    fn a_lane_of_one_input_is_its_job() {
        let [job] = jobs(1)[..] else { unreachable!() };
        assert_eq!(ClaimTree::new(&[job]).root(), job.digest());
        assert!(ClaimTree::new(&[]).is_empty());
    }
}
