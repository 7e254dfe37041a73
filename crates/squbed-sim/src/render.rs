//! From a scene to frames.

mod motion;
mod shapes;

use serde::Serialize;
use squbed_core::Frame;
use tiny_skia::{
    Color, FillRule, FilterQuality, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path,
    PathBuilder, Pattern, Pixmap, Point, Rect, Shader, SpreadMode, Stroke, Transform,
};

use crate::{
    rng::Rng,
    scene::{Attribute, Scene},
};

/// Pixels of a frame's side.
pub const SIDE: usize = 128;
/// Frames of a clip.
pub const FRAMES: usize = 32;
/// Frames a second.
pub const FPS: u32 = 16;

/// How much the samples of one scene differ. Every number is the half width of a uniform draw, one
/// draw a clip; lengths are shares of the frame's side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Nuisance {
    /// Offset of the object, across and down.
    pub position: f64,
    /// Phase of the motion, in periods.
    pub phase: f64,
    /// Relative size of the object.
    pub size: f64,
    /// Offset of the camera, across and down.
    pub camera_offset: f64,
    /// Drift of the camera over the clip, across and down.
    pub camera_drift: f64,
    /// Zoom of the camera, relative.
    pub camera_zoom: f64,
    /// Brightness, in levels of 255.
    pub brightness: f64,
    /// Grain, the half width of a triangular distribution, one draw a pixel and frame, in levels of 255.
    pub grain: f64,
}

/// The nuisance of both worlds.
pub const NUISANCE: Nuisance = Nuisance {
    position: 0.03,
    phase: 0.06,
    size: 0.05,
    camera_offset: 0.02,
    camera_drift: 0.02,
    camera_zoom: 0.03,
    brightness: 4.0,
    grain: 6.0,
};

type Rgb = [u8; 3];

/// Outlines, the string of the pendulum and the companion.
const INK: Rgb = [48, 52, 62];

/// Radius of the object by size, as a share of the frame's side.
pub(crate) const RADII: [f32; 4] = [0.13, 0.2, 0.28, 0.38];

/// Fill of the object by colour.
pub(crate) const COLOURS: [Rgb; 6] =
    [[218, 44, 38], [246, 204, 32], [36, 152, 70], [36, 92, 222], [146, 60, 176], [250, 250, 250]];

/// Background by setting: pale tints of one brightness, less than a tenth of the scale apart.
pub(crate) const TINTS: [Rgb; 5] =
    [[199, 199, 199], [207, 199, 186], [188, 199, 208], [193, 203, 189], [207, 191, 205]];

/// What one sample draws besides its scene.
struct Draw {
    position: [f64; 2],
    phase: f64,
    size: f64,
    camera_offset: [f64; 2],
    camera_drift: [f64; 2],
    camera_zoom: f64,
    brightness: f64,
}

impl Draw {
    fn new(rng: &mut Rng) -> Self {
        let n = NUISANCE;
        Self {
            position: [rng.within(n.position), rng.within(n.position)],
            phase: rng.within(n.phase),
            size: 1.0 + rng.within(n.size),
            camera_offset: [rng.within(n.camera_offset), rng.within(n.camera_offset)],
            camera_drift: [rng.within(n.camera_drift), rng.within(n.camera_drift)],
            camera_zoom: 1.0 + rng.within(n.camera_zoom),
            brightness: rng.within(n.brightness),
        }
    }

    /// The camera at a time in [0, 1), in pixels.
    fn camera(&self, time: f64) -> Transform {
        let side = SIDE as f64;
        let centre = (side / 2.0) as f32;
        let shift = |i: usize| (side * (self.camera_offset[i] + self.camera_drift[i] * (time - 0.5))) as f32;
        let zoom = self.camera_zoom as f32;
        Transform::from_translate(-centre, -centre)
            .post_scale(zoom, zoom)
            .post_translate(centre + shift(0), centre + shift(1))
    }
}

/// The [`FRAMES`] frames of one sample of a scene, each [`SIDE`] pixels square, at [`FPS`].
pub fn frames(scene: &Scene, seed: u64) -> impl Iterator<Item = Frame> + use<> {
    let scene = *scene;
    let draw = Draw::new(&mut Rng::of(seed, "nuisance"));
    let mut grain = Rng::of(seed, "grain");
    let stage = Stage::new(&scene);
    (0..FRAMES).map(move |index| {
        let time = index as f64 / FRAMES as f64;
        let image = stage.paint(&scene, &draw, time);
        develop(&image, draw.brightness, &mut grain)
    })
}

