"""Remakes tests/golden/encoders/pillow_resize.json: digests of resized frames.

Run with Pillow 13.0.0 and numpy 2.4: `python scripts/golden_resize.py`. Frames are made by a formula that
the test repeats, so that sizes of every kind cost no file.
"""

import json
import pathlib

import numpy
import PIL
from PIL import Image

OUT = pathlib.Path(__file__).parent.parent / "tests/golden/encoders/pillow_resize.json"
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
# Width and height before and after: smaller, larger, mixed, tall, wide, a pixel wide, and heights that
# shrink by far more than the width, where Pillow resamples columns first.
SIZES = [
    (640, 272, 527, 224), (176, 144, 273, 224), (1280, 720, 398, 224), (720, 1280, 224, 224),
    (541, 255, 224, 475), (255, 541, 224, 475), (31, 29, 32, 18), (29, 31, 32, 18), (37, 53, 111, 7),
    (1, 1, 5, 3), (1, 97, 12, 13), (97, 1, 13, 12), (2, 300, 224, 224), (300, 2, 224, 224), (64, 48, 1, 1),
    (64, 48, 64, 31), (64, 48, 31, 48), (64, 48, 64, 97), (64, 48, 97, 48), (33, 33, 32, 32), (5, 7, 40, 3),
]


def frame(width, height, kind):
    """Whole numbers of 64 bits that wrap; `waves` is smooth, `noise` is not, `black_white` is its extremes."""
    y, x, c = numpy.meshgrid(*(numpy.arange(n, dtype=numpy.uint64) for n in (height, width, 3)), indexing="ij")
    if kind == "waves":
        return ((x * x * 3 + y * y * 5 + c * 4000) // 97 % 256).astype(numpy.uint8)
    mixed = ((y * numpy.uint64(width) + x) * 3 + c + 1) * numpy.uint64(0x9E3779B97F4A7C15)
    noise = (mixed ^ (mixed >> numpy.uint64(29))) * numpy.uint64(0xBF58476D1CE4E5B9) >> numpy.uint64(56)
    return (noise if kind == "noise" else (noise >> numpy.uint64(7)) * 255).astype(numpy.uint8)


def fnv1a64(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


cases = []
for i, (width, height, to_width, to_height) in enumerate(SIZES):
    for j, (name, filter) in enumerate(FILTERS.items()):
        kind = ["waves", "noise", "black_white"][(i + j) % 3]
        resized = Image.fromarray(frame(width, height, kind)).resize((to_width, to_height), filter)
        cases.append({
            "frame": kind, "from": [width, height], "to": [to_width, to_height], "filter": name,
            "fnv1a64": fnv1a64(resized.tobytes()),
        })
lines = ",\n".join("  " + json.dumps(case) for case in cases)
OUT.write_text(f'{{"pillow": "{PIL.__version__}", "cases": [\n{lines}\n]}}\n')
