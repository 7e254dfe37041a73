"""Weights and inputs by the formula that tests/golden/encoders/README.md gives, for the scripts beside this file."""

import numpy as np
import torch


def values(name, shape, seed, scale, offset):
    """f32 of offset + scale·(2u − 1), u from splitmix64 of a counter that starts at fnv1a64(name) ^ seed."""
    start = 0xCBF29CE484222325
    for byte in name.encode():
        start = (start ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        x = np.arange(np.prod(shape, dtype=np.int64), dtype=np.uint64) + np.uint64(start ^ seed)
        z = x + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        u = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return (offset + scale * (2 * u - 1)).astype(np.float32).reshape(shape)


def weight(tensor, seed):
    if tensor["kind"] == "const":
        return torch.full(tensor["shape"], tensor["value"])
    scale, offset = {
        "weight": lambda t: (np.sqrt(3 / t["fan_in"]) * t["gain"], 0),
        "norm_weight": lambda t: (0.1, 1),
        "running_var": lambda t: (0.5, 1),
        "embedding": lambda t: (t["scale"], 0),
    }.get(tensor["kind"], lambda t: (0.1, 0))(tensor)
    return torch.from_numpy(values(tensor["name"], tensor["shape"], seed, scale, offset))


def clip(seed, shape):
    b, c, t, h, w = shape
    cells = values("input.coarse", (b, c, -(-t // 4), -(-h // 16), -(-w // 16)), seed, 0.5, 0.5)
    cells = cells.repeat(4, 2).repeat(16, 3).repeat(16, 4)[:, :, :t, :h, :w]
    half = np.float32(0.5)
    return torch.from_numpy(half * cells + half * values("input", shape, seed, 0.5, 0.5))


def image(seed, shape):
    b, c, h, w = shape
    cells = values("input.coarse", (b, c, -(-h // 16), -(-w // 16)), seed, 0.5, 0.5)
    cells = cells.repeat(16, 2).repeat(16, 3)[:, :, :h, :w]
    half = np.float32(0.5)
    return torch.from_numpy(half * cells + half * values("input", shape, seed, 0.5, 0.5))
