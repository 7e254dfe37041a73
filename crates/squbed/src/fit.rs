//! Batches of von Mises–Fisher fits: statistics on the device, κ and h in f64 on the host.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use squbed_core::{Flag, GroupFit};
use squbed_tensor::pca::Pca;
use squbed_vmf::{Estimator, GroupStatistics, PairDistances};

use crate::error::{Error, Result};

/// Embeddings that are fitted together, `[m, d]`.
pub type Group<'a> = Vec<&'a [f32]>;

/// Numbers in one batch on the device (64 Mi f32 are 256 MiB).
const BATCH_NUMBERS: usize = 64 << 20;

/// Groups of one size as a tensor `[g, m, d]`.
///
/// # Errors
///
/// Rows of different widths.
pub fn to_tensor(groups: &[&Group<'_>], device: &Device) -> Result<Tensor> {
    let m = groups.first().map_or(0, |g| g.len());
    let d = groups.first().and_then(|g| g.first()).map_or(0, |row| row.len());
    let mut numbers = Vec::with_capacity(groups.len() * m * d);
    check_widths(groups.iter().copied())?;
    groups.iter().copied().flatten().for_each(|row| numbers.extend_from_slice(row));
    Ok(Tensor::from_vec(numbers, (groups.len(), m, d), device).map_err(squbed_tensor::Error::from)?)
}

fn check_widths<'a>(groups: impl IntoIterator<Item = &'a Group<'a>>) -> Result<()> {
    let mut expected = None;
    for (group, rows) in groups.into_iter().enumerate() {
        for (row, got) in rows.iter().map(|row| row.len()).enumerate() {
            let expected = *expected.get_or_insert(got);
            if got != expected {
                return Err(Error::Width { group, row, expected, got });
            }
        }
    }
    Ok(())
}

/// Fits each group, in its order. Groups may differ in size; those of one size form one batch.
///
/// # Errors
///
/// An embedding without a direction, with the place of its group among `groups`; embeddings of different
/// widths, or of another width than the basis.
pub fn fit_groups(
    groups: &[Group<'_>],
    basis: Option<&Pca>,
    estimator: Estimator,
    device: &Device,
) -> Result<Vec<GroupFit>> {
    // Also between batches: entropies of different dimensions do not share a scale.
    check_widths(groups)?;
    let mut by_size: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, group) in groups.iter().enumerate() {
        by_size.entry(group.len()).or_default().push(i);
    }
    let mut fits: Vec<Option<GroupFit>> = vec![None; groups.len()];
    for (size, members) in by_size {
        let width = groups[members[0]].first().map_or(1, |row| row.len());
        for batch in members.chunks((BATCH_NUMBERS / (size * width).max(1)).max(1)) {
            let batch_groups: Vec<&Group<'_>> = batch.iter().map(|&i| &groups[i]).collect();
            let mut x = to_tensor(&batch_groups, device)?;
            if let Some(basis) = basis {
                x = basis.project(&x)?;
            }
            let statistics = squbed_tensor::group_statistics(&x).map_err(|error| match error {
                // The group's place in the batch says nothing to the caller.
                squbed_tensor::Error::NoDirection { group, row, norm } => {
                    let group = batch[group];
                    Error::NoDirection { of: format!("group {group}"), group, row, norm }
                }
                other => other.into(),
            })?;
            let fitted: Vec<GroupFit> = statistics
                .par_iter()
                .map(|s| fit_one(s, estimator, f32::EPSILON.into()).map(remark_near_uniform))
                .collect::<Result<_>>()?;
            for (&i, fit) in batch.iter().zip(fitted) {
                fits[i] = Some(fit);
            }
        }
    }
    Ok(fits.into_iter().flatten().collect())
}

/// Whether r̄ is no more than rounding leaves of unit vectors whose sum vanishes. A coordinate y is known to ±ε|y|/2, a
/// unit vector therefore to a length of ε/2, and so is the mean of any number of them; the other half is left to
/// what comes before, such as the normalisation of an embedding.
fn is_cancelled(statistics: &GroupStatistics, epsilon: f64) -> bool {
    statistics.m > 1 && statistics.rbar <= epsilon
}

/// One fit from its sufficient statistics; `epsilon` is the precision of the embeddings, for the flags of
/// saturated and of uniform groups.
pub fn fit_one(statistics: &GroupStatistics, estimator: Estimator, epsilon: f64) -> Result<GroupFit> {
    let fit = squbed_vmf::fit(statistics, estimator)?;
    let mut flags = Vec::new();
    for (set, flag) in [
        (fit.point_mass, Flag::PointMass),
        (fit.uniform || is_cancelled(statistics, epsilon), Flag::Uniform),
        (fit.clipped, Flag::Clipped),
        (!fit.point_mass && squbed_tensor::is_saturated(statistics, epsilon), Flag::Saturated),
    ] {
        if set {
            flags.push(flag);
        }
    }
    Ok(GroupFit {
        m: statistics.m,
        dim: statistics.dim,
        rbar: statistics.rbar,
        one_minus_rbar: statistics.one_minus_rbar,
        kappa: fit.kappa,
        entropy: fit.entropy,
        relative_entropy: -fit.kl_uniform,
        rayleigh_p: squbed_vmf::rayleigh_p(statistics),
        two_clusters_p: None,
        flags,
    })
}

