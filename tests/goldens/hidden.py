"""Layers of a student that follow layers of its teacher: the loss of a batch, and the gradients of an adapter and of projections.

The student is `llama/model` with the adapter `llama/lora`; teachers are `qwen3/model`, of one width and depth with it, and
`hidden/model`, which is wider and deeper. What a layer gives is seen by a forward hook.
"""

import dataclasses
import os
import shutil

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import inputs  # noqa: E402
import models  # noqa: E402
import teaching  # noqa: E402
from families import FAMILIES  # noqa: E402

BETA, ALPHA, TEMPERATURE = 0.0, 0.5, 2.0
# name: teacher; distance; weight; pairs of layers, student and teacher
CASES = dict(
    mse=("qwen3", "mse", 0.5, [(0, 0), (1, 1)]),
    cosine=("qwen3", "cosine", 2.0, [(0, 0), (1, 1)]),
    wide_mse=("hidden", "mse", 0.25, [(0, 1), (1, 2)]),
    wide_cosine=("hidden", "cosine", 1.5, [(0, 2)]),
)


def write(out):
    """hidden/model and hidden.safetensors."""
    shutil.rmtree(out / "hidden", ignore_errors=True)
    (out / "hidden").mkdir()
    like = FAMILIES["qwen3"]
    wide = dict(like.config, hidden_size=48, intermediate_size=64, num_hidden_layers=3)
    models.write(dataclasses.replace(like, config=wide), out / "hidden/model")
    base = models.read(out / "llama/model", torch.float64)
    student = PeftModel.from_pretrained(base, out / "llama/lora", is_trainable=True).double().eval()
    student_layers = student.base_model.model.model.layers
    batch = inputs.train_batches()[0]
    tensors = {}
    for number, (name, (of, distance, weight, pairs)) in enumerate(CASES.items()):
        teacher = models.read(out / f"{of}/model", torch.float64)
        student.zero_grad()
        projections = made(student, teacher, pairs, number)
        seen = [watched(student_layers), watched(teacher.model.layers)]
        loss, divergence, entropy = teaching.run(student, teacher, batch, BETA, ALPHA, TEMPERATURE)
        for _, hooks in seen:
            for hook in hooks:
                hook.remove()
        learned = batch["labels"][:, 1:] != inputs.IGNORED
        apart = [
            away(*(states[layer][:, :-1][learned] for (states, _), layer in zip(seen, pair)), projections.get(pair[0]), distance)
            for pair in pairs
        ]
        hidden = torch.stack(apart).mean()
        loss = loss + weight * hidden
        loss.backward()
        tensors[f"{name}.case"] = torch.tensor([weight, ALPHA, TEMPERATURE], dtype=torch.float64)
        tensors[f"{name}.pairs"] = torch.tensor(pairs)
        tensors[f"{name}.loss"] = torch.stack([loss, divergence, entropy, hidden]).detach()
        for layer, matrix in projections.items():
            tensors[f"{name}.projection.{layer}"] = matrix.detach().float()
            tensors[f"{name}.grad.distill.hidden.{layer}.weight"] = matrix.grad.float()
        for key, value in student.named_parameters():
            if value.requires_grad:
                tensors[f"{name}.grad.{key.replace('.default', '')}"] = value.grad.float().clone()
    save_file({key: value.contiguous() for key, value in tensors.items()}, out / "hidden.safetensors")
    return {}


def made(student, teacher, pairs, seed):
    """A projection for each pair, by the student's layer; none where both are of one width."""
    widths = [model.config.hidden_size for model in (teacher, student)]
    if widths[0] == widths[1]:
        return {}
    noise = inputs.generator(60 + seed)
    # Of values that f32 holds.
    return {layer: (0.2 * torch.randn(widths, generator=noise)).double().requires_grad_() for layer, _ in pairs}


def watched(layers):
    """What each layer gives, by its number, once the model has run."""
    states = {}

    def hook(number):
        def keep(_module, _given, output):
            states[number] = output[0] if isinstance(output, tuple) else output

        return keep

    return states, [layer.register_forward_hook(hook(number)) for number, layer in enumerate(layers)]


def away(states, wanted, projection, distance):
    """The mean over tokens, by PyTorch's own losses."""
    seen = states if projection is None else torch.nn.functional.linear(states, projection)
    if distance == "mse":
        return torch.nn.functional.mse_loss(seen, wanted)
    same = torch.ones(len(seen), dtype=torch.float64)
    return torch.nn.functional.cosine_embedding_loss(seen, wanted, same)
