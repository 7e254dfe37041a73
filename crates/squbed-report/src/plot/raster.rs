//! SVG to PNG, with the bundled font alone.

use std::sync::{Arc, LazyLock};

use resvg::{
    tiny_skia::{Color, Pixmap, Transform},
    usvg::{Options, Tree, fontdb},
};

use crate::Error;

/// Inter, see `assets/README.md`; no font of the machine is looked at, so that every machine draws alike.
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(include_bytes!("../../assets/Inter-Regular.otf").to_vec());
    fonts.load_font_data(include_bytes!("../../assets/Inter-SemiBold.otf").to_vec());
    fonts.set_sans_serif_family("Inter");
    Arc::new(fonts)
});

/// The drawing, its text laid out.
pub(super) fn parse(name: &str, svg: &str) -> Result<Tree, Error> {
    let options = Options { font_family: "Inter".to_owned(), fontdb: FONTS.clone(), ..Options::default() };
    Tree::from_str(svg, &options).map_err(|source| Error::Svg { plot: name.to_owned(), source })
}

/// The drawing on white.
pub(super) fn png(name: &str, svg: &str, scale: f32) -> Result<Vec<u8>, Error> {
    let tree = parse(name, svg)?;
    let pixels = |side: f32| (side * scale).ceil().max(0.0) as u32;
    let (width, height) = (pixels(tree.size().width()), pixels(tree.size().height()));
    let failed = || Error::Raster { plot: name.to_owned(), width, height };
    let mut picture = Pixmap::new(width, height).ok_or_else(failed)?;
    picture.fill(Color::WHITE);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
    picture.encode_png().map_err(|_| failed())
}

#[cfg(test)]
mod tests {
    use resvg::usvg::{Group, Node};

    use super::*;
    use crate::{
        AccuracyMetric, Forest, ForestBar, ForestGroup, Plot, Quantity, ReportData, Scatter, names::Names,
        plot_svg,
    };

    /// Every text's words and how many of its glyphs the font lacks.
    fn texts(group: &Group, found: &mut Vec<(String, usize)>) {
        for node in group.children() {
            match node {
                Node::Group(group) => texts(group, found),
                Node::Text(text) => {
                    let glyphs = || text.layouted().iter().flat_map(|span| &span.positioned_glyphs);
                    let words = glyphs().map(|g| g.text.as_str()).collect();
                    found.push((words, glyphs().filter(|g| g.id.0 == 0).count()));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn the_font_has_every_sign_of_every_plot() {
        let data = ReportData {
            accuracies: vec![AccuracyMetric {
                name: "−LPIPS é ü ß κ".to_owned(),
                unit: "dB".to_owned(),
                about: String::new(),
            }],
            ..ReportData::default()
        };
        let names = Names::new(&data);
        let quantities = [
            Quantity::Aleatoric,
            Quantity::Epistemic,
            Quantity::TotalRankSum,
            Quantity::TotalSum,
            Quantity::TotalZSum,
            Quantity::TrueAleatoric,
            Quantity::TrueEpistemic,
            Quantity::Accuracy(0),
        ];
        let mut found = Vec::new();
        for q in quantities {
            let scatter = Plot::Scatter(Scatter {
                name: "s".to_owned(),
                title: names.short_pair(q, q),
                subtitle: "τ = −0.12 [−0.3, 0.1] ∞ – ≥ ≤ ± …".to_owned(),
                x: names.axis(q, "nats"),
                y: names.axis(q, ""),
                points: Vec::new(),
                marked: crate::names::CONFIDENTLY_WRONG.to_owned(),
            });
            texts(parse("s", &plot_svg(&scatter)).unwrap().root(), &mut found);
        }
        let bar = |tau| ForestBar {
            method: "ours".to_owned(),
            series: 0,
            tau,
            low: -1.0,
            high: 1.0,
            band: Some((0.6, 1.0)),
        };
        let forest = Plot::Forest(Forest {
            name: "f".to_owned(),
            title: "correlations".to_owned(),
            band_note: "floor".to_owned(),
            groups: vec![ForestGroup {
                label: names.pair(Quantity::Aleatoric, Quantity::TrueAleatoric),
                bars: vec![bar(0.5), bar(f64::NAN)],
            }],
        });
        texts(parse("f", &plot_svg(&forest)).unwrap().root(), &mut found);
        assert!(found.len() > 60, "{}", found.len());
        for (words, missing) in &found {
            assert!(!words.is_empty() && *missing == 0, "{words:?}: {missing} signs are missing");
        }
        // The check can fail: the subset has no Chinese.
        let svg = plot_svg(&Plot::Scatter(Scatter { title: "熊".to_owned(), ..Scatter::default() }));
        let mut foreign = Vec::new();
        texts(parse("c", &svg).unwrap().root(), &mut foreign);
        assert!(foreign.iter().all(|(words, missing)| !words.contains('熊') || *missing == 1));
    }

    #[test]
    fn pixels_follow_the_scale() {
        let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='30' height='20'><rect width='10' height='20'/></svg>";
        let picture = Pixmap::decode_png(&png("x", svg, 2.0).unwrap()).unwrap();
        assert_eq!((picture.width(), picture.height()), (60, 40));
        let at = |x, y| picture.pixel(x, y).unwrap().red();
        assert_eq!((at(5, 5), at(50, 5)), (0, 255));
        assert!(matches!(png("x", svg, 0.0), Err(Error::Raster { width: 0, .. })));
        assert!(matches!(png("x", "<svg", 1.0), Err(Error::Svg { .. })));
    }
}
