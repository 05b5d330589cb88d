"""Learning rates of every schedule, from transformers' own functions."""

import json

import torch
from safetensors.torch import save_file
from transformers import get_scheduler

PEAK = 3e-4
STEPS = 40
# name: (lr_scheduler_type, warm-up steps, lr_scheduler_kwargs)
CASES = dict(
    linear=("linear", 4, {}),
    cosine=("cosine", 4, {}),
    cosine_waves=("cosine", 4, dict(num_cycles=1.25)),
    cosine_with_restarts=("cosine_with_restarts", 4, {}),
    cosine_with_restarts_3=("cosine_with_restarts", 4, dict(num_cycles=3)),
    polynomial=("polynomial", 4, {}),
    polynomial_2=("polynomial", 4, dict(power=2.0, lr_end=1e-5)),
    constant=("constant", 4, {}),
    constant_with_warmup=("constant_with_warmup", 4, {}),
    inverse_sqrt=("inverse_sqrt", 4, {}),
    inverse_sqrt_cold=("inverse_sqrt", 0, {}),
    inverse_sqrt_20=("inverse_sqrt", 4, dict(timescale=20)),
    cosine_with_min_lr=("cosine_with_min_lr", 4, dict(min_lr=1e-5)),
    cosine_with_min_lr_rate=("cosine_with_min_lr", 4, dict(min_lr_rate=0.1)),
    warmup_stable_decay=("warmup_stable_decay", 4, dict(num_decay_steps=10)),
    warmup_stable_decay_linear=("warmup_stable_decay", 4, dict(num_decay_steps=10, decay_type="linear", min_lr_ratio=0.1)),
    warmup_stable_decay_sqrt=(
        "warmup_stable_decay",
        8,
        dict(num_decay_steps=10, num_stable_steps=15, warmup_type="1-sqrt", decay_type="1-sqrt"),
    ),
    warmup_stable_decay_cosine=("warmup_stable_decay", 8, dict(num_decay_steps=10, warmup_type="cosine", num_cycles=0.25)),
)
# An improvement, then none worth it, a late one, and a long rest.
METRICS = [3.0, 2.5, 2.4999, 2.6, 2.49, 2.2, 2.3, 2.25, 2.21, 2.24, 2.2, 2.3, 2.1, 2.2, 2.2, 2.2, 2.2, 2.2, 2.2, 2.2]
PLATEAUS = dict(
    plateau=dict(patience=2),
    plateau_cooldown=dict(patience=1, factor=0.5, cooldown=2, min_lr=5e-5),
    plateau_abs=dict(patience=1, factor=0.3, threshold=0.05, threshold_mode="abs"),
    plateau_max=dict(patience=1, factor=0.5, mode="max"),
)


def write(out):
    """schedules.safetensors, and schedules.json with what made each: the keys of a recipe."""
    tensors = {name: rates(*case) for name, case in CASES.items()}
    tensors.update({name: plateau(kwargs) for name, kwargs in PLATEAUS.items()})
    tensors["metrics"] = torch.tensor(METRICS, dtype=torch.float64)
    save_file(tensors, out / "schedules.safetensors")
    keys = ("lr_scheduler_type", "warmup_steps", "lr_scheduler_kwargs")
    cases = {name: dict(zip(keys, case)) for name, case in CASES.items()}
    for name, kwargs in PLATEAUS.items():
        kept = {key: value for key, value in kwargs.items() if key != "mode"}
        cases[name] = dict(zip(keys, ("reduce_lr_on_plateau", 0, kept)), greater_is_better="mode" in kwargs)
    (out / "schedules.json").write_text(json.dumps(cases, indent=1) + "\n")
    return {}


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)


def rates(kind, warmup, kwargs):
    """The rate of each step, counted from 0."""
    schedule = get_scheduler(kind, optimizer(), warmup, STEPS, dict(kwargs))
    found = []
    for _ in range(STEPS):
        found.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    return torch.tensor(found, dtype=torch.float64)


def plateau(kwargs):
    """The rate after each of METRICS."""
    schedule = get_scheduler("reduce_lr_on_plateau", optimizer(), scheduler_specific_kwargs=dict(kwargs))
    found = []
    for metric in METRICS:
        schedule.step(metric)
        found.append(schedule.get_last_lr()[0])
    return torch.tensor(found, dtype=torch.float64)
