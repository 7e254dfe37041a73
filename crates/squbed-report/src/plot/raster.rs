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