/// What stays the same over a clip.
struct Stage {
    background: Pixmap,
    outline: Path,
    details: Option<Path>,
    companion: shapes::Companion,
    texture: Pixmap,
}

impl Stage {
    fn new(scene: &Scene) -> Self {
        let shape = scene.value(Attribute::Shape);
        let colour = COLOURS[scene.value(Attribute::Colour)];
        Self {
            background: background(TINTS[scene.value(Attribute::Setting)]),
            outline: shapes::outline(shape),
            details: shapes::details(shape),
            companion: shapes::companion(scene.value(Attribute::Companion)),
            texture: texture(scene.value(Attribute::Pattern), colour),
        }
    }

    fn paint(&self, scene: &Scene, draw: &Draw, time: f64) -> Pixmap {
        let mut image = self.background.clone();
        let side = SIDE as f32;
        let view = Transform::from_scale(side, side).post_concat(draw.camera(time));

        let pose = motion::pose(scene.value(Attribute::Motion), time, draw.phase);
        if let Some((from, to)) = pose.string {
            let mut path = PathBuilder::new();
            path.move_to(from.0, from.1);
            path.line_to(to.0 + draw.position[0] as f32, to.1 + draw.position[1] as f32);
            stroke(&mut image, path.finish().as_ref(), INK, 0.012, view);
        }
        let radius = RADII[scene.value(Attribute::Size)] * draw.size as f32;
        let at = Transform::from_scale(radius, radius)
            .post_rotate(pose.degrees)
            .post_translate(pose.x + draw.position[0] as f32, pose.y + draw.position[1] as f32)
            .post_concat(view);
        // Stroked before it is filled, so that only the outer half of the line is seen.
        stroke(&mut image, Some(&self.outline), INK, 0.14, at);
        let texel = TILE / TEXTURE as f32;
        let shader = Pattern::new(
            self.texture.as_ref(),
            SpreadMode::Repeat,
            FilterQuality::Bilinear,
            1.0,
            Transform::from_scale(texel, texel),
        );
        let paint = Paint { shader, anti_alias: true, ..Paint::default() };
        image.fill_path(&self.outline, &paint, FillRule::Winding, at, None);
        fill(&mut image, self.details.as_ref(), INK, at);

        let stand = Transform::from_scale(0.23, 0.23).post_translate(0.74, 0.73).post_concat(view);
        fill(&mut image, self.companion.solid.as_ref(), INK, stand);
        stroke(&mut image, self.companion.lines.as_ref(), INK, 0.13, stand);
        image
    }
}

/// Side of a tile of the pattern, in radii of the object.
const TILE: f32 = 0.6;
/// Side of the pattern's tile in texels.
const TEXTURE: usize = 32;

/// One tile of a pattern: the colour, and on it the same colour darkened.
fn texture(pattern: usize, colour: Rgb) -> Pixmap {
    let mut tile = pixmap(TEXTURE);
    tile.fill(color(colour));
    let side = TEXTURE as f32;
    let half = side / 2.0;
    let mut path = PathBuilder::new();
    let mut rect = |x, y, width, height| {
        if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            path.push_rect(rect);
        }
    };
    match pattern {
        0 => {}
        1 => rect(0.0, 0.0, side, half),
        2 => path.push_circle(half, half, 0.3 * side),
        _ => {
            rect(0.0, 0.0, half, half);
            rect(half, half, half, half);
        }
    }
    fill(
        &mut tile,
        path.finish().as_ref(),
        colour.map(|c| (f32::from(c) * 0.3) as u8),
        Transform::identity(),
    );
    tile
}

/// A plain background, a little lighter above than below.
fn background(tint: Rgb) -> Pixmap {
    let mut image = pixmap(SIDE);
    let shade = |by: i16| color(tint.map(|c| (i16::from(c) + by).clamp(0, 255) as u8));
    let stops = vec![GradientStop::new(0.0, shade(6)), GradientStop::new(1.0, shade(-6))];
    let side = SIDE as f32;
    let (top, bottom) = (Point::from_xy(0.0, 0.0), Point::from_xy(0.0, side));
    let gradient = LinearGradient::new(top, bottom, stops, SpreadMode::Pad, Transform::identity());
    let paint = Paint { shader: gradient.unwrap_or(Shader::SolidColor(shade(0))), ..Paint::default() };
    if let Some(all) = Rect::from_xywh(0.0, 0.0, side, side) {
        image.fill_rect(all, &paint, Transform::identity(), None);
    }
    image
}

