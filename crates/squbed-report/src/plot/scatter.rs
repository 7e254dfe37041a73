//! The scatter plot.

use super::{
    Scatter,
    scale::{Frame, LABEL, SMALL, Scale, TITLE},
    svg::{Anchor, INK, MARKED, MUTED, SERIES, Shape, Svg, fit, fit_name, text_width},
};

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 340.0;
const FRAME: Frame = Frame { left: 62.0, top: 70.0, right: 366.0, bottom: 292.0 };
const RADIUS: f64 = 4.2;

/// A plot of its points; tasks with a NaN are left out.
pub(super) fn draw(scatter: &Scatter) -> String {
    let points: Vec<_> = scatter.points.iter().filter(|p| !p.x.is_nan() && !p.y.is_nan()).collect();
    let x = Scale::new(points.iter().map(|p| p.x), FRAME.left, FRAME.right);
    let y = Scale::new(points.iter().map(|p| p.y), FRAME.bottom, FRAME.top);

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

    FRAME.axes(&mut svg, (&x, &scatter.x), (&y, &scatter.y));
    if points.is_empty() {
        svg.text(FRAME.middle(), Anchor::Middle, LABEL, MUTED, "no task has both numbers");
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
