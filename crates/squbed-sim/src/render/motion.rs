//! Where the object is.

use std::f64::consts::{PI, TAU};

/// Place and turn of the object; lengths are shares of the frame's side, from its top left.
pub(super) struct Pose {
    pub(super) x: f32,
    pub(super) y: f32,
    /// Clockwise.
    pub(super) degrees: f32,
    /// Ends of the string that it hangs on.
    pub(super) string: Option<((f32, f32), (f32, f32))>,
}

/// The pose at a time in [0, 1) of the clip, by the position of the motion in
/// [`Attribute::Motion`](crate::Attribute::Motion)'s values.
pub(super) fn pose(motion: usize, time: f64, phase: f64) -> Pose {
    let free = |x: f64, y: f64, degrees: f64| Pose {
        x: x as f32,
        y: y as f32,
        degrees: degrees as f32,
        string: None,
    };
    match motion {
        // Bouncing up and down: twice in the clip.
        0 => free(0.45, 0.82 - 0.64 * (PI * (2.0 * time + phase)).sin().abs(), 0.0),
        // Gliding from left to right.
        1 => free(0.02 + 0.96 * (time + 0.5 * phase), 0.45, 0.0),
        // Circling around the centre, upright.
        2 => {
            let angle = TAU * (time + phase);
            free(0.5 + 0.32 * angle.sin(), 0.5 - 0.32 * angle.cos(), 0.0)
        }
        // Spinning on the spot: one turn and a half.
        3 => free(0.45, 0.45, 360.0 * (1.5 * time + phase)),
        // Falling from above.
        4 => free(0.42, -0.05 + 1.1 * (time + 0.5 * phase), 0.0),
        // Swinging like a pendulum: there and back.
        _ => {
            let angle = 0.75 * (TAU * (1.25 * time + phase)).sin();
            let (pivot, length) = ((0.48, -0.12), 0.62);
            let at = (pivot.0 - length * angle.sin(), pivot.1 + length * angle.cos());
            let single = |(x, y): (f64, f64)| (x as f32, y as f32);
            Pose { string: Some((single(pivot), single(at))), ..free(at.0, at.1, angle.to_degrees()) }
        }
    }
}