/// Level of the test of uniformity.
const UNIFORMITY_LEVEL: f64 = 0.05;

/// Flags a fit that cannot be told from a uniform one.
pub(crate) fn remark_near_uniform(mut fit: GroupFit) -> GroupFit {
    if fit.rayleigh_p > UNIFORMITY_LEVEL && !fit.flags.contains(&Flag::PointMass) {
        fit.flags.push(Flag::NearUniform);
    }
    fit
}

/// Level of the test for two clusters: of many groups few are flagged by chance, and few whose samples are neither normal nor
/// two clusters. Of 400 groups of ten videos of the closed world, whose positions and phases are spread evenly, 3 % have
/// p ≤ .001 and 13 % p ≤ .01, those of scenes that the model knows in full no less than others.
const TWO_CLUSTERS_LEVEL: f64 = 0.001;

/// Least dimension in which it is made: the curvature of spheres of fewer makes wide groups look parted, at the 1 % level in up
/// to a third of groups of ten on the circle; from 64 on in at most 3 %, of uniform groups.
const TWO_CLUSTERS_LEAST_DIM: usize = 64;

/// Flags a fit of rows that fall in two clusters. One von Mises–Fisher distribution is a wrong model of them: its entropy,
/// the largest of all distributions with that mean, is then an upper bound.
///
/// Tested are the scores on the first principal component, [`squbed_stats::split_in_two`]: exact for normal rows of any
/// covariance, which is what a von Mises–Fisher distribution is but for the curvature of the sphere. `tests/interval.rs`
/// has its false alarms and its power.
pub(crate) fn remark_bimodal(fit: &mut GroupFit, rows: &PairDistances) -> Result<()> {
    if fit.dim >= TWO_CLUSTERS_LEAST_DIM
        && let Some(scores) = rows.leading_scores()
    {
        let p = squbed_stats::split_in_two(&scores)?.p;
        fit.two_clusters_p = (!p.is_nan()).then_some(p);
    }
    if fit.two_clusters_p.is_some_and(|p| p <= TWO_CLUSTERS_LEVEL) {
        fit.flags.push(Flag::Bimodal);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_any_sizes_fit_as_they_do_alone() {
        let numbers: Vec<f32> = (0..700).map(|i| ((i * 7919 + 17) % 2003) as f32 / 1001.5 - 0.5).collect();
        let rows: Vec<&[f32]> = numbers.chunks(7).collect();
        let mut rest = rows.as_slice();
        let groups: Vec<Group<'_>> = [3, 1, 20, 2, 3, 50, 2, 1, 18]
            .into_iter()
            .map(|m| {
                let (group, after) = rest.split_at(m);
                rest = after;
                group.to_vec()
            })
            .collect();
        for estimator in [Estimator::Exact, Estimator::U, Estimator::Sra] {
            let fits = fit_groups(&groups, None, estimator, &Device::Cpu).unwrap();
            assert_eq!(fits.len(), groups.len());
            for (group, fit) in groups.iter().zip(&fits) {
                let alone = fit_groups(std::slice::from_ref(group), None, estimator, &Device::Cpu).unwrap();
                assert_eq!((&alone[0], fit.m), (fit, group.len()));
                // And as the host's double-double has it.
                let wide: Vec<Vec<f64>> =
                    group.iter().map(|row| row.iter().map(|&x| x.into()).collect()).collect();
                let wide: Vec<&[f64]> = wide.iter().map(Vec::as_slice).collect();
                let want =
                    squbed_vmf::fit(&squbed_vmf::group_statistics(&wide).unwrap().0, estimator).unwrap();
                let same = fit.entropy == want.entropy || (fit.entropy - want.entropy).abs() < 1e-12;
                assert!(same, "m = {}: {} and {}", fit.m, fit.entropy, want.entropy);
                assert_eq!(fit.flags.contains(&Flag::PointMass), group.len() == 1);
            }
        }
    }

    #[test]
    fn widths_that_differ_are_refused_between_groups_too() {
        let (narrow, wide) = ([0.5_f32; 3], [0.5_f32; 4]);
        // Of different sizes, so that they are of different batches.
        let groups = [vec![&narrow[..]; 2], vec![&narrow[..], &wide[..], &narrow[..]]];
        let error = fit_groups(&groups, None, Estimator::U, &Device::Cpu).unwrap_err();
        assert_eq!(error.to_string(), "group 1, embedding 1, has 4 numbers where others have 3");
        let groups = [vec![&narrow[..]; 2], vec![&wide[..]; 3]];
        assert!(fit_groups(&groups, None, Estimator::U, &Device::Cpu).is_err());
    }
}
