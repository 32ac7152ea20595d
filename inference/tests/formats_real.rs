//! Real model files.

mod common;

use common::{data, fable};
use sworn_inference::format::{ModelSource, TensorRole};
use sworn_inference::program::WeightFormat;

#[test]
fn stories260k() {
    let test = "stories260k";
    let Some(model) = data(test, "llama2c/stories260K.bin") else {
        return;
    };
    let Some(tokenizer) = data(test, "llama2c/tok512.bin") else {
        return;
    };
    let source = ModelSource::open(&model, Some(&tokenizer)).unwrap();
    assert_eq!(
        (
            source.config.dim,
            source.config.hidden_dim,
            source.config.n_layers
        ),
        (64, 172, 5)
    );
    assert_eq!(
        (
            source.config.n_heads,
            source.config.n_kv_heads,
            source.config.vocab_size
        ),
        (8, 4, 512)
    );
    assert!(source.config.tied_head);
    assert_eq!(source.stop_tokens, [1, 2]);
    assert_eq!(source.card.name, "stories260K");
    assert_eq!(source.card.quantisation, "F32");
    let down = source.tensor(TensorRole::Down, 4).unwrap();
    assert_eq!(
        (down.rows, down.cols, down.format),
        (64, 172, WeightFormat::F32)
    );
    assert!(source.tensor(TensorRole::Down, 5).is_err());
    assert!(source.tensor(TensorRole::Output, 0).is_err());
}

/// The same weights in both files: every Q8_0 value is near its f32 value, so no tensor is mistaken for another.
#[test]
fn fable_in_both_formats() {
    let test = "fable_in_both_formats";
    let Some(gguf) = fable(test, "fable-2m.q8_0.gguf") else {
        return;
    };
    let Some(bin) = fable(test, "fable-2m.f32.bin") else {
        return;
    };
    let Some(tokenizer) = fable(test, "tokenizer.bin") else {
        return;
    };
    let quantised = ModelSource::open(&gguf, None).unwrap();
    let plain = ModelSource::open(&bin, Some(&tokenizer)).unwrap();
    assert_eq!(quantised.config, plain.config);
    assert_eq!(quantised.stop_tokens, plain.stop_tokens);
    assert_eq!(quantised.card.license.as_deref(), Some("Apache-2.0"));
    assert_eq!(quantised.card.version, "1.0.0");
    assert_eq!(quantised.card.name, "fable-2m");
    assert_eq!(quantised.card.quantisation, "Q8_0");
    assert_eq!(quantised.card.parameters, 1_967_808);
    assert_eq!(plain.card.parameters, 1_967_808);
    let mut compared = 0;
    for role in TensorRole::ALL {
        if role == TensorRole::Output {
            continue;
        }
        for layer in 0..if role.in_layer() {
            plain.config.n_layers
        } else {
            1
        } {
            let exact = plain.tensor(role, layer).unwrap();
            let near = quantised.tensor(role, layer).unwrap();
            assert_eq!((exact.rows, exact.cols), (near.rows, near.cols), "{role:?}");
            for row in 0..exact.rows {
                for tile in 0..exact.cols.div_ceil(256) {
                    let (mut a, mut b) = (Vec::new(), Vec::new());
                    exact.write_leaf(row, tile, &mut a);
                    near.write_leaf(row, tile, &mut b);
                    for (index, value) in a.chunks_exact(4).enumerate() {
                        let value = f32::from_le_bytes(value.try_into().unwrap());
                        let (other, step) = if role.is_norm() {
                            (
                                f32::from_le_bytes(b[index * 4..index * 4 + 4].try_into().unwrap()),
                                1e-6,
                            )
                        } else {
                            let block = index / 32;
                            let scale = half(u16::from_le_bytes([b[block * 2], b[block * 2 + 1]]));
                            (scale * f32::from(b[16 + index] as i8), scale)
                        };
                        assert!(
                            (value - other).abs() <= step * 0.6,
                            "{role:?} {layer} {row} {tile} {index}: {value} {other}"
                        );
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 1_967_808);
}

/// A binary16 number.
fn half(bits: u16) -> f32 {
    let magnitude = match (bits >> 10 & 31, bits & 1023) {
        (0, mantissa) => f32::from(mantissa) * 2_f32.powi(-24),
        (exponent, mantissa) => {
            (1.0 + f32::from(mantissa) / 1024.0) * 2_f32.powi(i32::from(exponent) - 15)
        }
    };
    if bits >> 15 == 0 {
        magnitude
    } else {
        -magnitude
    }
}
