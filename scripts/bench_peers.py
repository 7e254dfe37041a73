"""Encoders with random weights: `squbed bench encode` in turn with PyTorch, ONNX Runtime and OpenVINO, f32 on the CPU.

    pip install torch torchvision transformers onnxruntime openvino onnx onnxscript
    python scripts/bench_peers.py SQUBED [--rounds 3] [--seconds 3] [--threads 2] [--batch 1 8] [--only NAME] [--json FILE]

SQUBED is the program, from a release build. Of each encoder and batch size every engine is measured once in a round, one
after the other, so that what else the machine does hits all of them; the median over the rounds is printed with the
least and the greatest. The ratio of processor seconds stands beside that of wall time, because other programs disturb it
less; threads that spin while they wait count in it. PyTorch runs in eager mode and, where that helps it, with channels-last input; the better of the
two is the one to look at. ONNX Runtime and OpenVINO are left out where they are not installed or refuse a network. A
ratio above 1 means that squbed is faster. The share is that of PyTorch's own 2048³ product in the same rounds.
"""

import argparse
import datetime
import importlib.metadata
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

# ---------------------------------------------------------------- the networks


class Unit(nn.Sequential):
    """A convolution with SAME padding, batch normalisation and ReLU, as I3D has them."""

    def __init__(self, cin, cout, kernel, stride=1):
        super().__init__(
            Same(kernel, stride),
            nn.Conv3d(cin, cout, kernel, stride, bias=False),
            nn.BatchNorm3d(cout, eps=1e-3),
            nn.ReLU(inplace=True),
        )


