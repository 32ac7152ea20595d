//! The one order of long sums (section 1.4).

use super::constants::TILE_ELEMENTS;

/// Sum of the elements in the machine's order: tiles of 256, each from +0.0 in rising order, then the tile sums from +0.0.
/// The first element has index 0. The result may be any NaN; an operation stores it through [`super::canonical`].
pub fn tile_sum(elements: impl IntoIterator<Item = f32>) -> f32 {
    let (mut total, mut tile, mut n) = (0.0f32, 0.0f32, 0);
    for x in elements {
        tile += x;
        n += 1;
        if n == TILE_ELEMENTS {
            total += tile;
            (tile, n) = (0.0, 0);
        }
    }
    if n > 0 {
        total += tile;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_a_long_sum() {
        let x: Vec<f32> = (0..1000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e7 - 0.8)
            .collect();
        let mut expected = 0.0;
        for chunk in x.chunks(256) {
            expected += chunk.iter().fold(0.0, |a, b| a + b);
        }
        assert_eq!(
            tile_sum(x.iter().copied()).to_bits(),
            f32::to_bits(expected)
        );
        // The order matters for these numbers, so a sum in another order would fail above.
        assert_ne!(
            tile_sum(x.iter().copied()).to_bits(),
            x.iter().fold(0.0f32, |a, b| a + b).to_bits()
        );
        assert_eq!(tile_sum([]).to_bits(), 0);
        assert_eq!(tile_sum([-0.0]).to_bits(), 0);
    }
}
