"""Matrices as the package compressed-tensors stores them."""

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import save_file

import inputs

# Rows of 130 are not whole words of 32 bits, and no whole groups.
CASES = dict(
    int8=(4, 130, "pack-quantized", dict(num_bits=8, strategy="channel")),
    int4=(4, 256, "pack-quantized", dict(num_bits=4, strategy="group", group_size=128)),
    int4_row=(4, 130, "pack-quantized", dict(num_bits=4, strategy="channel")),
    fp8=(4, 130, "float-quantized", dict(num_bits=8, type="float", strategy="channel")),
)


def write(out):
    """compressed.safetensors: CASE.weight with what becomes of it; returns the largest errors."""
    tensors, facts = {}, {}
    for name, (rows, columns, kind, arguments) in CASES.items():
        arguments = QuantizationArgs(symmetric=True, **arguments)
        scheme = QuantizationScheme(targets=["Linear"], weights=arguments)
        weight = 0.1 * torch.randn(rows, columns, generator=inputs.generator(33))
        weight[-1] = 0
        groups = weight.reshape(rows, -1, arguments.group_size or columns)
        scale, _ = calculate_qparams(groups.amin(-1), groups.amax(-1), arguments)
        compressor = BaseCompressor.get_value_from_registry(kind)
        stored = compressor.compress(dict(weight=weight, weight_scale=scale), scheme)
        read = compressor.decompress(stored, scheme)["weight"]
        facts[name] = float((read - weight).abs().max())
        # safetensors for NumPy and older readers know no 8-bit floats: their bytes.
        stored = {key: value.view(torch.uint8) if value.dtype.itemsize == 1 else value for key, value in stored.items()}
        tensors.update({f"{name}.{key}": value.contiguous() for key, value in stored.items()})
        tensors[f"{name}.values"] = read.contiguous()
        tensors[f"{name}.original"] = weight
    save_file(tensors, out / "compressed.safetensors")
    return facts
