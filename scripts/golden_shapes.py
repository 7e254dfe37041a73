"""Remakes tests/golden/encoders/shapes/{i3d,minilm}.json: names, shapes and kinds of the tensors of a published model, so
that its network can have weights by formula where the real ones are not at hand.

    python scripts/golden_shapes.py MODELS

MODELS is the folder `models` of SQUBED_HOME, with i3d-kinetics-400 and all-MiniLM-L6-v2 in it. Only the headers of their
files are read.
"""

import json
import math
import struct
import sys
from pathlib import Path

SHAPES = Path(__file__).parent.parent / "tests/golden/encoders/shapes"


def header(path):
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        tensors = json.loads(file.read(length))
    return {name: about["shape"] for name, about in sorted(tensors.items()) if name != "__metadata__"}


def i3d(name, shape):
    # 1.5: what a ReLU takes away and a little more, so that maps keep their size through 22 layers.
    if name.endswith(".kernel"):
        return {"kind": "weight", "fan_in": math.prod(shape[:-1]), "gain": 1.5}
    return {"kind": {"bias": "bias", "mean": "running_mean", "var": "running_var"}[name.rsplit(".", 1)[1]]}


def minilm(name, shape):
    if "_embeddings." in name:
        return {"kind": "embedding", "scale": 0.5}
    if "LayerNorm" in name:
        return {"kind": "norm_weight" if name.endswith("weight") else "norm_bias"}
    return {"kind": "bias"} if name.endswith("bias") else {"kind": "weight", "fan_in": shape[1], "gain": 1.4}


def main():
    models = Path(sys.argv[1])
    for out, model, kind, unlisted in [
        ("i3d", "i3d-kinetics-400", i3d, ()),
        ("minilm", "all-MiniLM-L6-v2", minilm, ("embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight")),
    ]:
        shapes = header(models / model / "model.safetensors")
        tensors = [{"name": n, "shape": s, **kind(n, s)} for n, s in shapes.items() if n not in unlisted]
        about = {"model": model, "note": "no reference output: devices are compared with the CPU"}
        if out == "minilm":
            config = json.loads((models / model / "config.json").read_text())
            about["config"] = {key: value for key, value in config.items() if not key.startswith("_")}
        lines = ",\n  ".join(json.dumps(tensor) for tensor in tensors)
        head = json.dumps(about, indent=1)[:-2]
        (SHAPES / f"{out}.json").write_text(f'{head},\n "tensors": [\n  {lines}\n ]\n}}\n')


main()
