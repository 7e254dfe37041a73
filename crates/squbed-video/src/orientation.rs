//! Turning and mirroring stored pictures for showing.

use squbed_core::{ClipError, Frame};

/// One of the eight ways a picture can lie, as the signs of a display matrix: the stored pixel
/// `(x, y)` is shown at `(a·x + c·y, b·x + d·y)`, moved back into the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orientation {
    a: i8,
    b: i8,
    c: i8,
    d: i8,
}

impl Orientation {
    pub(crate) const UPRIGHT: Self = Self { a: 1, b: 0, c: 0, d: 1 };

    /// From the nine 16.16 and 2.30 fixed-point numbers of a display matrix; none where it is no
    /// multiple of 90° (with or without mirroring).
    pub(crate) fn from_matrix(matrix: &[i32; 9]) -> Option<Self> {
        let sign = |i: usize| matrix[i].signum() as i8;
        let found = Self { a: sign(0), b: sign(1), c: sign(3), d: sign(4) };
        let straight = found.a != 0 && found.b == 0 && found.c == 0 && found.d != 0;
        let across = found.a == 0 && found.b != 0 && found.c != 0 && found.d == 0;
        (straight || across).then_some(found)
    }

    /// Whether the picture is mirrored left to right before it is turned.
    pub(crate) fn is_mirrored(self) -> bool {
        self.a * self.d - self.b * self.c < 0
    }

    /// Degrees by which it is turned clockwise.
    pub(crate) fn degrees_clockwise(self) -> u32 {
        let sign = if self.is_mirrored() { -1 } else { 1 };
        match (sign * self.a, sign * self.b) {
            (1, _) => 0,
            (0, 1) => 90,
            (-1, _) => 180,
            _ => 270,
        }
    }

    /// The picture as it is shown.
    pub(crate) fn apply(self, frame: Frame) -> Result<Frame, ClipError> {
        if self == Self::UPRIGHT {
            return Ok(frame);
        }
        let (width, height) = (frame.width(), frame.height());
        let (shown_width, shown_height) = if self.a == 0 { (height, width) } else { (width, height) };
        let along = |sign: i8, i: usize, side: usize| match sign {
            1 => i,
            -1 => side - 1 - i,
            _ => 0,
        };
        let mut shown = vec![0; frame.rgb().len()];
        for (i, pixel) in frame.rgb().chunks_exact(3).enumerate() {
            let (x, y) = (i % width, i / width);
            let column = along(self.a, x, width) + along(self.c, y, height);
            let row = along(self.b, x, width) + along(self.d, y, height);
            let at = (row * shown_width + column) * 3;
            shown[at..at + 3].copy_from_slice(pixel);
        }
        Frame::new(shown_width, shown_height, shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i32 = 1 << 16;

    fn turned(a: i32, b: i32, c: i32, d: i32) -> (u32, usize, Vec<u8>) {
        // 1 2 3
        // 4 5 6
        let frame = Frame::new(3, 2, (1..=6).flat_map(|i| [i, i, i]).collect()).unwrap();
        let matrix = [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30];
        let orientation = Orientation::from_matrix(&matrix).unwrap();
        let shown = orientation.apply(frame).unwrap();
        let pixels = shown.rgb().iter().step_by(3).copied().collect();
        (orientation.degrees_clockwise(), shown.width(), pixels)
    }

    #[test]
    fn the_four_turns() {
        assert_eq!(turned(1, 0, 0, 1), (0, 3, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(turned(0, 1, -1, 0), (90, 2, vec![4, 1, 5, 2, 6, 3]));
        assert_eq!(turned(-1, 0, 0, -1), (180, 3, vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(turned(0, -1, 1, 0), (270, 2, vec![3, 6, 2, 5, 1, 4]));
    }

    #[test]
    fn mirrors() {
        assert_eq!(turned(-1, 0, 0, 1), (0, 3, vec![3, 2, 1, 6, 5, 4]));
        assert_eq!(turned(0, 1, 1, 0).2, [1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn a_slanted_picture_is_not_turned() {
        assert_eq!(Orientation::from_matrix(&[ONE, ONE, 0, -ONE, ONE, 0, 0, 0, 1 << 30]), None);
        assert_eq!(Orientation::from_matrix(&[0; 9]), None);
    }
}
