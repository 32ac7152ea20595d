//! One element of one step with made-up leaves around it, and the case and witness of its fault.

use sworn_differential::vectors::{Rng, pair};
use sworn_inference::program::{Op, Part, WeightFormat};
use sworn_prover::Digest;
use sworn_prover::dispute::abi::{Case, Leaf};
use sworn_prover::dispute::faults::step::{
    Builder, Needs, Opened, Place, SCALES, is_long_sum, needs, recompute, tile_needs, weight_shape,
};
use sworn_prover::dispute::trace::{LeafKind, Step, TraceLayout};

use crate::leaves::{Taste, plant, trace_leaf, weight_leaf};
use crate::programs::{Shape, steps};
use crate::world::{FakeTrace, FakeWeights, RunOf, no_node, word};

/// Everything that a fault of one element is judged against.
#[derive(Clone)]
pub(crate) struct Scene {
    pub layout: TraceLayout,
    pub run: RunOf,
    pub row: u32,
    pub step: Step,
    pub place: Place,
    pub trace: FakeTrace,
    pub weights: FakeWeights,
    pub opened: Opened,
    /// Height of the node that shows the fault.
    pub height: u32,
}

impl Scene {
    /// A random element of a random program's step; with `long` one that is proven by totals.
    pub(crate) fn random(rng: &mut Rng, op: Op, format: WeightFormat, long: bool) -> Scene {
        loop {
            let shape = Shape::random(rng, format, long);
            let layout = TraceLayout::new(&shape.program()).unwrap();
            let steps: Vec<Step> = steps(&layout, op, format)
                .into_iter()
                .filter(|step| is_long_sum(step) == long)
                .collect();
            if steps.is_empty() {
                continue;
            }
            let step = steps[rng.below(steps.len() as u32) as usize];
            let element = match rng.below(3) {
                0 => step.elements - 1,
                _ => rng.below(step.elements),
            };
            let mut place = Place::of(&step, element);
            if step.kind == LeafKind::Quantised && rng.below(2) == 0 {
                place.lane = SCALES + place.lane / 32;
            }
            let count = 2 + rng.below(shape.context - 1);
            return Scene::of(rng, layout, step, place, count);
        }
    }

    /// A given element with random leaves in a random run of `count` tokens.
    pub(crate) fn of(
        rng: &mut Rng,
        layout: TraceLayout,
        step: Step,
        place: Place,
        count: u32,
    ) -> Scene {
        let vocab = layout.program().vocab_size();
        let n_prompt = 1 + rng.below(count - 1);
        let tokens: Vec<u32> = (0..count).map(|_| rng.below(vocab)).collect();
        let rows = count - 1;
        let row = match step.part {
            Part::Tail => n_prompt - 1 + rng.below(rows - (n_prompt - 1)),
            _ => rng.below(rows),
        };
        let seed = rng.bits64();
        let (height, cols, _) = weight_shape(&layout, &step).unwrap_or((1, 1, WeightFormat::F32));
        let weights = FakeWeights::new(
            &layout,
            step.weights[0].unwrap_or(0),
            height,
            cols,
            seed ^ 1,
        );
        let mut scene = Scene {
            trace: FakeTrace::new(&layout, rows, seed),
            weights,
            layout,
            run: RunOf {
                lane: rng.bits(),
                run: rng.below(3) as u8,
                tokens,
                n_prompt,
            },
            row,
            step,
            place,
            opened: Opened::default(),
            height: rng.below(3),
        };
        if let Ok(needs) = scene.needs() {
            scene.fill(rng, &needs);
            if needs.inputs.len() == 2 && rng.below(2) == 0 {
                scene.plant_pair(rng, &needs);
            }
        }
        scene
    }

    pub(crate) fn needs(&self) -> Result<Needs, sworn_prover::Error> {
        let token = self.run.tokens[self.row as usize];
        needs(&self.layout, &self.step, self.place, self.row, token)
    }

    /// Makes up the leaves that are needed.
    pub(crate) fn fill(&mut self, rng: &mut Rng, needs: &Needs) {
        // Often all alike: sums of subnormals and of huge numbers.
        let one = match rng.below(6) {
            0..3 => Some(Taste::favourite(self.step.op, rng)),
            3 | 4 => Some(Taste::random(rng)),
            _ => None,
        };
        for range in &needs.inputs {
            let taste = one.unwrap_or_else(|| Taste::random(rng));
            for leaf in range.first..range.first + range.count {
                let kind = self.layout.step_at(leaf).unwrap().kind;
                let bytes = trace_leaf(rng, kind, taste);
                self.trace.put(self.row, leaf, bytes);
            }
        }
        for range in &needs.weights {
            let taste = one.unwrap_or_else(|| Taste::random(rng));
            let format = weight_shape(&self.layout, &self.step)
                .map_or(WeightFormat::F32, |(_, _, format)| format);
            for tile in range.first..range.first + range.count {
                let bytes = weight_leaf(rng, format, taste);
                let index = self.weights.index(range.row, tile);
                self.weights.tree.put(index, bytes);
            }
        }
        self.read(needs);
    }

