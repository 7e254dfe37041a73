"""Remakes tests/golden/stats/families.json: permutation tests, partial τ, Holm, risk and coverage.

Run with numpy 2.4, scipy 1.17 and statsmodels: `python scripts/golden_stats.py`. Every value is by a library, or by
the definition without any shortcut: all pairings, all orders of a tie.
"""

import itertools
import json
import pathlib

import numpy
import scipy
import statsmodels
from scipy.stats import kendalltau, norm, permutation_test
from statsmodels.stats.multitest import multipletests

OUT = pathlib.Path(__file__).parent.parent / "tests/golden/stats/families.json"
random = numpy.random.default_rng(20260922)


def columns(n, ties, k):
    high = 4 if ties else 1000
    return [random.integers(0, high, n).astype(float).tolist() for _ in range(k)]


def tau(x, y):
    return kendalltau(x, y).statistic


def pairing_p(x, y):
    """One-sided p by SciPy's permutation test over all pairings, two-sided by counting |τ|."""
    sides = {}
    for side in ("less", "greater"):
        test = permutation_test(
            (y,), lambda y: tau(x, y), permutation_type="pairings", alternative=side, n_resamples=numpy.inf
        )
        sides[side] = float(test.pvalue)
    observed = abs(tau(x, y)) - 1e-12
    taus = [abs(tau(x, order)) for order in itertools.permutations(y)]
    sides["two_sided"] = sum(t >= observed for t in taus) / len(taus)
    return sides


permutations = []
for n, ties in [(4, False), (5, True), (6, False), (6, True), (7, True)]:
    x, y = columns(n, ties, 2)
    permutations.append({"x": x, "y": y, "tau": float(tau(x, y)), **pairing_p(x, y)})

partial = []
for n, ties in [(8, False), (12, True), (30, False), (60, True)]:
    x, y, z = columns(n, ties, 3)
    xy, xz, yz = tau(x, y), tau(x, z), tau(y, z)
    value = (xy - xz * yz) / numpy.sqrt((1 - xz**2) * (1 - yz**2))
    m = n - 1
    score = value / numpy.sqrt(2 * (2 * m + 5) / (9 * m * (m - 1)))
    partial.append({
        "x": x, "y": y, "z": z, "tau": float(value), "two_sided": float(2 * norm.sf(abs(score))),
        "less": float(norm.cdf(score)), "greater": float(norm.sf(score)),
    })

families = []
for count in (1, 2, 10, 25):
    p = (random.random(count) ** 3).tolist()
    if count == 10:
        p[3] = p[7]
    families.append({"p": p, "holm": multipletests(p, method="holm")[1].tolist()})


def area(order, risk):
    kept = numpy.asarray(risk)[list(order)]
    return numpy.cumsum(kept) / numpy.arange(1, len(kept) + 1)


coverage = []
for n, ties in [(5, False), (7, True), (7, True), (40, False)]:
    uncertainty = columns(n, ties, 1)[0]
    risk = random.normal(size=n).tolist()
    groups = [[i for i in range(n) if uncertainty[i] == u] for u in sorted(set(uncertainty))]
    orders = itertools.product(*(itertools.permutations(g) for g in groups))
    curve = numpy.mean([area(itertools.chain(*order), risk) for order in orders], axis=0)
    coverage.append({
        "uncertainty": uncertainty, "risk": risk, "curve": curve.tolist(), "area": float(curve.mean()),
        "optimal": float(area(numpy.argsort(risk), risk).mean()), "random": float(numpy.mean(risk)),
    })

versions = {m.__name__: m.__version__ for m in (numpy, scipy, statsmodels)}
parts = {"permutation": permutations, "partial": partial, "holm": families, "risk_coverage": coverage}
body = ",\n".join(
    f' "{name}": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]" for name, rows in parts.items()
)
OUT.write_text(f'{{\n "versions": {json.dumps(versions)},\n{body}\n}}\n')
