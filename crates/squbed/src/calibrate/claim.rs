//! The paper's claim, that uncertainty predicts accuracy, tested as its figures do.
//!
//! - **Figure 3**: each accuracy with a human ranking, over the tasks that have both.
//! - **Figure 4**: each total with each accuracy.
//! - **Figure 5**: each part with each accuracy on the tasks whose *other* part is lowest, by a rule that is fixed before
//!   ([`SubsetRule`]); on all tasks; and on all tasks with the other part held fixed (partial τ), which takes no choice.
//!   [`CurvePoint`]s give τ and p at every threshold.

use serde::{Deserialize, Serialize};
use squbed_core::{TaskUncertainty, float};
use squbed_stats::Alternative;

use super::{
    Correlation, HumanRanking, Resampling, SubsetRule, correlate,
    correlation::{one_sided, test_given},
    parts::{Total, totals},
};
use crate::error::Result;

/// One test of the claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// The paper's figure: 3, 4 or 5.
    pub figure: u8,
    /// The tests that it is corrected together with, see [`FAMILIES`].
    pub family: String,
    /// The estimate; none in Figure 3, where no uncertainty takes part.
    pub estimate: Option<String>,
    /// The accuracy.
    pub metric: String,
    /// What is correlated with y: `total_…`, `aleatoric`, `epistemic`, or the accuracy in Figure 3.
    pub x: String,
    /// The accuracy, or `human_ranking`, in which 1 is the best.
    pub y: String,
    /// Which tasks, and what is held fixed.
    pub scope: String,
    /// τ, two-sided p and interval.
    #[serde(flatten)]
    pub correlation: Correlation,
    /// One-sided p against a negative τ: the claim, since more uncertainty should go with less accuracy, and a better
    /// accuracy with a rank nearer to 1.
    #[serde(with = "float")]
    pub p_less: f64,
    /// One-sided p against a positive τ.
    #[serde(with = "float")]
    pub p_greater: f64,
    /// Two-sided p of a permutation test, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_permutation: Option<f64>,
    /// Holm's correction of the two-sided p over the family.
    #[serde(with = "float")]
    pub p_holm: f64,
}

/// What is corrected together.
pub const FAMILIES: &str = "Holm's correction is over all tests of Figure 3, and for each estimate over all of its tests \
                            of Figures 4 and 5, every accuracy and every total together. Correlations with a known \
                            truth, baselines, variants and the curves over thresholds are not part of a family.";

/// τ and p of one part with one accuracy on the tasks up to one threshold of the other part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The estimate.
    pub estimate: String,
    /// The accuracy.
    pub metric: String,
    /// The part that is correlated with it.
    pub part: String,
    /// The part whose lowest values make the subset.
    pub by: String,
    /// The largest of them, nats.
    #[serde(with = "float")]
    pub threshold: f64,
    /// Tasks.
    pub n: usize,
    /// τ-b; NaN where it is undefined.
    #[serde(with = "float")]
    pub tau: f64,
    /// Two-sided p, not corrected for the choice of the threshold.
    #[serde(with = "float")]
    pub p: f64,
    /// `exact` or `asymptotic`.
    pub p_method: String,
}

/// How tests are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) resampling: Resampling,
    pub(super) rule: SubsetRule,
    /// Pairings of the permutation tests; 0 for none.
    pub(super) permutations: usize,
}

/// An accuracy of tasks that have an estimate.
pub(super) struct Scored<'a> {
    pub(super) estimate: &'a str,
    pub(super) metric: &'a str,
    pub(super) rows: Vec<&'a TaskUncertainty>,
    pub(super) accuracy: Vec<f64>,
    /// Tasks there are, those without an estimate or this accuracy included.
    pub(super) tasks: usize,
}

impl Settings {
    fn test(&self, x: &[f64], y: &[f64], names: Test) -> Result<Test> {
        let (p_less, p_greater) = one_sided(x, y, self.resampling.seed)?;
        let correlation = correlate(x, y, self.resampling)?;
        let p_permutation = if self.permutations > 0 && correlation.undefined.is_none() {
            let Self { permutations, resampling, .. } = *self;
            let seed = resampling.seed;
            let test = squbed_stats::permutation_kendall(x, y, Alternative::TwoSided, permutations, seed)?;
            Some(test.p)
        } else {
            None
        };
        Ok(Test { correlation, p_less, p_greater, p_permutation, ..names })
    }

    /// Figure 3: one accuracy with a human ranking.
    pub(super) fn figure_3(
        &self,
        metric: &str,
        accuracy: &std::collections::BTreeMap<String, f64>,
        ranking: &HumanRanking,
    ) -> Result<Test> {
        let both = ranking.ranks.iter().filter_map(|(id, rank)| Some((*accuracy.get(id)?, *rank)));
        let (x, y): (Vec<f64>, Vec<f64>) = both.unzip();
        let scope = "tasks that are ranked and have this accuracy".to_owned();
        self.test(&x, &y, Test { x: metric.to_owned(), ..named(3, None, metric, "human_ranking", scope) })
    }

