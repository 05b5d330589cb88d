"""PyTorch's own bf16 run, to be no worse than."""

import torch
from safetensors.torch import save_file

import inputs
import models
import references


def write(folder, path):
    """bf16_ref.safetensors: `plain.logits` and `plain.loss` of weights and activations in bf16, stored as f32.

    The weights are bf16 in the file already, so only what is computed differs from base_ref.
    """
    case = inputs.plain()
    exact = references.run(models.read(folder), case)
    rounded = references.run(models.read(folder, torch.bfloat16), case)
    logits = rounded.logits.float()
    save_file({"plain.logits": logits, "plain.loss": rounded.loss.float().reshape(1)}, path)
    difference = (logits - exact.logits).abs()
    return dict(
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        largest_logit=float(exact.logits.abs().max()),
        loss_difference=float(rounded.loss.float() - exact.loss),
    )
