//! What a reader has to know beside the figures, each sentence drawn from them.

use squbed_report::{Note, correlation_text, fixed};
use squbed_stats::{Alternative, KendallMethod, kendall};
use squbed_vmf::Estimator;

use super::{Folder, words::tau_text};
use crate::{
    baseline,
    calibrate::{Calibration, Correlation, LEAST_RESAMPLED, TruthCorrelations},
    demo::median,
    method::Preset,
};

/// Two τ's closer than this are not told apart in words.
const ALIKE: f64 = 0.1;

impl Folder {
    pub(super) fn notes(&self) -> Vec<Note> {
        let mut notes = self.misses();
        notes.extend(self.ablation_note());
        if let Some(calibration) = self.calibration.preset(Preset::Default.name()) {
            notes.extend(self.plain_sum_note(calibration));
        }
        for (name, (in_force, rows)) in &self.uncertainty {
            let information: Vec<f64> = rows.iter().map(|row| row.mutual_information).collect();
            notes.extend(information_note(name, in_force.options.estimator, &information));
        }
        notes.extend(self.world_note());
        notes
    }

    /// Where an estimate does not follow its truth, with figures.
    fn misses(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        for (name, calibration) in &self.calibration.presets {
            let Some(truth) = calibration.as_ref().and_then(|c| c.truth.as_ref()) else { continue };
            let paragraphs = misses(truth);
            if !paragraphs.is_empty() {
                notes.push(Note { title: format!("Where the estimate {name} misses its truth"), paragraphs });
            }
        }
        let few = self.calibration.n_tasks - self.calibration.confidently_wrong;
        if few < LEAST_RESAMPLED {
            notes.push(Note {
                title: "Too few tasks for intervals".to_owned(),
                paragraphs: vec![format!(
                    "{few} task(s) take part; an interval needs {LEAST_RESAMPLED}. Without one a τ says nothing \
                     about other tasks."
                )],
            });
        }
        notes
    }

    /// Which part decides the order of the paper's total.
    fn plain_sum_note(&self, c: &Calibration) -> Option<Note> {
        let (a, e) = (c.total_aleatoric.tau, c.total_epistemic.tau);
        if a.is_nan() || e.is_nan() {
            return None;
        }
        let (_, rows) = self.uncertainty.get(Preset::Default.name())?;
        let span = |values: &mut dyn Iterator<Item = f64>| {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for x in values.filter(|x| x.is_finite()) {
                (low, high) = (low.min(x), high.max(x));
            }
            fixed(high - low, 0)
        };
        let title = if (a - e).abs() < ALIKE {
            "The plain sum is ranked by both parts alike"
        } else if a > e {
            "The plain sum is ranked mostly by its aleatoric part"
        } else {
            "The plain sum is ranked mostly by its epistemic part"
        };
        Some(Note {
            title: title.to_owned(),
            paragraphs: vec![format!(
                "The paper's total (Eq. 3) adds entropies of two spaces of different dimension: the aleatoric part \
                 spans {} nats over these tasks, the epistemic part {}. The sum's ranking goes with the first at \
                 τ = {} and with the second at τ = {}; the rank-sum total weighs both alike. By the chain rule \
                 the sum is h(V, Z | ℓ), the joint entropy, rather than h(V | ℓ).",
                span(&mut rows.iter().map(|r| r.aleatoric)),
                span(&mut rows.iter().map(|r| r.epistemic)),
                fixed(a, 2),
                fixed(e, 2),
            )],
        })
    }

    /// What the closed world can show, by the baseline that needs no encoder.
    fn world_note(&self) -> Option<Note> {
        if self.truth.is_empty() {
            return None;
        }
        let epistemic = |encoder: &str| {
            let of = self.calibration.baselines.get(&baseline::pairwise_name(encoder))?;
            Some(&of.truth.as_ref()?.epistemic)
        };
        let encoder = &self.uncertainty.values().next()?.0.video_encoder.name;
        let mut paragraphs = Vec::new();
        if let (Some(colours), Some(features)) = (epistemic(baseline::HISTOGRAM), epistemic(encoder)) {
            paragraphs.push(colours_against(encoder, colours, features));
        }
        paragraphs.push(
            "The world's parameters were fixed before the first estimate was looked at. It is a world of a few \
             shapes and colours: what holds in it need not hold for a video model."
                .to_owned(),
        );
        Some(Note { title: "What this world can and cannot show".to_owned(), paragraphs })
    }

