#!/usr/bin/env python3
"""Writes one file of benches/results from the folder of a finished `squbed demo`.

    scripts/record_demo.py DEMO_FOLDER COMMIT PROFILE RESULT.json

COMMIT is that of the program which ran, PROFILE its cargo profile: the folder knows neither. Everything else is
copied from `run.json`, `world.json`, `experiment.toml` and `calibration.json`; nothing is computed here.
"""

import json
import sys
import tomllib
from pathlib import Path


def main() -> None:
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    folder, commit, profile, out = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    read = lambda name: json.loads((folder / name).read_text())
    run = read("run.json")
    result = {
        "what": "squbed demo: the closed world, real encoders, truths known",
        "experiment": tomllib.loads((folder / "experiment.toml").read_text()),
        "world": read("world.json"),
        "machine": run["machine"],
        "device": run["device"],
        "profile": profile,
        "commit": commit,
        "made": run["made"],
        "steps": run["steps"],
        "calibration": read("calibration.json"),
    }
    # Paths are those of the machine that ran.
    for key in ("out", "cache"):
        result["experiment"].pop(key, None)
    out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