    /// Figures 4 and 5: totals and parts with one accuracy.
    pub(super) fn figures_4_and_5(&self, scored: &Scored<'_>) -> Result<Vec<Test>> {
        let mut tests = Vec::new();
        let names = |figure, x: &str, scope: &str| Test {
            x: x.to_owned(),
            ..named(figure, Some(scored.estimate), scored.metric, scored.metric, scope.to_owned())
        };
        let y = &scored.accuracy;
        let all = scored.all();
        for (name, total) in totals(&scored.rows) {
            if let Ok(Total { values, .. }) = total {
                tests.push(self.test(&values, y, names(4, &format!("total_{name}"), &all))?);
            }
        }
        for (part, other, [x, by]) in scored.parts() {
            let subset = self.rule.choose(&by);
            let pick = |v: &[f64]| subset.iter().map(|&i| v[i]).collect::<Vec<f64>>();
            // A subset that is the whole is tested once: twice, Holm's correction would count one test as two.
            let mut whole = all.clone();
            if subset.len() < x.len() {
                let scope = format!("the {} tasks of lowest {other} uncertainty", subset.len());
                tests.push(self.test(&pick(&x), &pick(y), names(5, part, &scope))?);
            } else {
                whole.push_str(&format!(", which the subset of lowest {other} uncertainty is as well"));
            }
            tests.push(self.test(&x, y, names(5, part, &whole))?);
            let (correlation, [p_less, p_greater]) = test_given(&x, y, &by, self.resampling)?;
            let scope = format!("{all}, {other} uncertainty held fixed");
            tests.push(Test { correlation, p_less, p_greater, ..names(5, part, &scope) });
        }
        Ok(tests)
    }
}

impl Scored<'_> {
    /// Each part and the other one, with their values: the part's first.
    pub(super) fn parts(&self) -> [(&'static str, &'static str, [Vec<f64>; 2]); 2] {
        let column =
            |f: fn(&TaskUncertainty) -> f64| -> Vec<f64> { self.rows.iter().map(|row| f(row)).collect() };
        let (a, e) = (column(|row| row.aleatoric), column(|row| row.epistemic));
        [("aleatoric", "epistemic", [a.clone(), e.clone()]), ("epistemic", "aleatoric", [e, a])]
    }

    /// The tasks that take part, in words.
    fn all(&self) -> String {
        match self.rows.len() {
            n if n == self.tasks => "all tasks".to_owned(),
            n => format!("{n} of {} tasks", self.tasks),
        }
    }

    /// τ and p of both parts at every threshold of the other; none of fewer than two tasks.
    pub(super) fn curves(&self) -> Result<Vec<CurvePoint>> {
        let mut curves = Vec::new();
        if self.rows.len() < 2 {
            return Ok(curves);
        }
        for (part, by, [x, other]) in self.parts() {
            let points = squbed_stats::kendall_by_subset(&x, &self.accuracy, &other, Alternative::TwoSided)?;
            curves.extend(points.into_iter().map(|point| CurvePoint {
                estimate: self.estimate.to_owned(),
                metric: self.metric.to_owned(),
                part: part.to_owned(),
                by: by.to_owned(),
                threshold: point.threshold,
                n: point.kendall.n,
                tau: point.kendall.tau,
                p: point.kendall.p,
                p_method: point.kendall.method.to_string(),
            }));
        }
        Ok(curves)
    }
}

/// A test's names, its numbers not filled in.
fn named(figure: u8, estimate: Option<&str>, metric: &str, y: &str, scope: String) -> Test {
    Test {
        figure,
        family: estimate.map_or_else(|| "figure 3".to_owned(), |name| format!("estimate {name}")),
        estimate: estimate.map(str::to_owned),
        metric: metric.to_owned(),
        x: String::new(),
        y: y.to_owned(),
        scope,
        correlation: Correlation::none(),
        p_less: f64::NAN,
        p_greater: f64::NAN,
        p_permutation: None,
        p_holm: f64::NAN,
    }
}

/// Fills in Holm's correction, family by family.
pub(super) fn correct(tests: &mut [Test]) -> Result<()> {
    let mut families: Vec<String> = tests.iter().map(|test| test.family.clone()).collect();
    families.sort();
    families.dedup();
    for family in families {
        let mut of_family: Vec<&mut Test> = tests.iter_mut().filter(|test| test.family == family).collect();
        let p: Vec<f64> = of_family.iter().map(|test| test.correlation.p).collect();
        for (test, p_holm) in of_family.iter_mut().zip(squbed_stats::holm(&p)?) {
            test.p_holm = p_holm;
        }
    }
    Ok(())
}
