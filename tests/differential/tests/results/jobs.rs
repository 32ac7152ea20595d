//! Fields of a job.

use alloy_primitives::{B256, U256};
use sworn_inference::testing::Random;
use sworn_prover::dispute::Position;
use sworn_prover::dispute::abi::{Case, Job, Node, Run};
use sworn_prover::dispute::faults::job::{JobFacts, run_shape_witness};
use sworn_prover::dispute::faults::prompt::TokenizerBook;
use sworn_prover::dispute::position::NodeKind;
use sworn_prover::params::Params;

use crate::world::{World, job, tokenizer};

pub(crate) fn case(job: Job) -> Case {
    let position = Position {
        lane: 5,
        ..Position::tree(NodeKind::Job, 0, 0, 0, 0)
    };
    Case {
        epoch: 3,
        modelId: B256::repeat_byte(1),
        job,
        node: Node {
            position: U256::from_be_bytes(position.to_word()),
            value: B256::ZERO,
        },
        parent: Node {
            position: U256::ZERO,
            value: B256::ZERO,
        },
    }
}

fn params(random: &mut Random) -> Params {
    let mut limit = || match random.below(3) {
        0 => 0,
        _ => random.below(60) as u32,
    };
    Params {
        max_new_tokens: limit(),
        max_total_tokens: limit(),
        n_runs: 1 + random.below(16) as u16,
        temperature_milli: 800,
        ..Params::default()
    }
}

/// The smaller of what limits an answer: section 5, written once more.
fn limit(params: &Params, context: u32, n_prompt: u32) -> u32 {
    let mut limit = i64::from(context) - i64::from(n_prompt);
    if params.max_new_tokens > 0 {
        limit = limit.min(params.max_new_tokens.into());
    }
    if params.max_total_tokens > 0 {
        limit = limit.min(i64::from(params.max_total_tokens) - i64::from(n_prompt));
    }
    limit.max(0) as u32
}

/// A run that such an input may have.
fn right(random: &mut Random, params: &Params, context: u32) -> Run {
    let n_prompt = 1 + random.below(2 * context as usize) as u32;
    let digest = B256::repeat_byte(9);
    let mut run = Run {
        nPrompt: n_prompt,
        nTokens: n_prompt,
        finish: 2,
        tokensRoot: digest,
        offsetsRoot: B256::ZERO,
        textRoot: B256::ZERO,
        textLength: 0,
        score: 0,
        greedy: false,
    };
    if random.below(8) == 0 {
        // A malformed payload.
        (run.nPrompt, run.nTokens) = (1, 1);
        return run;
    }
    if n_prompt > context {
        return run;
    }
    let most = limit(params, context, n_prompt);
    let stops = most > 0 && random.below(2) == 0;
    let fresh = if stops {
        1 + random.below(most as usize) as u32
    } else {
        most
    };
    run.finish = u8::from(stops);
    run.nTokens += fresh;
    if fresh > 0 {
        run.offsetsRoot = digest;
        run.textLength = [0, 1, 65_535, 70][random.below(4)].min(65_535 * u64::from(fresh));
        run.textRoot = if run.textLength > 0 {
            digest
        } else {
            B256::ZERO
        };
    }
    run
}

fn change(random: &mut Random, run: &mut Run) {
    let number = |random: &mut Random, n: u32| match random.below(4) {
        0 => n.wrapping_add(1),
        1 => n.wrapping_sub(1),
        2 => random.below(100) as u32,
        _ => random.bits() as u32,
    };
    match random.below(9) {
        0 => run.nPrompt = number(random, run.nPrompt),
        1 => run.nTokens = number(random, run.nTokens),
        2 => run.finish = random.below(5) as u8,
        3 => run.offsetsRoot = B256::repeat_byte(random.below(2) as u8),
        4 => run.textRoot = B256::repeat_byte(random.below(2) as u8),
        5 => run.textLength = [0, 1, 65_535, 65_536, u64::MAX][random.below(5)],
        6 => run.score = [-1, 0, 1, i64::MIN][random.below(4)],
        7 => run.greedy = !run.greedy,
        _ => {
            run.nTokens = run.nPrompt;
        }
    }
}

#[test]
fn runs_that_inputs_may_have() {
    let mut random = Random(6);
    let tokenizer = tokenizer(false);
    let book = TokenizerBook::of(&tokenizer).unwrap();
    let mut world = World::new(&book);
    let (mut wrong, mut same) = (0, 0);
    for _ in 0..1500 {
        let params = params(&mut random);
        let context = 1 + random.below(50) as u32;
        let facts = JobFacts {
            input_id: 7,
            params: &params,
            context,
        };
        world.set_input(&params);
        world.set_program(context);
        let runs: Vec<Run> = (0..params.n_runs)
            .map(|_| right(&mut random, &params, context))
            .collect();
        let at = random.below(runs.len());
        let honest = case(job(runs));
        assert_eq!(world.judge_job(&honest, 16, &[]), Ok(false));
        assert_eq!(
            world.judge_job(&honest, 17, &run_shape_witness(at)),
            Ok(false)
        );
        assert_eq!(facts.find(&honest.job), None);

        let mut lie = honest;
        for _ in 0..1 + random.below(2) {
            change(&mut random, &mut lie.job.runs[at]);
        }
        let witness = run_shape_witness(at);
        let said = world.judge_job(&lie, 17, &witness).unwrap();
        assert_eq!(
            facts.judge(&lie.job, 17, &witness),
            Ok(said),
            "{params:?} {:?}",
            lie.job.runs[at]
        );
        let found = facts
            .find(&lie.job)
            .map(|(fault, witness)| (fault, witness == run_shape_witness(at)));
        assert_eq!(found, said.then_some((17, true)));
        if said { wrong += 1 } else { same += 1 }
    }
    assert!(wrong > 300 && same > 100, "{wrong} {same}");
}

