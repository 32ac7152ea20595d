//! Operands: random ones, and those at which binary32 goes wrong.

/// A small reproducible generator (splitmix64).
#[derive(Debug, Clone)]
pub struct Rng(pub u64);

impl Rng {
    /// 64 random bits.
    pub fn bits64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        (self.bits64() >> 32) as u32
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.bits()) * u64::from(n)) >> 32) as u32
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / 16_777_216.0
    }

    /// About normal with variance 1.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    /// Random bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.bits() as u8).collect()
    }
}

/// Magnitudes at borders: zeros, subnormals, powers, ties, the largest, infinity, NaNs, and the borders of the Solidity paths.
const EDGES: [u32; 48] = [
    0,
    1,
    2,
    3,
    0x3f_ffff,
    0x40_0000,
    0x7f_fffe,
    0x7f_ffff,
    0x80_0000,
    0x80_0001,
    0xff_ffff,
    0x100_0000,
    0x180_0000,
    0x3f80_0000,
    0x3f80_0001,
    0x3f7f_ffff,
    0x4000_0000,
    0x3f00_0000,
    0x3eff_ffff,
    0x3fc0_0000,
    0x4020_0000,
    0x4b00_0000,
    0x4b7f_ffff,
    0x4b80_0000,
    0x4b80_0001,
    0x1fff_ffff,
    0x2000_0000,
    0x577f_ffff,
    0x5780_0000,
    0x6f7f_ffff,
    0x6f80_0000,
    0x6fff_ffff,
    0x7000_0000,
    0x1400_0000,
    0x147f_ffff,
    0x1480_0000,
    0x477f_e000,
    0x477f_efff,
    0x477f_f000,
    0x3880_0000,
    0x387f_ffff,
    0x3300_0000,
    0x7eff_ffff,
    0x7f7f_ffff,
    0x7f80_0000,
    0x7f80_0001,
    0x7fc0_0000,
    0x7fff_ffff,
];

/// How many pairs of edges there are; vector number i below this is the i-th pair.
pub const EDGE_PAIRS: usize = 4 * EDGES.len() * EDGES.len();

/// An edge with a sign.
pub fn edge(i: usize) -> u32 {
    let sign = if (i / EDGES.len()).is_multiple_of(2) {
        0
    } else {
        1 << 31
    };
    EDGES[i % EDGES.len()] | sign
}

/// Bits with this exponent field.
pub fn with_field(rng: &mut Rng, field: u32) -> u32 {
    (rng.bits() & 0x807f_ffff) | field << 23
}

/// The i-th pair of operands of any operation: first all pairs of edges, then in turn arbitrary bits, near exponents, few-bit significands (ties),
/// products and quotients near the subnormals, near overflow, and moderate values.
pub fn pair(rng: &mut Rng, i: usize) -> (u32, u32) {
    if i < EDGE_PAIRS {
        let n = 2 * EDGES.len();
        return (edge(i / n), edge(i % n));
    }
    let a = rng.bits();
    match i % 8 {
        0 => (a, rng.bits()),
        1 => {
            let field = ((a >> 23 & 255) + rng.below(57))
                .saturating_sub(28)
                .min(254);
            (a, with_field(rng, field))
        }
        // Sums that end in exactly half of a unit: b is half a unit of a, or an odd multiple of it.
        2 => {
            let field = (a >> 23 & 255).clamp(30, 254);
            let extra = rng.below(4);
            let keep = !((1u32 << (23 - extra)) - 1);
            let b = (rng.bits() & (0x7f_ffff & keep)) | (rng.bits() & 1 << 31);
            (
                (a & 0x807f_ffff) | field << 23,
                b | (field - 24 + extra) << 23,
            )
        }
        // Products of about 25 bits: many ties.
        3 => {
            let bits = rng.below(13);
            let other = 24 - bits.min(23);
            let b = rng.bits() & !((1 << (23 - other.min(23))) - 1);
            (a & !((1 << (23 - bits)) - 1), b)
        }
        // Products around the smallest normal.
        4 => {
            let ea = rng.below(128);
            let eb = (128 - ea + 4).saturating_sub(rng.below(34));
            let (a, b) = (with_field(rng, ea), with_field(rng, eb));
            if rng.below(3) == 0 {
                (a & 0xffff_0000, b & 0xffe0_0000)
            } else {
                (a, b)
            }
        }
        // Quotients around the smallest normal.
        5 => {
            let ea = rng.below(130);
            let eb = (ea + 122 + rng.below(34)).min(254);
            let (a, b) = (with_field(rng, ea), with_field(rng, eb));
            if rng.below(2) == 0 {
                (a, b & 0xff80_0000)
            } else {
                (a, b)
            }
        }
        // The ends.
        6 => {
            let fields = [
                rng.below(3),
                250 + rng.below(6),
                120 + rng.below(14),
                220 + rng.below(8),
            ];
            let (i, j) = (rng.below(4) as usize, rng.below(4) as usize);
            (with_field(rng, fields[i]), with_field(rng, fields[j]))
        }
        _ => (rng.normal().to_bits(), (rng.normal() * 3.0).to_bits()),
    }
}