    /// The same embeddings with one choice changed at a time.
    fn ablation_note(&self) -> Option<Note> {
        let truth = |t: &TruthCorrelations| {
            format!("Â with true A {}; Ê with true E {}", tau_text(&t.aleatoric), tau_text(&t.epistemic))
        };
        let default = self.calibration.preset(Preset::Default.name())?.truth.as_ref()?;
        let mut paragraphs = vec![format!("The default preset as it is: {}.", truth(default))];
        for (name, calibration) in &self.calibration.variants {
            let Some(of) = calibration.as_ref().and_then(|c| c.truth.as_ref()) else {
                let why = self.calibration.not_computed.get(name).map_or("no truth", String::as_str);
                paragraphs.push(format!("{name}: not computed, {why}."));
                continue;
            };
            let follows = |c: &Correlation| c.ci_low > 0.0;
            let end = match name.starts_with("control") {
                true if follows(&of.aleatoric) || follows(&of.epistemic) => {
                    " It follows a truth that it cannot see, which puts the other figures in doubt."
                }
                true if of.aleatoric.tau.is_nan() || of.epistemic.tau.is_nan() => {
                    " What cannot be computed shows nothing: this control says neither yes nor no."
                }
                true => " It does not follow either truth, as it must not.",
                false => "",
            };
            paragraphs.push(format!("{name}: {}.{end}", truth(of)));
        }
        if self.calibration.variants.is_empty() {
            return None;
        }
        if !self.calibration.variants.keys().any(|name| name.starts_with("sample size")) {
            paragraphs.push("Half of the sample was not tried: it needs n and m of at least 4.".to_owned());
        }
        Some(Note { title: "What each choice is worth: one changed at a time".to_owned(), paragraphs })
    }

    /// On the tasks of which the model is certain of something false.
    pub(super) fn confidently_wrong(&self) -> Vec<String> {
        let wrong = |id: &str| self.truth.get(id).is_some_and(|t| t.confidently_wrong);
        let count = self.tasks.iter().filter(|t| wrong(&t.id)).count();
        if count == 0 {
            return Vec::new();
        }
        let mut paragraphs = vec![format!(
            "On {count} task(s) the model always draws the same wrong value. Their epistemic entropy is 0 by \
             definition, so a method that measures spread must call them certain. They take no part in the \
             correlations."
        )];
        let apart = |values: &mut dyn Iterator<Item = (&str, f64)>| {
            let (its, others): (Vec<_>, Vec<_>) = values.partition(|(id, _)| wrong(id));
            let of = |x: Vec<(&str, f64)>| x.into_iter().map(|(_, value)| value).collect();
            Apart { wrong: of(its), others: of(others) }
        };
        let accuracy = self.accuracies.of_metric(&self.calibration.accuracy);
        let accuracy = apart(&mut accuracy.iter().map(|(id, a)| (id.as_str(), *a)));
        if let Some((_, rows)) = self.uncertainty.get(Preset::Default.name()) {
            let epistemic = apart(&mut rows.iter().map(|r| (r.id.as_str(), r.epistemic)));
            paragraphs.extend(blind_spot(&accuracy, &epistemic));
        }
        paragraphs
    }
}

/// Where estimates do not go as they should; nothing of what has no interval.
fn misses(truth: &TruthCorrelations) -> Vec<String> {
    let mut paragraphs = Vec::new();
    for (what, c) in [("aleatoric", &truth.aleatoric), ("epistemic", &truth.epistemic)] {
        if c.ci_high < 0.0 {
            paragraphs.push(format!("The {what} estimate goes against its truth: {}.", tau_text(c)));
        } else if c.ci_low <= 0.0 {
            paragraphs.push(format!(
                "The {what} estimate is not shown to follow its truth: {}, an interval that contains 0.",
                tau_text(c)
            ));
        }
    }
    for (what, c) in [
        ("aleatoric estimate goes with the true epistemic uncertainty", &truth.cross_ae),
        ("epistemic estimate goes with the true aleatoric uncertainty", &truth.cross_ea),
    ] {
        if c.ci_low > 0.0 || c.ci_high < 0.0 {
            paragraphs.push(format!("The {what}, where τ should be near 0: {}.", tau_text(c)));
        }
    }
    paragraphs
}

/// The colour histogram beside the encoder's features, each by the same baseline.
fn colours_against(encoder: &str, colours: &Correlation, features: &Correlation) -> String {
    let text = |c: &Correlation| correlation_text(c.tau, c.ci_low, c.ci_high, c.p, c.n);
    let verdict = match colours.tau - features.tau {
        d if d.is_nan() => "They cannot be compared.",
        d if d > -ALIKE => {
            "The histogram does as well, so the world is visually easy: nothing here shows that a video encoder \
             is needed."
        }
        _ if colours.ci_high < features.ci_low => "The encoder sees more than colours here.",
        _ => {
            "That is less, but not beyond what the intervals allow: it is not shown that the encoder sees more."
        }
    };
    format!(
        "By mean pairwise cosine a 64-bin colour histogram, which needs no encoder, follows the true epistemic \
         uncertainty at {}, and {encoder} at {}. {verdict}",
        text(colours),
        text(features)
    )
}

