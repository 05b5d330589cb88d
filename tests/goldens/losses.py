"""The head and its loss: scaled and capped logits, label smoothing, entropy, and gradients for weighted tokens."""

import torch
from safetensors.torch import save_file
from transformers.trainer_pt_utils import LabelSmoother

import inputs

# name: (scale, cap, label_smoothing_factor)
CASES = dict(
    plain=(1.0, None, 0.0),
    smoothed=(1.0, None, 0.1),
    granite=(0.125, None, 0.0),
    gemma2=(1.0, 1.5, 0.0),
    all=(0.5, 2.0, 0.2),
)


def write(out):
    """losses.safetensors."""
    generator = inputs.generator(31)
    given = dict(
        hidden=torch.randn(6, 8, generator=generator),
        head=torch.randn(12, 8, generator=generator),
        targets=torch.randint(12, (6,), generator=generator),
        weights=torch.randn(6, generator=generator),
    )
    tensors = dict(given)
    for name, case in CASES.items():
        tensors.update({f"{name}.{key}": value for key, value in run(given, *case).items()})
    save_file({key: value.contiguous() for key, value in tensors.items()}, out / "losses.safetensors")
    return {}


def run(given, scale, cap, smoothing):
    """`loss` is the mean, `weighted` the sum of weights times -ln p, each with its gradients."""
    tensors = dict(case=torch.tensor([scale, cap or 0.0, smoothing], dtype=torch.float64))
    for kind in ("mean", "weighted"):
        hidden = given["hidden"].clone().requires_grad_()
        head = given["head"].clone().requires_grad_()
        logits = scale * hidden @ head.T
        logits = cap * torch.tanh(logits / cap) if cap else logits
        log_probs = torch.log_softmax(logits, 1)
        taken = log_probs.gather(1, given["targets"][:, None])[:, 0]
        if kind == "mean":
            # `shift_labels` off: the targets stand where they are predicted.
            loss = LabelSmoother(epsilon=smoothing)(dict(logits=logits), given["targets"].clone())
            entropy = torch.distributions.Categorical(logits=logits.detach()).entropy()
            greedy = (logits.argmax(1) == given["targets"]).long()
            tensors.update(loss=loss.detach().reshape(1), logprobs=taken.detach(), entropy=entropy, greedy=greedy)
        else:
            loss = -(given["weights"] * taken).sum()
        loss.backward()
        tensors[f"{kind}.hidden_grad"] = hidden.grad
        tensors[f"{kind}.head_grad"] = head.grad
    return tensors
