//! Batches of sentences of similar length.

use candle_core::{DType, Device, Tensor};

use crate::error::Error;

/// Sentences in one batch.
const ROWS: usize = 32;
/// At most this part of a batch's tokens may be padding: 1 / 8.
const PADDING: usize = 8;

/// Embeddings `[b, dim]` of token ids in their order, computed in batches of similar length.
pub(crate) fn each(
    ids: &[Vec<u32>],
    dim: usize,
    embed: impl Fn(&[&[u32]]) -> Result<Tensor, Error>,
) -> Result<Tensor, Error> {
    let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
    let mut rows: Vec<Option<Tensor>> = vec![None; ids.len()];
    for batch in similar(&lengths) {
        let texts: Vec<&[u32]> = batch.iter().map(|&i| ids[i].as_slice()).collect();
        let embedded = embed(&texts)?;
        for (row, &i) in batch.iter().enumerate() {
            rows[i] = Some(embedded.narrow(0, row, 1)?);
        }
    }
    // Every text was in one batch.
    let rows: Vec<Tensor> = rows.into_iter().flatten().collect();
    if rows.is_empty() {
        return Ok(Tensor::zeros((0, dim), DType::F32, &Device::Cpu)?);
    }
    Ok(Tensor::cat(&rows, 0)?)
}

/// Splits positions of `lengths` into batches. Each position stands in one; padded to its longest, a batch
/// has at most an eighth of padding. The result depends on the lengths alone.
fn similar(lengths: &[usize]) -> Vec<Vec<usize>> {
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