    /// Operands at which binary32 goes wrong: those of the numeric libraries' tests, and opposites, almost.
    fn plant_pair(&mut self, rng: &mut Rng, needs: &Needs) {
        let i = rng.below(40_000) as usize;
        let (a, mut b) = pair(rng, i);
        if rng.below(4) == 0 {
            b = (a ^ 0x8000_0000).wrapping_add(rng.below(3)).wrapping_sub(1);
        }
        let lane = self.place.element(&self.step).unwrap_or(0) % 64;
        // The second input of norm_apply is one number.
        let second = if self.step.op == Op::NormApply {
            0
        } else {
            lane
        };
        for (range, lane, bits) in [(needs.inputs[0], lane, a), (needs.inputs[1], second, b)] {
            let index = self.layout.index(self.row, range.first);
            let mut bytes = self.trace.tree.get(index).cloned().unwrap_or_default();
            plant(LeafKind::F32, &mut bytes, lane, bits);
            self.trace.tree.put(index, bytes);
        }
        self.read(needs);
    }

    pub(crate) fn read(&mut self, needs: &Needs) {
        self.opened = Builder::new(&self.layout, &mut self.trace, &self.weights, &[])
            .read(self.row, needs)
            .unwrap();
    }

    pub(crate) fn expected(&self) -> u32 {
        recompute(&self.step, self.place, &self.opened).unwrap()
    }

    /// Makes up the claimed leaf around an element.
    pub(crate) fn claim(&mut self, rng: &mut Rng, bits: u32) {
        let mut leaf = trace_leaf(rng, self.step.kind, Taste::Ordinary);
        plant(self.step.kind, &mut leaf, self.place.lane, bits);
        self.claim_leaf(leaf);
    }

    pub(crate) fn claim_leaf(&mut self, leaf: Vec<u8>) {
        let at = self.step.first_leaf + self.place.leaf;
        self.trace.put(self.row, at, leaf);
    }

    /// The claimed leaf in its node.
    pub(crate) fn claimed(&self) -> Leaf {
        let index = self.index();
        Leaf {
            data: self.trace.tree.get(index).unwrap().clone().into(),
            path: self
                .trace
                .tree
                .path(index, 0, self.height)
                .into_iter()
                .map(word)
                .collect(),
        }
    }

    pub(crate) fn index(&self) -> u64 {
        self.layout
            .index(self.row, self.step.first_leaf + self.place.leaf)
    }

    /// The case of a fault that shows in the trace node.
    pub(crate) fn case(&self) -> Case {
        let index = self.index() >> self.height;
        let node =
            self.run
                .trace_node(self.height, index, self.trace.tree.node(self.height, index));
        self.run.case(self.trace.root(), node, no_node())
    }

    /// The case of a fault that shows in the element's totals.
    pub(crate) fn totals_case(&self, contents: &[u8]) -> Case {
        let element = self.place.element(&self.step).unwrap();
        let node = self
            .run
            .totals_node(self.row, self.step.number, element, contents);
        let parent = self.case().node;
        self.run.case(self.trace.root(), node, parent)
    }

    /// The witness of fault 64.
    pub(crate) fn witness(&mut self) -> Vec<u8> {
        let claimed = self.claimed();
        let (row, step, place) = (self.row, self.step, self.place);
        let tokens = self.run.tokens.clone();
        Builder::new(&self.layout, &mut self.trace, &self.weights, &tokens)
            .step(row, &step, place, claimed)
            .unwrap()
    }

    /// The witness of fault 66.
    pub(crate) fn total_witness(&mut self, tile: u32, contents: &[u8]) -> Vec<u8> {
        let element = self.place.element(&self.step).unwrap();
        let (row, step) = (self.row, self.step);
        Builder::new(&self.layout, &mut self.trace, &self.weights, &[])
            .total(row, &step, element, tile, contents)
            .unwrap()
    }

    pub(crate) fn tile_needs(&self, tile: u32) -> Needs {
        let element = self.place.element(&self.step).unwrap();
        tile_needs(&self.layout, &self.step, element, tile).unwrap()
    }

    pub(crate) fn weights_root(&self) -> Digest {
        self.weights.root()
    }
}
