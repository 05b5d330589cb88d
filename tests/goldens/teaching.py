"""Learning from a teacher: the loss of a batch and the gradients of an adapter, with a teacher of another family.

The student is `llama/model` with the adapter `llama/lora`, the teacher `qwen3/model` as it is; both have 80 tokens.
"""

import os

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from trl.experimental.gkd.gkd_trainer import GKDTrainer  # noqa: E402

import inputs  # noqa: E402
import models  # noqa: E402

# name: divergence (beta of TRL's function, or total variation), share of the teacher, temperature
CASES = dict(
    forward_kl=(0.0, 0.5, 2.0),
    reverse_kl=(1.0, 0.75, 1.5),
    jsd=(0.25, 1.0, 1.0),
    tvd=(None, 0.25, 2.0),
)


def write(out):
    """teaching.safetensors."""
    base, teacher = (models.read(out / f"{family}/model", torch.float64) for family in ("llama", "qwen3"))
    student = PeftModel.from_pretrained(base, out / "llama/lora", is_trainable=True).double().eval()
    batch = inputs.train_batches()[0]
    tensors = {}
    for name, (beta, alpha, temperature) in CASES.items():
        student.zero_grad()
        loss, divergence, entropy = run(student, teacher, batch, beta, alpha, temperature)
        loss.backward()
        numbers = [-1.0 if beta is None else beta, alpha, temperature]
        tensors[f"{name}.case"] = torch.tensor(numbers, dtype=torch.float64)
        tensors[f"{name}.loss"] = torch.stack([loss, divergence, entropy]).detach()
        for key, weight in student.named_parameters():
            if weight.requires_grad:
                tensors[f"{name}.grad.{key.replace('.default', '')}"] = weight.grad.float().clone()
    save_file({key: value.contiguous() for key, value in tensors.items()}, out / "teaching.safetensors")
    return {}


def run(student, teacher, batch, beta, alpha, temperature):
    """The loss, and the two means that it consists of: of the divergence, and of the cross entropy of the labels."""
    seen = dict(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    labels = batch["labels"][:, 1:]
    learned = labels != inputs.IGNORED
    with torch.no_grad():
        wanted = teacher(**seen).logits[:, :-1][learned]
    found = student(**seen).logits[:, :-1][learned]
    own = torch.nn.functional.cross_entropy(found, labels[learned])
    if beta is None:
        apart = (found / temperature).softmax(1) - (wanted / temperature).softmax(1)
        divergence, factor = 0.5 * apart.abs().sum(1).mean(), temperature
    else:
        total = GKDTrainer.generalized_jsd_loss(found, wanted, beta=beta, temperature=temperature, reduction="sum")
        divergence, factor = total / learned.sum(), temperature**2
    return alpha * factor * divergence + (1 - alpha) * own, divergence, own
