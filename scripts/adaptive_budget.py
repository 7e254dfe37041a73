"""What rounds of videos save on the closed world, and what the ranking by uncertainty loses.

    cargo build --release -p squbed-cli
    python3 scripts/adaptive_budget.py --program target/release/squbed --out FOLDER

Draws one world, runs it with all videos, with fewer for every task alike, and in rounds at several widths of the interval
(`squbed run --stop-when-interval-below`), all with one cache of embeddings, and writes to
benches/results/adaptive-budget.json how many videos each made and Kendall's tau with the world's truth. An interrupted call
goes on. Standard library alone.
"""

import argparse
import json
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent

arguments = argparse.ArgumentParser()
arguments.add_argument("--program", required=True)
arguments.add_argument("--out", required=True, type=pathlib.Path, help="folder of the runs, kept")
arguments.add_argument("--tasks", type=int, default=24)
arguments.add_argument("--latents", type=int, default=10)
arguments.add_argument("--videos", type=int, default=10, help="a latent prompt, at most")
arguments.add_argument("--seed", type=int, default=1)
arguments.add_argument("--result", type=pathlib.Path, default=ROOT / "benches/results/adaptive-budget.json")
given = arguments.parse_args()
given.out.mkdir(parents=True, exist_ok=True)


def run(name, videos, width=None):
    """One run's figures."""
    out = given.out / name
    experiment = given.out / f"{name}.toml"
    stop = "" if width is None else f"stop_when_interval_below = {width}\n"
    experiment.write_text(
        f'out = "{name}"\nseed = {given.seed}\npresets = ["default"]\nresamples = 2000\n'
        f'tasks = {{ world = {{ kind = "realm", tasks = {given.tasks} }} }}\n'
        f'refine = {{ latents = {given.latents} }}\n[generate]\nvideos = {videos}\n{stop}[embed]\ncache = "cache"\n'
    )
    subprocess.run([given.program, "run", experiment], check=True, stdout=subprocess.DEVNULL)
    calibration = json.loads((out / "calibration.json").read_text())
    truth = calibration["presets"]["default"]["truth"]
    tau = {part: {key: round(truth[part][key], 4) for key in ["tau", "ci_low", "ci_high"]}
           for part in ["aleatoric", "epistemic"]}  # fmt: skip
    tasks = [json.loads(line) for line in (out / "tasks.jsonl").read_text().splitlines()]
    made = [sum(len(latent["videos"]) for latent in task["latents"]) for task in tasks]
    row = {"run": name, "videos": sum(made), "tau_with_truth": tau}
    if width is not None:
        budget = [json.loads(line) for line in (out / "videos/budget.jsonl").read_text().splitlines()]
        last = [task["rounds"][-1]["videos"] for task in budget]
        row |= {"width": width, "tasks_that_stopped": sum(task["narrow"] for task in budget),
                "videos_a_latent_prompt": {m: last.count(m) for m in sorted(set(last))}}  # fmt: skip
    print(f"{name}: {row['videos']} videos, tau of the epistemic part {tau['epistemic']['tau']}", flush=True)
    return row


whole = run("all", given.videos)
run("narrowest", given.videos, 1e-9)
budgets = [json.loads(line) for line in (given.out / "narrowest/videos/budget.jsonl").read_text().splitlines()]
widths = sorted(round_["width"] for task in budgets for round_ in task["rounds"])
# From what most tasks have after the first round down to what few have after the last.
chosen = [round(widths[int(share * (len(widths) - 1))], 2) for share in (0.9, 0.75, 0.6, 0.45, 0.3, 0.15)]
alike = [run(f"alike-{m}", m) for m in range(4, given.videos, 2)]
rounds = [run(f"below-{width}", given.videos, width) for width in chosen]
for row in [*alike, *rounds]:
    row["saved"] = round(1 - row["videos"] / whole["videos"], 4)
result = {
    "what": "closed world by realm: videos that were made, and Kendall's tau of the estimate with the truth over tasks, "
            "when every task has all videos, when every task has fewer alike, and when tasks stop in rounds",
    "tasks": given.tasks, "latents": given.latents, "most_videos": given.videos, "seed": given.seed,
    "machine": platform.machine(), "all": whole, "alike": alike, "rounds": rounds,
}  # fmt: skip
given.result.write_text(json.dumps(result, indent=1) + "\n")
