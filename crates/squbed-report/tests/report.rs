//! The page as a whole: well-formed, complete, self-contained, harmless, the same each time.

mod sample;
#[path = "report/tasks.rs"]
mod tasks;

use std::fs;

use resvg::usvg::roxmltree::{Document, Node, ParsingOptions};
use sample::sample;
use sha2::{Digest as _, Sha256};
use squbed_core::Flag;
use squbed_report::{
    Bound, Correlation, Error, Estimate, Image, Quantity, ReportData, TaskReport, Truth, plot_png, plot_svg,
    plots, render, write,
};

/// The page as XML, which it is as well; a page that is not fails here.
fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap_or_else(|e| panic!("{e}"))
}

fn elements<'a>(page: &'a Document<'_>, name: &str) -> Vec<Node<'a, 'a>> {
    page.descendants().filter(|n| n.tag_name().name() == name).collect()
}

/// All text below a node.
fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|n| n.text()).collect()
}

#[test]
fn every_number_and_every_text_is_there() {
    let data = sample(24, 7);
    let page = render(&data).unwrap();
    let page = parse(&page);
    let titles: Vec<&str> = page.descendants().filter_map(|n| n.attribute("title")).collect();
    let shown = |x: f64| titles.contains(&format!("{x}").replace('-', "−").as_str());
    for method in data.methods.iter().chain(&data.baselines) {
        for c in &method.correlations {
            assert!(shown(c.tau) && shown(c.p), "{} {:?}", method.key, c);
        }
    }
    for task in &data.tasks {
        for estimate in &task.estimates {
            for x in [estimate.aleatoric, estimate.epistemic, estimate.total_sum, estimate.total_rank_sum] {
                assert!(x.is_nan() || shown(x), "{} {:?}", task.id, estimate);
            }
        }
        assert!(task.accuracies.iter().all(|x| shown(*x)), "{}", task.id);
        assert!(task.latents.iter().flat_map(|z| &z.entropies).all(|x| shown(*x)), "{}", task.id);
    }
    for table in &data.seeds {
        assert!(table.rows.iter().flat_map(|r| &r.taus).chain(&table.median).all(|x| shown(*x)));
    }
    assert!(data.floors.iter().all(|f| shown(f.value)));

    let words = text(page.root());
    for option in data.methods.iter().flat_map(|m| &m.options) {
        assert!(words.contains(&option.value) && words.contains(&option.reason), "{option:?}");
    }
    for part in [&data.run.command, &data.failures[0].error, &data.warnings[0], &data.citations[0]] {
        assert!(words.contains(part.as_str()), "{part}");
    }
    assert!(words.contains("reused 120 of 120"));
    // One card a task, every picture in it.
    let cards = elements(&page, "details").iter().filter(|d| d.attribute("id").is_some()).count();
    assert_eq!(cards, 24);
    // And those of six tasks in the panels, with the two of the videos that stand out.
    assert_eq!(elements(&page, "img").len(), 24 * 17 + 6 * 7 + 2);
    assert!(elements(&page, "img").iter().all(|i| !i.attribute("alt").unwrap().is_empty()));
}

#[test]
fn tasks_are_sorted_by_the_leading_total() {
    let data = sample(24, 7);
    let page = render(&data).unwrap();
    let page = parse(&page);
    let table =
        elements(&page, "table").into_iter().find(|t| t.attribute("class") == Some("sortable heat")).unwrap();
    let body = table.children().find(|n| n.has_tag_name("tbody")).unwrap();
    let total = |id: &str| data.tasks.iter().find(|t| t.id == id).unwrap().estimates[0].total_rank_sum;
    let order: Vec<f64> = body
        .children()
        .filter(Node::is_element)
        .map(|row| total(text(row.descendants().find(|n| n.has_tag_name("a")).unwrap()).as_str()))
        .collect();
    assert_eq!(order.len(), 24);
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn links_stay_inside_and_nothing_is_loaded() {
    let page = render(&sample(24, 7)).unwrap();
    let page = parse(&page);
    let ids: Vec<&str> = page.descendants().filter_map(|n| n.attribute("id")).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "an id stands twice");
    for node in page.descendants() {
        for attribute in node.attributes() {
            match attribute.name() {
                "src" => assert!(attribute.value().starts_with("data:image/png;base64,")),
                "href" => assert!(ids.contains(&attribute.value().strip_prefix('#').unwrap())),
                "srcset" | "data" | "poster" | "action" | "background" => panic!("{attribute:?}"),
                name => assert!(!name.starts_with("on"), "{attribute:?}"),
            }
        }
    }
    for name in ["link", "iframe", "object", "embed", "video", "base", "form"] {
        assert!(elements(&page, name).is_empty(), "<{name}>");
    }
    let style = text(elements(&page, "style")[0]);
    assert!(!style.contains("url(") && !style.contains("@import"));
}

