"""What each linear layer of a base model is multiplied with."""

import torch
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D

import inputs
import models
import references
from families import FAMILIES


def write(out):
    """observed.safetensors: FAMILY.PATH, for each column the sum of its input squared over base_ref's `plain`, in f64."""
    tensors = {}
    for name in FAMILIES:
        model = models.read(out / name / "model")
        tensors.update({f"{name}.{path}": sums for path, sums in sums_of_squares(model).items()})
    save_file(tensors, out / "observed.safetensors")
    return {"layers": len(tensors)}


def sums_of_squares(model):
    found = {}

    def hook(path):
        def see(_, args):
            x = args[0].double().flatten(0, -2)
            found[path] = found.get(path, 0) + x.square().sum(0)

        return see

    # `run` works on a copy, which takes the hooks along.
    for path, module in model.named_modules():
        if isinstance(module, (torch.nn.Linear, Conv1D)) and module is not model.get_output_embeddings():
            module.register_forward_pre_hook(hook(path))
    references.run(model, inputs.plain())
    return found
