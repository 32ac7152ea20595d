//! Leaves with ordinary, special and arbitrary contents.

use sworn_differential::vectors::{Rng, edge};
use sworn_inference::numeric::f32_to_f16;
use sworn_inference::program::{Op, WeightFormat};
use sworn_prover::dispute::trace::LeafKind;

/// What numbers a leaf gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taste {
    /// About normal.
    Ordinary,
    /// Normal, with some special values.
    Salted,
    /// Multiples of a half up to 127, which most blocks have: quantised they are ties.
    Halves,
    /// Below and around the least block that quantises to anything but zeros.
    Least,
    /// Around binary16, its subnormals and its ties.
    Narrow,
    /// Where exp is not 0 or infinite.
    Range,
    /// Special values.
    Special,
    /// Any bits.
    Bits,
    /// Numbers below the smallest normal and around.
    Tiny,
    /// Numbers near the largest.
    Huge,
}

impl Taste {
    pub(crate) fn random(rng: &mut Rng) -> Taste {
        use Taste::{Bits, Halves, Huge, Ordinary, Range, Salted, Special, Tiny};
        [
            Ordinary, Ordinary, Ordinary, Salted, Salted, Special, Bits, Tiny, Huge, Range, Halves,
        ][rng.below(11) as usize]
    }

    /// What an operation is most sensitive to.
    pub(crate) fn favourite(op: Op, rng: &mut Rng) -> Taste {
        match op {
            Op::Quantise => [Taste::Halves, Taste::Halves, Taste::Least][rng.below(3) as usize],
            Op::ToF16 => Taste::Narrow,
            Op::SiluMul => Taste::Range,
            Op::NormStat | Op::Embed => Taste::Tiny,
            _ => Taste::Ordinary,
        }
    }

    pub(crate) fn bits(self, rng: &mut Rng) -> u32 {
        match self {
            Taste::Ordinary => rng.normal().to_bits(),
            Taste::Salted if rng.below(12) > 0 => (rng.normal() * 3.0).to_bits(),
            Taste::Salted | Taste::Special => edge(rng.below(96) as usize),
            Taste::Halves if rng.below(8) == 0 => 127.0f32.to_bits(),
            Taste::Halves => ((rng.below(509) as f32 - 254.0) / 2.0).to_bits(),
            Taste::Least => {
                let field = rng.below(9);
                (rng.bits() & [0x8000_0003, 0x807f_ffff][rng.below(2) as usize]) | field << 23
            }
            Taste::Narrow => {
                let field = 98 + rng.below(50);
                let kept = [0xff_ffff, 0xff_f000, 0xff_e000][rng.below(3) as usize];
                (rng.bits() & 0x8000_0000) | (rng.bits() & 0x7f_ffff & kept) | field << 23
            }
            Taste::Range => (rng.unit() * 180.0 - 90.0).to_bits(),
            Taste::Bits => rng.bits(),
            Taste::Tiny => {
                let most = [4, 40][rng.below(2) as usize];
                let field = rng.below(most);
                (rng.bits() & 0x807f_ffff) | field << 23
            }
            Taste::Huge => {
                let field = 210 + rng.below(45);
                (rng.bits() & 0x807f_ffff) | field << 23
            }
        }
    }

    fn half(self, rng: &mut Rng) -> u16 {
        match self {
            Taste::Ordinary | Taste::Range | Taste::Halves | Taste::Narrow => {
                f32_to_f16(rng.normal())
            }
            Taste::Salted if rng.below(6) > 0 => f32_to_f16(rng.normal() * 0.01),
            Taste::Tiny | Taste::Least => (rng.bits() & 0x83ff) as u16,
            Taste::Salted | Taste::Special => [
                0, 0x8000, 1, 0x8001, 0x3ff, 0x400, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x7c01,
                0xffff,
            ][rng.below(13) as usize],
            Taste::Huge => (rng.bits() & 0x83ff) as u16 | 0x7800,
            Taste::Bits => rng.bits() as u16,
        }
    }
}

fn words(rng: &mut Rng, taste: Taste, n: usize) -> Vec<u8> {
    // Ties, or what rounding makes of them.
    let unit = match rng.below(2) {
        0 => 1.0,
        _ => rng.normal(),
    };
    let mut word = |_| match taste {
        Taste::Halves => (f32::from_bits(taste.bits(rng)) * unit).to_bits(),
        _ => taste.bits(rng),
    };
    (0..n).flat_map(|i| word(i).to_le_bytes()).collect()
}

fn halves(rng: &mut Rng, taste: Taste, n: usize) -> Vec<u8> {
    (0..n).flat_map(|_| taste.half(rng).to_le_bytes()).collect()
}

/// Bytes with many 0x80, 0x7f and 0x81, or few.
fn bytes(rng: &mut Rng, n: usize) -> Vec<u8> {
    let salt = rng.below(3) == 0;
    let mut all = rng.bytes(n);
    for byte in &mut all {
        if salt && rng.below(4) == 0 {
            *byte = [0x80, 0x7f, 0x81, 0][rng.below(4) as usize];
        }
    }
    all
}

/// A leaf of a trace, also past its elements: nothing may read there.
pub(crate) fn trace_leaf(rng: &mut Rng, kind: LeafKind, taste: Taste) -> Vec<u8> {
    match kind {
        LeafKind::F32 | LeafKind::Maxima => words(rng, taste, 64),
        LeafKind::F16 => halves(rng, taste, 128),
        LeafKind::Quantised => [words(rng, taste, 8), bytes(rng, 256)].concat(),
    }
}

/// A leaf of weights.
pub(crate) fn weight_leaf(rng: &mut Rng, format: WeightFormat, taste: Taste) -> Vec<u8> {
    match format {
        WeightFormat::F32 => words(rng, taste, 256),
        WeightFormat::F16 => halves(rng, taste, 256),
        WeightFormat::Q8_0 => [halves(rng, taste, 8), bytes(rng, 256)].concat(),
        WeightFormat::Q4_0 => [halves(rng, taste, 8), bytes(rng, 128)].concat(),
        WeightFormat::Q8F => [words(rng, taste, 8), bytes(rng, 256)].concat(),
    }
}

/// Writes the bits of an element into a leaf.
pub(crate) fn plant(kind: LeafKind, leaf: &mut [u8], lane: u32, bits: u32) {
    let lane = lane as usize;
    match kind {
        LeafKind::F32 => leaf[4 * lane..][..4].copy_from_slice(&bits.to_le_bytes()),
        LeafKind::Maxima => leaf[8 * lane..][..4].copy_from_slice(&bits.to_le_bytes()),
        LeafKind::F16 => leaf[2 * lane..][..2].copy_from_slice(&(bits as u16).to_le_bytes()),
        LeafKind::Quantised if lane >= 256 => {
            leaf[4 * (lane - 256)..][..4].copy_from_slice(&bits.to_le_bytes());
        }
        LeafKind::Quantised => leaf[32 + lane] = bits as u8,
    }
}

/// Bits of an element.
pub(crate) fn width(kind: LeafKind, lane: u32) -> u32 {
    match kind {
        LeafKind::F16 => 16,
        LeafKind::Quantised if lane < 256 => 8,
        _ => 32,
    }
}