#[test]
fn the_policy_allows_the_one_script() {
    let page = render(&sample(3, 1)).unwrap();
    let page = parse(&page);
    let scripts = elements(&page, "script");
    assert_eq!(scripts.len(), 1);
    let digest = Sha256::digest(text(scripts[0]).as_bytes());
    let policy = elements(&page, "meta")
        .into_iter()
        .find_map(|m| m.attribute("http-equiv").and(m.attribute("content")));
    let policy = policy.unwrap();
    let allowed = policy.split("'sha256-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(allowed, base64(&digest), "the script has changed; put this digest into report.html");
    assert!(policy.starts_with("default-src 'none'; img-src data:;"));
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = bytes.iter().map(|b| format!("{b:08b}")).collect();
    let digits = bits.as_bytes().chunks(6).map(|six| {
        let six = format!("{:0<6}", std::str::from_utf8(six).unwrap());
        char::from(DIGITS[usize::from_str_radix(&six, 2).unwrap()])
    });
    let mut out: String = digits.collect();
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

#[test]
fn hostile_text_stays_text() {
    let attacks = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "{{ 7 * 7 }}{% raw %}",
        "]]></style></svg><!--",
        "&lt;b&gt; &amp; \u{202E}right to left",
    ];
    for attack in attacks {
        let mut data = sample(5, 3);
        data.title = attack.to_owned();
        data.run.command = attack.to_owned();
        data.accuracies[0].name = attack.to_owned();
        data.methods[0].key = attack.to_owned();
        data.methods[0].correlations[0].undefined = Some(attack.to_owned());
        data.methods[0].correlations[0].tau = f64::NAN;
        data.failures[0].error = attack.to_owned();
        for floor in &mut data.floors {
            floor.method = attack.to_owned();
        }
        data.seeds[0].method = attack.to_owned();
        for task in &mut data.tasks {
            task.id = format!("{attack}{}", task.id);
            task.prompt = attack.to_owned();
            task.category = Some(attack.to_owned());
            task.confidently_wrong = Some(attack.to_owned());
            task.estimates[0].method = attack.to_owned();
            for latent in &mut task.latents {
                latent.prompt = attack.to_owned();
                latent.frames[0].alt = attack.to_owned();
            }
        }
        let page = render(&data).unwrap();
        let page = parse(&page);
        assert_eq!(elements(&page, "script").len(), 1);
        assert!(page.descendants().flat_map(|n| n.attributes()).all(|a| !a.name().starts_with("on")));
        assert!(
            elements(&page, "img").iter().all(|i| i.attribute("src").unwrap().starts_with("data:image/png"))
        );
        // It is shown as it was written.
        let prompts = elements(&page, "q");
        assert_eq!(prompts.len(), 5);
        assert!(prompts.iter().all(|q| text(*q) == attack), "{attack}");
        assert_eq!(text(elements(&page, "h1")[0]), attack);
        for plot in plots(&data) {
            assert!(Document::parse(&plot_svg(&plot)).is_ok(), "{}", plot.name());
        }
    }
}

#[test]
fn control_characters_are_replaced() {
    let mut data = sample(3, 3);
    data.tasks[0].prompt = "a\u{0}b\u{1b}[31m\u{FFFF}".to_owned();
    let page = render(&data).unwrap();
    assert!(elements(&parse(&page), "q").iter().any(|q| text(*q) == "a\u{FFFD}b\u{FFFD}[31m\u{FFFD}"));
}

#[test]
fn the_same_data_give_the_same_bytes() {
    assert_eq!(render(&sample(12, 9)).unwrap(), render(&sample(12, 9)).unwrap());
    let png = |seed| plot_png(&plots(&sample(12, seed))[3], 2.0).unwrap();
    assert_eq!(png(9), png(9));
    assert_ne!(png(9), png(10));
}

#[test]
fn nothing_at_all_is_a_page_too() {
    let page = render(&ReportData::default()).unwrap();
    let page = parse(&page);
    assert!(text(page.root()).contains("Nothing failed."));
    assert!(elements(&page, "svg").is_empty() && elements(&page, "table").is_empty());
    assert!(plots(&ReportData::default()).is_empty());
}

#[test]
fn one_task_without_truth_pictures_or_accuracy() {
    let mut data = ReportData { claim: squbed_report::Claim::default(), ..sample(1, 2) };
    data.accuracies.clear();
    for method in data.methods.iter_mut().chain(&mut data.baselines) {
        method.correlations.clear();
    }
    data.floors.clear();
    data.seeds.clear();
    let task = &mut data.tasks[0];
    (task.truth, task.ground_truth, task.category) = (None, None, None);
    task.accuracies.clear();
    task.latents.clear();
    let page = render(&data).unwrap();
    let page = parse(&page);
    assert!(elements(&page, "svg").is_empty());
    assert!(text(page.root()).contains("Every task"));
}

#[test]
fn what_does_not_exist_is_a_dash_and_says_why() {
    let mut data = sample(6, 4);
    let c = &mut data.methods[0].correlations[4];
    (c.tau, c.p, c.ci_low, c.ci_high) = (f64::NAN, f64::NAN, f64::NAN, f64::NAN);
    c.undefined = Some("all accuracies are equal".to_owned());
    data.floors[4].value = f64::NAN;
    data.floors[4].held = false;
    data.tasks[0].estimates[0].epistemic = f64::NEG_INFINITY;
    data.tasks[0].estimates[0].total_sum = f64::NEG_INFINITY;
    data.tasks[0].flags = vec![Flag::PointMass];
    data.tasks[1].accuracies = vec![f64::NAN, f64::INFINITY];
    data.tasks[2].estimates.clear();
    let page = render(&data).unwrap();
    let page = parse(&page);
    let words = text(page.root());
    assert!(words.contains("undefined: all accuracies are equal"));
    assert!(words.contains("τ undefined: all accuracies are equal"));
    assert!(words.contains("−∞") && words.contains("∞"));
    assert!(words.contains("1 infinite, hollow on the edge"));
    assert!(words.contains("2 without a number"));
    assert!(words.contains("prompts: point mass"));
    let cell = |class: &str, sort: &str| {
        page.descendants().any(|n| {
            n.attribute("data-v") == Some(sort) && n.attribute("class").is_some_and(|c| c.starts_with(class))
        })
    };
    assert!(cell("n", "-Infinity") && cell("n h acc", "Infinity") && cell("n", ""));
    // No plot carries a number that no drawing program reads.
    for plot in plots(&data) {
        let svg = plot_svg(&plot);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", plot.name());
        assert!(plot_png(&plot, 1.0).is_ok());
    }
}

#[test]
fn all_values_equal_or_extreme() {
    for x in [0.0, -3.5, 1e300, f64::MIN_POSITIVE, f64::INFINITY, f64::NAN] {
        let mut data = sample(4, 5);
        for (i, task) in data.tasks.iter_mut().enumerate() {
            for e in &mut task.estimates {
                (e.aleatoric, e.epistemic, e.total_sum) = (x, if i == 0 { -x } else { x }, x);
            }
            task.truth = Some(Truth { aleatoric: x, epistemic: x });
        }
        parse(&render(&data).unwrap());
        for plot in plots(&data) {
            let svg = plot_svg(&plot);
            assert!(!svg.contains("NaN") && !svg.contains("\"inf"), "{x} {}", plot.name());
            assert!(plot_png(&plot, 0.5).is_ok(), "{x} {}", plot.name());
        }
    }
}

#[test]
fn plots_have_names_of_their_own_that_are_file_names() {
    let mut data = sample(4, 5);
    // Keys that have no ASCII letters in common with anything.
    data.baselines[0].key = "χ".to_owned();
    data.baselines[1].key = "../../etc/ψ".to_owned();
    for task in &mut data.tasks {
        task.estimates[2].method = "χ".to_owned();
        task.estimates[3].method = "../../etc/ψ".to_owned();
    }
    let mut names: Vec<String> = plots(&data).iter().map(|p| p.name().to_owned()).collect();
    assert!(
        names
            .iter()
            .flat_map(|n| n.chars())
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    );
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn points_carry_their_tasks() {
    let data = sample(24, 7);
    let plots = plots(&data);
    // The forest, two of the claim, nine pairs for each preset, three for each baseline.
    assert_eq!(plots.len(), 1 + 3 + 2 + 2 * 9 + 2 * 3);
    let svg = plot_svg(&plots[3]);
    let document = Document::parse(&svg).unwrap();
    let titles: Vec<String> = elements(&document, "title").into_iter().map(text).collect();
    for task in &data.tasks {
        assert!(titles.contains(&task.id));
    }
    // Confidently wrong tasks differ in shape, not only in colour.
    let shapes = |name: &str| {
        document.descendants().filter(|n| n.has_tag_name(("http://www.w3.org/2000/svg", name))).count()
    };
    assert_eq!((shapes("circle"), shapes("path")), (21, 3 + 1));
}

#[test]
fn files_are_whole_and_none_is_left_over() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("new/run");
    let data = sample(6, 8);
    let first = write(&data, &into, &|| ()).unwrap();
    assert_eq!(first, write(&data, &into, &|| ()).unwrap());
    assert_eq!(fs::read_to_string(&first.report).unwrap(), render(&data).unwrap());
    assert_eq!(first.plots.len(), 2 * plots(&data).len());
    let listed = |path| -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(listed(into.clone()), ["plots", "report.html", "tables"]);
    assert_eq!(listed(into.join("tables")).len(), first.tables.len());
    assert_eq!(listed(into.join("plots")).len(), first.plots.len());
    assert!(listed(into.join("plots")).iter().all(|n| n.ends_with(".svg") || n.ends_with(".png")));
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = write(&sample(3, 8), &file, &|| ()).unwrap_err();
    assert!(matches!(&error, Error::Write { path, .. } if path.starts_with(&file)));
    assert!(error.to_string().starts_with("cannot write ") && std::error::Error::source(&error).is_some());
    // A page that cannot be replaced leaves no temporary file.
    let taken = folder.path().join("taken");
    fs::create_dir_all(taken.join("report.html/in the way")).unwrap();
    assert!(
        matches!(write(&sample(3, 8), &taken, &|| ()), Err(Error::Write { path, .. }) if path.ends_with("report.html"))
    );
    assert_eq!(fs::read_dir(&taken).unwrap().count(), 3);
}

#[test]
fn a_picture_that_is_none_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = sample(3, 8);
    data.tasks[2].ground_truth = Some(Image { bytes: b"<svg onload='x()'/>".to_vec(), alt: "x".to_owned() });
    let error = write(&data, &folder.path().join("out"), &|| ()).unwrap_err();
    assert_eq!(error.to_string(), "a picture of task `t02` is neither PNG, JPEG nor WebP");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let refused = |change: fn(&mut ReportData)| {
        let mut data = sample(3, 8);
        change(&mut data);
        render(&data).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|d| d.tasks[1].estimates.push(Estimate {
            method: "defualt".to_owned(),
            aleatoric: 0.0,
            epistemic: 0.0,
            total_sum: 0.0,
            total_rank_sum: 0.0,
            total_z_sum: 0.0,
            intervals: None,
        })),
        "an estimate of task `t01` names the method `defualt`, which the report does not describe (it has: default, \
         mean pairwise cosine, colour-histogram-64, mean pairwise cosine, i3d-kinetics-400, paper)"
    );
    assert_eq!(
        refused(|d| d.methods[1].key = "default".to_owned()),
        "two methods of the report are called `default`; give each a key of its own"
    );
    assert_eq!(
        refused(|d| d.tasks[0].accuracies.truncate(1)),
        "the list of accuracies of task `t00` has 1 values where 2 are expected"
    );
    assert_eq!(
        refused(|d| d.tasks[2].latents[3].entropies.clear()),
        "the list of entropies of task `t02`, latent prompt 3, has 0 values where 2 are expected"
    );
    assert_eq!(
        refused(|d| d.methods[0].correlations[0].y = Quantity::Accuracy(2)),
        "a correlation names accuracy 2, but the report describes 2"
    );
    assert_eq!(
        refused(|d| d.seeds[0].median.truncate(2)),
        "the median over seeds of `default` has 2 values where 5 are expected"
    );
}

