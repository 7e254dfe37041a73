//! Axes: values to places, round ticks, the frame of the data.

use super::svg::{AXIS, Anchor, GRID, INK, MUTED, Svg, Type, fit};
use crate::format::fixed;

pub(super) const SMALL: Type = Type { size: 11.0, bold: false };
pub(super) const LABEL: Type = Type { size: 12.0, bold: false };
pub(super) const TITLE: Type = Type { size: 13.0, bold: true };

/// The rectangle of the data.
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Frame {
    /// Grid, ticks, axes and their labels: first across, then up.
    pub(super) fn axes(&self, svg: &mut Svg, (x, across): (&Scale, &str), (y, up): (&Scale, &str)) {
        let Self { left, top, right, bottom } = *self;
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
        let (middle, height) = (self.middle(), bottom - top);
        let across = fit(across, LABEL.size, right - left);
        svg.text((middle.0, bottom + 36.0), Anchor::Middle, LABEL, INK, &across);
        svg.text_upwards((15.0, middle.1), LABEL, INK, &fit(up, LABEL.size, height + 20.0));
    }

    pub(super) fn middle(&self) -> (f64, f64) {
        ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0)
    }
}

/// Values to places along an axis.
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// Part of the axis at each end that is kept for infinities.
    margin: (f64, f64),
}

impl Scale {
    pub(super) fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
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

    pub(super) fn place(&self, value: f64) -> f64 {
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
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
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
