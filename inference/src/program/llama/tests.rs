use super::*;
use crate::program::{Part, ValueShape, WeightShape};

pub(in crate::program) fn small_config() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 96,
        context: 40,
        dim: 64,
        hidden_dim: 96,
        n_layers: 3,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 16,
        rope_dim: 16,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied_head: true,
    }
}

pub(in crate::program) fn compile_small(tied: bool, format: WeightFormat) -> Program {
    let config = LlamaConfig {
        tied_head: tied,
        ..small_config()
    };
    compile(&config, &MatrixFormats::all(format), &[1, 2])
        .expect("the small configuration compiles")
}

#[test]
fn shapes_and_order_of_weights() {
    let config = LlamaConfig {
        tied_head: false,
        ..small_config()
    };
    let program = compile_small(false, WeightFormat::Q8_0);
    let sources = weight_sources(&config);
    assert_eq!(program.weight_count(), sources.len());
    let shape = |format, rows, cols| WeightShape { format, rows, cols };
    for (global, source) in sources.iter().enumerate() {
        use TensorRole::*;
        use WeightFormat::{F32, Q8_0};
        let expected = match source {
            WeightSource::RopeTable => shape(F32, 40, 16),
            WeightSource::Tensor(role, _) => match role {
                Embed | Output => shape(Q8_0, 96, 64),
                AttnNorm | FfnNorm | OutputNorm => shape(F32, 1, 64),
                Q | O => shape(Q8_0, 64, 64),
                K | V => shape(Q8_0, 32, 64),
                Gate | Up => shape(Q8_0, 96, 64),
                Down => shape(Q8_0, 64, 96),
            },
        };
        assert_eq!(program.weight_shape(global), expected, "{source:?}");
        assert_eq!(program.is_matrix(global), expected.format == Q8_0);
        let (number, layer) = program.local_weight(global);
        assert_eq!(
            program.global_weight(number as u16, layer.unwrap_or(0)),
            global
        );
        if let (WeightSource::Tensor(_, l), Some(layer)) = (source, layer) {
            assert_eq!(*l, layer);
        }
    }
    let last = program.entry_count() - 1;
    assert_eq!(program.value_shape(last), ValueShape::F32(96));
    assert_eq!(program.part_of(last), Part::Tail);
}

#[test]
fn one_quantise_feeds_all_matrices_of_an_input() {
    let count = |format, op| {
        let program = compile_small(true, format);
        program
            .entries(Part::Body)
            .iter()
            .filter(|entry| entry.op == op)
            .count()
    };
    assert_eq!(
        (
            count(WeightFormat::Q4_0, Op::Quantise),
            count(WeightFormat::Q4_0, Op::Matmul)
        ),
        (4, 7)
    );
    assert_eq!(count(WeightFormat::F16, Op::Quantise), 0);
}

#[test]
fn bad_configurations_are_errors() {
    let good = small_config();
    let bad = [
        LlamaConfig {
            dim: 60,
            ..good.clone()
        },
        LlamaConfig {
            n_kv_heads: 3,
            ..good.clone()
        },
        LlamaConfig {
            rope_dim: 18,
            ..good.clone()
        },
        LlamaConfig {
            rope_dim: 7,
            ..good.clone()
        },
        LlamaConfig {
            rope_dim: 0,
            ..good.clone()
        },
        LlamaConfig {
            context: 0,
            ..good.clone()
        },
        LlamaConfig {
            vocab_size: 0,
            ..good.clone()
        },
        LlamaConfig {
            n_layers: 0,
            ..good.clone()
        },
        LlamaConfig {
            n_layers: 70_000,
            ..good.clone()
        },
        LlamaConfig {
            n_heads: u32::MAX,
            ..good.clone()
        },
        LlamaConfig {
            hidden_dim: 0,
            ..good.clone()
        },
    ];
    for config in bad {
        let result = compile(&config, &MatrixFormats::all(WeightFormat::Q8_0), &[2]);
        assert!(result.is_err(), "{config:?}");
    }
    for stops in [vec![2, 1], vec![1, 1], vec![96], (0..17).collect()] {
        assert!(
            compile(&good, &MatrixFormats::all(WeightFormat::Q8_0), &stops).is_err(),
            "{stops:?}"
        );
    }
    let mixed = MatrixFormats {
        output: WeightFormat::F32,
        ..MatrixFormats::all(WeightFormat::Q8_0)
    };
    assert!(
        compile(&good, &mixed, &[]).is_err(),
        "tied matrices have one format"
    );
}
