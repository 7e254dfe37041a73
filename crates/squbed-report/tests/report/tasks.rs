//! Tasks by their uncertainty, and the videos that stand out.

use super::*;

/// The badge of each card, by the task's id.
fn badges(page: &Document<'_>) -> Vec<(String, String)> {
    let of_class = |card: Node<'_, '_>, class: &str| {
        let found = card.descendants().find(|n| n.attribute("class") == Some(class));
        found.map(text).unwrap_or_default()
    };
    let cards = elements(page, "details").into_iter().filter(|d| d.attribute("id").is_some());
    cards.map(|card| (of_class(card, "id"), of_class(card, "badge"))).collect()
}

#[test]
fn tasks_of_one_uncertainty_have_one_label_and_panels_show_each_third() {
    let mut data = sample(24, 7);
    // Totals by rank sum tie as a rule: here in sixes, across the borders of the thirds.
    for (i, task) in data.tasks.iter_mut().enumerate() {
        task.confidently_wrong = None;
        task.estimates[0].total_rank_sum = (i * 7 % 24 / 6) as f64;
    }
    let page = render(&data).unwrap();
    let page = parse(&page);
    let badges = badges(&page);
    assert_eq!(badges.len(), 24);
    for (id, badge) in &badges {
        let total = data.tasks.iter().find(|t| t.id == *id).unwrap().estimates[0].total_rank_sum;
        let want = ["low uncertainty", "middle", "middle", "high uncertainty"][total as usize];
        assert_eq!(badge, want, "{id}");
    }
    let panels: Vec<_> =
        elements(&page, "section").into_iter().filter(|s| s.attribute("class") == Some("panel")).collect();
    let heads: Vec<String> = panels.iter().map(|panel| text(panel.first_element_child().unwrap())).collect();
    assert_eq!(heads, ["low uncertainty", "middle", "high uncertainty"]);
    for panel in &panels {
        let of_class = |class: &str| {
            panel.descendants().filter(|n| n.attribute("class") == Some(class)).collect::<Vec<_>>()
        };
        // Two tasks, each with its ground truth beside six first frames.
        assert_eq!((of_class("sample").len(), of_class("truth").len(), of_class("frames").len()), (2, 2, 2));
        assert!(
            of_class("frames").iter().all(|frames| frames.children().filter(Node::is_element).count() == 6)
        );
    }
    // Where all are as uncertain as each other, nothing is low or high.
    data.tasks.iter_mut().for_each(|task| task.estimates[0].total_rank_sum = 1.0);
    let page = render(&data).unwrap();
    assert!(!page.contains("class=\"panels\"") && !page.contains("high uncertainty</"), "all tie");
}

#[test]
fn the_most_surprising_videos_stand_in_a_table() {
    let data = sample(24, 7);
    let page = render(&data).unwrap();
    let page = parse(&page);
    let table = elements(&page, "table")
        .into_iter()
        .find(|t| t.attribute("class").is_some_and(|class| class.contains("anomalies")))
        .unwrap();
    let rows: Vec<String> = table.descendants().filter(|n| n.has_tag_name("tr")).skip(1).map(text).collect();
    assert_eq!(rows.len(), 3);
    for (row, of) in rows.iter().zip(&data.anomalies) {
        assert!(row.contains(&of.task) && row.contains(&of.video) && row.contains(&of.prompt), "{row}");
    }
    assert!(rows[0].contains("∞") && rows[1].contains("412.2") && rows[2].contains("96.5"), "{rows:?}");
    // Without any, nothing is said of them.
    let none = ReportData { anomalies: Vec::new(), ..data };
    assert!(!render(&none).unwrap().contains("Videos unlike"));
}
