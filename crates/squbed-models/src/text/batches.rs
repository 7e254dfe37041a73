//! Batches of sentences of similar length.

/// Sentences in one batch.
const ROWS: usize = 32;
/// At most this part of a batch's tokens may be padding: 1 / 8.
const PADDING: usize = 8;

/// Splits positions of `lengths` into batches. Each position stands in one; padded to its longest, a batch
/// has at most an eighth of padding. The result depends on the lengths alone.
pub(super) fn similar(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| lengths[i]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for i in order {
        tokens += lengths[i];
        match batches.last_mut() {
            Some(batch) if fits(batch.len() + 1, lengths[i], tokens) => batch.push(i),
            _ => {
                batches.push(vec![i]);
                tokens = lengths[i];
            }
        }
    }
    batches
}

fn fits(rows: usize, longest: usize, tokens: usize) -> bool {
    let padding = rows * longest - tokens;
    rows <= ROWS && padding * PADDING <= rows * longest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_in_length_share_a_batch() {
        assert_eq!(similar(&[20, 100, 20, 99, 21]), [vec![0, 2, 4], vec![3, 1]]);
        assert!(similar(&[]).is_empty());
        assert_eq!(similar(&[0]), [[0]]);
    }

    proptest! {
        #[test]
        fn each_sentence_stands_in_one_batch_of_little_padding(
            lengths in proptest::collection::vec(1usize..257, 0..200)
        ) {
            let batches = similar(&lengths);
            let mut all: Vec<usize> = batches.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                let longest = batch.iter().map(|&i| lengths[i]).max().unwrap();
                let tokens: usize = batch.iter().map(|&i| lengths[i]).sum();
                prop_assert!(batch.len() <= ROWS);
                prop_assert!((batch.len() * longest - tokens) * PADDING <= batch.len() * longest);
            }
        }
    }
}
