"""Speed of the whole of `squbed calibrate` at many tasks, beside SciPy doing the same.

    pip install numpy scipy
    cargo build --release -p squbed-cli
    python scripts/bench_calibrate.py --program target/release/squbed

Makes a results' folder of invented uncertainties and two accuracies, has the program calibrate it (tests of Figures 4 and 5
with intervals, τ at every threshold of the other part, risk and coverage, the files written), and compares every τ and p of
the plain tests with SciPy's. SciPy's time is that of those same τ's with p; of their jackknife intervals and of τ at every
threshold, of which a sample is timed and scaled up. Each side on one thread.
"""

import argparse
import json
import pathlib
import platform
import subprocess
import tempfile
import time

import numpy as np
import scipy
from scipy.stats import kendalltau, rankdata

arguments = argparse.ArgumentParser()
arguments.add_argument("--program", required=True)
arguments.add_argument("--tasks", type=int, default=10_000)
arguments.add_argument("--latents", type=int, default=10)
arguments.add_argument("--sample", type=int, default=100, help="of the jackknife and of the thresholds that SciPy is timed on")
given = arguments.parse_args()
n, random = given.tasks, np.random.default_rng(1)

aleatoric, epistemic = random.normal(-820, 10, n), random.normal(-1080, 15, n)
pooled = epistemic + random.uniform(5, 10, n)
harm = (aleatoric + 820) / 10 + (epistemic + 1080) / 15
accuracies = {name: -0.3 * harm + random.normal(size=n) for name in ["first", "second"]}


def fit(entropy):
    return {"m": 10, "dim": 512, "rbar": 0.5, "one_minus_rbar": 0.5, "kappa": 9.0, "entropy": entropy,
            "relative_entropy": -1.0, "rayleigh_p": 0.001, "flags": []}  # fmt: skip


def task(i):
    a, e, p = aleatoric[i], epistemic[i], pooled[i]
    return {"id": f"t{i}", "aleatoric": a, "epistemic": e, "total": a + e, "epistemic_median": e, "epistemic_max": e,
            "worst_latent": 0, "prompts": fit(a), "videos": [fit(e)] * given.latents, "latents_left_out": 0,
            "pooled": fit(p), "mutual_information": p - e}  # fmt: skip


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


encoder = {"name": "e", "weights_sha256": "", "preprocessing": "p/1", "sampling": "", "head": "embedding",
           "dtype": "f32", "dim": 512}  # fmt: skip
method = {"preset": "default", "options": {"estimator": "u", "projection": {"basis": "none"}}, "components": None,
          "text_encoder": encoder, "video_encoder": encoder, "squbed": "0.1.0"}  # fmt: skip
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    (folder / "default").mkdir()
    write(folder / "default/uncertainty.jsonl", map(task, range(n)))
    (folder / "default/method.json").write_text(json.dumps(method))
    write(folder / "accuracy.jsonl", ({"id": f"t{i}", "metric": m, "value": v[i], "videos": 100}
                                      for m, v in accuracies.items() for i in range(n)))  # fmt: skip
    write(folder / "tasks.jsonl", ({"id": f"t{i}", "prompt": "word " * random.integers(3, 40), "latents": []}
                                   for i in range(n)))  # fmt: skip
    start = time.perf_counter()
    command = [given.program, "calibrate", folder, "--threads", "1", "--format", "csv"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - start
    tests = json.loads((folder / "calibration.json").read_text())["tests"]
    thresholds = sum(1 for _ in (folder / "subset_curves.jsonl").open())

columns = {"total_sum": aleatoric + epistemic, "total_mi": pooled, "aleatoric": aleatoric, "epistemic": epistemic,
           "total_rank_sum": rankdata(aleatoric) + rankdata(epistemic)}  # fmt: skip
checked, seconds, worst = 0, 0.0, 0.0
for test in tests:
    if test["x"] in columns and test["scope"].startswith("all") and "fixed" not in test["scope"]:
        start = time.perf_counter()
        expected = kendalltau(columns[test["x"]], accuracies[test["metric"]])
        seconds += time.perf_counter() - start
        assert abs(test["tau"] - expected.statistic) < 1e-12, (test, expected)
        # τ and p of a rank sum are of tied ranks, which both take alike; a p that underflows is 0 for both.
        worst = max(worst, abs(test["p"] / expected.pvalue - 1) if expected.pvalue else test["p"])
        checked += 1
assert checked == 2 * len(columns) and worst < 1e-9, (checked, worst)
x, y = columns["total_sum"], accuracies["first"]
start = time.perf_counter()
for i in random.integers(0, n, given.sample):
    kendalltau(np.delete(x, i), np.delete(y, i))
jackknife = (time.perf_counter() - start) / given.sample * n * len(tests)
start = time.perf_counter()
for size in random.integers(2, n, given.sample):
    kendalltau(x[:size], y[:size])
curves = (time.perf_counter() - start) / given.sample * thresholds
print(f"{n} tasks, 1 estimate, {len(accuracies)} accuracies, {platform.processor() or platform.machine()}, one thread")
print(f"squbed calibrate, all of it, files read and written: {whole:.2f} s; {len(tests)} tests, {thresholds} thresholds")
print(f"SciPy {scipy.__version__}: τ and p of {checked} of the tests {seconds:.2f} s, the same to {worst:.0e}")
print(f"SciPy, from a sample: jackknife intervals of {len(tests)} tests {jackknife:.0f} s, τ at all thresholds {curves:.0f} s")
