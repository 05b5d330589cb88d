"""TensorBoard's event files, read by tensorboard: every number of metrics.jsonl, at its step, and those of a resumed run once."""

import json
import signal
import subprocess

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import places
from tool import toml

# Tags of HF's Trainer and TRL, and the keys of metrics.jsonl.
TAGS = {
    "train/loss": ("step", "loss"),
    "train/entropy": ("step", "entropy"),
    "train/mean_token_accuracy": ("step", "token_accuracy"),
    "train/grad_norm": ("step", "grad_norm"),
    "train/learning_rate": ("step", "lr"),
    "train/learned_tokens": ("step", "learned_tokens"),
    "train/tokens_per_second": ("step", "tokens_per_s"),
    "train/epoch": ("step", "epoch"),
    "eval/loss": ("eval", "loss"),
    "eval/entropy": ("eval", "entropy"),
    "eval/mean_token_accuracy": ("eval", "token_accuracy"),
}


def run(tool, report, named):
    for name, steps, interrupted in (("events", 12, False), ("resumed", 300, True)):
        with report.guarded("events", name):
            compare(report, name, train(tool, name, steps, interrupted))


def train(tool, name, steps, interrupted):
    rows = [dict(text=f"The parcel number {number} is on its way.") for number in range(16)]
    (tool.work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "model": dict(base_model=places.BASE, device=tool.device, max_length=64),
        "data": dict(val_every=4),
        "data.train": [dict(path="rows.jsonl")],
        "train": dict(max_steps=steps, per_device_train_batch_size=4, eval_steps=4, report_to=["tensorboard"]),
        "eval": dict(compare_base=False),
        "export": dict(merged=False),
    }
    if not interrupted:
        return tool.train(name, recipe)
    return stop_and_resume(tool, name, recipe)


def stop_and_resume(tool, name, recipe):
    """Interrupts the run when it has told of a checkpoint, and goes on: two event files."""
    (tool.work / f"{name}.toml").write_text(toml(dict(name=name, **recipe)))
    command = [str(tool.binary), "--offline", "train", f"{name}.toml"]
    child = subprocess.Popen(command, cwd=tool.work, stderr=subprocess.PIPE, text=True)
    for line in child.stderr:
        if "checkpoint" in line:
            child.send_signal(signal.SIGINT)
            break
    child.communicate(timeout=600)
    tool.call("resume", f"runs/{name}")
    return tool.work / "runs" / name


def compare(report, name, folder):
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    read = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    report.same("events", f"{name}: tags", "tags", set(read.Tags()["scalars"]) == set(TAGS))
    for tag, (kind, key) in TAGS.items():
        wanted = {event["step"]: event[key] for event in events if event["event"] == kind}
        found = {scalar.step: scalar.value for scalar in read.Scalars(tag)}
        close = all(abs(found[step] - wanted[step]) <= 1e-6 * abs(wanted[step]) for step in found.keys() & wanted.keys())
        same = found.keys() == wanted.keys() and len(read.Scalars(tag)) == len(wanted) and close
        report.same("events", f"{name}: {tag}", f"{len(found)} points", same)
