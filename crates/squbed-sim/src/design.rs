//! Which tasks a world has: vagueness and knowledge, crossed.
//!
//! The tasks are put in order of their vagueness (true aleatoric uncertainty) and cut into blocks;
//! within a block every level of knowledge occurs once, in random order (a randomised complete block
//! design). Of the random orders the first is taken whose two truths are as good as uncorrelated.

use crate::{
    knowledge::{CONFIDENTLY_WRONG, Knowledge, epistemic, known_directors, value_knowledge},
    rng::Rng,
    scene::{Attribute, Description, Director},
};

/// Kendall's |τ_b| of the two truths that is good enough, over all tasks and over those that are not
/// confidently wrong.
const UNCORRELATED: f64 = 0.05;

/// Orders tried before the best so far is taken; only worlds of a handful of tasks need as many.
const ATTEMPTS: usize = 2000;

/// What is fixed in a world by value lies at the task's level of knowledge, give or take this share of
/// the values' ranks.
const RANK_JITTER: f64 = 0.15;

/// Most attributes that a prompt leaves open. By value a scene's knowledge rests on what is fixed, so
/// more of it is.
fn most_open(knowledge: Knowledge) -> usize {
    match knowledge {
        Knowledge::Realm => 6,
        Knowledge::Value => 5,
    }
}

/// What the prompts of `tasks` tasks say, in random order; `wrong` of them are confidently wrong.
pub(crate) fn arrange(knowledge: Knowledge, tasks: usize, wrong: usize, seed: u64) -> Vec<Description> {
    let mut rng = Rng::of(seed, "design");
    let mut best: Option<(f64, Vec<Description>)> = None;
    for _ in 0..ATTEMPTS {
        let open = by_vagueness(tasks, most_open(knowledge), &mut rng);
        let wrong = spread(tasks, wrong, &mut rng);
        let mut levels = levels(tasks - wrong.len(), known_directors().count(), &mut rng).into_iter();
        let descriptions: Vec<Description> = open
            .iter()
            .enumerate()
            .map(|(rank, open)| {
                let level = if wrong.contains(&rank) { None } else { levels.next() };
                describe(knowledge, open, level, &mut rng)
            })
            .collect();
        let worst = correlation(&descriptions);
        if best.as_ref().is_none_or(|(least, _)| worst < *least) {
            best = Some((worst, descriptions));
        }
        if worst <= UNCORRELATED {
            break;
        }
    }
    let mut descriptions = best.map(|(_, descriptions)| descriptions).unwrap_or_default();
    rng.shuffle(&mut descriptions);
    descriptions
}

/// The open attributes of each task: equally many tasks leave 0, 1, … `most` attributes open, which
/// ones is drawn. In order of vagueness.
fn by_vagueness(tasks: usize, most: usize, rng: &mut Rng) -> Vec<Vec<Attribute>> {
    let mut open: Vec<Vec<Attribute>> = (0..tasks)
        .map(|i| {
            let mut attributes = Attribute::ALL;
            rng.shuffle(&mut attributes);
            attributes[..i % (most + 1)].to_vec()
        })
        .collect();
    rng.shuffle(&mut open);
    let aleatoric = |open: &Vec<Attribute>| open.iter().map(|a| a.entropy()).sum::<f64>();
    open.sort_by(|a, b| aleatoric(a).total_cmp(&aleatoric(b)));
    open
}

/// `some` of the ranks 0..`all`, one drawn from each of as many equal stretches.
fn spread(all: usize, some: usize, rng: &mut Rng) -> Vec<usize> {
    (0..some)
        .map(|i| {
            let (from, to) = (i * all / some, (i + 1) * all / some);
            from + rng.below(to - from)
        })
        .collect()
}

/// Blocks of all `count` levels, each in random order, cut to length.
fn levels(length: usize, count: usize, rng: &mut Rng) -> Vec<usize> {
    let mut levels = Vec::new();
    while levels.len() < length {
        let mut block: Vec<usize> = (0..count).collect();
        rng.shuffle(&mut block);
        levels.extend(block);
    }
    levels.truncate(length);
    levels
}

/// What a prompt says that leaves `open` open, at a level of knowledge (0 is full); without a level it
/// is confidently wrong.
fn describe(knowledge: Knowledge, open: &[Attribute], level: Option<usize>, rng: &mut Rng) -> Description {
    let directors: Vec<Director> = known_directors().collect();
    let mut description = Description::by(match (level, knowledge) {
        (None, _) => Some(CONFIDENTLY_WRONG),
        (Some(level), Knowledge::Realm) => Some(directors[level]),
        (Some(_), Knowledge::Value) => None,
    });
    // The task's place among the levels, in [0, 1).
    let place = level.map(|level| (level as f64 + rng.unit()) / directors.len() as f64);
    for attribute in Attribute::ALL {
        if open.contains(&attribute) {
            continue;
        }
        let value = match (place, knowledge) {
            (Some(place), Knowledge::Value) => value_at(attribute, place + rng.within(RANK_JITTER)),
            _ => rng.below(attribute.count()),
        };
        description.fix(attribute, value);
    }
    description
}

