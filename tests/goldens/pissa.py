"""PiSSA: the adapter starts as the principal part of each weight, the base keeps the rest."""

import copy
import shutil

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

import inputs
import references

TARGETS = ("q_proj", "down_proj")
SHOWN = ("model.layers.1.mlp.down_proj",)


def write(base, folder):
    """The trained adapter over the residual base, the same converted to the original base, and how it starts.

    ref.safetensors: `init.NAME.singular_values` [2], `init.NAME.product` (scaling * B A) and `init.NAME.residual`, both
    [out, in]; `init.plain.logits`; `plain.logits`, `plain.loss` and `plain.grad.KEY` after the adapter moved.
    """
    import adapters

    model = adapters.wrap(base, dict(target_modules=TARGETS, init_lora_weights="pissa"))
    tensors = start(base, model)
    adapters.store(model, folder / "init")
    move(model)
    adapters.store(model, folder)
    tensors.update(adapters.answers(model, load_file(folder / "adapter_model.safetensors")))
    converted = copy.deepcopy(model)
    adapters.store(converted, folder / "converted", path_initial_model_for_weight_conversion=str(folder / "init"))
    # Needed for the conversion only: alone it belongs to no base that a file has.
    shutil.rmtree(folder / "init")
    facts = check_converted(base, folder, tensors["plain.logits"])
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, folder / "ref.safetensors")
    return facts


def start(base, model):
    """The decomposition of one weight, and the logits, which are still those of the base."""
    tensors = {}
    for name in SHOWN:
        layer = model.get_submodule(f"base_model.model.{name}")
        weight = base.get_parameter(f"{name}.weight")
        product = layer.get_delta_weight("default").detach()
        tensors[f"init.{name}.singular_values"] = torch.linalg.svdvals(weight)[: layer.r["default"]].contiguous()
        tensors[f"init.{name}.product"] = product
        tensors[f"init.{name}.residual"] = layer.base_layer.weight.detach().clone()
    logits = references.run(model, inputs.plain()).logits
    difference = float((logits - references.run(base, inputs.plain()).logits).abs().max())
    assert difference < 1e-4, f"the start is {difference} off the base"
    tensors["init.plain.logits"] = logits
    return tensors


def move(model):
    """Instead of training."""
    noise = inputs.generator(23)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.add_(0.05 * torch.randn(weight.shape, generator=noise))


def check_converted(base, folder, logits):
    """The converted adapter on the original base answers as the trained one on the residual base."""
    loaded = PeftModel.from_pretrained(copy.deepcopy(base), folder / "converted")
    difference = float((references.run(loaded, inputs.plain()).logits - logits).abs().max())
    assert difference < 1e-4, f"the converted adapter is {difference} off"
    return dict(converted_against_trained=difference)
