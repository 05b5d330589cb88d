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
# `llama_ftype` by the names of llama-quantize.
FILE_TYPES = dict(
    F32=0, F16=1, Q4_0=2, Q4_1=3, Q8_0=7, Q5_0=8, Q5_1=9, Q2_K=10, Q3_K_S=11, Q3_K_M=12, Q3_K_L=13, Q4_K_S=14,
    Q4_K_M=15, Q5_K_S=16, Q5_K_M=17, Q6_K=18, IQ4_NL=25, IQ4_XS=30, BF16=32,
)

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


def quantize_file(source, target, file_type, importance=None, rules=()):
    """llama.cpp's own quantization of a whole file; `importance` by tensor, `rules` pairs of an expression and a type."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = FILE_TYPES[file_type], 1
    if importance:
        params.imatrix = _importance(importance)
    if rules:
        params.tt_overrides = _rules(rules)
    failed = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params))
    assert not failed, f"{source} to {file_type}"


def _importance(importance):
    entries = (llama_cpp.llama_model_imatrix_data * (len(importance) + 1))()
    for entry, (name, weights) in zip(entries, importance.items()):
        weights = np.ascontiguousarray(weights, dtype=np.float32)
        entry.name, entry.size = name.encode(), weights.size
        entry.data = (ctypes.c_float * weights.size)(*weights)
    return entries


def _rules(rules):
    entries = (llama_cpp.llama_model_tensor_override * (len(rules) + 1))()
    for entry, (expression, kind) in zip(entries, rules):
        entry.pattern, entry.type = expression.encode(), gguf.GGMLQuantizationType[kind]
    return entries


@llama_cpp.llama_log_callback
def _silent(level, text, data):
    pass


llama_cpp.llama_log_set(_silent, ctypes.c_void_p())
