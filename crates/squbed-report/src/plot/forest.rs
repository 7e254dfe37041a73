//! The forest plot: correlations with their intervals, and where they have to lie.

use super::{
    Forest, ForestBar,
    svg::{AXIS, Anchor, BAND, GRID, INK, MUTED, SERIES, SHAPES, Svg, Type, fit, fit_name},
};
use crate::format::{UNDEFINED, interval, tau};

const WIDTH: f64 = 440.0;
/// Ends of the axis from τ = −1 to 1.
const AXIS_FROM: f64 = 134.0;
const AXIS_TO: f64 = 312.0;
/// Where the numbers end.
const NUMBERS: f64 = 436.0;
const TOP: f64 = 54.0;
const GROUP_HEAD: f64 = 24.0;
const ROW: f64 = 18.0;
const GROUP_GAP: f64 = 10.0;
const SMALL: Type = Type { size: 11.0, bold: false };
const HEAD: Type = Type { size: 11.5, bold: true };
const TITLE: Type = Type { size: 13.0, bold: true };

const TICKS: [(f64, &str); 5] = [(-1.0, "−1"), (-0.5, "−0.5"), (0.0, "0"), (0.5, "0.5"), (1.0, "1")];

/// The plot, one group of rows a pair of quantities.
pub(super) fn draw(forest: &Forest) -> String {
    let rows: usize = forest.groups.iter().map(|g| g.bars.len()).sum();
    let body = rows as f64 * ROW + forest.groups.len() as f64 * (GROUP_HEAD + GROUP_GAP);
    let bottom = TOP + body;
    let note = if forest.band_note.is_empty() { 0.0 } else { 22.0 };
    let mut svg = Svg::new(WIDTH, bottom + 38.0 + note, &describe(forest));
    svg.text((8.0, 20.0), Anchor::Start, TITLE, INK, &fit(&forest.title, TITLE.size, WIDTH - 16.0));

    for (value, label) in TICKS {
        for y in [TOP - 8.0, bottom + 9.0] {
            svg.text((place(value), y), Anchor::Middle, SMALL, MUTED, label);
        }
    }
    svg.text((place(0.0), bottom + 26.0), Anchor::Middle, SMALL, INK, "Kendall’s τ with its interval");

    let mut y = TOP;
    for group in &forest.groups {
        y += GROUP_HEAD;
        svg.text((8.0, y - 8.0), Anchor::Start, HEAD, INK, &fit(&group.label, HEAD.size, WIDTH - 16.0));
        for (i, bar) in group.bars.iter().enumerate() {
            if let Some((low, high)) = bar.band {
                let (from, to) = (place(low), place(high));
                svg.rect(from, y + i as f64 * ROW + 1.0, to - from, ROW - 2.0, BAND);
            }
        }
        // Over the bands, under the marks, and not through the heads.
        for (value, _) in TICKS {
            let colour = if value == 0.0 { AXIS } else { GRID };
            svg.line((place(value), y), (place(value), y + group.bars.len() as f64 * ROW), colour, 1.0);
        }
        for bar in &group.bars {
            row(&mut svg, y, bar);
            y += ROW;
        }
        y += GROUP_GAP;
    }
    if note > 0.0 {
        let y = bottom + 38.0;
        svg.rect(8.0, y, 22.0, 12.0, BAND);
        svg.text((36.0, y + 10.0), Anchor::Start, SMALL, MUTED, &forest.band_note);
    }
    svg.finish()
}

fn row(svg: &mut Svg, top: f64, bar: &ForestBar) {
    let middle = top + ROW / 2.0;
    let (colour, shape) = (SERIES[bar.series % SERIES.len()], SHAPES[bar.series % SHAPES.len()]);
    svg.text(
        (16.0, middle + 4.0),
        Anchor::Start,
        SMALL,
        MUTED,
        &fit_name(&bar.method, SMALL.size, AXIS_FROM - 13.0),
    );
    let numbers = if bar.tau.is_nan() {
        format!("{UNDEFINED} undefined")
    } else {
        format!("{} {}", tau(bar.tau), interval(bar.low, bar.high)).trim_end().to_owned()
    };
    svg.text((NUMBERS, middle + 4.0), Anchor::End, SMALL, INK, &numbers);
    if !bar.low.is_nan() && !bar.high.is_nan() {
        svg.line((place(bar.low), middle), (place(bar.high), middle), colour, 1.6);
        for end in [bar.low, bar.high] {
            svg.line((place(end), middle - 3.0), (place(end), middle + 3.0), colour, 1.6);
        }
    }
    if !bar.tau.is_nan() {
        svg.mark(
            (place(bar.tau), middle),
            shape,
            4.6,
            colour,
            false,
            &format!("{}: τ = {numbers}", bar.method),
        );
    }
}

/// Where τ stands on the axis.
fn place(tau: f64) -> f64 {
    AXIS_FROM + (tau.clamp(-1.0, 1.0) + 1.0) / 2.0 * (AXIS_TO - AXIS_FROM)
}

/// The plot in words.
fn describe(forest: &Forest) -> String {
    let mut words = format!("{}.", forest.title);
    for group in &forest.groups {
        words.push_str(&format!(" {}:", group.label));
        for (i, bar) in group.bars.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            words.push_str(&format!(
                "{comma} {} {} {}",
                bar.method,
                tau(bar.tau),
                interval(bar.low, bar.high)
            ));
        }
        words.push('.');
    }
    words
}
