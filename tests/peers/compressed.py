"""Folders for vLLM, read by compressed-tensors and transformers: the same codes and scales, the same logits."""

import dataclasses
import json
import shutil

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import peer
import places

SCHEMES = ("W8A16", "W4A16", "FP8")
FAMILIES = ("llama", "llama_bias", "qwen2", "qwen3", "phi3_partial", "gpt_neox")
# Whole groups of 128 columns.
WIDTHS = dict(hidden_size=128, intermediate_size=256)
LOGITS = 2e-4
PROMPTS = (7, 30)


def run(tool, report, named):
    for name in FAMILIES:
        with report.guarded("compressed", name):
            export = train(tool, name, base(name, tool.work / f"{name}-model"))
            for scheme in SCHEMES:
                compare(tool, report, f"{name} {scheme}", export / scheme)


def base(name, folder):
    """A family's random model with rows of whole groups and the vocabulary of the shipped base."""
    shipped = json.loads((places.BASE / "config.json").read_text())
    keys = {key: shipped[key] for key in ("vocab_size", "eos_token_id", "pad_token_id")}
    family = places.FAMILIES[name]
    config = {**family.config, **keys, **WIDTHS}
    if "head_dim" in config:
        config["head_dim"] = 32
    places.models.write(dataclasses.replace(family, config=config), folder, torch.float32)
    for file in places.TOKENIZER:
        shutil.copy(places.BASE / file, folder)
    return folder


def train(tool, name, model):
    """Two steps, so that the merged model is not the base; returns the folder of the exports."""
    rows = [dict(text=f"The parcel number {number} is on its way.") for number in range(8)]
    (tool.work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "model": dict(base_model=model, device=tool.device, max_length=64),
        "data": dict(val_size=0),
        "data.train": [dict(path="rows.jsonl")],
        "train": dict(max_steps=2, per_device_train_batch_size=4, learning_rate=1e-2, warmup_steps=0),
        "eval": dict(compare_base=False),
        "export": dict(merged=True, compressed_tensors=SCHEMES),
    }
    return tool.train(name, recipe) / "export"


def compare(tool, report, subject, folder):
    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    scheme = QuantizationConfig(**{key: value for key, value in config.items() if key in QuantizationConfig.model_fields})
    scheme = scheme.config_groups["group_0"]
    stored = load_file(folder / "model.safetensors")
    layers = sorted(key.removesuffix(".weight_scale") for key in stored if key.endswith(".weight_scale"))
    off = [layer for layer in layers if not is_packed_alike(stored, layer, scheme)]
    report.same("compressed", subject, ", ".join([f"{len(layers)} layers, packed again", *off[:3]]), layers and not off)
    model = read(folder)
    for length in PROMPTS:
        ids = peer.some_ids(length, model.config.vocab_size, seed=length)
        got, want = tool.logits(folder, ids=ids), peer.logits(model, ids)
        report.add("compressed", subject, f"logits of {length} ids", peer.difference(got.values, want), LOGITS)


def is_packed_alike(stored, layer, scheme):
    """Whether the package writes the same tensors of what it reads."""
    parts = {key.removeprefix(layer + "."): value for key, value in stored.items() if key.startswith(f"{layer}.weight")}
    compressor = BaseCompressor.get_value_from_registry(scheme.format)
    again = compressor.compress(compressor.decompress(parts, scheme), scheme)
    same = lambda a, b: a.dtype == b.dtype and torch.equal(a.view(torch.uint8), b.view(torch.uint8))  # noqa: E731
    return again.keys() == parts.keys() and all(same(again[key].contiguous(), parts[key]) for key in parts)


def read(folder):
    """The model as transformers and compressed-tensors read it, with activations as they are: the files hold weights only."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    for module in model.modules():
        if hasattr(module, "quantization_scheme"):
            module.quantization_enabled = False
    return model
