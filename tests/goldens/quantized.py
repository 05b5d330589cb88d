"""NF4 and int8 as bitsandbytes stores them."""

import torch
from bitsandbytes import functional as bnb
from safetensors.torch import save_file

import inputs


def write(out):
    """quantized.safetensors: a matrix whose values fit f16, quantized four ways; returns the errors."""
    weight = matrix(24, 48, 128)
    ragged = matrix(25, 5, 24)
    tensors = dict(weight=weight, ragged=ragged)
    tensors.update(nf4("nf4", weight, nested=False))
    tensors.update(nf4("nf4_double", weight, nested=True))
    tensors.update(nf4("nf4_ragged", ragged, nested=False))
    tensors.update(int8(weight))
    save_file({key: value.contiguous() for key, value in tensors.items()}, out / "quantized.safetensors")
    names = dict(nf4=weight, nf4_double=weight, nf4_ragged=ragged, int8=weight)
    return {name: float((tensors[f"{name}.dequantized"] - of).abs().max()) for name, of in names.items()}


def matrix(seed, rows, columns):
    """Normal, rows of different sizes, a row of zeros at the end."""
    drawn = 0.05 * torch.randn(rows, columns, generator=inputs.generator(seed))
    sizes = torch.linspace(0.3, 3.0, rows)[:, None]
    drawn = (drawn * sizes).half().float()
    drawn[-1] = 0
    return drawn


def nf4(name, weight, nested):
    """Blocks of 64 along the rows laid end to end; two codes a byte, the first in the high half."""
    packed, state = bnb.quantize_4bit(
        weight, blocksize=64, compress_statistics=nested, quant_type="nf4", quant_storage=torch.uint8
    )
    tensors = {
        f"{name}.packed": packed.reshape(-1),
        f"{name}.absmax": state.absmax,
        f"{name}.dequantized": bnb.dequantize_4bit(packed, state),
        f"{name}.map": state.code,
    }
    if nested:
        tensors[f"{name}.offset"] = state.offset.reshape(1)
        tensors[f"{name}.nested_absmax"] = state.state2.absmax
        tensors[f"{name}.nested_map"] = state.state2.code
        tensors[f"{name}.absmax_dequantized"] = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset
    return tensors


def int8(weight):
    """One scale a row: codes = round(127 * row / absmax)."""
    codes, scales, _ = bnb.int8_vectorwise_quant(weight.half())
    return {
        "int8.codes": codes,
        "int8.absmax": scales.float(),
        "int8.dequantized": bnb.int8_vectorwise_dequant(codes, scales.float()),
    }
