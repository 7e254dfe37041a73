"""Encoders on a GPU with random weights: `squbed bench encode` in turn with PyTorch, eager and compiled, in half precision.

    python scripts/bench_gpu.py SQUBED --json FILE [--device cuda:0] [--models s3d milnce i3d b32 l14 minilm]
        [--batches 1 8 32 128] [--dtypes bf16 f16] [--seconds 2] [--rounds 2] [--budget 540] [--modes MODE …]

SQUBED is the program, built with the feature `cudnn`. Needs torch, torchvision and transformers, no network and no weights.
Of each encoder, dtype and batch size the engines are measured in turn, a round after the other. A run is one batch and ends
when the device has finished it (`torch.cuda.synchronize`, as squbed does); its input lies on the device, channels-last, in the
network's dtype, for both. Of texts the ids start on the host for both. The median over all runs of all rounds counts, with the
tenth and ninetieth percentile beside it. PyTorch's batch normalisations are folded into the convolutions before them, its
attention is SDPA, and it is compiled with `max-autotune-no-cudagraphs` and with `reduce-overhead` (CUDA graphs).
A ratio above 1 means that squbed is faster than the best of PyTorch.

The card's peak, a product of 8192³ in each dtype, and the bandwidth of a copy in its memory are measured first. Each result is
printed at once and the JSON is rewritten after it, so that a run that is ended leaves its figures; what the budget of seconds
has no room for is skipped and named. With `--device cpu` it runs as well, in f32, which tests the script and nothing else.
"""

import argparse
import datetime
import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from bench_peers import I3d, Sentence

FRAMES, SIDE, TOKENS = 16, 224, 32
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
MODES = ["eager", "max-autotune-no-cudagraphs", "reduce-overhead"]
# Seconds that compiling one network for one shape takes, at most, as far as seen; for the budget.
COMPILE_SECONDS = {"eager": 2, "max-autotune-no-cudagraphs": 60, "reduce-overhead": 40}

# ---------------------------------------------------------------- the networks


class S3d(nn.Module):
    """torchvision's, up to the pooled features."""

    def __init__(self):
        super().__init__()
        from torchvision.models.video import s3d

        network = s3d()
        self.features, self.pool = network.features, network.avgpool

    def forward(self, x):
        return self.pool(self.features(x)).mean((2, 3, 4))


def unit(cin, cout, kernel, stride=1, padding=0):
    return [nn.Conv3d(cin, cout, kernel, stride, padding, bias=False), nn.BatchNorm3d(cout), nn.ReLU(inplace=True)]


def separable(cin, cout):
    return [*unit(cin, cout, (1, 3, 3), 1, (0, 1, 1)), *unit(cout, cout, (3, 1, 1), 1, (1, 0, 0))]


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x):
        return x * torch.sigmoid(self.linear(x.mean((2, 3, 4))))[:, :, None, None, None]


class Gated(nn.Module):
    """An Inception module of S3D-G, each branch with a gate."""

    def __init__(self, cin, a, b0, b1, c0, c1, d):
        super().__init__()
        self.branches = nn.ModuleList(
            [
                nn.Sequential(*unit(cin, a, 1), Gate(a)),
                nn.Sequential(*unit(cin, b0, 1), *separable(b0, b1), Gate(b1)),
                nn.Sequential(*unit(cin, c0, 1), *separable(c0, c1), Gate(c1)),
                nn.Sequential(nn.MaxPool3d(3, 1, 1), *unit(cin, d, 1), Gate(d)),
            ]
        )

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


