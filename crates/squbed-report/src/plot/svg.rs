//! A small writer of SVG.

use std::fmt::Write as _;

use crate::format::escape;

/// A colour: its value on white and the class by which a page replaces it.
#[derive(Clone, Copy)]
pub(super) struct Colour {
    class: &'static str,
    value: &'static str,
}

/// Text.
pub(super) const INK: Colour = Colour { class: "p-ink", value: "#1b1f24" };
/// Text of less weight.
pub(super) const MUTED: Colour = Colour { class: "p-muted", value: "#57606a" };
/// Lines behind the data.
pub(super) const GRID: Colour = Colour { class: "p-grid", value: "#e4e7eb" };
/// Axes.
pub(super) const AXIS: Colour = Colour { class: "p-axis", value: "#8c959f" };
/// Where a value has to lie.
pub(super) const BAND: Colour = Colour { class: "p-band", value: "#d5efe3" };
/// Marked points.
pub(super) const MARKED: Colour = Colour { class: "p-marked", value: "#d55e00" };
/// One a method, in order; further ones begin again.
pub(super) const SERIES: [Colour; 5] = [
    Colour { class: "p-0", value: "#0072b2" },
    Colour { class: "p-1", value: "#b65300" },
    Colour { class: "p-2", value: "#00795a" },
    Colour { class: "p-3", value: "#a8487e" },
    Colour { class: "p-4", value: "#57606a" },
];

/// The shape of a mark.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Circle,
    Square,
    Diamond,
    Up,
    Down,
    Left,
    Right,
}

/// One a method, in the order of [`SERIES`].
pub(super) const SHAPES: [Shape; 5] = [Shape::Circle, Shape::Square, Shape::Diamond, Shape::Up, Shape::Down];

/// Where a text stands relative to its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Size and weight of a text.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) bold: bool,
}

/// A drawing under construction.
pub(super) struct Svg {
    out: String,
}

impl Svg {
    /// A drawing of this size, described in words for those who do not see it.
    pub(super) fn new(width: f64, height: f64, description: &str) -> Self {
        let mut out = String::new();
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" width=\"{width:.0}\" \
             height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"Inter, system-ui, \
             sans-serif\" aria-label=\"{}\">",
            escape(description)
        );
        Self { out }
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: Colour) {
        let Colour { class, value } = fill;
        let _ = write!(
            self.out,
            "<rect class=\"{class} p-fill\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" \
             fill=\"{value}\"/>"
        );
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour, width: f64) {
        let Colour { class, value } = colour;
        let _ = write!(
            self.out,
            "<line class=\"{class} p-stroke\" x1=\"{:.2}\" y1=\"{:.2}\" x2=\"{:.2}\" y2=\"{:.2}\" \
             stroke=\"{value}\" stroke-width=\"{width}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// A line through points; nothing of fewer than two.
    pub(super) fn path(&mut self, points: &[(f64, f64)], colour: Colour, dashed: bool) {
        if points.len() < 2 {
            return;
        }
        let Colour { class, value } = colour;
        let dash = if dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect();
        let _ = write!(
            self.out,
            "<polyline class=\"{class} p-stroke\" points=\"{}\" fill=\"none\" stroke=\"{value}\" \
             stroke-width=\"1.8\" stroke-linejoin=\"round\"{dash}/>",
            points.join(" ")
        );
    }

    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, kind: Type, colour: Colour, text: &str) {
        self.text_with(at, anchor, kind, colour, "", text);
    }

    /// Text that reads upwards, turned about its point.
    pub(super) fn text_upwards(&mut self, at: (f64, f64), kind: Type, colour: Colour, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {:.2} {:.2})\"", at.0, at.1);
        self.text_with(at, Anchor::Middle, kind, colour, &turn, text);
    }

    fn text_with(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        kind: Type,
        colour: Colour,
        more: &str,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if kind.bold { " font-weight=\"600\"" } else { "" };
        let Colour { class, value } = colour;
        let _ = write!(
            self.out,
            "<text class=\"{class} p-fill\" x=\"{:.2}\" y=\"{:.2}\" font-size=\"{}\"{weight} \
             text-anchor=\"{anchor}\" fill=\"{value}\"{more}>{}</text>",
            at.0,
            at.1,
            kind.size,
            escape(text)
        );
    }

    /// A mark with its name on hover. Hollow marks stand for values beyond the axes.
    pub(super) fn mark(
        &mut self,
        at: (f64, f64),
        shape: Shape,
        radius: f64,
        colour: Colour,
        hollow: bool,
        title: &str,
    ) {
        let Colour { class, value } = colour;
        let (fill, stroke) = if hollow { ("none", value) } else { (value, "#ffffff") };
        let kind = if hollow { "p-hollow" } else { "p-mark" };
        let paint = format!("class=\"{class} {kind}\" fill=\"{fill}\" stroke=\"{stroke}\"");
        let (x, y) = at;
        let title =
            if title.is_empty() { String::new() } else { format!("<title>{}</title>", escape(title)) };
        let _ = match corners(shape, radius) {
            None => write!(
                self.out,
                "<circle {paint} cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"{radius:.2}\">{title}</circle>"
            ),
            Some(corners) => {
                let mut path = String::new();
                for (i, (dx, dy)) in corners.into_iter().enumerate() {
                    let _ = write!(path, "{}{:.2} {:.2}", if i == 0 { "M" } else { "L" }, x + dx, y + dy);
                }
                write!(self.out, "<path {paint} d=\"{path}Z\">{title}</path>")
            }
        };
    }

    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }
}

