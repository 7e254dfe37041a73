//! The forest plot: correlations with their intervals, and where they have to lie.

use super::{
    Forest, ForestBar,
    svg::{AXIS, Anchor, BAND, GRID, INK, MUTED, SERIES, SHAPES, Svg, Type, fit, fit_name, text_width},
};
use crate::format::{UNDEFINED, interval, tau};

const WIDTH: f64 = 440.0;
/// Ends of the axis from τ = −1 to 1.
const AXIS_FROM: f64 = 144.0;
const AXIS_TO: f64 = 314.0;
/// Room for a name.
const NAME: f64 = AXIS_FROM - 22.0;
/// Where the numbers end.
const NUMBERS: f64 = 436.0;
const TOP: f64 = 54.0;
const GROUP_HEAD: f64 = 24.0;
const ROW: f64 = 18.0;
/// What a row with a name in two lines is higher.
const SECOND_LINE: f64 = 12.0;
const GROUP_GAP: f64 = 10.0;
const SMALL: Type = Type { size: 11.0, bold: false };
const HEAD: Type = Type { size: 11.5, bold: true };
const TITLE: Type = Type { size: 13.0, bold: true };

const TICKS: [(f64, &str); 5] = [(-1.0, "−1"), (-0.5, "−0.5"), (0.0, "0"), (0.5, "0.5"), (1.0, "1")];

/// The plot, one group of rows a pair of quantities.
pub(super) fn draw(forest: &Forest) -> String {
    let body: f64 = forest.groups.iter().map(|g| GROUP_HEAD + height(&g.bars) + GROUP_GAP).sum();
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
        let mut top = y;
        for bar in &group.bars {
            if let Some((low, high)) = bar.band {
                let (from, to) = (place(low), place(high));
                svg.rect(from, top + 1.0, to - from, row_height(bar) - 2.0, BAND);
            }
            top += row_height(bar);
        }
        // Over the bands, under the marks, and not through the heads.
        for (value, _) in TICKS {
            let colour = if value == 0.0 { AXIS } else { GRID };
            svg.line((place(value), y), (place(value), top), colour, 1.0);
        }
        for bar in &group.bars {
            row(&mut svg, y, bar);
            y += row_height(bar);
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
    let middle = top + row_height(bar) / 2.0;
    let (colour, shape) = (SERIES[bar.series % SERIES.len()], SHAPES[bar.series % SHAPES.len()]);
    let name = lines(&bar.method);
    let first = middle + 4.0 - SECOND_LINE / 2.0 * (name.len() - 1) as f64;
    for (i, line) in name.iter().enumerate() {
        let line = fit_name(line, SMALL.size, NAME);
        svg.text((16.0, first + i as f64 * SECOND_LINE), Anchor::Start, SMALL, MUTED, &line);
    }
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

/// A name in one line where it fits, else broken behind its first comma where it has one.
fn lines(name: &str) -> Vec<&str> {
    match name.find(", ").filter(|_| text_width(name, SMALL.size) > NAME) {
        Some(comma) => vec![&name[..=comma], &name[comma + 2..]],
        None => vec![name],
    }
}

fn row_height(bar: &ForestBar) -> f64 {
    ROW + SECOND_LINE * (lines(&bar.method).len() - 1) as f64
}

fn height(bars: &[ForestBar]) -> f64 {
    bars.iter().map(row_height).sum()
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
