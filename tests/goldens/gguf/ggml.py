"""ggml and llama.cpp as llama-cpp-python brings them, through ctypes."""

import ctypes
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

LIBRARIES = Path(llama_cpp.__file__).parent / "lib"
TYPES = {name: gguf.GGMLQuantizationType[name] for name in (
    "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"
)}

_base = ctypes.CDLL(str(LIBRARIES / "libggml-base.so"))
_base.ggml_quantize_chunk.restype = ctypes.c_size_t
_base.ggml_quantize_chunk.argtypes = [
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p
]
for _name in ("ggml_version", "ggml_commit"):
    getattr(_base, _name).restype = ctypes.c_char_p


def versions():
    return dict(
        llama_cpp_python=llama_cpp.__version__,
        ggml=_base.ggml_version().decode(),
        commit=_base.ggml_commit().decode(),
    )


def quantize(kind, values, importance=None):
    """The bytes of rows, with or without an importance for each column."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    rows, columns = values.shape
    block_len, block_bytes = gguf.GGML_QUANT_SIZES[TYPES[kind]]
    out = np.zeros(rows * columns // block_len * block_bytes, dtype=np.uint8)
    weights = None if importance is None else np.ascontiguousarray(importance, dtype=np.float32)
    assert weights is None or weights.shape == (columns,)
    written = _base.ggml_quantize_chunk(
        TYPES[kind], values.ctypes.data, out.ctypes.data, 0, rows, columns, weights is not None and weights.ctypes.data
    )
    assert written == out.size
    return out


def dequantize(kind, data):
    """The numbers that bytes stand for."""
    block_len, block_bytes = gguf.GGML_QUANT_SIZES[TYPES[kind]]
    data = np.ascontiguousarray(data)
    out = np.zeros(data.size // block_bytes * block_len, dtype=np.float32)
    to_float = getattr(_base, "dequantize_row_" + kind.replace("_K", "_k").lower().replace("_k", "_K"))
    to_float.restype = None
    to_float.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    to_float(data.ctypes.data, out.ctypes.data, out.size)
    return out
