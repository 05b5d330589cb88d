"""Blocks as ggml makes them, with and without an importance matrix."""

import numpy as np
from safetensors.numpy import save_file

import ggml

COLUMNS = 768
# How many of the first row's numbers are kept.
NUMBERS = 256


def write(out):
    """blocks.safetensors; returns how far the numbers of each type are from the values, in standard deviations of row 0."""
    values, importance = rows(), importances()
    tensors, facts = dict(values=values, importance=importance), {}
    for kind in ggml.TYPES:
        plain, weighted = ggml.quantize(kind, values), ggml.quantize(kind, values, importance)
        numbers = ggml.dequantize(kind, weighted[: weighted.size * NUMBERS // values.size])
        tensors |= {f"{kind}.plain": plain, f"{kind}.weighted": weighted, f"{kind}.numbers": numbers}
        facts[kind] = round(float(np.sqrt(np.mean((numbers - values[0, :NUMBERS]) ** 2)) / values[0].std()), 4)
    save_file(tensors, out / "blocks.safetensors")
    return facts


def rows():
    """Five rows: normal; heavy tails; constants; none below 0, of many sizes; zeros, nearly zeros, and what lies halfway."""
    drawn = np.random.default_rng(40)
    normal = 0.02 * drawn.standard_normal(COLUMNS)
    tails = 0.01 * drawn.standard_normal(COLUMNS) ** 5
    constant = np.repeat([0.7, -0.3, 0.0, 1e-8, -5.0, 1.0], COLUMNS // 6)
    positive = drawn.random(COLUMNS) * 10.0 ** drawn.integers(-3, 3, COLUMNS // 32).repeat(32)
    halfway = np.trunc(drawn.uniform(-64, 64, COLUMNS)) / 64
    halfway[:256] = 0
    halfway[256:512] = 1e-16
    halfway[600:640] *= 0.0
    return np.stack([normal, tails, constant, positive, halfway]).astype(np.float32)


def importances():
    """Of many sizes; none for a group and for every tenth column."""
    importance = np.random.default_rng(41).lognormal(0, 2, COLUMNS)
    importance[64:96] = 0
    importance[::10] = 0
    return importance.astype(np.float32)