/// Where the videos seem to say less than nothing of the latent prompt.
fn information_note(name: &str, estimator: Estimator, information: &[f64]) -> Option<Note> {
    let below = information.iter().filter(|x| **x < 0.0).count();
    let least = information.iter().copied().fold(f64::INFINITY, f64::min);
    let pooled = match estimator {
        Estimator::U => "estimated from pairs of videos of different latent prompts",
        _ => "that of the fit of all the task's videos at once",
    };
    (below > 0).then(|| Note {
        title: format!("Mutual information below 0 ({name})"),
        paragraphs: vec![format!(
            "On {below} of {} tasks the mutual information of video and latent prompt comes out below 0, the least \
             {} nats. It is a difference of two estimates, h(V | ℓ), {pooled}, less h(V | Z), and no information is \
             negative: such a value means none beyond the noise of sampling.",
            information.len(),
            fixed(least, 1)
        )],
    })
}

/// Numbers of the confidently wrong tasks and of the others.
struct Apart {
    wrong: Vec<f64>,
    others: Vec<f64>,
}

impl Apart {
    fn medians(&self) -> Option<(f64, f64)> {
        let (wrong, others) = (median(&self.wrong), median(&self.others));
        (!wrong.is_nan() && !others.is_nan()).then_some((wrong, others))
    }

    /// p that the confidently wrong tasks have smaller numbers: the test of Mann and Whitney, one-sided and by the normal
    /// approximation, which Kendall's τ-b with the label is (Burr 1960, doi:10.1093/biomet/47.1-2.151).
    fn p_lower(&self) -> f64 {
        let values: Vec<f64> = [&self.wrong[..], &self.others].concat();
        let label: Vec<f64> = (0..values.len()).map(|i| f64::from(u8::from(i < self.wrong.len()))).collect();
        kendall(&label, &values, Alternative::Less, KendallMethod::Asymptotic).map_or(f64::NAN, |test| test.p)
    }
}

/// Fewest confidently wrong tasks of which it is said that they are unlike the others.
const LEAST_WRONG: usize = 5;

/// Level at which they are.
const LOWER_LEVEL: f64 = 0.05;

