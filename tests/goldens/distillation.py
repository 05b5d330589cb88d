"""Divergences of a student from its teacher: other widths, scaled and capped logits, temperature, likeliest tokens only."""

import os

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from trl.experimental.gkd.gkd_trainer import GKDTrainer  # noqa: E402

import inputs  # noqa: E402

# name: temperature; (scale, cap) of the student's and of the teacher's logits
SHAPES = dict(
    plain=(1.0, (1.0, None), (1.0, None)),
    tempered=(1.7, (1.0, None), (1.0, None)),
    shaped=(0.6, (0.5, 2.0), (0.7, 3.0)),
    # Some of the teacher's probabilities, and of the student's, are 0 in f32.
    sharp=(1.0, (20.0, None), (20.0, None)),
)
KINDS = ("forward_kl", "reverse_kl", "jsd_0.1", "jsd_0.5", "jsd_0.9", "total_variation")
BETAS = dict(forward_kl=0.0, reverse_kl=1.0, **{"jsd_0.1": 0.1, "jsd_0.5": 0.5, "jsd_0.9": 0.9})
TOP = ("dropped.forward_kl", *(f"{rest}.{kind}" for rest in ("renormalised", "bucket") for kind in KINDS))
K, USED = 4, (4, 2, 3, 4, 1, 4)


def write(out):
    """distillation.safetensors."""
    generator = inputs.generator(32)
    given = dict(
        hidden=torch.randn(6, 8, generator=generator),
        head=torch.randn(21, 8, generator=generator),
        teacher_hidden=torch.randn(6, 10, generator=generator),
        teacher_head=torch.randn(21, 10, generator=generator),
        weights=torch.randn(6, generator=generator),
    )
    tensors = dict(given)
    rounding = 0.0
    for name, (temperature, shape, teacher_shape) in SHAPES.items():
        numbers = [temperature, shape[0], shape[1] or 0.0, teacher_shape[0], teacher_shape[1] or 0.0]
        tensors[f"{name}.case"] = torch.tensor(numbers, dtype=torch.float64)
        tensors.update({f"{name}.{key}": value for key, value in {**likeliest(given, name), **scores(given, name)}.items()})
        for kind in (*KINDS, *TOP):
            exact, rounded = (run(given, name, kind, dtype) for dtype in (torch.float64, torch.float32))
            tensors.update({f"{name}.{kind}.{key}": value for key, value in exact.items()})
            rounding = max(rounding, float((exact["value"] - rounded["value"]).abs() / exact["value"].abs()))
    save_file({key: value.contiguous() for key, value in tensors.items()}, out / "distillation.safetensors")
    return dict(f32_against_f64=rounding)


def logits(given, name, dtype):
    """The student's, from leaves that are returned too, and the teacher's, both at the temperature."""
    temperature, *shapes = SHAPES[name]
    leaves = [given[key].to(dtype).clone().requires_grad_() for key in ("hidden", "head")]
    teacher = [given[key].to(dtype) for key in ("teacher_hidden", "teacher_head")]
    found = []
    for (hidden, head), (scale, cap) in zip((leaves, teacher), shapes):
        values = scale * hidden @ head.T
        values = cap * torch.tanh(values / cap) if cap else values
        found.append(values / temperature)
    return leaves, *found


def likeliest(given, name):
    """What a cache would hold: ids, log-probabilities, and that of all others. Places without use have -inf and an id twice."""
    _, _, teacher = logits(given, name, torch.float64)
    logs, ids = torch.log_softmax(teacher, 1).topk(K, 1)
    for row, used in enumerate(USED):
        logs[row, used:] = -torch.inf
        ids[row, used:] = ids[row, 0]
    used = torch.zeros_like(teacher).scatter_(1, ids, (logs > -torch.inf).double(), reduce="add") > 0
    rest = torch.log_softmax(teacher, 1).masked_fill(used, -torch.inf).logsumexp(1)
    return dict(ids=ids, logprobs=logs.float(), rest=rest.float())


def scores(given, name):
    """The sum of the student's entropies, and how many positions there are where both like the same token best."""
    _, student, teacher = logits(given, name, torch.float64)
    entropy = torch.distributions.Categorical(logits=student.detach()).entropy().sum().reshape(1)
    return dict(entropy=entropy, agreeing=(student.argmax(1) == teacher.argmax(1)).sum().reshape(1))


def run(given, name, kind, dtype):
    """The sum of divergences, and the gradients of the weighted sum."""
    (hidden, head), student, teacher = logits(given, name, dtype)
    rest, _, measure = kind.partition(".") if kind in TOP else ("", "", kind)
    rows = zip(student.log_softmax(1), teacher.log_softmax(1), range(len(USED)))
    each = torch.stack([divergence(*outcomes(s, t, rest, USED[row]), rest, measure) for s, t, row in rows])
    (given["weights"].to(dtype) * each).sum().backward()
    return dict(value=each.detach().sum().double().reshape(1), hidden_grad=hidden.grad.float(), head_grad=head.grad.float())


def outcomes(student, teacher, rest, used):
    """Log-probabilities of one position, of all tokens or of what a cache has of them."""
    if not rest:
        return student, teacher
    ids = teacher.topk(used).indices
    others = torch.ones_like(teacher, dtype=torch.bool).index_fill(0, ids, False)
    if rest == "dropped":
        return student[ids], teacher[ids]
    if rest == "renormalised":
        return student[ids].log_softmax(0), teacher[ids].log_softmax(0)
    return tuple(torch.cat([logs[ids], logs[others].logsumexp(0, keepdim=True)]) for logs in (student, teacher))


def divergence(student, teacher, rest, measure):
    """Of log-probabilities. TRL's own function where there is one; its softmax does nothing to what adds up to 1."""
    if measure == "total_variation":
        return 0.5 * (student.exp() - teacher.exp()).abs().sum()
    if rest == "dropped":
        return torch.nn.functional.kl_div(student, teacher, reduction="sum", log_target=True)
    return GKDTrainer.generalized_jsd_loss(student, teacher, beta=BETAS[measure], reduction="sum")
