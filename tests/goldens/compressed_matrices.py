"""Matrices as the package compressed-tensors stores them, and integers as llm-compressor corrects them."""

import importlib
import importlib.util
import sys
import types

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
    tensors.update(corrected())
    save_file(tensors, out / "compressed.safetensors")
    return facts


def corrected():
    """GPTQ of a matrix with a scale a row, in 4 and 8 bits, on inputs whose columns go together."""
    generator = inputs.generator(34)
    weight, own = torch.randn(12, 48, generator=generator), torch.randn(300, 48, generator=generator)
    x = 0.5 * own + torch.randn(300, 5, generator=generator) @ torch.randn(5, 48, generator=generator)
    sums = x.T @ x
    tensors = {"gptq.original": weight, "gptq.sums": sums}
    correct = quantize_weight()
    for bits in (4, 8):
        arguments = QuantizationArgs(num_bits=bits, symmetric=True, strategy="channel")
        scale, zero = calculate_qparams(weight.amin(-1, True), weight.amax(-1, True), arguments)
        values, _, fell_back = correct(
            weight[None].clone(), sums[None] / len(x), scale[None], zero[None].float(), None, arguments
        )
        assert not fell_back.any()
        tensors[f"gptq.values_{bits}"], tensors[f"gptq.scale_{bits}"] = values[0], scale
    return {key: value.contiguous() for key, value in tensors.items()}


def quantize_weight():
    """llm-compressor's function alone: its packages import data sets and models as well."""
    folder = importlib.util.find_spec("llmcompressor").submodule_search_locations[0]
    for name in ("llmcompressor", "llmcompressor.modifiers", "llmcompressor.modifiers.gptq"):
        package = sys.modules.setdefault(name, types.ModuleType(name))
        package.__path__ = [folder + name.removeprefix("llmcompressor").replace(".", "/")]
    return importlib.import_module("llmcompressor.modifiers.gptq.gptq_quantize").quantize_weight
