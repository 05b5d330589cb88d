"""Builds a family's model, writes its folder, and reads it back as the reference does: f32, eager attention."""

import json

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

import rope
from families import SIZE
from inputs import generator

CLASSES = {"Gemma3Text": "Gemma3ForCausalLM", "GPT2": "GPT2LMHeadModel"}


def build(family):
    """A random model whose norms and biases matter, in bf16 (which halves the file)."""
    config_class = getattr(transformers, f"{family.model}Config")
    known = {*vars(config_class()), *config_class.attribute_map}
    settings = {**{key: value for key, value in SIZE.items() if key in known}, **family.config}
    if family.rope is not None:
        settings["rope_parameters"] = family.rope
    torch.manual_seed(20)
    made = getattr(transformers, CLASSES.get(family.model, f"{family.model}ForCausalLM"))(config_class(**settings))
    noise = generator(21)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if name.endswith("bias"):
                weight.copy_(0.1 * torch.randn(weight.shape, generator=noise))
            elif "norm" in name or ".ln_" in name:
                weight.add_(0.2 * torch.randn(weight.shape, generator=noise))
    return made.to(torch.bfloat16)


def write(family, folder, dtype=torch.bfloat16):
    """config.json as transformers 5 writes it, config.v4.json as published checkpoints have it, model.safetensors."""
    build(family).to(dtype).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    old = rope.old_spelling(json.loads((folder / "config.json").read_text()), family.old)
    (folder / "config.v4.json").write_text(json.dumps(old, indent=2, sort_keys=True) + "\n")
    rope.assert_same(AutoConfig, folder)


def read(folder, dtype=torch.float32, **overrides):
    """The model as the files say, for inference; overrides replace keys of config.json."""
    config = AutoConfig.from_pretrained(folder, **overrides)
    loaded = AutoModelForCausalLM.from_pretrained(folder, config=config, attn_implementation="eager", dtype=dtype)
    for weight in loaded.parameters():
        weight.requires_grad_(False)
    return loaded.eval()
