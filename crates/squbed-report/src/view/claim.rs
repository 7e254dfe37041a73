//! The claim's tests as tables, its curves as figures.

use serde::Serialize;

use super::Number;
use crate::{
    Claim, ClaimTest, Contribution, NotRun, Plot, ReportData, RiskCoverage,
    figures::{claim_curves, claim_scatters},
    format::{fixed, interval},
    plot_svg,
};

/// The section of the claim.
#[derive(Serialize)]
pub(super) struct ClaimView<'a> {
    figures: Vec<FigureView<'a>>,
    families: &'a str,
    curves: Vec<CurvesView<'a>>,
    past_the_prompts: Vec<TestView<'a>>,
    accepted: &'a [String],
    contributions: Vec<ContributionView<'a>>,
    risk_coverage: Vec<RiskView<'a>>,
    not_run: &'a [NotRun],
    not_computed: &'a [NotRun],
}

#[derive(Serialize)]
struct FigureView<'a> {
    number: u8,
    title: &'static str,
    about: String,
    tests: Vec<TestView<'a>>,
    /// Whether a permutation test stands beside any p.
    permuted: bool,
    /// Small pictures, and how many.
    scatters: Vec<String>,
}

#[derive(Serialize)]
struct TestView<'a> {
    estimate: &'a str,
    x: &'a str,
    y: &'a str,
    scope: &'a str,
    n: usize,
    tau: Number,
    interval: String,
    p: Number,
    p_method: &'a str,
    p_permutation: Number,
    p_less: Number,
    p_holm: Number,
    undefined: Option<&'a str>,
}

#[derive(Serialize)]
struct CurvesView<'a> {
    svg: String,
    caption: &'a str,
}

#[derive(Serialize)]
struct ContributionView<'a> {
    estimate: &'a str,
    total: &'a str,
    tau_aleatoric: Number,
    tau_epistemic: Number,
    share_aleatoric: String,
    share_epistemic: String,
}

#[derive(Serialize)]
struct RiskView<'a> {
    estimate: &'a str,
    metric: &'a str,
    total: &'a str,
    area: Number,
    optimal: Number,
    random: Number,
    gain: String,
}

/// None where nothing was tested and nothing is missing.
pub(super) fn claim(data: &ReportData) -> Option<ClaimView<'_>> {
    let claim = &data.claim;
    if claim.tests.is_empty() && claim.not_run.is_empty() {
        return None;
    }
    Some(ClaimView {
        figures: [3, 4, 5].into_iter().filter_map(|number| figure(data, number)).collect(),
        families: &claim.families,
        curves: claim_curves(data)
            .into_iter()
            .zip(&claim.curves)
            .map(|(curves, of)| CurvesView { svg: plot_svg(&Plot::Curves(curves)), caption: &of.caption })
            .collect(),
        past_the_prompts: claim.past_the_prompts.iter().map(test).collect(),
        accepted: &claim.accepted,
        contributions: claim.contributions.iter().map(contribution).collect(),
        risk_coverage: claim.risk_coverage.iter().map(risk).collect(),
        not_run: &claim.not_run,
        not_computed: &claim.not_computed,
    })
}

fn figure(data: &ReportData, number: u8) -> Option<FigureView<'_>> {
    let claim: &Claim = &data.claim;
    let tests: Vec<TestView<'_>> = claim.tests.iter().filter(|t| t.figure == number).map(test).collect();
    let (title, about) = match number {
        3 => ("Do the accuracies rank tasks as people do?", claim.human_ranking.clone()),
        4 => (
            "Does total uncertainty predict accuracy?",
            "A total that works has a negative τ: the more uncertain, the less accurate.".to_owned(),
        ),
        _ => (
            "Does each part predict accuracy by itself?",
            format!(
                "Each part on the tasks whose other part is lowest, by a rule that is fixed before the numbers are \
                 seen: {}. Beside it all tasks, and all tasks with the other part held fixed (partial τ), which \
                 needs no choice of a subset.",
                claim.subset_rule
            ),
        ),
    };
    let permuted = claim.tests.iter().any(|t| t.figure == number && !t.p_permutation.is_nan());
    let drawn = claim_scatters(data).into_iter().zip(&claim.scatters);
    let scatters = drawn
        .filter(|(_, of)| of.figure == number)
        .map(|(scatter, _)| plot_svg(&Plot::Scatter(scatter)))
        .collect();
    (!tests.is_empty()).then_some(FigureView { number, title, about, tests, permuted, scatters })
}

fn test(test: &ClaimTest) -> TestView<'_> {
    TestView {
        estimate: &test.estimate,
        x: &test.x,
        y: &test.y,
        scope: &test.scope,
        n: test.n,
        tau: Number::tau(test.tau),
        interval: interval(test.ci_low, test.ci_high),
        p: Number::p(test.p),
        p_method: &test.p_method,
        p_permutation: Number::p(test.p_permutation),
        p_less: Number::p(test.p_less),
        p_holm: Number::p(test.p_holm),
        undefined: test.undefined.as_deref(),
    }
}

fn contribution(of: &Contribution) -> ContributionView<'_> {
    ContributionView {
        estimate: &of.estimate,
        total: &of.total,
        tau_aleatoric: Number::tau(of.tau_aleatoric),
        tau_epistemic: Number::tau(of.tau_epistemic),
        share_aleatoric: percent(of.share_aleatoric),
        share_epistemic: percent(of.share_epistemic),
    }
}

fn risk(of: &RiskCoverage) -> RiskView<'_> {
    let decimals = crate::format::decimals([of.area, of.optimal, of.random]);
    RiskView {
        estimate: &of.estimate,
        metric: &of.metric,
        total: &of.total,
        area: Number::fixed(of.area, decimals),
        optimal: Number::fixed(of.optimal, decimals),
        random: Number::fixed(of.random, decimals),
        gain: percent(of.gain),
    }
}

fn percent(share: f64) -> String {
    if share.is_nan() { fixed(share, 0) } else { format!("{} %", fixed(100.0 * share, 0)) }
}
