//! Curves over one quantity: a correlation over thresholds, risk over coverage.

use super::{
    Curve, Curves,
    scale::{Frame, LABEL, SMALL, Scale, TITLE},
    svg::{AXIS, Anchor, INK, MUTED, SERIES, SHAPES, Svg, fit, text_width},
};

const WIDTH: f64 = 380.0;
/// Without the legend.
const HEIGHT: f64 = 322.0;
const TOP: f64 = 52.0;
const FRAME_HEIGHT: f64 = 222.0;
const LEGEND_ROW: f64 = 17.0;
const RADIUS: f64 = 3.4;

/// Curves in one frame; gaps where a value is no finite number.
pub(super) fn draw(curves: &Curves) -> String {
    let rows = legend_rows(&curves.lines);
    let top = TOP + LEGEND_ROW * rows.len() as f64;
    let frame = Frame { left: 62.0, top, right: 366.0, bottom: top + FRAME_HEIGHT };
    let points = || curves.lines.iter().flat_map(|line| &line.points);
    let zero = curves.level.into_iter();
    let x = Scale::new(points().map(|p| p.x).filter(|v| v.is_finite()), frame.left, frame.right);
    let y = Scale::new(points().map(|p| p.y).filter(|v| v.is_finite()).chain(zero), frame.bottom, frame.top);

    let names: Vec<&str> = curves.lines.iter().map(|line| line.label.as_str()).collect();
    let description =
        format!("{}, {} across, {} up: {}.", curves.title, curves.x, curves.y, names.join(", "));
    let mut svg = Svg::new(WIDTH, HEIGHT + LEGEND_ROW * rows.len() as f64, &description);
    svg.text((14.0, 20.0), Anchor::Start, TITLE, INK, &fit(&curves.title, TITLE.size, WIDTH - 24.0));
    svg.text((14.0, 38.0), Anchor::Start, LABEL, MUTED, &fit(&curves.subtitle, LABEL.size, WIDTH - 24.0));
    frame.axes(&mut svg, (&x, &curves.x), (&y, &curves.y));
    if let Some(level) = curves.level {
        svg.line((frame.left, y.place(level)), (frame.right, y.place(level)), AXIS, 1.4);
    }
    if !points().any(|p| p.x.is_finite() && p.y.is_finite()) {
        svg.text(frame.middle(), Anchor::Middle, LABEL, MUTED, "nothing could be computed");
    }
    for (series, line) in curves.lines.iter().enumerate() {
        let (colour, shape) = (SERIES[series % SERIES.len()], SHAPES[series % SHAPES.len()]);
        let mut run: Vec<(f64, f64)> = Vec::new();
        for p in &line.points {
            if p.x.is_finite() && p.y.is_finite() {
                run.push((x.place(p.x), y.place(p.y)));
            } else {
                svg.path(&std::mem::take(&mut run), colour, line.dashed);
            }
        }
        svg.path(&run, colour, line.dashed);
        for p in line.points.iter().filter(|p| p.marked && p.x.is_finite() && p.y.is_finite()) {
            svg.mark((x.place(p.x), y.place(p.y)), shape, RADIUS, colour, false, &p.label);
        }
    }
    for (row, lines) in rows.iter().enumerate() {
        let mut at = 16.0;
        for &series in lines {
            let line = &curves.lines[series];
            let middle = TOP + LEGEND_ROW * row as f64 + 2.0;
            let colour = SERIES[series % SERIES.len()];
            svg.path(&[(at, middle), (at + SAMPLE, middle)], colour, line.dashed);
            if line.points.iter().any(|p| p.marked) {
                let shape = SHAPES[series % SHAPES.len()];
                svg.mark((at + SAMPLE / 2.0, middle), shape, RADIUS, colour, false, "");
            }
            let text = fit(&line.label, SMALL.size, WIDTH - SAMPLE - 36.0);
            svg.text((at + SAMPLE + 6.0, middle + 4.0), Anchor::Start, SMALL, MUTED, &text);
            at += entry(&line.label);
        }
    }
    svg.finish()
}

/// Length of the piece of line in the legend.
const SAMPLE: f64 = 20.0;

fn entry(label: &str) -> f64 {
    SAMPLE + 6.0 + text_width(label, SMALL.size) + 14.0
}

/// The lines' places, as many in a row as fit.
fn legend_rows(lines: &[Curve]) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    let mut end = f64::INFINITY;
    for (series, line) in lines.iter().enumerate() {
        let width = entry(&line.label);
        match rows.last_mut().filter(|_| end + width <= WIDTH - 16.0) {
            Some(row) => {
                row.push(series);
                end += width;
            }
            None => {
                rows.push(vec![series]);
                end = 16.0 + width;
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CurvePoint;

    fn curve(label: &str, values: &[f64]) -> Curve {
        let point = |(i, &y): (usize, &f64)| CurvePoint {
            x: i as f64,
            y,
            marked: y < 0.0,
            label: format!("{label} {i}"),
        };
        Curve {
            label: label.to_owned(),
            dashed: false,
            points: values.iter().enumerate().map(point).collect(),
        }
    }

    #[test]
    fn a_value_that_is_none_is_a_gap_and_marks_have_names() {
        let lines = vec![curve("total", &[1.0, 2.0, f64::NAN, 2.0, -1.0])];
        let svg = draw(&Curves { lines, level: Some(0.0), ..Curves::default() });
        // Two runs and the legend's piece.
        assert_eq!(svg.matches("<polyline").count(), 3, "{svg}");
        assert!(svg.contains("<title>total 4</title>") && !svg.contains("NaN"));
        assert!(draw(&Curves::default()).contains("nothing could be computed"));
    }

    #[test]
    fn a_legend_breaks_where_it_is_too_wide() {
        let lines = |n: usize| (0..n).map(|_| curve("a name of some length", &[0.0])).collect::<Vec<_>>();
        assert_eq!(legend_rows(&lines(2)), [vec![0, 1]]);
        assert_eq!(legend_rows(&lines(3)), [vec![0, 1], vec![2]]);
        assert!(legend_rows(&[]).is_empty());
    }
}
