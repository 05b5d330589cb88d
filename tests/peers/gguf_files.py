"""GGUF files, read by gguf-py: the metadata and every tensor are those of the merged model."""

import json

import gguf
import numpy as np
from safetensors.torch import load_file

import places
import peer

# Rotary halves lie interleaved in llama.cpp's Llama; convert_hf_to_gguf.py calls that `permute`.
PERMUTED = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}


def run(tool, report, named):
    with report.guarded("gguf", "slm-base-2m"):
        run_dir = train(tool)
        merged = run_dir / "export" / "merged"
        for kind in ("F32", "Q8_0"):
            compare(report, kind, run_dir / "export" / f"{run_dir.name}-{kind}.gguf", merged)


def train(tool):
    """Two steps on the shipped base, so that the merged model is not the base."""
    rows = [dict(text=f"The parcel number {number} is on its way.") for number in range(8)]
    (tool.work / "gguf.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tool.train(
        "gguf",
        {
            "model": dict(base_model=places.BASE, device=tool.device, max_length=64),
            "data": dict(val_size=0),
            "data.train": [dict(path="gguf.jsonl")],
            "train": dict(max_steps=2, per_device_train_batch_size=4, learning_rate=1e-2, warmup_steps=0),
            "eval": dict(compare_base=False),
            "export": dict(merged=True, gguf=["F32", "Q8_0"]),
        },
    )


def compare(report, kind, file, merged):
    reader = gguf.GGUFReader(file)
    config = json.loads((merged / "config.json").read_text())
    report.same("gguf", kind, "metadata", metadata(reader) == expected_metadata(config))
    weights = load_file(merged / "model.safetensors")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    expected = {names.get_name(name, (".weight",)): permuted(name, value.float().numpy(), config) for name, value in weights.items()}
    stored = {tensor.name: tensor for tensor in reader.tensors}
    report.same("gguf", kind, "names of tensors", stored.keys() == expected.keys())
    off = [name for name, tensor in stored.items() if name in expected and not same_bytes(tensor, expected[name])]
    report.same("gguf", f"{kind}{': ' + off[0] if off else ''}", "tensors, as gguf-py encodes them", not off)


def permuted(name, weight, config):
    """A weight as llama.cpp's Llama has it."""
    part = next((heads for key, heads in PERMUTED.items() if f".{key}." in name), None)
    if part is None:
        return weight
    rows, columns = weight.shape
    return weight.reshape(config[part], 2, rows // config[part] // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def same_bytes(tensor, weight):
    """The tensor's own type, encoded by gguf-py; a type that it cannot encode never agrees."""
    encoded = gguf.quants.quantize(np.ascontiguousarray(weight), tensor.tensor_type)
    return encoded.tobytes() == tensor.data.tobytes()


def metadata(reader):
    keys = expected_keys()
    return {name: reader.fields[name].contents() if name in reader.fields else None for name in keys}


def expected_keys():
    return expected_metadata(dict.fromkeys(CONFIG_KEYS.values())).keys()


CONFIG_KEYS = {
    "llama.block_count": "num_hidden_layers",
    "llama.embedding_length": "hidden_size",
    "llama.feed_forward_length": "intermediate_size",
    "llama.attention.head_count": "num_attention_heads",
    "llama.attention.head_count_kv": "num_key_value_heads",
    "llama.context_length": "max_position_embeddings",
    "llama.vocab_size": "vocab_size",
    "tokenizer.ggml.eos_token_id": "eos_token_id",
}


def expected_metadata(config):
    return {"general.architecture": "llama", **{name: config.get(key) for name, key in CONFIG_KEYS.items()}}
