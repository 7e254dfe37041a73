//! Interpolation between the nearest pixels, without antialiasing.

/// `rgb` of `from` brought to `to`, both as width and height above zero: each pixel from the four
/// around its centre, in f32 and rounded once, half to even, as torchvision does it.
pub(crate) fn bilinear(rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let columns: Vec<_> = neighbours(from.0, to.0).collect();
    let mut result = Vec::with_capacity(to.0 * to.1 * 3);
    for (above, below, down) in neighbours(from.1, to.1) {
        let row = |y: usize| &rgb[y * from.0 * 3..(y + 1) * from.0 * 3];
        let (above, below) = (row(above), row(below));
        for &(left, right, across) in &columns {
            for channel in 0..3 {
                let between = |row: &[u8]| {
                    let value = |x: usize| f32::from(row[x * 3 + channel]);
                    (1.0 - across) * value(left) + across * value(right)
                };
                let value = (1.0 - down) * between(above) + down * between(below);
                result.push(value.round_ties_even() as u8);
            }
        }
    }
    result
}

/// For each pixel of a line brought from `from` to `to` pixels: the two pixels around its centre and the
/// share of the second.
fn neighbours(from: usize, to: usize) -> impl Iterator<Item = (usize, usize, f32)> {
    let scale = from as f32 / to as f32;
    (0..to).map(move |i| {
        let at = (scale * (i as f32 + 0.5) - 0.5).max(0.0);
        let first = (at as usize).min(from - 1);
        (first, (first + 1).min(from - 1), (at - first as f32).min(1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nearest_pixels_count() {
        assert_eq!(neighbours(4, 2).collect::<Vec<_>>(), [(0, 1, 0.5), (2, 3, 0.5)]);
        assert_eq!(neighbours(8, 2).collect::<Vec<_>>(), [(1, 2, 0.5), (5, 6, 0.5)]);
        // Beyond the outer centres the border pixel is repeated.
        assert_eq!(
            neighbours(2, 4).collect::<Vec<_>>(),
            [(0, 1, 0.0), (0, 1, 0.25), (0, 1, 0.75), (1, 1, 0.25)]
        );
        let grey = |line: &[u8]| line.iter().flat_map(|&v| [v; 3]).collect::<Vec<_>>();
        assert_eq!(bilinear(&grey(&[0, 100]), (2, 1), (4, 1)), grey(&[0, 25, 75, 100]));
        assert_eq!(bilinear(&grey(&[0, 100, 200, 100]), (2, 2), (1, 1)), grey(&[100]));
    }
}
