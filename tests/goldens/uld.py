"""Universal logit distillation (Boizard et al. 2024): sorted probabilities of two vocabularies, with gradients, in f64.

The distance is written from the paper's equation. Where logits have no scale, cap or temperature it is asserted to be that of TRL's
`ULDLoss`, which the GOLD trainer uses, on tokens that are aligned one to one.
"""

import os

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from trl.experimental.gold.gold_config import GOLDConfig  # noqa: E402
from trl.experimental.gold.gold_trainer import ULDLoss  # noqa: E402

import inputs  # noqa: E402

# name: size of the student's vocabulary and of the teacher's; temperature; (scale, cap) of the logits of either
CASES = dict(
    larger=((21, 34), 1.0, (1.0, None), (1.0, None)),
    smaller=((34, 21), 1.0, (1.0, None), (1.0, None)),
    tempered=((21, 34), 1.7, (1.0, None), (1.0, None)),
    shaped=((34, 21), 0.6, (0.5, 2.0), (0.7, 3.0)),
)
N = 6


def write(out):
    """uld.safetensors."""
    tensors = {}
    for case, (sizes, temperature, *shapes) in CASES.items():
        generator = inputs.generator(len(case))
        widths = (8, 10)
        given = [
            [torch.randn(rows, width, generator=generator) for rows in (N, size)] for size, width in zip(sizes, widths)
        ]
        weights = torch.randn(N, generator=generator)
        leaves = [tensor.double().clone().requires_grad_() for tensor in given[0]]
        logits = []
        for (hidden, head), (scale, cap) in zip((leaves, [tensor.double() for tensor in given[1]]), shapes):
            values = scale * hidden @ head.T
            logits.append(cap * torch.tanh(values / cap) if cap else values)
        probabilities = [(values / temperature).softmax(1) for values in logits]
        each = distance(*probabilities)
        if case in ("larger", "smaller"):
            torch.testing.assert_close(each.sum(), N * trl(*(values.detach() for values in logits)))
        (weights.double() * each).sum().backward()
        student = probabilities[0].detach()
        tensors.update({f"{case}.{key}": value for key, value in zip(("hidden", "head"), given[0])})
        tensors.update({f"{case}.teacher_{key}": value for key, value in zip(("hidden", "head"), given[1])})
        numbers = [temperature, shapes[0][0], shapes[0][1] or 0.0, shapes[1][0], shapes[1][1] or 0.0]
        tensors[f"{case}.case"] = torch.tensor(numbers, dtype=torch.float64)
        tensors[f"{case}.weights"] = weights
        tensors[f"{case}.value"] = each.detach().sum().reshape(1)
        tensors[f"{case}.entropy"] = torch.distributions.Categorical(probs=student).entropy().sum().reshape(1)
        tensors[f"{case}.hidden_grad"], tensors[f"{case}.head_grad"] = (leaf.grad.float() for leaf in leaves)
    save_file({key: value.contiguous() for key, value in tensors.items()}, out / "uld.safetensors")
    return {}


def distance(student, teacher):
    """The sum over ranks, for each row."""
    size = max(student.shape[1], teacher.shape[1])
    ranked = [torch.nn.functional.pad(p.sort(descending=True).values, (0, size - p.shape[1])) for p in (student, teacher)]
    return (ranked[0] - ranked[1]).abs().sum(1)


def trl(student, teacher):
    """TRL's mean over rows; its settings of the two numbers that are not compared are left out."""
    config = GOLDConfig(output_dir="unused", use_extended_uld=False, uld_crossentropy_weight=0.0, uld_distillation_weight=1.0, use_cpu=True, bf16=False)
    loss = ULDLoss(config)
    loss.student_temperature = loss.teacher_temperature = 1.0
    loss.skip_student_eos = loss.skip_teacher_eos = False
    labels = torch.zeros(1, N, dtype=torch.int64)
    return loss(student[None], teacher[None], labels, labels, labels, labels)