/// Each rule of section 10.3 by itself.
#[test]
fn every_rule_of_a_run() {
    let tokenizer = tokenizer(false);
    let book = TokenizerBook::of(&tokenizer).unwrap();
    let mut world = World::new(&book);
    let params = Params {
        max_new_tokens: 20,
        max_total_tokens: 25,
        ..Params::default()
    };
    world.set_input(&params);
    world.set_program(40);
    let digest = B256::repeat_byte(9);
    // 10 tokens of prompt, 15 new ones until the limit.
    let good = Run {
        nPrompt: 10,
        nTokens: 25,
        finish: 0,
        tokensRoot: digest,
        offsetsRoot: digest,
        textRoot: digest,
        textLength: 99,
        score: 0,
        greedy: false,
    };
    let mut ask = |change: &dyn Fn(&mut Run)| {
        let mut run = good.clone();
        change(&mut run);
        world
            .judge_job(&case(job(vec![run])), 17, &run_shape_witness(0))
            .unwrap()
    };
    let empty = |run: &mut Run| {
        run.nTokens = run.nPrompt;
        (run.offsetsRoot, run.textRoot, run.textLength) = (B256::ZERO, B256::ZERO, 0);
    };
    type Change<'a> = &'a dyn Fn(&mut Run);
    let right: [Change<'_>; 9] = [
        &|_| (),
        &|run| (run.finish, run.nTokens) = (1, 11),
        &|run| run.finish = 1,
        &|run| (run.textLength, run.textRoot) = (0, B256::ZERO),
        &|run| run.textLength = 15 * 65_535,
        &|run| {
            (run.nPrompt, run.finish) = (41, 2);
            empty(run)
        },
        &|run| {
            (run.nPrompt, run.finish) = (1, 2);
            empty(run)
        },
        &|run| {
            (run.nPrompt, run.finish) = (25, 0);
            empty(run)
        },
        &|run| {
            (run.nPrompt, run.finish) = (40, 0);
            empty(run)
        },
    ];
    for (i, change) in right.iter().enumerate() {
        assert!(
            !ask(&|run| {
                change(run);
                if run.nPrompt != 10 {
                    run.nTokens = run.nPrompt
                }
            }),
            "right {i}"
        );
    }
    let wrong: [Change<'_>; 21] = [
        &|run| run.nPrompt = 0,
        &|run| run.nTokens = 9,
        &|run| run.finish = 3,
        &|run| run.finish = 4,
        &|run| run.score = 1,
        &|run| run.score = -1,
        &|run| run.greedy = true,
        &|run| run.finish = 2,
        &|run| {
            empty(run);
            run.finish = 2
        },
        &|run| {
            (run.nPrompt, run.finish) = (40, 2);
            empty(run)
        },
        &|run| {
            (run.nPrompt, run.finish) = (2, 2);
            empty(run)
        },
        &|run| {
            run.nPrompt = 41;
            empty(run)
        },
        &|run| {
            (run.nPrompt, run.finish) = (41, 1);
            run.nTokens = 42
        },
        &|run| run.nTokens = 24,
        &|run| run.nTokens = 26,
        &|run| {
            empty(run);
            run.finish = 1
        },
        &|run| (run.nTokens, run.finish) = (26, 1),
        &|run| {
            run.nPrompt = 25;
            empty(run);
            run.offsetsRoot = digest
        },
        &|run| {
            run.nPrompt = 25;
            empty(run);
            run.textRoot = digest
        },
        &|run| {
            run.nPrompt = 25;
            empty(run);
            run.textLength = 1
        },
        &|run| run.textLength = 0,
    ];
    for (i, change) in wrong.iter().enumerate() {
        assert!(ask(change), "wrong {i}");
    }
    assert!(ask(&|run| run.textLength = 15 * 65_535 + 1));
}

#[test]
fn expansions() {
    let tokenizer = tokenizer(false);
    let book = TokenizerBook::of(&tokenizer).unwrap();
    let mut world = World::new(&book);
    let mut random = Random(8);
    let params = Params {
        n_runs: 3,
        temperature_milli: 800,
        ..Params::default()
    };
    world.set_input(&params);
    let facts = JobFacts {
        input_id: 7,
        params: &params,
        context: 1000,
    };
    let run = right(&mut random, &params, 1000);
    let good = job(vec![run.clone(); 3]);
    let mut others = vec![good.clone(); 6];
    others[0].inputId = U256::from(8);
    others[1].inputId = U256::from(7) | U256::from(1) << 200;
    others[2].runs.pop();
    others[3].runs.push(run);
    others[4].runs.clear();
    others[5].scoreRoot = B256::repeat_byte(1);
    assert_eq!(world.judge_job(&case(good.clone()), 16, &[]), Ok(false));
    assert_eq!(facts.find(&good), None);
    for job in others {
        assert_eq!(facts.find(&job).map(|found| found.0), Some(16));
        assert_eq!(world.judge_job(&case(job), 16, &[]), Ok(true));
    }
    // Witnesses that are none, nodes of another kind, faults of another family.
    for witness in [
        vec![],
        vec![0; 31],
        vec![0; 33],
        run_shape_witness(3),
        vec![0xff; 32],
    ] {
        assert!(world.judge_job(&case(good.clone()), 17, &witness).is_err());
    }
    let mut other = case(good.clone());
    other.node.position =
        U256::from_be_bytes(Position::tree(NodeKind::Tokens, 5, 0, 0, 0).to_word());
    assert!(world.judge_job(&other, 16, &[]).is_err());
    assert!(world.judge_job(&case(good), 32, &[]).is_err());
}
