"""Small checkpoints in every form that squbed-models reads: tests/golden/checkpoints/.

    python3 scripts/golden_checkpoints.py LPIPS_WHEEL

Made with PyTorch 2.15.0, numpy 2.4.6 and safetensors 0.8.0, on CPU. LPIPS_WHEEL is the package `lpips` 0.1.4 from
PyPI (`pip download --no-deps lpips==0.1.4`), whose heads `v0.1/alex.pth` and `v0.1/vgg.pth` are legacy files
written by Python 2; they are copied as they are (BSD 2-clause, see the folder's README).

Each file has an `.expected.safetensors` beside it, written by torch or numpy from the same tensors.
"""

import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

HERE = Path(__file__).resolve().parent.parent / "tests" / "golden" / "checkpoints"


def expect(name, tensors):
    tensors = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    safetensors.torch.save_file(tensors, HERE / f"{name}.expected.safetensors")


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)

    # Every element type that is read.
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4) - 5.5
    types = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32]
    types += [torch.int16, torch.int8, torch.uint8, torch.bool]
    kinds = OrderedDict((str(t).removeprefix("torch."), base.abs().to(t) if t == torch.uint8 else base.to(t)) for t in types)
    kinds["scalar"] = torch.tensor(2.5)
    kinds["empty"] = torch.zeros(0, 3)

    # Views of one storage: transposed, sliced, strided, expanded, tied.
    whole = torch.arange(24, dtype=torch.float32)
    views = {
        "whole": whole,
        "tied": whole,
        "transposed": whole.reshape(4, 6).t(),
        "column": whole.reshape(4, 6)[:, 2],
        "every_third": whole[1::3],
        "expanded": whole[5:6].expand(3, 2),
        "permuted": whole.reshape(2, 3, 4).permute(2, 0, 1),
        "last": whole[20:],
    }

    # A training checkpoint: the state dict of a module lies beside numbers and an optimiser.
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    optimiser = torch.optim.Adam(module.parameters())
    module(torch.randn(5, 4)).sum().backward()
    optimiser.step()
    training = {"epoch": 3, "loss": 0.25, "state_dict": module.state_dict(), "optimizer": optimiser.state_dict()}

    parameters = {"weight": torch.nn.Parameter(torch.randn(2, 3)), "nested": {"bias": torch.randn(3), "steps": [1, 2]}}

    for name, value, tensors in [
        ("kinds", kinds, kinds),
        ("views", views, views),
        ("training", training, module.state_dict()),
        ("parameters", parameters, {"weight": parameters["weight"], "nested.bias": parameters["nested"]["bias"]}),
    ]:
        torch.save(value, HERE / f"{name}.zip.pth")
        torch.save(value, HERE / f"{name}.legacy.pth", _use_new_zipfile_serialization=False)
        expect(name, tensors)

    # A module saved whole names its own class: refused.
    torch.save(torch.nn.Linear(2, 1), HERE / "module.zip.pth")

    # numpy: C and Fortran order, and a dict in an array of objects.
    array = np.arange(6, dtype=np.float64).reshape(2, 3)
    np.save(HERE / "c.npy", array)
    np.save(HERE / "fortran.npy", np.asfortranarray(array))
    safetensors.numpy.save_file({"c": array}, HERE / "c.expected.safetensors")
    safetensors.numpy.save_file({"fortran": array}, HERE / "fortran.expected.safetensors")
    held = {"conv": {"w": np.float32([[1, 2], [3, 4]]), "b": np.float16([5])}, "steps": np.int64([6, 7])}
    np.save(HERE / "dict.npy", held, allow_pickle=True)
    flat = {"conv.w": held["conv"]["w"], "conv.b": held["conv"]["b"], "steps": held["steps"]}
    safetensors.numpy.save_file(flat, HERE / "dict.expected.safetensors")

    # Shards with their index.
    shards = {"a": torch.arange(3.0), "b": torch.arange(4).reshape(2, 2), "c": torch.ones(1, dtype=torch.bfloat16)}
    files = {"model-00001-of-00002.safetensors": ["a"], "model-00002-of-00002.safetensors": ["b", "c"]}
    for file, names in files.items():
        safetensors.torch.save_file({name: shards[name] for name in names}, HERE / file)
    weight_map = ", ".join(f'"{name}": "{file}"' for file, names in files.items() for name in names)
    (HERE / "model.safetensors.index.json").write_text(f'{{"metadata": {{}}, "weight_map": {{{weight_map}}}}}\n')
    expect("shards", shards)

    # Files that Python 2 wrote, 2018.
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        for name in ["alex", "vgg"]:
            path = HERE / f"lpips_{name}.legacy.pth"
            path.write_bytes(wheel.read(f"lpips/weights/v0.1/{name}.pth"))
            expect(f"lpips_{name}", torch.load(path, map_location="cpu", weights_only=True))


if __name__ == "__main__":
    main()
