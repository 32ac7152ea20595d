//! A liar's claim and what challengers make of it: the beginnings and ends that trials have in common.

use std::path::Path;
use std::sync::Arc;

use alloy_primitives::{Address, U256};
use sworn_differential::dispute::abi::Verdict;
use sworn_differential::dispute::world::{BASE_FEE, DECLARATION_SECONDS};
use sworn_inference::format::packed::Model;
use sworn_prover::Digest;
use sworn_prover::dispute::lie::{Hiding, Liar, Lie};
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::strategy::{Move, next};
use sworn_prover::params::Params;

use crate::lane::{self, Lane};
use crate::scene::{Claimed, Fallen, Scene, Step};

/// The job that the lie of [`Trial::of_a_hidden_token`] is about, and its run.
pub(crate) const LANE: u32 = 0;
pub(crate) const RUN: u32 = 1;

/// A wrong claim of a lane that stands on its chain, and the truth.
pub(crate) struct Trial {
    pub(crate) scene: Scene,
    pub(crate) own: OwnResults,
    pub(crate) liar: Liar,
    pub(crate) claimed: Claimed,
    pub(crate) proposer: Address,
    _folder: tempfile::TempDir,
}

impl Trial {
    /// A model, what it is asked, and the lie that is told about a run.
    pub(crate) fn new(
        asked: impl FnOnce(&Path) -> (Arc<Model>, Vec<(Params, Vec<u8>)>),
        lie: Lie,
        lane: u32,
        run: u32,
    ) -> Trial {
        let folder = tempfile::tempdir().unwrap();
        let (model, asked) = asked(folder.path());
        let (truth, world) = Lane::new(model, &asked);
        let mut scene = Scene::new(world);
        let mut liar = { lie.tell(truth.own(), lane, run, 1) }
            .unwrap()
            .expect("a place to lie");
        let proposer = scene.account("liar");
        let claimed = scene.claim(proposer, &mut liar);
        Trial {
            scene,
            own: truth.own(),
            liar,
            claimed,
            proposer,
            _folder: folder,
        }
    }

    /// A lie about a token, of a lane with two inputs.
    pub(crate) fn of_a_token() -> Trial {
        let asked = |folder: &Path| lane::tiny(folder, &["one", "two"]);
        Trial::new(asked, Lie::Token(Hiding::None), 1, 0)
    }

    /// A lie about a token that goes on in the sums behind it, so that it takes many openings to be shown.
    pub(crate) fn of_a_hidden_token() -> Trial {
        Trial::new(lane::short, Lie::Token(Hiding::Totals), LANE, RUN)
    }

    /// The next opening of a challenger in its own lines.
    pub(crate) fn opens(&mut self, challenger: Address) -> Digest {
        match self.step(challenger) {
            Step::Opened(key) => key,
            _ => panic!("a node to open"),
        }
    }

    /// A challenger's next move.
    pub(crate) fn step(&mut self, challenger: Address) -> Step {
        self.scene
            .step(&mut self.claimed, challenger, &mut self.own)
    }

    /// The liar answers an opening.
    pub(crate) fn answer(&mut self, key: Digest) {
        assert!(self.scene.answer(&mut self.claimed, key, &mut self.liar));
    }

    /// Goes on in one's own lines up to the proof.
    pub(crate) fn up_to_the_proof(&mut self, challenger: Address) -> Move {
        loop {
            let act = next(&self.claimed.lines_of(challenger), &mut self.own).unwrap();
            if let Move::Prove { .. } = act {
                return act;
            }
            let key = self.scene.open(&mut self.claimed, challenger, &act);
            self.answer(key);
        }
    }

    /// Somebody's proof, which holds.
    pub(crate) fn proves(&mut self, from: Address, act: Move) -> Fallen {
        match self.scene.act(&mut self.claimed, from, act) {
            Step::Fell(fallen) => *fallen,
            _ => panic!("a proof that holds"),
        }
    }

    /// Settles the fallen claim and pays everybody out: nothing is left.
    pub(crate) fn end(&mut self, from: Address, verdict: Verdict, others: &[Address]) {
        self.scene.world.mine(1, DECLARATION_SECONDS);
        self.scene.settle(&self.claimed, from, verdict);
        for account in [from, self.proposer].iter().chain(others) {
            self.scene.withdraw(*account);
        }
        assert_eq!(self.scene.held(), U256::ZERO);
    }

    /// What an account paid for gas.
    pub(crate) fn fees(&self, account: Address) -> i128 {
        i128::from(self.scene.purse(account).gas * BASE_FEE)
    }
}