/// Accuracy and Ê of the confidently wrong tasks, each beside that of the others, in words.
fn blind_spot(accuracy: &Apart, epistemic: &Apart) -> Option<String> {
    let ((its_accuracy, other_accuracy), (its_spread, other_spread)) =
        (accuracy.medians()?, epistemic.medians()?);
    let medians = format!(
        "Their median Ê (default) is {}, that of the others {}; their median accuracy is {}, that of the others {}",
        fixed(its_spread, 1),
        fixed(other_spread, 1),
        fixed(its_accuracy, 3),
        fixed(other_accuracy, 3)
    );
    let fewest = accuracy.wrong.len().min(epistemic.wrong.len());
    if fewest < LEAST_WRONG {
        return Some(format!(
            "{medians}. {fewest} are too few to tell from this whether the method is blind to them; it takes {LEAST_WRONG}."
        ));
    }
    let (p_spread, p_accuracy) = (epistemic.p_lower(), accuracy.p_lower());
    let verdict = match (p_spread < LOWER_LEVEL, p_accuracy < LOWER_LEVEL) {
        (true, true) => "low uncertainty with low accuracy, the method's blind spot",
        (true, false) => "low uncertainty as expected; that their accuracy is lower is not shown",
        (false, true) => "a lower accuracy; that their uncertainty is lower is not shown",
        (false, false) => "that either is lower than usual is not shown",
    };
    let p = |p: f64| match p {
        p if p.is_nan() => "undefined".to_owned(),
        p if p < 0.001 => "< 0.001".to_owned(),
        p => fixed(p, 3),
    };
    Some(format!(
        "{medians}: {verdict} (one-sided rank tests: Ê p {}, accuracy p {}).",
        p(p_spread),
        p(p_accuracy)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correlation(tau: f64, ci_low: f64, ci_high: f64) -> Correlation {
        Correlation {
            n: 24,
            tau,
            p: 0.0833,
            p_method: "exact".to_owned(),
            ci_low,
            ci_high,
            ci_method: String::new(),
            undefined: None,
        }
    }

    #[test]
    fn a_histogram_is_praised_for_its_figures_alone() {
        let features = correlation(0.8, 0.7, 0.9);
        let as_good = colours_against("i3d", &correlation(0.78, 0.6, 0.9), &features);
        assert!(
            as_good.contains("does as well") && as_good.contains("τ = 0.78 [0.60, 0.90], p = 0.083"),
            "{as_good}"
        );
        let unclear = colours_against("i3d", &correlation(0.6, -0.5, 1.0), &features);
        assert!(unclear.contains("not shown") && !unclear.contains("easy"), "{unclear}");
        let worse = colours_against("i3d", &correlation(0.3, 0.0, 0.5), &features);
        assert!(worse.contains("sees more than colours") && !worse.contains("easy"), "{worse}");
    }

    /// So many numbers from `from` on in steps of .001.
    fn numbers(count: usize, from: f64) -> Vec<f64> {
        (0..count).map(|i| from + i as f64 / 1000.0).collect()
    }

    #[test]
    fn a_blind_spot_is_told_where_it_is_shown() {
        let apart =
            |count, wrong, others| Apart { wrong: numbers(count, wrong), others: numbers(20, others) };
        let text = |a: &Apart, e: &Apart| blind_spot(a, e).unwrap();
        let (low, alike) = (|count| apart(count, 0.1, 0.8), |count| apart(count, 0.806, 0.8));
        let said = text(&low(8), &low(8));
        assert!(said.contains("the method's blind spot (one-sided rank tests: Ê p < 0.001"), "{said}");
        let said = text(&alike(8), &low(8));
        assert!(
            said.contains("that their accuracy is lower is not shown") && !said.contains("blind"),
            "{said}"
        );
        let said = text(&low(8), &alike(8));
        assert!(said.contains("that their uncertainty is lower is not shown"), "{said}");
        assert!(text(&alike(8), &alike(8)).contains("that either is lower than usual is not shown"));
        // A lower median alone is no evidence.
        let shade = Apart { wrong: vec![0.1, 0.2, 0.804, 0.9, 0.9], others: numbers(20, 0.8) };
        assert!(shade.medians().is_some_and(|(wrong, others)| wrong < others));
        assert!(!text(&shade, &low(8)).contains("blind spot"));
        let few = text(&low(4), &low(4));
        assert!(few.contains("0.102") || few.contains("0.101"), "{few}");
        assert!(
            few.ends_with("4 are too few to tell from this whether the method is blind to them; it takes 5.")
        );
        assert_eq!(blind_spot(&Apart { wrong: vec![f64::NAN], others: vec![1.0] }, &low(5)), None);
    }

    /// SciPy 1.17.1's `mannwhitneyu(wrong, others, alternative="less", use_continuity=False, method="asymptotic")`.
    #[test]
    fn the_rank_test_is_that_of_mann_and_whitney() {
        let tied =
            Apart { wrong: vec![1.0, 2.0, 2.0, 3.0, 5.0], others: vec![2.0, 4.0, 5.0, 6.0, 7.0, 7.0, 9.0] };
        assert!((tied.p_lower() - MANN_WHITNEY).abs() < 1e-9, "{}", tied.p_lower());
    }

    const MANN_WHITNEY: f64 = 0.016433890213859933;

    #[test]
    fn information_below_zero_is_counted() {
        let note = information_note("default", Estimator::U, &[3.0, -4.5, f64::NAN, -18.6]).unwrap();
        let said = &note.paragraphs[0];
        assert!(said.starts_with("On 2 of 4 tasks") && said.contains("−18.6 nats"), "{said}");
        assert!(said.contains("pairs of videos of different latent prompts"), "{said}");
        assert!(information_note("default", Estimator::U, &[3.0, 0.0]).is_none());
        let paper = information_note("paper", Estimator::Sra, &[-1.0]).unwrap();
        assert!(
            paper.title.contains("paper") && paper.paragraphs[0].contains("all the task's videos at once")
        );
    }

    #[test]
    fn misses_follow_the_intervals() {
        let near_zero = || correlation(0.02, -0.2, 0.2);
        let mut truth = TruthCorrelations {
            aleatoric: correlation(0.8, 0.7, 0.9),
            epistemic: correlation(0.8, 0.7, 0.9),
            cross_ae: near_zero(),
            cross_ea: near_zero(),
        };
        assert!(misses(&truth).is_empty());
        truth.epistemic = near_zero();
        truth.aleatoric = correlation(-0.5, -0.8, -0.2);
        truth.cross_ea = correlation(0.4, 0.1, 0.6);
        let said = misses(&truth);
        assert!(
            said[0].contains("goes against its truth") && said[1].contains("not shown to follow"),
            "{said:?}"
        );
        assert!(said[2].contains("epistemic estimate goes with the true aleatoric"), "{said:?}");
        // Without an interval nothing is claimed.
        let none = || correlation(0.3, f64::NAN, f64::NAN);
        let few =
            TruthCorrelations { aleatoric: none(), epistemic: none(), cross_ae: none(), cross_ea: none() };
        assert!(misses(&few).is_empty());
    }
}
