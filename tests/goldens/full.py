"""Full fine-tuning: gradients of norms, biases and embeddings, and ten steps."""

from safetensors.torch import save_file

import inputs
import models
import trajectory


def write(folder, path):
    """full_ref.safetensors: `plain.grad.NAME` as the model file names it, `train.*`."""
    model = models.read(folder)
    for weight in model.parameters():
        weight.requires_grad_(True)
    model(**inputs.plain(), use_cache=False).loss.backward()
    tensors = {
        f"plain.grad.{name}": weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.ndim == 1 or "embed" in name or name.endswith((".wte.weight", ".wpe.weight"))
    }
    model.zero_grad()
    steps = trajectory.run(model, learning_rate=1e-3, weight_decay=0.0)
    save_file({**tensors, **steps}, path)
    return dict(first_loss=float(steps["train.loss"][0]), last_loss=float(steps["train.loss"][-1]))