/// Where exp begins and ends, where masses end, and where n changes first.
const EXPONENT_EDGES: [u32; 16] = [
    0xc2ad_ffff,
    0xc2ae_0000,
    0xc2ae_0001,
    0x42ad_ffff,
    0x42ae_0000,
    0x42ae_0001,
    0xc1a7_ffff,
    0xc1a8_0000,
    0xc1a8_0001,
    0xc1a6_5af8,
    0xbeb1_7218,
    0xbeb1_7217,
    0xbeb1_7219,
    0x8000_0000,
    0x8000_0001,
    0xff80_0000,
];

/// Operands of exp and silu: mostly in [-90, 0], with some of anything.
pub fn exponent(rng: &mut Rng, i: usize) -> u32 {
    match i {
        _ if i < 4 * EDGES.len() => edge(i),
        _ if i < 4 * EDGES.len() + 32 => EXPONENT_EDGES[i % 16],
        // Around multiples of ln 2 / 2, where n changes.
        _ if i.is_multiple_of(4) => {
            let half = rng.below(253) as f64 / 2.0;
            let x = -(half * std::f64::consts::LN_2) as f32;
            x.to_bits().wrapping_add(rng.below(9)).wrapping_sub(4)
        }
        _ if i % 4 == 1 => (-rng.unit() * 90.0).to_bits(),
        _ if i % 4 == 2 => {
            let field = 90 + rng.below(45);
            with_field(rng, field)
        }
        _ => rng.bits(),
    }
}

/// How many vectors a function gets: `SWORN_VECTORS`, or 200,000.
pub fn count() -> usize {
    std::env::var("SWORN_VECTORS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(200_000)
}

/// An element of a sum: mostly moderate, with zeros, the borders of the wide form, and now and then anything.
pub fn element(rng: &mut Rng) -> u32 {
    match rng.below(64) {
        0 => rng.bits(),
        1 => edge(rng.below(2 * EDGES.len() as u32) as usize),
        2 => rng.below(2) << 31,
        3 => {
            let fields = [
                62, 63, 64, 65, 153, 154, 155, 173, 174, 175, 221, 222, 223, 224,
            ];
            let field = fields[rng.below(14) as usize];
            with_field(rng, field)
        }
        4 => with_field(rng, 0),
        5..12 => {
            let field = 100 + rng.below(40);
            with_field(rng, field) & 0xffff_0000
        }
        _ => rng.normal().to_bits(),
    }
}

/// A half as an element of a sum.
pub fn half(rng: &mut Rng) -> u16 {
    match rng.below(16) {
        0 => rng.bits() as u16,
        1 => (rng.bits() as u16) & 0x83ff,
        2 => (rng.bits() as u16) & 0x8000,
        _ => (rng.bits() as u16 & 0x83ff) | (8 + rng.below(12) as u16) << 10,
    }
}
