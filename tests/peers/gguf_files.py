"""GGUF files, read by gguf-py: the metadata and every tensor are those of the merged model beside them."""

import json

import gguf
import numpy as np
from safetensors.torch import load_file

import peer
import places

ARCHITECTURES = dict(llama=gguf.MODEL_ARCH.LLAMA, qwen2=gguf.MODEL_ARCH.QWEN2, qwen3=gguf.MODEL_ARCH.QWEN3)
FAMILIES = ("llama", "llama_linear", "llama_llama3", "llama_bias", "qwen2", "qwen3")
KINDS = ("F32", "F16", "BF16", "Q8_0")
# llama.cpp's Llama rotates neighbouring channels, Hugging Face's the halves of a head.
PERMUTED = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
ROPE_FACTORS = "rope_freqs.weight"
TOLERANCE = 1e-5

SIZES = dict(
    block_count="num_hidden_layers",
    embedding_length="hidden_size",
    feed_forward_length="intermediate_size",
    context_length="max_position_embeddings",
    vocab_size="vocab_size",
)
HEADS = {"attention.head_count": "num_attention_heads", "attention.head_count_kv": "num_key_value_heads"}


def run(tool, report, named):
    bases = {"slm-base-2m": places.BASE}
    bases |= {name: places.with_tokenizer(name, tool.work / f"{name}-model") for name in FAMILIES}
    for name, base in bases.items():
        with report.guarded("gguf", name):
            export = train(tool, name, base)
            for kind in KINDS:
                compare(report, f"{name} {kind}", export / f"{name}-{kind}.gguf", export / "merged")


def train(tool, name, base):
    """Two steps, so that the merged model is not the base; returns the folder of the exports."""
    rows = [dict(text=f"The parcel number {number} is on its way.") for number in range(8)]
    (tool.work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "model": dict(base_model=base, device=tool.device, max_length=64),
        "data": dict(val_size=0),
        "data.train": [dict(path="rows.jsonl")],
        "train": dict(max_steps=2, per_device_train_batch_size=4, learning_rate=1e-2, warmup_steps=0),
        "eval": dict(compare_base=False),
        "export": dict(merged=True, gguf=KINDS),
    }
    return tool.train(name, recipe) / "export"


def compare(report, subject, file, merged):
    reader, model = gguf.GGUFReader(file), peer.read(merged)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    wrong = wrong_metadata(reader, model.config)
    report.same("gguf", subject, ", ".join(["metadata", *wrong]), not wrong)
    wanted = expected(model.config, load_file(merged / "model.safetensors"))
    factors = stored.pop(ROPE_FACTORS, None)
    report.same("gguf", subject, "names of tensors", stored.keys() == wanted.keys())
    off = [name for name in stored.keys() & wanted.keys() if not same_bytes(stored[name], wanted[name])]
    report.same("gguf", subject, ", ".join(["tensors, as gguf-py encodes them", *off[:3]]), not off)
    compare_frequencies(report, subject, reader, factors, model)


def wrong_metadata(reader, config):
    """The keys that are missing or say something else."""
    name = config.model_type
    wanted = {"general.architecture": name, "tokenizer.ggml.eos_token_id": config.eos_token_id}
    wanted |= {f"{name}.{key}": getattr(config, value) for key, value in {**SIZES, **HEADS}.items()}
    wanted[f"{name}.attention.layer_norm_rms_epsilon"] = np.float32(config.rms_norm_eps)
    wanted[f"{name}.rope.freq_base"] = np.float32(config.rope_parameters["rope_theta"])
    return [key for key, value in wanted.items() if key not in reader.fields or reader.fields[key].contents() != value]


def expected(config, weights):
    """The tensors by llama.cpp's names, rows in llama.cpp's order."""
    names = gguf.get_tensor_name_map(ARCHITECTURES[config.model_type], config.num_hidden_layers)
    return {
        names.get_name(name, (".weight", ".bias")): permuted(name, weight.float().numpy(), config)
        for name, weight in weights.items()
    }


def permuted(name, weight, config):
    heads = next((getattr(config, heads) for part, heads in PERMUTED.items() if f".{part}." in name), None)
    if heads is None or config.model_type != "llama":
        return weight
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def same_bytes(tensor, weight):
    """Against the bytes of gguf-py for the type that the tensor has; vectors have to be F32."""
    if weight.ndim == 1 and tensor.tensor_type != gguf.GGMLQuantizationType.F32:
        return False
    encoded = gguf.quants.quantize(np.ascontiguousarray(weight), tensor.tensor_type)
    return encoded.tobytes() == tensor.data.tobytes()


def compare_frequencies(report, subject, reader, factors, model):
    """The frequencies that the file's keys and factors give are those that transformers rotates by."""
    rotary = model.model.rotary_emb.inv_freq.numpy()
    theta = model.config.rope_parameters["rope_theta"]
    plain = theta ** (-np.arange(len(rotary), dtype=np.float64) / len(rotary))
    divisors = np.ones(len(rotary)) if factors is None else factors.data.reshape(-1).astype(np.float64)
    scale = reader.fields.get(f"{model.config.model_type}.rope.scaling.factor")
    found = plain / divisors / (scale.contents() if scale else 1.0)
    report.add("gguf", subject, "rotary frequencies", float(np.abs(found / rotary - 1).max()), TOLERANCE)