fn fill(image: &mut Pixmap, path: Option<&Path>, rgb: Rgb, at: Transform) {
    if let Some(path) = path {
        image.fill_path(path, &solid(rgb), FillRule::Winding, at, None);
    }
}

fn stroke(image: &mut Pixmap, path: Option<&Path>, rgb: Rgb, width: f32, at: Transform) {
    if let Some(path) = path {
        let stroke =
            Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        image.stroke_path(path, &solid(rgb), &stroke, at, None);
    }
}

fn solid(rgb: Rgb) -> Paint<'static> {
    Paint { shader: Shader::SolidColor(color(rgb)), anti_alias: true, ..Paint::default() }
}

fn color([r, g, b]: Rgb) -> Color {
    Color::from_rgba8(r, g, b, 255)
}

/// A transparent image; tiny-skia refuses only empty and astronomically large ones.
fn pixmap(side: usize) -> Pixmap {
    Pixmap::new(side as u32, side as u32).expect("a small square image")
}

/// The picture with its brightness and grain, as an opaque frame.
fn develop(image: &Pixmap, brightness: f64, grain: &mut Rng) -> Frame {
    let mut rgb = Vec::with_capacity(SIDE * SIDE * 3);
    // The difference of two random bytes is triangular on ±255; four pixels share a draw of 64 bits.
    // Fixed point, 1/256 of a level.
    let step = (NUISANCE.grain * 256.0 / 255.0).round() as i32;
    let offset = (brightness * 256.0).round() as i32 + 128;
    for pixels in image.data().chunks(16) {
        let bytes = grain.bits().to_le_bytes();
        for (pixel, pair) in pixels.chunks(4).zip(bytes.chunks(2)) {
            let shift = (offset + step * (i32::from(pair[0]) - i32::from(pair[1]))) >> 8;
            rgb.extend(pixel[..3].iter().map(|&c| (i32::from(c) + shift).clamp(0, 255) as u8));
        }
    }
    Frame::new(SIDE, SIDE, rgb).expect("three bytes a pixel")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::true_scene, scene::Description};

    fn clip(scene: &Scene, seed: u64) -> Vec<Frame> {
        frames(scene, seed).collect()
    }

    /// Mean absolute difference in levels of 255.
    fn distance(a: &[Frame], b: &[Frame]) -> f64 {
        let pairs = a.iter().flat_map(Frame::rgb).zip(b.iter().flat_map(Frame::rgb));
        let sum: u64 = pairs.map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
        sum as f64 / (a.len() * SIDE * SIDE * 3) as f64
    }

    #[test]
    fn a_clip_has_its_size_and_depends_on_scene_and_seed_alone() {
        let scene = true_scene(&Description::default(), 3);
        let first = clip(&scene, 1);
        assert_eq!(first.len(), FRAMES);
        assert!(first.iter().all(|frame| frame.width() == SIDE && frame.height() == SIDE));
        assert_eq!(first, clip(&scene, 1));
        assert_ne!(first, clip(&scene, 2));
    }

    #[test]
    fn every_value_is_seen_above_the_nuisance() {
        // A large object, so that what is on it can be seen; the other attributes as they come.
        for seed in 0..3 {
            let base = true_scene(&Description::default(), seed).with(Attribute::Size, 2);
            for attribute in Attribute::ALL {
                for value in 0..attribute.count() {
                    let this = base.with(attribute, value);
                    let other = base.with(attribute, (value + 1) % attribute.count());
                    let changed = distance(&clip(&this, 0), &clip(&other, 0));
                    assert!(changed > 1.0, "{} {value}: {changed}", attribute.name());
                }
            }
        }
    }

    #[test]
    fn everything_moves() {
        for value in 0..Attribute::Motion.count() {
            let scene = true_scene(&Description::default(), 1)
                .with(Attribute::Size, 2)
                .with(Attribute::Motion, value);
            let frames = clip(&scene, 0);
            let apart =
                (0..FRAMES / 2).map(|i| distance(&frames[i..=i], &frames[i + FRAMES / 4..=i + FRAMES / 4]));
            assert!(apart.fold(0.0, f64::max) > 8.0, "motion {value}");
        }
    }

    #[test]
    fn settings_are_subtle() {
        for (i, a) in TINTS.iter().enumerate() {
            for b in &TINTS[..i] {
                let furthest = a.iter().zip(b).map(|(x, y)| x.abs_diff(*y)).max().unwrap();
                assert!((8..=24).contains(&furthest), "{a:?} {b:?}");
            }
        }
    }
}