/// The value at a place of the attribute's values from the best known, 0, to the least, 1.
fn value_at(attribute: Attribute, place: f64) -> usize {
    let count = attribute.count();
    let mut values: Vec<usize> = (0..count).collect();
    values.sort_by(|&a, &b| value_knowledge(attribute, b).total_cmp(&value_knowledge(attribute, a)));
    let rank = (place.max(0.0) * count as f64) as usize;
    values[rank.min(count - 1)]
}

/// The larger |τ_b| of the two truths: over all tasks, and over those that are not confidently wrong.
fn correlation(descriptions: &[Description]) -> f64 {
    let truths: Vec<(f64, f64)> = descriptions.iter().map(|d| (d.aleatoric(), epistemic(d))).collect();
    let honest: Vec<(f64, f64)> = descriptions
        .iter()
        .zip(&truths)
        .filter(|(description, _)| description.director != Some(CONFIDENTLY_WRONG))
        .map(|(_, truth)| *truth)
        .collect();
    kendall_tau_b(&truths).abs().max(kendall_tau_b(&honest).abs())
}

/// Kendall's τ_b by its definition; 0 where one side is constant.
///
/// Truths that are equal but for rounding count as ties.
fn kendall_tau_b(pairs: &[(f64, f64)]) -> f64 {
    let sign = |x: f64, y: f64| if (x - y).abs() < 1e-9 { 0 } else { (x - y).signum() as i64 };
    let (mut score, mut untied_x, mut untied_y) = (0, 0, 0);
    for (i, a) in pairs.iter().enumerate() {
        for b in &pairs[..i] {
            let (x, y) = (sign(a.0, b.0), sign(a.1, b.1));
            score += x * y;
            untied_x += x * x;
            untied_y += y * y;
        }
    }
    match untied_x * untied_y {
        0 => 0.0,
        product => score as f64 / (product as f64).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Knowledge; 2] = [Knowledge::Realm, Knowledge::Value];

    #[test]
    fn tau_b_counts_ties() {
        // scipy.stats.kendalltau([1, 2, 2, 3], [1, 3, 2, 2]).statistic = 0.4
        let tau = kendall_tau_b(&[(1.0, 1.0), (2.0, 3.0), (2.0, 2.0), (3.0, 2.0)]);
        assert!((tau - 0.4).abs() < 1e-15, "{tau}");
        assert_eq!(kendall_tau_b(&[(1.0, 1.0), (1.0, 2.0)]), 0.0);
    }

    #[test]
    fn the_truths_are_uncorrelated_at_every_size_and_seed() {
        for knowledge in KINDS {
            for tasks in (12..=40).chain([60, 100, 250]) {
                for seed in 0..8 {
                    for wrong in [0, 1, tasks / 12, tasks / 4] {
                        let tau = correlation(&arrange(knowledge, tasks, wrong, seed));
                        assert!(tau <= 0.05, "{knowledge}, {tasks} tasks, {wrong} wrong, seed {seed}: {tau}");
                    }
                }
            }
        }
    }

    #[test]
    fn both_truths_range_wide_and_every_level_occurs() {
        for knowledge in KINDS {
            for seed in 1..=5 {
                let descriptions = arrange(knowledge, 24, 2, seed);
                let honest: Vec<_> =
                    descriptions.iter().filter(|d| d.director != Some(CONFIDENTLY_WRONG)).collect();
                assert_eq!(honest.len(), 22);
                for open in 0..=most_open(knowledge) {
                    let tasks = descriptions.iter().filter(|d| d.open().count() == open).count();
                    assert!((3..=4).contains(&tasks), "{tasks} leave {open} open");
                }
                if knowledge == Knowledge::Realm {
                    for director in known_directors() {
                        let tasks = honest.iter().filter(|d| d.director == Some(director)).count();
                        assert!((3..=4).contains(&tasks), "{tasks} by {}", director.name());
                    }
                }
                let truths = honest.iter().map(|d| epistemic(d));
                let (low, high) =
                    truths.fold((f64::INFINITY, 0.0_f64), |(low, high), e| (low.min(e), high.max(e)));
                assert!(high - low > 4.0, "{knowledge}: from {low} to {high}");
            }
        }
    }

    #[test]
    fn small_worlds_are_arranged_too() {
        for knowledge in KINDS {
            for tasks in 1..12 {
                for wrong in 0..=tasks {
                    assert_eq!(arrange(knowledge, tasks, wrong, 1).len(), tasks);
                }
            }
        }
    }
}
