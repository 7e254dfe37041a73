//! The scatter plot.

use super::{
    Scatter,
    svg::{AXIS, Anchor, GRID, INK, MARKED, MUTED, SERIES, Shape, Svg, Type, fit, fit_name, text_width},
};
use crate::format::fixed;

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 340.0;
/// The frame of the data: left, top, right, bottom.
const FRAME: (f64, f64, f64, f64) = (62.0, 70.0, 366.0, 292.0);
const RADIUS: f64 = 4.2;
const SMALL: Type = Type { size: 11.0, bold: false };
const LABEL: Type = Type { size: 12.0, bold: false };
const TITLE: Type = Type { size: 13.0, bold: true };

/// A plot of its points; tasks with a NaN are left out.
pub(super) fn draw(scatter: &Scatter) -> String {
    let (left, top, right, bottom) = FRAME;
    let points: Vec<_> = scatter.points.iter().filter(|p| !p.x.is_nan() && !p.y.is_nan()).collect();
    let x = Scale::new(points.iter().map(|p| p.x), left, right);
    let y = Scale::new(points.iter().map(|p| p.y), bottom, top);

    let description = format!(
        "Scatter plot of {} tasks, {} across, {} up. {} {}",
        points.len(),
        scatter.x,
        scatter.y,
        scatter.method,
        scatter.subtitle
    );
    let mut svg = Svg::new(WIDTH, HEIGHT, &description);
    svg.text((14.0, 20.0), Anchor::Start, TITLE, INK, &fit(&scatter.title, TITLE.size, WIDTH - 24.0));
    svg.text((14.0, 38.0), Anchor::Start, LABEL, MUTED, &second_line(scatter));

    for (at, label) in x.ticks() {
        svg.line((at, top), (at, bottom), GRID, 1.0);
        svg.text((at, bottom + 16.0), Anchor::Middle, SMALL, MUTED, &label);
    }
    for (at, label) in y.ticks() {
        svg.line((left, at), (right, at), GRID, 1.0);
        svg.text((left - 7.0, at + 4.0), Anchor::End, SMALL, MUTED, &label);
    }
    svg.line((left, bottom), (right, bottom), AXIS, 1.0);
    svg.line((left, top), (left, bottom), AXIS, 1.0);
    let (width, height) = (right - left, bottom - top);
    svg.text(
        (left + width / 2.0, bottom + 36.0),
        Anchor::Middle,
        LABEL,
        INK,
        &fit(&scatter.x, LABEL.size, width),
    );
    svg.text_upwards((15.0, top + height / 2.0), LABEL, INK, &fit(&scatter.y, LABEL.size, height + 20.0));

    if points.is_empty() {
        let middle = (left + width / 2.0, top + height / 2.0);
        svg.text(middle, Anchor::Middle, LABEL, MUTED, "no task has both numbers");
    }
    // Marked points last, on top.
    for marked in [false, true] {
        for point in points.iter().filter(|p| p.marked == marked) {
            let colour = if marked { MARKED } else { SERIES[0] };
            let shape = match (point.x, point.y) {
                (_, f64::INFINITY) => Shape::Up,
                (_, f64::NEG_INFINITY) => Shape::Down,
                (f64::INFINITY, _) => Shape::Right,
                (f64::NEG_INFINITY, _) => Shape::Left,
                _ if marked => Shape::Up,
                _ => Shape::Circle,
            };
            let beyond = point.x.is_infinite() || point.y.is_infinite();
            svg.mark((x.place(point.x), y.place(point.y)), shape, RADIUS, colour, beyond, &point.label);
        }
    }
    if points.iter().any(|p| p.marked) {
        svg.mark((19.0, 52.0), Shape::Up, RADIUS, MARKED, false, "");
        svg.text((29.0, 56.0), Anchor::Start, SMALL, MUTED, &scatter.marked);
    }
    svg.finish()
}

/// The method, as long as there is room beside the figures, and the figures.
fn second_line(scatter: &Scatter) -> String {
    let subtitle = fit(&scatter.subtitle, LABEL.size, WIDTH - 24.0);
    let room = WIDTH - 24.0 - text_width(&subtitle, LABEL.size) - text_width(": ", LABEL.size);
    match fit_name(&scatter.method, LABEL.size, room) {
        method if scatter.method.is_empty() || method == "…" => subtitle,
        method => format!("{method}: {subtitle}"),
    }
}

/// Values to places along an axis.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// Part of the axis at each end that is kept for infinities.
    margin: (f64, f64),
}

impl Scale {
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut margin = (0.05, 0.05);
        for v in values {
            match v {
                f64::NEG_INFINITY => margin.0 = 0.12,
                f64::INFINITY => margin.1 = 0.12,
                v => (low, high) = (low.min(v), high.max(v)),
            }
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        } else if low == high {
            let half = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
            (low, high) = (low - half, high + half);
        }
        Self { low, high, from, to, margin }
    }

    fn place(&self, value: f64) -> f64 {
        let share = match value {
            f64::NEG_INFINITY => 0.03,
            f64::INFINITY => 0.97,
            // Halves first: the difference of two large numbers of opposite sign may overflow.
            v => {
                let part = (v / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
                self.margin.0 + part * (1.0 - self.margin.0 - self.margin.1)
            }
        };
        self.from + share * (self.to - self.from)
    }

    /// Round values about a fifth of the range apart, each with its place and label.
    fn ticks(&self) -> Vec<(f64, String)> {
        let rough = self.high / 5.0 - self.low / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|s| s * power).find(|s| *s >= 0.8 * rough);
        let Some(step) = step.filter(|s| s.is_finite() && *s > 0.0) else { return Vec::new() };
        // A billionth of a step forgives the rounding of ends that are ticks themselves.
        let (first, last) = ((self.low / step - 1e-9).ceil(), (self.high / step + 1e-9).floor());
        let decimals = (0..=9).find(|d| {
            let scaled = step * 10f64.powi(*d);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        });
        (0..=20)
            .map(|i| first + f64::from(i))
            .take_while(|i| *i <= last)
            .map(|i| {
                let value = i * step;
                let label = match decimals {
                    Some(d) if self.high.abs().max(self.low.abs()) < 1e6 => fixed(value, d as usize),
                    _ => format!("{value:.1e}").replace('-', "−"),
                };
                (self.place(value), label)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let labels = |low: f64, high: f64| -> Vec<String> {
            Scale::new([low, high].into_iter(), 0.0, 100.0).ticks().into_iter().map(|(_, l)| l).collect()
        };
        assert_eq!(labels(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-1084.2, -1077.1), ["−1084", "−1082", "−1080", "−1078"]);
        assert_eq!(labels(3.0, 3.0), ["2.7", "2.8", "2.9", "3.0", "3.1", "3.2", "3.3"]);
        for (low, high) in [(1e-12, 2e-12), (-1e300, 1e300), (5e-324, 1e-323), (f64::MIN, f64::MAX)] {
            let scale = Scale::new([low, high].into_iter(), 0.0, 100.0);
            assert!(scale.ticks().len() <= 21);
            assert!(scale.ticks().iter().all(|(at, _)| (0.0..=100.0).contains(at)), "{low} {high}");
        }
    }

    #[test]
    fn infinities_lie_beyond_everything_finite() {
        let scale = Scale::new([f64::NEG_INFINITY, 0.0, 10.0, f64::INFINITY].into_iter(), 0.0, 100.0);
        let places = [f64::NEG_INFINITY, 0.0, 10.0, f64::INFINITY].map(|v| scale.place(v));
        assert!(places.windows(2).all(|w| w[0] + 5.0 < w[1]), "{places:?}");
    }
}
