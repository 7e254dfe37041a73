"""Speed of squbed's statistics against SciPy, on the same columns and to the same numbers.

    pip install numpy scipy
    cargo build --release -p squbed-stats --example statistics_speed
    python scripts/bench_statistics.py --program target/release/examples/statistics_speed

Both sides take τ-b with its p, and a percentile bootstrap of it over the same number of resamples, on one thread and in
turn; the resamples themselves are drawn by each side's own generator, so that the ends of the interval agree but to what
resampling leaves open. What squbed does beside, τ at every threshold of a third column among it, is timed alone.
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time

import numpy as np
import scipy
from scipy.stats import kendalltau

arguments = argparse.ArgumentParser()
arguments.add_argument("--program", required=True)
arguments.add_argument("--tasks", type=int, default=10_000)
arguments.add_argument("--resamples", type=int, default=2000)
arguments.add_argument("--scipy-resamples", type=int, default=200, help="timed; their time is scaled up")
arguments.add_argument("--rounds", type=int, default=3)
given = arguments.parse_args()

random = np.random.default_rng(1)
x, z = random.normal(size=(2, given.tasks))
y = -0.3 * x + random.normal(size=given.tasks)

with tempfile.TemporaryDirectory() as folder:
    columns = pathlib.Path(folder, "columns.txt")
    columns.write_text("".join(f"{a!r} {b!r} {c!r}\n" for a, b, c in zip(x.tolist(), y.tolist(), z.tolist())))
    rounds, peer_tau, peer_bootstrap = [], [], []
    for _ in range(given.rounds):
        program = [given.program, columns, str(given.resamples)]
        rounds.append(json.loads(subprocess.run(program, check=True, capture_output=True).stdout))
        start = time.perf_counter()
        test = kendalltau(x, y)
        peer_tau.append(time.perf_counter() - start)
        start = time.perf_counter()
        drawn = random.integers(0, given.tasks, size=(given.scipy_resamples, given.tasks))
        taus = [kendalltau(x[rows], y[rows]).statistic for rows in drawn]
        scale = given.resamples / given.scipy_resamples
        peer_bootstrap.append((time.perf_counter() - start) * scale)

ours = rounds[0]
low, high = np.quantile(taus, [0.025, 0.975])
assert abs(ours["tau"] - test.statistic) < 1e-12, (ours["tau"], test.statistic)
assert abs(ours["p"] / test.pvalue - 1) < 1e-10, (ours["p"], test.pvalue)
assert max(abs(ours["low"] - low), abs(ours["high"] - high)) < 0.005, (ours, low, high)
median = {step: statistics.median(r["seconds"][step] for r in rounds) for step in ours["seconds"]}
print(f"{given.tasks} tasks, {given.resamples} resamples; SciPy {scipy.__version__}, {platform.processor() or platform.machine()}")
print(f"tau {ours['tau']:.6f} (SciPy {test.statistic:.6f}), interval {ours['low']:.4f} {ours['high']:.4f} ({low:.4f} {high:.4f})")
for step, seconds in median.items():
    peer = {"tau": peer_tau, "bootstrap": peer_bootstrap}.get(step)
    beside = f", SciPy {statistics.median(peer):.4f} s, {statistics.median(peer) / seconds:.1f} times as long" if peer else ""
    print(f"{step}: {seconds:.4f} s{beside}")
