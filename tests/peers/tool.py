"""slm-tune, as anyone can call it: arguments in, files and lines out."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file


class ToolFailed(RuntimeError):
    """The exit code was not 0; the message is what was printed on stderr."""


@dataclass(frozen=True)
class Logits:
    """What `slm-tune logits` gave: the file's [time, vocab], and what it printed."""

    values: torch.Tensor
    ids: list
    loss: float
    top: list


@dataclass(frozen=True)
class Tool:
    binary: Path
    device: str
    work: Path

    def call(self, *arguments):
        """Runs it in the working folder; returns stdout."""
        command = [str(self.binary), "--offline", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.work, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise ToolFailed(f"`{' '.join(command[1:])}` ended with {done.returncode}: {done.stderr.strip()[-600:]}")
        return done.stdout

    def logits(self, model, *, ids=None, text=None, adapter=None, dtype="f32"):
        """`slm-tune logits` of a list of ids or of a text."""
        out = self.work / "logits.safetensors"
        out.unlink(missing_ok=True)
        arguments = ["logits", model, "--json", "--device", self.device, "--dtype", dtype, "--out", out]
        arguments += ["--ids", ",".join(map(str, ids))] if ids is not None else ["--text", text]
        arguments += ["--adapter", adapter] if adapter else []
        printed = json.loads(self.call(*arguments))
        return Logits(load_file(out)["logits"][0], printed["ids"], printed["mean_loss"], printed["top"])

    def train(self, name, recipe):
        """Writes a recipe (a dict of sections), runs it, returns the run directory."""
        file = self.work / f"{name}.toml"
        file.write_text(toml(dict(name=name, **recipe)))
        self.call("train", file.name)
        return self.work / "runs" / name


def steps(run):
    """The optimizer steps of a run, in order, as metrics.jsonl has them."""
    events = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [event for event in events if event["event"] == "step"]


def toml(recipe):
    """Sections of plain values, lists and tables in one line; a list of dicts is a list of tables."""
    top, rest = [], []
    for key, value in recipe.items():
        if isinstance(value, dict):
            rest += [f"[{key}]", *pairs(value)]
        elif isinstance(value, list):
            for table in value:
                rest += [f"[[{key}]]", *pairs(table)]
        else:
            top += pairs({key: value})
    return "\n".join([*top, *rest, ""])


def pairs(table):
    return [f"{key} = {inline(value)}" for key, value in table.items()]


def inline(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)
