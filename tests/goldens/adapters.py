"""LoRA and its variants, as PEFT computes and stores them."""

import copy
import json
import math

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

import inputs
import pissa
import references
import trajectory

RANK, ALPHA = 2, 4
ATTENTION = ("q_proj", "v_proj")

# What each variant sets besides the rank; `target_modules` narrows what is adapted.
VARIANTS = {
    "lora": {},
    "rslora": dict(use_rslora=True),
    "dora": dict(use_dora=True),
    "pattern": dict(
        rank_pattern={"q_proj": 1, "layers.1.mlp.down_proj": 4},
        alpha_pattern={"q_proj": 8, "up_proj": 1},
        exclude_modules=["v_proj", "layers.0.mlp.gate_proj"],
    ),
    "layers": dict(layers_to_transform=[1], layers_pattern="layers"),
    "save_lm_head": dict(target_modules=ATTENTION, modules_to_save=["lm_head"]),
    "save_embed_tokens": dict(target_modules=ATTENTION, modules_to_save=["embed_tokens"]),
    "save_tied": dict(target_modules=ATTENTION, modules_to_save=["embed_tokens"], ensure_weight_tying=True),
}
# Variants and families whose merged weight is stored too: each way of scaling, each way a weight lies in its file.
MERGED_VARIANTS = ("lora", "rslora", "dora")
MERGED_FAMILIES = ("Llama", "GPT2", "GPTNeoX", "Phi3", "Qwen2")


def write(kind, family, base, folder):
    """adapter_config.json, adapter_model.safetensors and ref.safetensors of one variant; returns what was measured."""
    if kind == "pissa":
        return pissa.write(base, folder)
    settings = {**dict(target_modules=family.linear), **VARIANTS[kind]}
    model = wrap(base, settings, fan_in_fan_out=family.model == "GPT2")
    randomize(model)
    store(model, folder)
    stored = load_file(folder / "adapter_model.safetensors")
    tensors = answers(model, stored)
    facts = dict(trainable=sum(weight.numel() for weight in model.parameters() if weight.requires_grad))
    if kind in MERGED_VARIANTS and family.model in MERGED_FAMILIES:
        merged = copy.deepcopy(model).merge_and_unload()
        name = f"{first_target(family)}.weight"
        tensors[f"merged.{name}"] = merged.get_parameter(name).detach()
        logits = references.run(merged, inputs.plain()).logits
        facts["merged_against_adapted"] = float((logits - tensors["plain.logits"]).abs().max())
    if not kind.startswith("save_"):
        tensors.update(trajectory.run(model, learning_rate=1e-2, weight_decay=0.01))
    facts["loss"] = float(tensors["plain.loss"])
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, folder / "ref.safetensors")
    return facts


def wrap(base, settings, **keys):
    """A copy of the base with a new adapter, ready to differentiate."""
    fixed = dict(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM")
    settings = {**fixed, **settings, **keys}
    settings["target_modules"] = list(settings["target_modules"])
    return get_peft_model(copy.deepcopy(base), LoraConfig(**settings)).eval()


def randomize(model):
    """A as usual, B not zero, magnitudes off the norms, saved modules off the base: no gradient is zero."""
    noise = inputs.generator(22)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not weight.requires_grad:
                continue
            drawn = torch.randn(weight.shape, generator=noise)
            if "lora_A" in name:
                weight.copy_(drawn / math.sqrt(weight.shape[1]))
            elif "lora_B" in name:
                weight.copy_(0.1 * drawn)
            elif "lora_magnitude" in name:
                weight.mul_(1 + 0.1 * drawn)
            else:
                weight.add_(0.05 * drawn)


def store(model, folder, **keys):
    """PEFT's own files, with the base named relative to them and no model card."""
    model.save_pretrained(folder, **keys)
    (folder / "README.md").unlink(missing_ok=True)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text())
    config["base_model_name_or_path"] = "../model"
    for key in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def answers(model, stored):
    """Logits and loss of `plain`, and the gradient of everything trainable, named as in the adapter file."""
    model.zero_grad()
    answer = model(**inputs.plain(), use_cache=False)
    answer.loss.backward()
    tensors = {"plain.logits": answer.logits.detach(), "plain.loss": answer.loss.detach().reshape(1)}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            tensors[f"plain.grad.{stored_name(name, stored)}"] = weight.grad.clone()
    return tensors


def stored_name(name, stored):
    """A parameter's key in adapter_model.safetensors."""
    name = name.replace(".default", "").replace(".modules_to_save", "")
    bare = name.removesuffix(".weight")
    found = name if name in stored else bare
    assert found in stored, f"{name} is not in the adapter file: {sorted(stored)[:3]}"
    return found


def first_target(family):
    """The first adapted layer: fused or not, of the first block."""
    return {
        "GPT2": "transformer.h.0.attn.c_attn",
        "GPTNeoX": "gpt_neox.layers.0.attention.query_key_value",
        "Phi3": "model.layers.0.self_attn.qkv_proj",
    }.get(family.model, "model.layers.0.self_attn.q_proj")
