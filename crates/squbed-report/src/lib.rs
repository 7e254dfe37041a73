//! The report of a run: one self-contained HTML file that a reader can trust, and each plot as SVG and PNG.
//!
//! [`ReportData`] holds everything that is shown; nothing is computed here, so a report can be made of any
//! results, and no number in it has a second origin. [`render`] makes the page, [`write()`] puts it and the
//! plots in a folder:
//!
//! ```text
//! DIR/report.html             loads nothing: pictures, plots, style and its one script are inside
//! DIR/plots/<name>.svg, .png  the plots of the page, for a paper or slides; those of an earlier report go
//! DIR/tables/<name>.csv       the tables of the page with every digit, for other programs
//! ```
//!
//! The page treats every text as untrusted: prompts are escaped, and a content security policy lets no other
//! script run than the one that sorts its tables. The same data give the same bytes.

mod check;
mod data;
mod error;
mod figures;
mod format;
mod image;
mod names;
mod page;
mod plot;
mod tables;
mod view;
mod write;

pub use data::{
    AccuracyMetric, Bound, Claim, ClaimCurves, ClaimScatter, ClaimTest, Contribution, Correlation, Estimate,
    Failure, Floor, Image, LatentReport, Method, MethodOption, NotRun, Note, Origin, Outcome, Quantity,
    Range, ReportData, RiskCoverage, Run, SeedRow, SeedTable, Step, TaskReport, Truth, Verdict, VideoAnomaly,
};
pub use error::Error;
pub use figures::plots;
pub use format::{correlation_text, fixed};
pub use page::render;
pub use plot::{
    Curve, CurvePoint, Curves, Forest, ForestBar, ForestGroup, Plot, Point, Scatter, plot_png, plot_svg,
};
pub use tables::{Table, tables};
pub use write::{Written, write};
