//! What stands beside the claim's tests: its tasks as points, what may be behind it, what may be trusted, what is missing.

use squbed_report::{ClaimScatter, ClaimTest, NotRun, Point, Scatter, correlation_text, fixed};

use super::{Folder, claim::quantity};
use crate::calibrate::{Correlation, Parts, claim::Test, rank_sum, zscore_sum};

/// The totals, as the tests name them.
const TOTALS: [&str; 4] = ["total_rank_sum", "total_sum", "total_mi", "total_zscore_sum"];

impl Folder {
    /// Figure 3: each accuracy with the human ranking. Figure 4: each total of the leading estimate with each accuracy.
    pub(super) fn claim_scatters(&self) -> Vec<ClaimScatter> {
        let of = &self.calibration.claim;
        let mut all = Vec::new();
        for test in of.tests.iter().filter(|t| t.figure == 3) {
            let ranks = of.human_ranking.iter().flat_map(|ranking| &ranking.ranks);
            let point = |(id, rank): (&String, &f64)| {
                let accuracy = self.accuracies.value(&test.metric, id)?;
                Some(Point { label: id.clone(), x: *rank, y: accuracy, marked: false })
            };
            let scatter = Scatter {
                title: test.metric.clone(),
                x: "human rank, 1 the best".to_owned(),
                points: ranks.filter_map(point).collect(),
                ..drawn(test, "")
            };
            all.push(ClaimScatter { figure: 3, scatter });
        }
        let Some(leading) = self.leading() else { return all };
        for metric in &of.metrics {
            for total in TOTALS {
                let named = |t: &&Test| {
                    t.figure == 4
                        && t.x == total
                        && t.metric == *metric
                        && t.estimate.as_deref() == Some(leading)
                };
                let Some(test) = of.tests.iter().find(named) else { continue };
                let short = quantity(total).split(':').next().unwrap_or(total);
                let scatter = Scatter {
                    title: format!("{metric}, {short}"),
                    x: short.to_owned(),
                    points: self.points(leading, total, metric),
                    ..drawn(test, leading)
                };
                all.push(ClaimScatter { figure: 4, scatter });
            }
        }
        all
    }

    /// Tasks that have this accuracy by one of an estimate's totals, which are ranked among them.
    fn points(&self, estimate: &str, total: &str, metric: &str) -> Vec<Point> {
        let Some((_, rows)) = self.uncertainty.get(estimate) else { return Vec::new() };
        let apart = |id: &str| self.truth.get(id).is_some_and(|truth| truth.confidently_wrong);
        let scored = rows.iter().filter(|row| !apart(&row.id));
        let scored = scored.filter_map(|row| Some((row, self.accuracies.value(metric, &row.id)?)));
        let (rows, accuracy): (Vec<_>, Vec<f64>) = scored.unzip();
        let parts: Vec<Parts> = rows.iter().map(|row| Parts::from(*row)).collect();
        let (a, e): (Vec<f64>, Vec<f64>) = parts.iter().map(|part| (part.aleatoric, part.epistemic)).unzip();
        let totals = match total {
            "total_rank_sum" => rank_sum(&a, &e),
            "total_zscore_sum" => zscore_sum(&a, &e),
            "total_mi" => {
                rows.iter().map(|row| row.pooled.as_ref().map_or(f64::NAN, |fit| fit.entropy)).collect()
            }
            _ => a.iter().zip(&e).map(|(a, e)| a + e).collect(),
        };
        let points = parts.into_iter().zip(totals).zip(accuracy);
        points.map(|((part, x), y)| Point { label: part.id, x, y, marked: false }).collect()
    }

    /// What stands of the primary accuracy's correlations with the prompt's length held fixed and within categories.
    pub(super) fn past_the_prompts(&self) -> Vec<ClaimTest> {
        let metric = &self.calibration.accuracy;
        let mut rows = Vec::new();
        for (estimate, metrics) in &self.calibration.claim.by_metric {
            let Some(analysis) = metrics.get(metric) else { continue };
            let of = &analysis.confounders;
            let row = |x: &str, scope: String, c: &Correlation| ClaimTest {
                figure: 0,
                estimate: estimate.clone(),
                metric: metric.clone(),
                x: quantity(x).to_owned(),
                y: metric.clone(),
                scope,
                n: c.n,
                tau: c.tau,
                ci_low: c.ci_low,
                ci_high: c.ci_high,
                p: c.p,
                p_method: c.p_method.clone(),
                p_permutation: f64::NAN,
                p_less: f64::NAN,
                p_holm: f64::NAN,
                undefined: c.undefined.clone(),
            };
            rows.extend(
                of.given_prompt_length
                    .iter()
                    .map(|(x, c)| row(x, "number of words held fixed".to_owned(), c)),
            );
            for (category, totals) in &of.within_category {
                rows.extend(totals.iter().map(|(x, c)| row(x, format!("within category {category}"), c)));
            }
        }
        rows
    }

    /// The answers to a wanted accuracy.
    pub(super) fn accepted(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for (estimate, metrics) in &self.calibration.claim.by_metric {
            for (metric, analysis) in metrics {
                for (total, a) in &analysis.acceptance {
                    sentences.push(format!(
                        "{estimate}: where the {} is at most {} nats, a further task is accepted and falls short of {metric} \
                         {} with a chance of at most {}. Of the {} tasks at hand it accepts {}, of which {} fall short.",
                        quantity(&format!("total_{total}")),
                        fixed(a.threshold, 2),
                        a.target.accuracy,
                        a.target.alpha,
                        a.n,
                        a.accepted,
                        a.short
                    ));
                }
            }
        }
        sentences
    }

    /// What the tables and curves lack, and why.
    pub(super) fn not_computed(&self) -> Vec<NotRun> {
        let mut all = Vec::new();
        for (estimate, metrics) in &self.calibration.claim.by_metric {
            for (metric, analysis) in metrics {
                for (what, why) in &analysis.not_computed {
                    let what = match what.as_str() {
                        "risk_coverage" => "risk and coverage",
                        "acceptance" => "a threshold for the wanted accuracy",
                        "all" => "contributions, risk and coverage",
                        total => quantity(total),
                    };
                    all.push(NotRun { metric: format!("{what} ({estimate}, {metric})"), why: why.clone() });
                }
                if *metric != self.calibration.accuracy {
                    continue;
                }
                for (what, why) in &analysis.confounders.not_computed {
                    let what = match what.as_str() {
                        "all" => "correlations past the prompts",
                        "within_category" => "correlations within categories",
                        category => category,
                    };
                    all.push(NotRun { metric: format!("{what} ({estimate}, {metric})"), why: why.clone() });
                }
            }
        }
        all
    }
}

/// A picture of a test, its points not filled in.
fn drawn(test: &Test, estimate: &str) -> Scatter {
    let c = &test.correlation;
    Scatter {
        method: estimate.to_owned(),
        subtitle: correlation_text(c.tau, c.ci_low, c.ci_high, c.p, c.n),
        y: test.metric.clone(),
        ..Scatter::default()
    }
}
