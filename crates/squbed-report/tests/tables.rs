//! The tables beside the page, for programs that load them.

mod sample;

use std::fs;

use resvg::usvg::roxmltree::{Document, ParsingOptions};
use sample::sample;
use squbed_report::{ReportData, render, write};

#[test]
fn tables_hold_every_digit_and_are_read_back() {
    let mut data = sample(3, 1);
    data.tasks[0].prompt = "a \"cat\", black\nor not".to_owned();
    data.tasks[1].estimates[0].aleatoric = f64::NEG_INFINITY;
    let all = squbed_report::tables(&data);
    let names: Vec<&str> = all.iter().map(|table| table.name).collect();
    assert_eq!(
        names,
        [
            "tests",
            "past_the_prompts",
            "correlations",
            "contributions",
            "risk_coverage",
            "curves",
            "tasks",
            "accuracies",
            "latents",
            "anomalies",
            "options",
            "floors",
            "seeds",
            "steps",
            "failures",
        ]
    );
    for table in &all {
        let csv = table.csv();
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        assert_eq!(reader.headers().unwrap(), &csv::StringRecord::from(table.head.clone()), "{}", table.name);
        let rows: Vec<Vec<String>> =
            reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        assert_eq!(rows, table.rows, "{}", table.name);
    }
    let cell = |name: &str, row: usize, column: &str| {
        let table = all.iter().find(|table| table.name == name).unwrap();
        table.rows[row][table.head.iter().position(|head| *head == column).unwrap()].clone()
    };
    assert_eq!(cell("tasks", 0, "prompt"), data.tasks[0].prompt);
    let epistemic: f64 = cell("tasks", 0, "epistemic").parse().unwrap();
    assert_eq!(epistemic, data.tasks[0].estimates[0].epistemic);
    assert_eq!(cell("tests", 0, "p_permutation"), "");
    assert_eq!(cell("tests", 1, "p_permutation"), "0.0117");
    let methods = data.tasks[0].estimates.len();
    assert_eq!(cell("tasks", methods, "aleatoric"), "-inf");

    // In the folder, where the page names them; those of an earlier report go, files of other names stay.
    let folder = tempfile::tempdir().unwrap();
    let first = write(&data, folder.path(), &|| ()).unwrap();
    assert_eq!(first.tables.len(), names.len());
    let page = fs::read_to_string(&first.report).unwrap();
    assert!(names.iter().all(|name| page.contains(&format!("tables/{name}.csv"))));
    fs::write(folder.path().join("tables/mine.csv"), "x\n").unwrap();
    let second = write(&ReportData { failures: Vec::new(), ..data }, folder.path(), &|| ()).unwrap();
    assert!(
        !folder.path().join("tables/failures.csv").exists() && folder.path().join("tables/mine.csv").exists()
    );
    assert_eq!(second.tables.len(), names.len() - 1);
}

#[test]
fn wide_tables_can_be_scrolled_by_the_keyboard() {
    let page = render(&sample(3, 1)).unwrap();
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let page = Document::parse_with_options(&page, options).unwrap();
    let scrolled = |node: &resvg::usvg::roxmltree::Node<'_, '_>| {
        node.attribute("class").is_some_and(|class| class.split(' ').any(|name| name == "scroll"))
    };
    // Those of the tasks' cards are narrow; a stop for each would be in the way.
    let wide: Vec<_> = page
        .descendants()
        .filter(scrolled)
        .filter(|node| !node.descendants().any(|n| n.attribute("class") == Some("small")))
        .collect();
    assert!(wide.len() > 10);
    for node in wide {
        assert_eq!((node.attribute("tabindex"), node.attribute("role")), (Some("0"), Some("region")));
        assert!(!node.attribute("aria-label").unwrap().is_empty());
    }
}
