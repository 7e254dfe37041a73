"""Remakes tests/golden/encoders/s3d_sizes.{json,safetensors}: both S3D networks on clips of odd sizes.

Run with torch 2.15.0, torchvision 0.29.2, safetensors and numpy 2.4, and `s3dg.py` of
https://github.com/antoine77340/S3D_HowTo100M (commit 19f80cd): `python scripts/golden_s3d.py FOLDER_OF_S3DG`.
Weights and clips are made by the formula that tests/golden/encoders/README.md names.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import torchvision
from safetensors.numpy import save_file

from formula import clip, weight

GOLDEN = pathlib.Path(__file__).parent.parent / "tests/golden/encoders"
# Seed of the clip; batch, channels, frames, rows, columns.
MILNCE = [
    (31, (1, 3, 2, 2, 2)), (32, (3, 3, 10, 34, 50)), (33, (1, 3, 18, 70, 106)), (34, (2, 3, 14, 90, 62)),
    (35, (1, 3, 6, 200, 256)),
]
KINETICS = [(41, (1, 3, 13, 209, 209)), (42, (2, 3, 15, 211, 218)), (43, (1, 3, 19, 225, 243))]


def load(network, shapes, seed):
    tensors = json.loads((GOLDEN / "shapes" / shapes).read_text())["tensors"]
    left = network.load_state_dict({t["name"]: weight(t, seed) for t in tensors}, strict=False)
    assert not left.unexpected_keys and all("num_batches" in key for key in left.missing_keys)
    return network.eval()


@torch.no_grad()
def main():
    sys.path.insert(0, sys.argv[1])
    import s3dg

    out = {}
    milnce = s3dg.S3D(str(GOLDEN / "shapes/s3d_milnce_fake_dict.npy"), 512)
    milnce.text_module.word_embd = torch.nn.Embedding(21, 300)
    load(milnce, "s3d_milnce.json", 3)
    for seed, shape in MILNCE:
        result = milnce(clip(seed, shape))
        out[f"milnce.{seed}.embedding"] = result["video_embedding"].numpy()
        out[f"milnce.{seed}.mixed_5c"] = result["mixed_5c"].numpy()

    kinetics = load(torchvision.models.video.s3d(), "s3d_torchvision.json", 4)
    for seed, shape in KINETICS:
        x = 4 * clip(seed, shape) - 2
        features = kinetics.features(x)
        out[f"kinetics.{seed}.logits"] = kinetics(x).numpy()
        out[f"kinetics.{seed}.pooled"] = kinetics.avgpool(features).mean((2, 3, 4)).numpy()
        out[f"kinetics.{seed}.mixed_5c"] = features.mean((2, 3, 4)).numpy()

    save_file({name: np.ascontiguousarray(array) for name, array in out.items()}, GOLDEN / "s3d_sizes.safetensors")
    cases = {
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__, "numpy": np.__version__},
        "milnce": {"weights_seed": 3, "cases": [{"input_seed": s, "shape": shape} for s, shape in MILNCE]},
        "kinetics": {"weights_seed": 4, "cases": [{"input_seed": s, "shape": shape} for s, shape in KINETICS]},
    }
    (GOLDEN / "s3d_sizes.json").write_text(json.dumps(cases) + "\n")


main()