class Milnce(nn.Module):
    """S3D-G of MIL-NCE (Miech et al., arXiv 1912.06430): blocks of 2×2×2 pixels as channels, then S3D with gates."""

    def __init__(self):
        super().__init__()
        ceil = lambda kernel, stride: nn.MaxPool3d(kernel, stride, ceil_mode=True)
        self.stem = nn.Sequential(*unit(24, 64, (2, 4, 4), 1, (1, 2, 2)))
        self.layers = nn.Sequential(
            ceil((1, 3, 3), (1, 2, 2)),
            *unit(64, 64, 1),
            *separable(64, 192),
            Gate(192),
            ceil((1, 3, 3), (1, 2, 2)),
            Gated(192, 64, 96, 128, 16, 32, 32),
            Gated(256, 128, 128, 192, 32, 96, 64),
            ceil(3, 2),
            Gated(480, 192, 96, 208, 16, 48, 64),
            Gated(512, 160, 112, 224, 24, 64, 64),
            Gated(512, 128, 128, 256, 24, 64, 64),
            Gated(512, 112, 144, 288, 32, 64, 64),
            Gated(528, 256, 160, 320, 32, 128, 128),
            ceil(2, 2),
            Gated(832, 256, 160, 320, 32, 128, 128),
            Gated(832, 384, 192, 384, 48, 128, 128),
        )
        self.head = nn.Linear(1024, 512)

    def forward(self, x):
        b, c, t, h, w = x.shape
        x = x.reshape(b, c, t // 2, 2, h // 2, 2, w // 2, 2).permute(0, 3, 5, 7, 1, 2, 4, 6)
        x = self.stem(x.reshape(b, 8 * c, t // 2, h // 2, w // 2))[:, :, 1:, 1:, 1:]
        return self.head(self.layers(x).mean((2, 3, 4)))


class Vision(nn.Module):
    """An image tower of CLIP, projected."""

    def __init__(self, **sizes):
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        self.clip = CLIPVisionModelWithProjection(CLIPVisionConfig(attn_implementation="sdpa", **sizes))

    def forward(self, pixels):
        return self.clip(pixel_values=pixels).image_embeds


B32 = {"projection_dim": 512}
L14 = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14,
    "projection_dim": 768,
}  # fmt: skip
# The text tower is not measured: one layer of it is enough.
L14_FILE = {
    "projection_dim": 768,
    "vision_config": {key: size for key, size in L14.items() if key != "projection_dim"},
    "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 1},
}
CLIP = lambda batch: torch.rand(batch, 3, FRAMES, SIDE, SIDE)
IMAGE = lambda batch: torch.rand(batch, 3, SIDE, SIDE)
TEXT = lambda batch: torch.randint(1000, 30522, (batch, TOKENS))
VIDEO_ARGUMENTS = ["--frames", str(FRAMES)]
# Name: title, arguments of `squbed bench encode`, the network, its input.
MODELS = {
    "s3d": ("S3D (torchvision), 16 frames", ["--arch", "s3d-kinetics", *VIDEO_ARGUMENTS], S3d, CLIP),
    "milnce": ("S3D-G (MIL-NCE), 16 frames", ["--arch", "s3d-milnce", *VIDEO_ARGUMENTS], Milnce, CLIP),
    "i3d": ("I3D, 16 frames", ["--arch", "i3d", *VIDEO_ARGUMENTS], I3d, CLIP),
    "b32": ("CLIP ViT-B/32 images", ["--arch", "clip"], lambda: Vision(**B32), IMAGE),
    "l14": ("CLIP ViT-L/14 images", ["--arch", "clip", "--config", "l14.json"], lambda: Vision(**L14), IMAGE),
    "minilm": ("MiniLM-L6, 32 tokens", ["--arch", "bert", "--tokens", str(TOKENS)], Sentence, TEXT),
}


def folded(network):
    """Batch normalisations that follow a convolution, folded into it."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in network.modules():
        if isinstance(module, nn.Sequential):
            names = list(module._modules)
            for first, second in zip(names, names[1:]):
                pair = module._modules[first], module._modules[second]
                if isinstance(pair[0], nn.Conv3d) and isinstance(pair[1], nn.BatchNorm3d):
                    module._modules[first] = fuse_conv_bn_eval(*pair)
                    module._modules[second] = nn.Identity()
    return network


# ---------------------------------------------------------------- measuring


def synchronised(device):
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


def timed(step, seconds, device):
    """Seconds of each run of steady work, after some for warming up."""
    finish = synchronised(device)
    end = time.perf_counter() + seconds / 10
    warm = 0
    while warm < 5 or time.perf_counter() < end:
        step()
        finish()
        warm += 1
        if device.type == "cpu" and time.perf_counter() > end:
            break
    runs, start = [], time.perf_counter()
    while not runs or time.perf_counter() - start < seconds:
        began = time.perf_counter()
        step()
        finish()
        runs.append(time.perf_counter() - began)
    return runs


def spread(rates):
    """Of rates of runs: the middle, and what nine in ten and one in ten reach."""
    rates = sorted(rates)
    tenth = len(rates) // 10
    return {"median": statistics.median(rates), "low": rates[tenth], "high": rates[-1 - tenth], "runs": len(rates)}


def squbed(options, arguments, dtype, batch, folder):
    command = [options.squbed, "bench", "encode", *arguments, "--random-weights", "--batch", str(batch)]
    command += ["--seconds", str(options.seconds), "--device", options.device, "--dtype", dtype, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode != 0:
        raise RuntimeError(" | ".join(done.stderr.strip().splitlines()) or f"exit code {done.returncode}")
    return json.loads(done.stdout)


def engines(network, x, device, modes):
    """Steps by name; the first run of a compiled one compiles it."""
    torch._dynamo.reset()
    for mode in modes:
        try:
            run = network if mode == "eager" else torch.compile(network, mode=mode, dynamic=False)

            # Of texts the ids are on the host, as those of squbed.
            def step(run=run, move=x.dtype == torch.int64):
                with torch.inference_mode():
                    run(x.to(device) if move else x)

            for _ in range(3):
                step()
            synchronised(device)()
            yield mode, step
        except Exception as error:
            print(f"    PyTorch {mode} refuses it: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)


def card(device, dtypes):
    """The peak of products in TFLOP/s and the bandwidth of a copy in GB/s."""
    side, numbers = (8192, 2**30) if device.type == "cuda" else (1024, 2**22)
    about = {"gemm_side": side, "gemm_tflop_per_s": {}}
    for name in dtypes:
        a, b = (torch.rand(side, side, device=device).sub(0.5).to(DTYPES[name]) for _ in range(2))
        runs = timed(lambda: torch.mm(a, b), 1, device)
        about["gemm_tflop_per_s"][name] = spread([2e-12 * side**3 / run for run in runs])
    source = torch.zeros(numbers, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    runs = timed(lambda: target.copy_(source), 1, device)
    # Each byte is read once and written once.
    about["copy_gb_per_s"] = spread([2e-9 * 4 * numbers / run for run in runs])
    return about


def measure(options, name, dtype, batch, device, folder):
    title, arguments, make, inputs = MODELS[name]
    torch.manual_seed(0)
    network = folded(make().eval()).to(device, DTYPES[dtype])
    x = inputs(batch)
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim())
    if last:
        network = network.to(memory_format=last)
        x = x.to(device, DTYPES[dtype]).contiguous(memory_format=last)
    steps = list(engines(network, x, device, options.modes))
    ours, peers = [], {mode: [] for mode, _ in steps}
    for _ in range(options.rounds):
        if device.type == "cuda":
            torch.cuda.empty_cache()
        ours.append(squbed(options, arguments, dtype, batch, folder))
        for mode, step in steps:
            peers[mode] += timed(step, options.seconds, device)
    medians = [run["items_per_s_median"] for run in ours]
    gflop = ours[0]["gflop_per_item"]
    row = {
        "model": name,
        "title": title,
        "dtype": dtype,
        "batch": batch,
        "gflop_per_item": gflop,
        "squbed": {
            "median": statistics.median(medians),
            "low": min(run["items_per_s_low"] for run in ours),
            "high": max(run["items_per_s_high"] for run in ours),
            "runs": sum(run["runs"] for run in ours),
            "upload_ms": ours[0].get("upload_ms"),
            "gemm_peak_gflop_per_s": max(run["gemm_peak_gflop_per_s"] for run in ours),
        },
        "pytorch": {mode: spread([batch / run for run in runs]) for mode, runs in peers.items()},
    }
    if peers:
        best = max(row["pytorch"], key=lambda mode: row["pytorch"][mode]["median"])
        row["best_pytorch"], row["ratio"] = best, row["squbed"]["median"] / row["pytorch"][best]["median"]
    return row


def tell(row, peak):
    number = lambda s: f"{s['median']:10.1f} ({s['low']:.1f}–{s['high']:.1f})"
    share = lambda s: f"{s['median'] * row['gflop_per_item'] / 1e3 / peak:6.1%} of the peak" if peak else ""
    print(f"{row['title']}, {row['dtype']}, batch {row['batch']}, items/s", flush=True)
    print(f"    {'squbed':28} {number(row['squbed'])} {share(row['squbed'])}")
    for mode, peer in row["pytorch"].items():
        print(f"    {'PyTorch ' + mode:28} {number(peer)} {share(peer)}")
    if "ratio" in row:
        print(f"    squbed / PyTorch {row['best_pytorch']}: {row['ratio']:.2f}", flush=True)


def machine(device):
    about = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "device": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {},
    }
    for package in ["torch", "torchvision", "transformers", "triton"]:
        try:
            about["versions"][package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    if device.type == "cuda":
        about["device"] = torch.cuda.get_device_name(device)
        about["cuda"], about["cudnn"] = torch.version.cuda, torch.backends.cudnn.version()
        query = ["nvidia-smi", "--query-gpu=driver_version,power.limit,clocks.max.sm", "--format=csv,noheader"]
        found = subprocess.run([*query, f"--id={device.index or 0}"], capture_output=True, text=True)
        about["driver, power limit, clock"] = found.stdout.strip()
    return about


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squbed", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--dtypes", nargs="+", choices=list(DTYPES), default=["bf16", "f16"])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--seconds", type=float, default=2, help="of steady work, of each engine in each round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--budget", type=float, default=540, help="seconds in all; what does not fit is skipped")
    parser.add_argument("--json", type=Path, help="write the figures here, after each row")
    options = parser.parse_args()
    started, device = time.perf_counter(), torch.device(options.device)
    torch.backends.cudnn.benchmark = True
    # f32, where it is asked for, is f32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    result = machine(device) | {"rounds": options.rounds, "seconds": options.seconds, "card": {}, "rows": [], "skipped": []}

    def save():
        if options.json:
            options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")

    result["card"] = card(device, options.dtypes)
    peaks = {name: speed["median"] for name, speed in result["card"]["gemm_tflop_per_s"].items()}
    copy = result["card"]["copy_gb_per_s"]["median"]
    print(f"{result['device']}: products {', '.join(f'{p:.1f} TFLOP/s {n}' for n, p in peaks.items())}; copy {copy:.0f} GB/s")
    save()
    # The first dtype of everything comes before the second of anything.
    for dtype in options.dtypes:
        for name in options.models:
            for batch in options.batches:
                what = f"{name}, {dtype}, batch {batch}"
                each = options.rounds * (1.2 * options.seconds * (len(options.modes) + 1) + 5)
                needed = each + (sum(COMPILE_SECONDS[mode] for mode in options.modes) if device.type == "cuda" else 0)
                left = options.budget - (time.perf_counter() - started)
                if needed > left:
                    print(f"skipped: {what}; {needed:.0f} s are needed and {left:.0f} s are left", flush=True)
                    result["skipped"].append(what)
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    Path(folder, "l14.json").write_text(json.dumps(L14_FILE))
                    try:
                        result["rows"].append(measure(options, name, dtype, batch, device, folder))
                        tell(result["rows"][-1], peaks[dtype])
                    except Exception as error:
                        print(f"failed: {what}: {type(error).__name__}: {error}", flush=True)
                        result["skipped"].append(f"{what}: {error}")
                save()


if __name__ == "__main__":
    main()
