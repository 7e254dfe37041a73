"""Remakes tests/golden/metrics/{luma,frechet}.json: luma metrics of the PNG pairs, and Fréchet distances.

Run with numpy 2.4, scipy 1.17, scikit-image 0.26 and Pillow: `python scripts/golden_metrics.py`. The features of the
Fréchet distances are made by a formula that the test repeats, so that they cost no file.
"""

import json
import pathlib

import numpy
import scipy
import skimage
from PIL import Image
from scipy.linalg import sqrtm
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

FOLDER = pathlib.Path(__file__).parent.parent / "tests/golden/metrics"


def luma(name):
    """BT.601 of limited range, rounded (halves up), in whole numbers."""
    r, g, b = numpy.moveaxis(numpy.asarray(Image.open(FOLDER / name).convert("RGB")).astype(numpy.int64), 2, 0)
    return (16 + (65481 * r + 128553 * g + 24966 * b + 127500) // 255000).astype(numpy.uint8)


def splitmix64(x):
    z = x + numpy.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return z ^ (z >> numpy.uint64(31))


def features(seed, n, d, shift):
    """Rows of neighbouring sums of uniform numbers, so that columns correlate; column j is scaled by 1/(1 + j % 7)."""
    i = numpy.arange(n * (d + 1), dtype=numpy.uint64) + numpy.uint64(seed * 1_000_000_007)
    u = (splitmix64(i) >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-53
    u = u.reshape(n, d + 1)
    return (u[:, :-1] + 0.75 * u[:, 1:]) / (1 + numpy.arange(d) % 7) + shift


def frechet(a, b):
    covariances = [numpy.cov(x, rowvar=False) for x in (a, b)]
    root = sqrtm(covariances[0] @ covariances[1])
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(apart + sum(map(numpy.trace, covariances)) - 2 * numpy.trace(root).real)


pairs = []
for frame in (0, 20, 40):
    a, b = luma(f"carphone_p{frame}.png"), luma(f"carphone_d{frame}.png")
    ssim = structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    pairs.append({"frame": frame, "psnr": float(peak_signal_noise_ratio(a, b, data_range=255)), "ssim": float(ssim)})
text = {"skimage": skimage.__version__, "pairs": pairs}
(FOLDER / "luma.json").write_text(json.dumps(text, indent=1) + "\n")

cases = []
for n, m, d, shift in [(40, 57, 12, 0.25), (64, 64, 63, 0.0), (450, 520, 400, 0.01)]:
    value = frechet(features(1, n, d, 0.0), features(2, m, d, shift))
    cases.append({"n": n, "m": m, "dim": d, "shift": shift, "distance": value})
text = {"scipy": scipy.__version__, "numpy": numpy.__version__, "cases": cases}
(FOLDER / "frechet.json").write_text(json.dumps(text, indent=1) + "\n")
