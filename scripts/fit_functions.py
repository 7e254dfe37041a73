"""The coefficients of erf and exp in `crates/squbed-tensor/src/cpu/functions.rs`.

    pip install numpy scipy
    python scripts/fit_functions.py

Least largest relative error by weighted least squares whose weights grow where the error is large (Lawson 1961): erf(t)/t
as a ratio of polynomials in t² up to 3.92, exp(r) as a polynomial on [−ln 2/2, ln 2/2] whose first two terms are 1 + r.
"""

import numpy as np
from numpy.polynomial.polynomial import polyval
from scipy.special import erf


def fit_erf(above=6, below=4, end=3.92):
    t = end * np.abs(np.cos(np.pi * (np.arange(4000) + 0.5) / 4000))
    t = np.unique(t[t > 1e-4])
    u, y = t * t, erf(t) / t
    weights, q = np.ones_like(t), np.ones_like(t)
    powers = lambda n: np.vander(u, n + 1, increasing=True)
    for _ in range(200):
        columns = np.concatenate([powers(above), -y[:, None] * powers(below)[:, 1:]], 1)
        scale = np.sqrt(weights) / (q * y)
        found = np.linalg.lstsq(columns * scale[:, None], y * scale, rcond=None)[0]
        numerator, denominator = found[: above + 1], np.concatenate([[1], found[above + 1 :]])
        q = polyval(u, denominator)
        error = np.abs(polyval(u, numerator) / q / y - 1)
        weights *= error / error.max() + 1e-3
        weights /= weights.sum()
    return numerator, denominator, error.max()


def fit_exp(degree=6):
    r = np.cos(np.pi * (np.arange(2000) + 0.5) / 2000) * np.log(2) / 2 * 1.0001
    weights = np.ones_like(r)
    columns = np.vander(r, degree + 1, increasing=True)[:, 2:]
    for _ in range(100):
        scale = np.sqrt(weights) / np.exp(r)
        found = np.linalg.lstsq(columns * scale[:, None], (np.exp(r) - 1 - r) * scale, rcond=None)[0]
        error = np.abs((1 + r + columns @ found) / np.exp(r) - 1)
        weights *= error / error.max() + 1e-3
        weights /= weights.sum()
    return np.concatenate([[1, 1], found]), error.max()


def show(name, coefficients):
    print(f"{name}: {', '.join(repr(float(np.float32(c))) for c in coefficients)}")


numerator, denominator, worst = fit_erf()
show(f"erf, numerator (relative error {worst:.1e})", numerator)
show("erf, denominator", denominator)
coefficients, worst = fit_exp()
show(f"exp (relative error {worst:.1e})", coefficients)
