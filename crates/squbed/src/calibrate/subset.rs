//! The tasks of lowest uncertainty of one kind (the paper's Figure 5).

use std::fmt;

use super::{CalibrateError, LEAST_RESAMPLED};

/// How many tasks the subset of lowest uncertainty has. Differential entropy has no zero, and the paper does not say
/// where its “near zero” ends, so the rule is chosen before the numbers are seen, and printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SubsetRule {
    /// So many tasks.
    Count(usize),
    /// This share of them, in (0, 1], and five at least.
    Quantile(f64),
}

impl Default for SubsetRule {
    fn default() -> Self {
        Self::Quantile(0.25)
    }
}

impl fmt::Display for SubsetRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "the {count} tasks of lowest uncertainty")?,
            Self::Quantile(q) => write!(
                f,
                "the share {q} of the tasks of lowest uncertainty, rounded up, and {LEAST_RESAMPLED} at least"
            )?,
        }
        write!(f, "; tasks that tie with the last one belong to it")
    }
}

impl SubsetRule {
    /// Checks what a user asked for.
    ///
    /// # Errors
    ///
    /// Fewer than two tasks, a share outside (0, 1].
    pub fn check(self) -> Result<Self, CalibrateError> {
        let (what, allowed, valid) = match self {
            Self::Count(count) => (format!("{count} task(s)"), "at least 2 are needed", count >= 2),
            Self::Quantile(q) => {
                (format!("the share {q}"), "it must lie above 0 and not above 1", q > 0.0 && q <= 1.0)
            }
        };
        if valid { Ok(self) } else { Err(CalibrateError::Subset { what, allowed: allowed.to_owned() }) }
    }

    /// The positions of the subset, in their order; all where the rule asks for more than there are.
    pub(super) fn choose(self, by: &[f64]) -> Vec<usize> {
        let n = by.len();
        let count = match self {
            Self::Count(count) => count,
            // Rounding must not turn 0.3 of 10 into 4.
            Self::Quantile(q) => ((q * n as f64 - 1e-9).ceil() as usize).max(LEAST_RESAMPLED),
        };
        let mut sorted = by.to_vec();
        sorted.sort_by(f64::total_cmp);
        match sorted.get(count.min(n).saturating_sub(1)) {
            Some(&threshold) => (0..n).filter(|&i| by[i] <= threshold).collect(),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_are_chosen_with_their_ties() {
        let by = [3.0, f64::NEG_INFINITY, 2.0, 2.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0];
        assert_eq!(SubsetRule::Count(2).choose(&by), [1, 2, 3]);
        assert_eq!(SubsetRule::Count(99).choose(&by).len(), 10);
        assert_eq!(SubsetRule::Quantile(0.6).choose(&by).len(), 6);
        assert_eq!(SubsetRule::Quantile(0.1).choose(&by).len(), LEAST_RESAMPLED);
        assert_eq!(SubsetRule::default().choose(&by[..3]).len(), 3);
        assert!(SubsetRule::Count(4).choose(&[]).is_empty());
        let refused = |rule: SubsetRule| rule.check().unwrap_err().to_string();
        assert_eq!(refused(SubsetRule::Count(1)), "a subset of 1 task(s) is none: at least 2 are needed");
        assert!(refused(SubsetRule::Quantile(0.0)).contains("above 0"));
        assert!(refused(SubsetRule::Quantile(f64::NAN)).contains("above 0"));
        assert!(SubsetRule::Quantile(1.0).check().is_ok());
        assert!(SubsetRule::default().to_string().contains("share 0.25 of the tasks"));
    }
}