class Same(nn.Module):
    """TensorFlow's SAME padding; max pools may pad by 0, since they follow a ReLU."""

    def __init__(self, kernel, stride):
        super().__init__()
        triple = lambda x: x if isinstance(x, tuple) else (x,) * 3
        self.kernel, self.stride = triple(kernel), triple(stride)

    def forward(self, x):
        pads = []
        for n, k, s in reversed(list(zip(x.shape[2:], self.kernel, self.stride))):
            total = max((-(-n // s) - 1) * s + k - n, 0)
            pads += [total // 2, total - total // 2]
        return nn.functional.pad(x, pads) if any(pads) else x


def pool(kernel, stride):
    return nn.Sequential(Same(kernel, stride), nn.MaxPool3d(kernel, stride))


class Mixed(nn.Module):
    def __init__(self, cin, a, b0, b1, c0, c1, d):
        super().__init__()
        self.branches = nn.ModuleList(
            [
                Unit(cin, a, 1),
                nn.Sequential(Unit(cin, b0, 1), Unit(b0, b1, 3)),
                nn.Sequential(Unit(cin, c0, 1), Unit(c0, c1, 3)),
                nn.Sequential(pool(3, 1), Unit(cin, d, 1)),
            ]
        )

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


class I3d(nn.Module):
    """Carreira and Zisserman, arXiv 1705.07750, figure 3, up to the pooled features."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            Unit(3, 64, 7, 2),
            pool((1, 3, 3), (1, 2, 2)),
            Unit(64, 64, 1),
            Unit(64, 192, 3),
            pool((1, 3, 3), (1, 2, 2)),
            Mixed(192, 64, 96, 128, 16, 32, 32),
            Mixed(256, 128, 128, 192, 32, 96, 64),
            pool(3, 2),
            Mixed(480, 192, 96, 208, 16, 48, 64),
            Mixed(512, 160, 112, 224, 24, 64, 64),
            Mixed(512, 128, 128, 256, 24, 64, 64),
            Mixed(512, 112, 144, 288, 32, 64, 64),
            Mixed(528, 256, 160, 320, 32, 128, 128),
            pool(2, 2),
            Mixed(832, 256, 160, 320, 32, 128, 128),
            Mixed(832, 384, 192, 384, 48, 128, 128),
            nn.AvgPool3d((2, 7, 7), 1),
        )

    def forward(self, x):
        return self.layers(x).mean((2, 3, 4))


class Sentence(nn.Module):
    """MiniLM-L6 with the mean over the tokens."""

    def __init__(self):
        super().__init__()
        from transformers import BertConfig, BertModel

        config = BertConfig(
            hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, layer_norm_eps=1e-12
        )
        self.bert = BertModel(config, add_pooling_layer=False)

    def forward(self, ids):
        return self.bert(input_ids=ids).last_hidden_state.mean(1)


class Vision(nn.Module):
    """CLIP's ViT-B/32 image tower, projected."""

    def __init__(self):
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        self.clip = CLIPVisionModelWithProjection(CLIPVisionConfig(projection_dim=512))

    def forward(self, pixels):
        return self.clip(pixel_values=pixels).image_embeds


def s3d():
    from torchvision.models.video import s3d

    return s3d()


TOKENS, FRAMES, SIDE = 32, 16, 224
CLIP = lambda batch: torch.rand(batch, 3, FRAMES, SIDE, SIDE)
# Name: arguments of `squbed bench encode`, the network, its input.
ENCODERS = {
    "MiniLM-L6, 32 tokens": (
        ["--arch", "bert", "--tokens", str(TOKENS)],
        Sentence,
        lambda batch: torch.randint(1, 30522, (batch, TOKENS)),
    ),
    "CLIP ViT-B/32 images": (["--arch", "clip"], Vision, lambda batch: torch.rand(batch, 3, SIDE, SIDE)),
    "S3D (torchvision), 16 frames": (["--arch", "s3d-kinetics", "--frames", str(FRAMES)], s3d, CLIP),
    "I3D, 16 frames": (["--arch", "i3d", "--frames", str(FRAMES)], I3d, CLIP),
}

# ---------------------------------------------------------------- the engines


def rate(step, batch, seconds):
    """Items a second and processor seconds an item of steady work, after a tenth of the time for warming up."""
    end = time.perf_counter() + seconds / 10
    step()
    while time.perf_counter() < end:
        step()
    start, cpu, runs = time.perf_counter(), time.process_time(), 0
    while runs == 0 or time.perf_counter() - start < seconds:
        step()
        runs += 1
    return batch * runs / (time.perf_counter() - start), (time.process_time() - cpu) / (batch * runs)


def squbed(program, arguments, batch, seconds, threads):
    command = [program, "bench", "encode", *arguments, "--random-weights", "--batch", str(batch)]
    command += ["--threads", str(threads), "--seconds", str(seconds), "--device", "cpu", "--format", "json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def eager(network, x):
    @torch.inference_mode()
    def step():
        network(x)

    return step


def torch_engines(network, x):
    yield "PyTorch, eager", eager(network, x)
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim())
    if last:
        # A copy: the memory format of a network is its own.
        buffer = io.BytesIO()
        torch.save(network, buffer)
        buffer.seek(0)
        copy = torch.load(buffer, weights_only=False).to(memory_format=last)
        yield "PyTorch, eager, channels-last", eager(copy, x.contiguous(memory_format=last))


def onnx_engine(network, x, threads):
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(network, (x,), path, dynamo=True, verbose=False, external_data=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x.numpy()}
    yield "ONNX Runtime", lambda: session.run(None, feed)


def openvino_engine(network, x, threads):
    import openvino

    model = openvino.convert_model(network, example_input=x)
    model.reshape(list(x.shape))
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    numbers = x.numpy()
    yield "OpenVINO", lambda: request.infer([numbers])


def engines(network, x, threads):
    yield from torch_engines(network, x)
    for module, make in [("onnxruntime", onnx_engine), ("openvino", openvino_engine)]:
        if find_spec(module) is None:
            continue
        try:
            yield from make(network, x, threads)
        except Exception as error:
            print(f"{module} refuses it: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)


def product(seconds):
    """PyTorch's best 2048³ product in GFLOP/s."""
    a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, b)
        best = max(best, 2e-9 * 2048**3 / (time.perf_counter() - start))
    return best


def spread(numbers):
    return {"median": statistics.median(numbers), "least": min(numbers), "greatest": max(numbers)}


def measure(program, name, batch, options):
    arguments, make, inputs = ENCODERS[name]
    torch.manual_seed(0)
    network, x = make().eval(), inputs(batch)
    steps = list(engines(network, x, options.threads))
    ours, peers, peak = [], {engine: [] for engine, _ in steps}, 0.0
    for _ in range(options.rounds):
        ours.append(squbed(program, arguments, batch, options.seconds, options.threads))
        for engine, step in steps:
            peers[engine].append(rate(step, batch, options.seconds))
        peak = max(peak, product(0.3))
    own = spread([run["items_per_s"] for run in ours])
    gflop = ours[0]["gflop_per_item"]
    row = {
        "encoder": name,
        "batch": batch,
        "threads": options.threads,
        "gflop_per_item": gflop,
        "squbed": own,
        "squbed_gemm_peak_gflop_per_s": max(run["gemm_peak_gflop_per_s"] for run in ours),
        "pytorch_gemm_peak_gflop_per_s": peak,
        "share_of_pytorch_peak": own["median"] * gflop / peak,
        "peers": {},
    }
    cpu = [run["cpu_s"] / (run["runs"] * batch) for run in ours]
    row["squbed_cpu_s_per_item"] = spread(cpu)
    for engine, rounds in peers.items():
        rates, cpus = zip(*rounds)
        row["peers"][engine] = {
            "items_per_s": spread(rates),
            "cpu_s_per_item": spread(cpus),
            "ratio": spread([run["items_per_s"] / rate for run, rate in zip(ours, rates)]),
            "cpu_ratio": spread([theirs / own for theirs, own in zip(cpus, cpu)]),
        }
    return row


def tell(row):
    number = lambda s: f"{s['median']:.3g} ({s['least']:.3g}–{s['greatest']:.3g})"
    print(f"{row['encoder']}, batch {row['batch']}, {row['threads']} threads, {row['gflop_per_item']:.3g} GFLOP an item")
    share = f"{row['share_of_pytorch_peak']:.0%} of PyTorch's product, {row['pytorch_gemm_peak_gflop_per_s']:.0f} GFLOP/s"
    print(f"  {'squbed':32} {number(row['squbed']):>26} items/s   {share}")
    for engine, peer in row["peers"].items():
        ratios = f"ratio {number(peer['ratio'])}, of processor time {number(peer['cpu_ratio'])}"
        print(f"  {engine:32} {number(peer['items_per_s']):>26} items/s   {ratios}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squbed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--only", default="", help="encoders whose name holds this text")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--note", default="", help="what else there is to say of the run, for the file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_num_interop_threads(1)
    rows = []
    for name in ENCODERS:
        for batch in options.batch if options.only.lower() in name.lower() else []:
            rows.append(measure(options.squbed, name, batch, options))
            tell(rows[-1])
    if options.json:
        present = [name for name in ["torch", "torchvision", "transformers", "onnxruntime", "openvino"] if find_spec(name)]
        cpu = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
        about = {
            "date": datetime.date.today().isoformat(),
            "machine": f"{len(cpu)} × {cpu[0]}, {platform.system()}",
            "load_at_end": [round(load, 1) for load in os.getloadavg()],
            "versions": {name: importlib.metadata.version(name) for name in present},
            "rounds": options.rounds,
            "seconds": options.seconds,
            "note": options.note,
        }
        options.json.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
