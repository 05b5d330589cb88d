"""GGUF files of tiny random models: as many layers and as wide as asked for, and hardly any rows."""

from dataclasses import dataclass

import gguf
import numpy as np

ROWS = 2


@dataclass
class Model:
    """What llama.cpp's mixtures look at."""

    architecture: str = "llama"
    layers: int = 2
    heads: int = 4
    kv_heads: int = 4
    width: int = 256
    ffn_width: int = 512
    tied: bool = True


def names(model):
    """Tensors and the widths of their rows."""
    widths = {"token_embd.weight": model.width, "output_norm.weight": None}
    if not model.tied:
        widths["output.weight"] = model.width
    if model.architecture == "gpt2":
        widths["position_embd.weight"] = model.width
    for layer in range(model.layers):
        widths |= {f"blk.{layer}.{name}": width for name, width in of_layer(model).items()}
    return widths


def of_layer(model):
    common = {"attn_norm.weight": None, "attn_output.weight": model.width, "ffn_norm.weight": None}
    down = {"ffn_up.weight": model.width, "ffn_down.weight": model.ffn_width}
    if model.architecture in ("gpt2", "phi3"):
        return common | {"attn_qkv.weight": model.width} | down
    split = {f"attn_{part}.weight": model.width for part in "qkv"}
    return common | split | {"ffn_gate.weight": model.width} | down


def write(model, path, rows=ROWS, seed=50):
    """A file in F32."""
    drawn = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, model.architecture)
    writer.add_context_length(32)
    writer.add_embedding_length(model.width)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(model.ffn_width)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_rope_dimension_count(model.width // model.heads)
    for name, width in names(model).items():
        shape = (model.width,) if width is None else (rows, width)
        writer.add_tensor(name, 0.02 * drawn.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def importances(model, seed=51):
    """An importance for each column of each matrix but the embedding, which llama.cpp collects none for."""
    drawn = np.random.default_rng(seed)
    widths = {name: width for name, width in names(model).items() if width and name != "token_embd.weight"}
    return {name: drawn.lognormal(0, 1, width).astype(np.float32) for name, width in widths.items()}


def types(path):
    """What each tensor of a file is stored as."""
    return {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}
