"""Runs the pairs of benches/pairs/pairs.json and writes how many are in order.

    python3 scripts/aleatoric_pairs.py SQUBED [OUT]

SQUBED is the program; OUT defaults to benches/results/aleatoric-pairs.json. Standard library alone. The pairs, the
instruction and the seeds stay as they were first written down; what is not in order stays in the file as its figures.
"""

import json
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    program = sys.argv[1]
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "benches/results/aleatoric-pairs.json"
    plan = json.loads((ROOT / "benches/pairs/pairs.json").read_text(encoding="utf-8"))
    prompts = [prompt for pair in plan["pairs"] for prompt in pair]
    runs, record = [], None
    for seed in plan["seeds"]:
        begin = time.time()
        command = [program, "aleatoric", *prompts, "-n", str(plan["latents"]), "--seed", str(seed)]
        ended = subprocess.run([*command, "--format", "json"], stdout=subprocess.PIPE, check=True)
        rows = {row["prompt"]: row for row in json.loads(ended.stdout)}
        record = rows[prompts[0]]["how"]["refiner"]
        assert record["instruction"]["version"] == plan["instruction"]
        runs.append({"seed": seed, "seconds": round(time.time() - begin, 1), "rows": rows})
    pairs = []
    for narrow, wide in plan["pairs"]:
        figures = [[run["rows"][narrow]["h"], run["rows"][wide]["h"]] for run in runs]
        in_order = sum(a < b for a, b in figures)
        mean = [sum(column) / len(figures) for column in zip(*figures)]
        pairs.append({"pair": [narrow, wide], "h": figures, "seeds_in_order": in_order,
                      "mean_h": mean, "in_order": mean[0] < mean[1]})
    result = {
        "what": "h(Z | prompt) in nats of each pair, the narrower prompt first, one [narrow, wide] a seed; "
                "a pair is in order when the mean over the seeds is",
        "pairs_in_order": sum(pair["in_order"] for pair in pairs),
        "pairs_in_order_at_every_seed": sum(pair["seeds_in_order"] == len(runs) for pair in pairs),
        "of": len(pairs),
        "seeds": plan["seeds"],
        "latents": plan["latents"],
        "drawn": sum(row["how"]["drawn"] for run in runs for row in run["rows"].values()),
        "rejected": sum(len(row["how"]["rejected"]) for run in runs for row in run["rows"].values()),
        "seconds_a_seed": [run["seconds"] for run in runs],
        "machine": platform.machine(),
        "refiner": record,
        "pairs": pairs,
        "latent_prompts": {f"seed {run['seed']}": {prompt: row["how"]["latents"] for prompt, row in run["rows"].items()}
                           for run in runs},
    }
    out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{result['pairs_in_order']} of {result['of']} pairs in order by the mean over seeds, "
          f"{result['pairs_in_order_at_every_seed']} at every seed")
    for pair in pairs:
        print(f"  {pair['seeds_in_order']}/{len(runs)}  {pair['mean_h'][0]:9.1f} {pair['mean_h'][1]:9.1f}  {' | '.join(pair['pair'])}")


if __name__ == "__main__":
    main()
