//! Outlines, in units of their own: the object lies within the unit circle, y points down.

use tiny_skia::{Path, PathBuilder, Rect};

/// The object's outline by the position of its shape in the attribute's values.
pub(super) fn outline(shape: usize) -> Path {
    let mut path = PathBuilder::new();
    match shape {
        // A star.
        0 => {
            let corners: Vec<_> = (0..10)
                .map(|i| {
                    let radius = if i % 2 == 0 { 1.05 } else { 0.45 };
                    let angle = std::f32::consts::PI * i as f32 / 5.0;
                    (radius * angle.sin(), -radius * angle.cos())
                })
                .collect();
            polygon(&mut path, &corners);
        }
        // A heart.
        1 => {
            path.move_to(0.0, 0.95);
            path.cubic_to(-0.55, 0.5, -1.05, 0.05, -1.0, -0.4);
            path.cubic_to(-0.95, -0.9, -0.25, -1.05, 0.0, -0.45);
            path.cubic_to(0.25, -1.05, 0.95, -0.9, 1.0, -0.4);
            path.cubic_to(1.05, 0.05, 0.55, 0.5, 0.0, 0.95);
            path.close();
        }
        // A fish, looking left.
        2 => {
            path.move_to(-1.0, 0.0);
            path.cubic_to(-0.7, -0.75, 0.1, -0.75, 0.5, -0.12);
            path.line_to(1.0, -0.6);
            path.line_to(0.88, 0.0);
            path.line_to(1.0, 0.6);
            path.line_to(0.5, 0.12);
            path.cubic_to(0.1, 0.75, -0.7, 0.75, -1.0, 0.0);
            path.close();
        }
        // A house with a chimney.
        3 => polygon(
            &mut path,
            &[
                (0.0, -1.0),
                (0.38, -0.62),
                (0.38, -0.95),
                (0.66, -0.95),
                (0.66, -0.34),
                (1.0, 0.0),
                (0.75, 0.0),
                (0.75, 0.85),
                (-0.75, 0.85),
                (-0.75, 0.0),
                (-1.0, 0.0),
            ],
        ),
        // A fir tree.
        4 => polygon(
            &mut path,
            &[
                (0.0, -1.05),
                (0.5, -0.4),
                (0.26, -0.4),
                (0.68, 0.1),
                (0.36, 0.1),
                (0.85, 0.65),
                (0.18, 0.65),
                (0.18, 1.0),
                (-0.18, 1.0),
                (-0.18, 0.65),
                (-0.85, 0.65),
                (-0.36, 0.1),
                (-0.68, 0.1),
                (-0.26, -0.4),
                (-0.5, -0.4),
            ],
        ),
        // An arrow, pointing right.
        _ => polygon(
            &mut path,
            &[(1.0, 0.0), (0.2, -0.85), (0.2, -0.36), (-1.0, -0.36), (-1.0, 0.36), (0.2, 0.36), (0.2, 0.85)],
        ),
    }
    path.finish().expect("every outline has corners")
}

/// What is drawn on the object in ink: an eye, a door.
pub(super) fn details(shape: usize) -> Option<Path> {
    let mut path = PathBuilder::new();
    match shape {
        2 => path.push_circle(-0.55, -0.14, 0.12),
        3 => rect(&mut path, -0.2, 0.25, 0.4, 0.6),
        _ => return None,
    }
    path.finish()
}

/// A companion: filled parts and lines of ink.
pub(super) struct Companion {
    pub(super) solid: Option<Path>,
    pub(super) lines: Option<Path>,
}

/// The companion by its position in the attribute's values; it fills −1 to 1 both ways.
pub(super) fn companion(which: usize) -> Companion {
    let mut solid = PathBuilder::new();
    let mut lines = PathBuilder::new();
    match which {
        // A cactus with two arms.
        0 => {
            capsule(&mut solid, -0.22, -1.0, 0.44, 2.0);
            capsule(&mut solid, -0.8, -0.45, 0.3, 0.75);
            rect(&mut solid, -0.66, 0.05, 0.5, 0.25);
            capsule(&mut solid, 0.5, -0.7, 0.3, 0.75);
            rect(&mut solid, 0.1, -0.2, 0.56, 0.25);
        }
        // A lighthouse on a rock.
        1 => {
            polygon(&mut solid, &[(-0.24, -0.45), (0.24, -0.45), (0.4, 0.8), (-0.4, 0.8)]);
            rect(&mut solid, -0.36, -0.6, 0.72, 0.15);
            rect(&mut solid, -0.17, -0.85, 0.1, 0.3);
            rect(&mut solid, 0.07, -0.85, 0.1, 0.3);
            polygon(&mut solid, &[(0.0, -1.1), (0.3, -0.82), (-0.3, -0.82)]);
            polygon(&mut solid, &[(-0.9, 1.0), (-0.5, 0.72), (0.5, 0.72), (0.9, 1.0)]);
        }
        // A sailboat.
        2 => {
            polygon(&mut solid, &[(-1.0, 0.5), (1.0, 0.5), (0.6, 0.95), (-0.6, 0.95)]);
            polygon(&mut solid, &[(0.06, -1.0), (0.9, 0.35), (0.06, 0.35)]);
            polygon(&mut solid, &[(-0.1, -0.8), (-0.1, 0.35), (-0.75, 0.35)]);
        }
        // A bicycle.
        3 => {
            for x in [-0.55, 0.55] {
                lines.push_circle(x, 0.5, 0.42);
            }
            for (from, to) in [
                ((-0.55, 0.5), (-0.2, -0.2)),
                ((-0.2, -0.2), (0.4, -0.2)),
                ((0.4, -0.2), (0.0, 0.5)),
                ((0.0, 0.5), (-0.55, 0.5)),
                ((0.0, 0.5), (-0.28, -0.4)),
                ((0.55, 0.5), (0.32, -0.5)),
                ((0.32, -0.5), (0.62, -0.5)),
                ((-0.5, -0.4), (-0.1, -0.4)),
            ] {
                lines.move_to(from.0, from.1);
                lines.line_to(to.0, to.1);
            }
        }
        // A mushroom.
        _ => {
            solid.move_to(-0.95, 0.1);
            solid.cubic_to(-0.9, -1.2, 0.9, -1.2, 0.95, 0.1);
            solid.close();
            polygon(&mut solid, &[(-0.22, 0.05), (0.22, 0.05), (0.34, 1.0), (-0.34, 1.0)]);
        }
    }
    Companion { solid: solid.finish(), lines: lines.finish() }
}

fn polygon(path: &mut PathBuilder, corners: &[(f32, f32)]) {
    for (i, &(x, y)) in corners.iter().enumerate() {
        if i == 0 {
            path.move_to(x, y);
        } else {
            path.line_to(x, y);
        }
    }
    path.close();
}

fn rect(path: &mut PathBuilder, x: f32, y: f32, width: f32, height: f32) {
    if let Some(rect) = Rect::from_xywh(x, y, width, height) {
        path.push_rect(rect);
    }
}

/// An upright bar with round ends.
fn capsule(path: &mut PathBuilder, x: f32, y: f32, width: f32, height: f32) {
    let r = width / 2.0;
    rect(path, x, y + r, width, height - width);
    path.push_circle(x + r, y + r, r);
    path.push_circle(x + r, y + height - r, r);
}
