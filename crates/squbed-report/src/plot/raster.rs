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
    use resvg::usvg::{Group, Node, roxmltree::Document};

    use super::*;
    use crate::{
        AccuracyMetric, Forest, ForestBar, ForestGroup, Plot, Quantity, ReportData, Scatter, names::Names,
        plot_svg,
    };

    /// Adds the words of every text that is drawn, unless the font lacks one of their signs.
    fn drawn(group: &Group, words: &mut Vec<String>) {
        for node in group.children() {
            match node {
                Node::Group(group) => drawn(group, words),
                Node::Text(text) => {
                    let glyphs: Vec<_> = text.layouted().iter().flat_map(|s| &s.positioned_glyphs).collect();
                    if glyphs.iter().all(|g| g.id.0 != 0) {
                        words.push(glyphs.iter().map(|g| g.text.as_str()).collect());
                    }
                }
                _ => {}
            }
        }
    }

    /// The texts of a plot that are not drawn in full, and how many it has in all.
    fn lacking(plot: &Plot) -> (Vec<String>, usize) {
        let svg = plot_svg(plot);
        let mut words = Vec::new();
        drawn(parse(plot.name(), &svg).unwrap().root(), &mut words);
        let document = Document::parse(&svg).unwrap();
        let texts: Vec<_> = document.descendants().filter(|n| n.tag_name().name() == "text").collect();
        let wanted = texts.iter().filter_map(|n| n.text()).filter(|t| !t.is_empty()).map(str::to_owned);
        (wanted.filter(|t| !words.contains(t)).collect(), texts.len())
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
        let mut count = 0;
        for q in quantities {
            let scatter = Plot::Scatter(Scatter {
                name: "s".to_owned(),
                title: names.short_pair(q, q),
                method: "paper".to_owned(),
                subtitle: "τ = −0.12 [−0.3, 0.1] ∞ – ≥ ≤ ± …".to_owned(),
                x: names.axis(q, "nats"),
                y: names.axis(q, ""),
                points: Vec::new(),
                marked: crate::names::CONFIDENTLY_WRONG.to_owned(),
            });
            let (lacking, texts) = lacking(&scatter);
            assert!(lacking.is_empty(), "{lacking:?}");
            count += texts;
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
        let (missing, texts) = lacking(&forest);
        assert!(missing.is_empty(), "{missing:?}");
        assert!(count + texts > 60, "{count} {texts}");
        // The check can fail: the subset has no Chinese.
        let foreign = Scatter { title: "熊".to_owned(), y: "a 熊".to_owned(), ..Scatter::default() };
        assert_eq!(lacking(&Plot::Scatter(foreign)).0, ["熊", "a 熊"]);
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
