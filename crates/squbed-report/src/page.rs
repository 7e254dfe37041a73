//! The page from its template.

use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};

use crate::{Error, ReportData, check::check, format::clean, view};

/// The whole report as one HTML file, well-formed as XML too.
///
/// # Errors
///
/// Where the parts of `data` do not fit each other (a method that is named but not described, lists of
/// unequal length) and where a picture is in no format that browsers show.
pub fn render(data: &ReportData) -> Result<String, Error> {
    check(data)?;
    let anchors = view::anchors(data);
    let page = view::page(data, &anchors)?;
    let mut templates = Environment::new();
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, text) in [
        ("report.html", include_str!("../templates/report.html")),
        ("macros.html", include_str!("../templates/macros.html")),
        ("style.css", include_str!("../templates/style.css")),
        ("sort.js", include_str!("../templates/sort.js")),
    ] {
        templates.add_template(name, text)?;
    }
    // Control characters are in no page, wherever they come from.
    Ok(clean(&templates.get_template("report.html")?.render(Serde(page))?))
}
