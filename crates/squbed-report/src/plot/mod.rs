//! The plots: SVG, written here, and PNG, drawn from the SVG with a font of our own.
//!
//! The SVG is written without a plotting library, for three things that the page needs and such libraries
//! do not give: a mark carries the name of its task (`<title>`, shown on hover and read aloud), a colour is
//! a class that the page's dark scheme replaces, and a colour never stands alone but with a shape.
//! Colours are those of Okabe and Ito, told apart under the common forms of colour blindness.

mod curves;
mod forest;
mod raster;
mod scale;
mod scatter;
mod svg;

use serde::Serialize;

use crate::Error;

/// A plot, ready to draw.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Plot {
    /// Tasks by two quantities.
    Scatter(Scatter),
    /// Correlations with their intervals.
    Forest(Forest),
    /// Curves over one quantity.
    Curves(Curves),
}

/// Tasks as points.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Scatter {
    /// File name without extension.
    pub name: String,
    /// First line.
    pub title: String,
    /// Whose numbers these are, at the beginning of the second line; shortened where it is long.
    pub method: String,
    /// The rest of the second line, e.g. τ with its interval.
    pub subtitle: String,
    /// Label of the horizontal axis, with unit.
    pub x: String,
    /// Label of the vertical axis, with unit.
    pub y: String,
    /// The tasks.
    pub points: Vec<Point>,
    /// What distinguishes the marked points, for the legend.
    pub marked: String,
}

/// A task in a scatter plot. An infinity is drawn on the edge, a point with a NaN not at all.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Shown on hover.
    pub label: String,
    /// Horizontal.
    #[serde(with = "squbed_core::float")]
    pub x: f64,
    /// Vertical.
    #[serde(with = "squbed_core::float")]
    pub y: f64,
    /// Drawn in another shape and colour.
    pub marked: bool,
}

/// Correlations with intervals, several methods side by side.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Forest {
    /// File name without extension.
    pub name: String,
    /// First line.
    pub title: String,
    /// What the shaded bands mean; no such line where empty.
    pub band_note: String,
    /// What was correlated, one group each.
    pub groups: Vec<ForestGroup>,
}

/// One pair of quantities.
#[derive(Clone, Debug, Serialize)]
pub struct ForestGroup {
    /// What was correlated.
    pub label: String,
    /// One a method.
    pub bars: Vec<ForestBar>,
}

/// One correlation with its interval.
#[derive(Clone, Debug, Serialize)]
pub struct ForestBar {
    /// The method's name.
    pub method: String,
    /// The method's place among all, which decides shape and colour.
    pub series: usize,
    /// τ; NaN draws no mark.
    #[serde(with = "squbed_core::float")]
    pub tau: f64,
    /// Lower end.
    #[serde(with = "squbed_core::float")]
    pub low: f64,
    /// Upper end.
    #[serde(with = "squbed_core::float")]
    pub high: f64,
    /// Where τ has to lie.
    pub band: Option<(f64, f64)>,
}

/// Curves over one quantity.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Curves {
    /// File name without extension.
    pub name: String,
    /// First line.
    pub title: String,
    /// Second line.
    pub subtitle: String,
    /// Label of the horizontal axis, with unit.
    pub x: String,
    /// Label of the vertical axis, with unit.
    pub y: String,
    /// A height that a line is drawn at, such as the τ of no correlation.
    pub level: Option<f64>,
    /// The curves.
    pub lines: Vec<Curve>,
}

/// One curve.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// Its name in the legend.
    pub label: String,
    /// For references.
    pub dashed: bool,
    /// From left to right.
    pub points: Vec<CurvePoint>,
}

/// A point of a curve. One that has no finite place is a gap.
#[derive(Clone, Debug, Serialize)]
pub struct CurvePoint {
    /// Horizontal.
    #[serde(with = "squbed_core::float")]
    pub x: f64,
    /// Vertical.
    #[serde(with = "squbed_core::float")]
    pub y: f64,
    /// Whether a mark is drawn.
    pub marked: bool,
    /// Shown on hover over the mark.
    pub label: String,
}

impl Plot {
    /// File name without extension.
    pub fn name(&self) -> &str {
        match self {
            Self::Scatter(scatter) => &scatter.name,
            Self::Forest(forest) => &forest.name,
            Self::Curves(curves) => &curves.name,
        }
    }
}

/// A plot as SVG 1.1, the same bytes for the same data.
pub fn plot_svg(plot: &Plot) -> String {
    match plot {
        Plot::Scatter(scatter) => scatter::draw(scatter),
        Plot::Forest(forest) => forest::draw(forest),
        Plot::Curves(curves) => curves::draw(curves),
    }
}

/// A plot as PNG on white, `scale` pixels a unit of the SVG (2 suits print), text in the bundled Inter.
///
/// Signs that are neither Latin, Greek nor mathematical are missing from the picture; the SVG has them.
pub fn plot_png(plot: &Plot, scale: f32) -> Result<Vec<u8>, Error> {
    raster::png(plot.name(), &plot_svg(plot), scale)
}