/// Corners of a shape about the origin, of about the area of the circle; none for the circle itself.
fn corners(shape: Shape, radius: f64) -> Option<Vec<(f64, f64)>> {
    let r = radius;
    Some(match shape {
        Shape::Circle => return None,
        Shape::Square => {
            let a = 0.89 * r;
            vec![(-a, -a), (a, -a), (a, a), (-a, a)]
        }
        Shape::Diamond => {
            let a = 1.25 * r;
            vec![(0.0, -a), (a, 0.0), (0.0, a), (-a, 0.0)]
        }
        Shape::Up => vec![(0.0, -1.4 * r), (1.25 * r, 0.85 * r), (-1.25 * r, 0.85 * r)],
        Shape::Down => vec![(0.0, 1.4 * r), (1.25 * r, -0.85 * r), (-1.25 * r, -0.85 * r)],
        Shape::Left => vec![(-1.4 * r, 0.0), (0.85 * r, 1.25 * r), (0.85 * r, -1.25 * r)],
        Shape::Right => vec![(1.4 * r, 0.0), (-0.85 * r, 1.25 * r), (-0.85 * r, -1.25 * r)],
    })
}

/// About how wide a text is: Inter's digits and lower-case letters average this share of the size.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.55
}

/// The text, cut at its end so that it is about this wide at most.
pub(super) fn fit(text: &str, size: f64, width: f64) -> String {
    cut(text, size, width, 1.0)
}

/// The text, cut in its middle: names that begin alike stay apart.
pub(super) fn fit_name(text: &str, size: f64, width: f64) -> String {
    cut(text, size, width, 0.5)
}

/// Keeps what fits; of that, `head` is the share of the beginning.
fn cut(text: &str, size: f64, width: f64, head: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let keep = ((width / text_width("x", size)) as usize).saturating_sub(1);
    let start = (keep as f64 * head).ceil() as usize;
    let beginning: String = text.chars().take(start).collect();
    let end: String = text.chars().skip(text.chars().count() - (keep - start)).collect();
    format!("{}…{}", beginning.trim_end(), end.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(fit("short", 10.0, 100.0), "short");
        assert_eq!(fit("a title that is too long", 10.0, 60.0), "a title t…");
        assert_eq!(fit_name("mean cosine, colours", 10.0, 60.0), "mean…ours");
        assert_eq!(fit_name("ÂÊ", 10.0, 6.0), "…");
    }
}
