//! Which tasks are of low, middle and high uncertainty, and some of each side by side.

use serde::Serialize;

use super::{
    Number,
    tasks::{Picture, picture},
};
use crate::{Error, Quantity, ReportData, figures::value, format::decimals, names::Names};

/// Labels of the thirds.
const THIRDS: [&str; 3] = ["low uncertainty", "middle", "high uncertainty"];

/// Fewest tasks that are parted.
const LEAST: usize = 3;

/// Tasks from which on a panel shows two.
const TWO_A_PANEL: usize = 12;

/// Frames beside a ground truth.
const FRAMES: usize = 6;

/// The thirds of ascending values, by position. Values that are the same stand at their mean place, so that they have the
/// same label; NaN, and fewer than three values, have none.
pub(super) fn labels(sorted: &[f64]) -> Vec<&'static str> {
    let known = sorted.iter().take_while(|x| !x.is_nan()).count();
    let mut labels = vec![""; sorted.len()];
    if known < LEAST {
        return labels;
    }
    let mut start = 0;
    for tied in sorted[..known].chunk_by(|a, b| a == b) {
        let end = start + tied.len();
        // Three times the mean place in halves, against the number of tasks in halves.
        let third = match 3 * (start + end) {
            place if place <= 2 * known => 0,
            place if place < 4 * known => 1,
            _ => 2,
        };
        labels[start..end].fill(THIRDS[third]);
        start = end;
    }
    labels
}

/// Tasks of one third.
#[derive(Serialize)]
pub(super) struct Panel<'a> {
    label: &'static str,
    tasks: Vec<PanelTask<'a>>,
}

#[derive(Serialize)]
struct PanelTask<'a> {
    id: &'a str,
    anchor: &'a str,
    prompt: &'a str,
    numbers: Vec<(String, Number)>,
    ground_truth: Option<Picture<'a>>,
    frames: Vec<Picture<'a>>,
}

/// A panel for each third that has tasks, with those that are most of it: the least uncertain, those next to the middle,
/// the most uncertain. None where all tasks are as uncertain as each other.
///
/// `order` are the tasks that are shown, in ascending order of `lead`, and `labels` theirs.
pub(super) fn panels<'a>(
    data: &'a ReportData,
    order: &[usize],
    labels: &[&'static str],
    lead: Option<(&str, Quantity)>,
    anchors: &'a [String],
) -> Result<Vec<Panel<'a>>, Error> {
    let Some((method, total)) =
        lead.filter(|_| labels.iter().any(|label| [THIRDS[0], THIRDS[2]].contains(label)))
    else {
        return Ok(Vec::new());
    };
    let names = Names::new(data);
    let number = |at: usize, label: String, method: &str, quantity| {
        let places = decimals(data.tasks.iter().map(|task| value(task, method, quantity)));
        (label, Number::fixed(value(&data.tasks[at], method, quantity), places))
    };
    let most = if order.len() < TWO_A_PANEL { 1 } else { 2 };
    let mut panels = Vec::new();
    for (third, label) in THIRDS.into_iter().enumerate() {
        let mut members: Vec<usize> = (0..order.len()).filter(|&at| labels[at] == label).collect();
        match third {
            0 => {}
            1 => members.sort_by_key(|&at| (2 * at + 1).abs_diff(order.len())),
            _ => members.reverse(),
        }
        members.truncate(most);
        members.sort_unstable();
        let show = |at: usize| {
            let position = order[at];
            let task = &data.tasks[position];
            let mut numbers = vec![number(position, names.name(total).to_owned(), method, total)];
            if !data.accuracies.is_empty() {
                let accuracy = Quantity::Accuracy(0);
                numbers.push(number(position, names.name(accuracy).to_owned(), "", accuracy));
            }
            // The first video of each latent prompt, then the second ones.
            let depth = task.latents.iter().map(|z| z.frames.len()).max().unwrap_or(0);
            let frames = (0..depth).flat_map(|i| task.latents.iter().filter_map(move |z| z.frames.get(i)));
            Ok(PanelTask {
                id: &task.id,
                anchor: &anchors[position],
                prompt: &task.prompt,
                numbers,
                ground_truth: task.ground_truth.as_ref().map(|image| picture(image, &task.id)).transpose()?,
                frames: frames
                    .take(FRAMES)
                    .map(|image| picture(image, &task.id))
                    .collect::<Result<_, Error>>()?,
            })
        };
        if !members.is_empty() {
            panels.push(Panel { label, tasks: members.into_iter().map(show).collect::<Result<_, Error>>()? });
        }
    }
    Ok(panels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_uncertainties_have_equal_labels() {
        let [low, middle, high] = THIRDS;
        assert_eq!(labels(&[1.0, 2.0, 3.0]), [low, middle, high]);
        assert_eq!(labels(&[1.0, 1.0, 2.0, 3.0]), [low, low, middle, high]);
        assert_eq!(labels(&[1.0, 2.0, 2.0, 2.0, 2.0, 3.0]), [low, middle, middle, middle, middle, high]);
        assert_eq!(labels(&[f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0, f64::NAN]), [low, low, high, ""]);
        assert_eq!(labels(&[5.0; 4]), [middle; 4]);
        assert_eq!(labels(&[1.0, 2.0, f64::NAN]), [""; 3]);
        // Whatever ties there are.
        for seed in 0..200_u64 {
            let mut values: Vec<f64> =
                (0..3 + seed % 17).map(|i| ((i * 7919 + seed * 31) % (2 + seed % 9)) as f64).collect();
            values.sort_by(f64::total_cmp);
            let of = labels(&values);
            for pair in (0..values.len()).collect::<Vec<_>>().windows(2) {
                let same = values[pair[0]] == values[pair[1]];
                assert!(!same || of[pair[0]] == of[pair[1]], "{values:?} {of:?}");
            }
        }
    }
}
