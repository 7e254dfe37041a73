//! A stratified sample of tasks.

use std::collections::BTreeMap;

use serde::Serialize;
use squbed_core::Task;

/// What was sampled, for the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SampleRecord {
    /// Seed of the choice.
    pub seed: u64,
    /// Tasks wanted of each category.
    pub per_category: usize,
    /// Tasks taken in all.
    pub tasks: usize,
    /// What no category could give.
    pub missing: usize,
    /// Of each category.
    pub categories: BTreeMap<String, CategoryCount>,
}

/// One category of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CategoryCount {
    /// Tasks that there are.
    pub available: usize,
    /// Tasks taken.
    pub taken: usize,
    /// Of these, taken in the place of other categories' missing ones.
    pub filled: usize,
}

/// A sample.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// Its tasks, in the order that they had.
    pub tasks: Vec<Task>,
    /// How it was taken.
    pub record: SampleRecord,
}

/// Tasks that cannot be sampled.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// A task without a category.
    #[error("task `{task}` has no category; run `squbed dataset classify` first")]
    NoCategory {
        /// The task.
        task: String,
    },
    /// Nothing is wanted.
    #[error("--per-category is 0; ask for at least 1")]
    Nothing,
}

/// Takes `per_category` tasks of each category; what a category lacks is filled from the others.
///
/// The order of choice is that of a digest of seed and id, so that it does not depend on the order of the tasks, and a
/// larger sample holds every smaller one as far as no category runs short.
///
/// # Errors
///
/// A task without a category.
pub fn sample(tasks: &[Task], per_category: usize, seed: u64) -> Result<Sampled, SampleError> {
    if per_category == 0 {
        return Err(SampleError::Nothing);
    }
    let mut order: Vec<(String, usize)> = (0..tasks.len())
        .map(|i| (squbed_store::digest_text(&format!("sample\n{seed}\n{}", tasks[i].id)), i))
        .collect();
    order.sort();
    let mut categories: BTreeMap<String, CategoryCount> = BTreeMap::new();
    let (mut taken, mut rest) = (Vec::new(), Vec::new());
    for (_, i) in order {
        let task = &tasks[i];
        let Some(category) = &task.category else {
            return Err(SampleError::NoCategory { task: task.id.clone() });
        };
        let count = categories.entry(category.clone()).or_default();
        count.available += 1;
        if count.taken < per_category {
            count.taken += 1;
            taken.push(i);
        } else {
            rest.push((i, category));
        }
    }
    let wanted = per_category.saturating_mul(categories.len());
    for (i, category) in rest.into_iter().take(wanted - taken.len()) {
        if let Some(count) = categories.get_mut(category) {
            count.taken += 1;
            count.filled += 1;
        }
        taken.push(i);
    }
    taken.sort_unstable();
    let missing = wanted - taken.len();
    let record = SampleRecord { seed, per_category, tasks: taken.len(), missing, categories };
    Ok(Sampled { tasks: taken.into_iter().map(|i| tasks[i].clone()).collect(), record })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(counts: &[(&str, usize)]) -> Vec<Task> {
        let of = |(category, count): &(&str, usize)| {
            let category = (*category).to_owned();
            (0..*count).map(move |i| Task {
                id: format!("{category}{i}"),
                prompt: "x".to_owned(),
                dataset: None,
                category: Some(category.clone()),
                ground_truth: None,
                latents: Vec::new(),
            })
        };
        counts.iter().flat_map(|c| of(c).collect::<Vec<_>>()).collect()
    }

    fn ids(sampled: &Sampled) -> Vec<&str> {
        sampled.tasks.iter().map(|task| task.id.as_str()).collect()
    }

    #[test]
    fn each_category_gives_its_share_and_others_fill_what_one_lacks() {
        let tasks = tasks(&[("animals", 30), ("food", 3), ("games", 30)]);
        let sampled = sample(&tasks, 10, 1).unwrap();
        assert_eq!((sampled.tasks.len(), sampled.record.missing), (30, 0));
        let of = |name: &str| sampled.record.categories[name];
        assert_eq!(of("food"), CategoryCount { available: 3, taken: 3, filled: 0 });
        assert_eq!(of("animals").filled + of("games").filled, 7);
        assert_eq!(of("animals").taken, 10 + of("animals").filled);
        for (name, count) in &sampled.record.categories {
            let taken = sampled.tasks.iter().filter(|task| task.category.as_ref() == Some(name)).count();
            assert_eq!(taken, count.taken);
        }
        assert_eq!(sample(&tasks, 40, 1).unwrap().record.missing, 3 * 40 - 63);
    }

    #[test]
    fn the_seed_alone_decides() {
        let forwards = tasks(&[("a", 40), ("b", 40)]);
        let mut backwards = forwards.clone();
        backwards.reverse();
        let (one, other) = (sample(&forwards, 5, 1).unwrap(), sample(&backwards, 5, 1).unwrap());
        let mut reversed = ids(&other);
        reversed.reverse();
        assert_eq!(ids(&one), reversed);
        assert_ne!(ids(&one), ids(&sample(&forwards, 5, 2).unwrap()));
        // A larger sample holds the smaller one.
        let larger = sample(&forwards, 9, 1).unwrap();
        assert!(ids(&one).iter().all(|id| ids(&larger).contains(id)));
    }

    #[test]
    fn a_task_without_category_is_named() {
        let mut tasks = tasks(&[("a", 3)]);
        tasks[1].category = None;
        let error = sample(&tasks, 1, 1).unwrap_err().to_string();
        assert!(error.contains("`a1`") && error.contains("classify"), "{error}");
        assert!(matches!(sample(&[], 0, 1), Err(SampleError::Nothing)));
    }
}