#[test]
fn a_report_takes_the_plots_of_an_earlier_one_away_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let names = || {
        let mut names: Vec<String> = fs::read_dir(folder.path().join("plots"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let first = sample(6, 7);
    let foreign = [
        "1-notes.png",
        "correlations-by-hand.svg",
        "my-aleatoric-true-aleatoric.svg",
        "1-default-aleatoric.txt",
    ];
    write(&first, folder.path(), &|| ()).unwrap();
    for name in foreign {
        fs::write(folder.path().join("plots").join(name), "mine").unwrap();
    }
    // A report of fewer methods and no truth.
    let mut second = sample(6, 7);
    second.methods.truncate(1);
    second.baselines.clear();
    second.seeds.truncate(1);
    second.methods[0].correlations.retain(|c| c.y == Quantity::Accuracy(0));
    for task in &mut second.tasks {
        task.estimates.truncate(1);
        task.latents.iter_mut().for_each(|z| z.entropies.truncate(1));
    }
    let written = write(&second, folder.path(), &|| ()).unwrap();
    let mut expected: Vec<String> =
        written.plots.iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert!(expected.len() < plots(&first).len(), "{expected:?}");
    expected.extend(foreign.map(str::to_owned));
    expected.sort();
    assert_eq!(names(), expected);
}

#[test]
fn a_correlation_in_a_sentence_looks_as_in_the_tables() {
    let text = squbed_report::correlation_text;
    assert_eq!(text(-0.5, -0.75, 0.0833, 0.0833, 4), "τ = −0.50 [−0.75, 0.08], p = 0.083, n = 4");
    assert_eq!(text(0.8, 0.7, 0.9, 1e-9, 24), "τ = 0.80 [0.70, 0.90], p < 0.001, n = 24");
    assert_eq!(text(1.0, f64::NAN, f64::NAN, 1.0, 2), "τ = 1.00, p = 1.000, n = 2");
    assert_eq!(text(f64::NAN, f64::NAN, f64::NAN, f64::NAN, 1), "τ undefined, n = 1");
}

#[test]
fn data_serialise_without_pictures() {
    let mut data = sample(3, 8);
    data.tasks[0].accuracies[0] = f64::NAN;
    data.tasks[0].estimates[0].aleatoric = f64::NEG_INFINITY;
    data.floors[0].bound = Bound::Within(0.25);
    let json = serde_json::to_value(&data).unwrap();
    let task = &json["tasks"][0];
    assert!(task["accuracies"][0].is_null());
    assert_eq!(task["estimates"][0]["aleatoric"], "-inf");
    assert_eq!(task["ground_truth"], "first frame of the ground truth");
    assert_eq!(json["floors"][0]["bound"]["within"], 0.25);
    assert_eq!(json["methods"][0]["correlations"][4]["y"]["accuracy"], 0);
}

#[test]
fn a_report_without_truth_has_the_plots_that_it_can_have() {
    let mut data = sample(8, 6);
    for task in &mut data.tasks {
        *task = TaskReport { truth: None, ..task.clone() };
    }
    let keep = |c: &Correlation| c.y == Quantity::Accuracy(0);
    data.floors.retain(|f| f.y == Quantity::Accuracy(0));
    for method in data.methods.iter_mut().chain(&mut data.baselines) {
        method.correlations.retain(keep);
    }
    data.seeds.clear();
    let page = render(&data).unwrap();
    assert!(!parse(&page).descendants().any(|n| n.has_tag_name("th") && text(n) == "truth"));
    assert_eq!(plots(&data).len(), 1 + 3 + 2 + 2 * 5 + 2);
}

#[test]
fn the_claim_stands_figure_by_figure_with_its_corrections() {
    let data = sample(24, 1);
    let page = render(&data).unwrap();
    let document = parse(&page);
    let section =
        elements(&document, "section").into_iter().find(|s| s.attribute("id") == Some("claim")).unwrap();
    let said = text(section);
    for want in [
        "the paper’s Figure 3",
        "the paper’s Figure 4",
        "the paper’s Figure 5",
        "the share 0.25 of the tasks",
        "−0.64",
        "[−0.84, −0.44]",
        "0.074",
        "undefined: all values of one side are the same",
        "squbed models fetch lpips-alex",
        "84 %",
        "60 %",
        "p by permutation",
        "0.012",
        "the prompt’s words held fixed",
        "accept tasks up to a total of",
        "1 of 24 tasks have an infinite accuracy",
    ] {
        assert!(said.contains(want), "{want} is not in {said}");
    }
    assert_eq!(
        section.descendants().filter(|n| n.has_tag_name(("http://www.w3.org/2000/svg", "svg"))).count(),
        2 + 3
    );
    // In full, with brackets as text, and nothing of it where there is nothing.
    assert!(page.contains("invented encoder &lt;with brackets&gt;"));
    let empty = render(&ReportData { claim: squbed_report::Claim::default(), ..data }).unwrap();
    assert!(!empty.contains("id=\"claim\""));
}

#[test]
fn an_uncertainty_stands_with_its_interval() {
    let data = sample(3, 1);
    let estimate = &data.tasks[0].estimates[0];
    let range = estimate.intervals.unwrap()[0];
    let page = render(&data).unwrap();
    let shown = |decimals| [range.low, range.high].map(|x| squbed_report::fixed(x, decimals)).join(", ");
    assert!((0..3).any(|decimals| page.contains(&format!("[{}]", shown(decimals)))), "{}", shown(1));
}
