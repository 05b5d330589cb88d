"""DPO, ORPO and KTO here and in TRL's own trainers: the same losses, gradient norms and rewards, step by step."""

import json

import torch
from datasets import disable_progress_bars
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

import peer
import places
import preference
import tool as command

LOSS, NORM, REWARD = 1e-4, 1e-3, 1e-3
REWARDS = ("chosen", "rejected", "margins")


def run(tool, report, named):
    disable_progress_bars()
    folder = places.with_tokenizer("llama", tool.work / "model")
    pairs, rated = make_rows(folder)
    for name, rows in (("pairs", pairs), ("rated", rated)):
        (tool.work / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lora = LoraConfig(
        r=4, lora_alpha=8, lora_dropout=0.0, target_modules=list(places.FAMILIES["llama"].linear), task_type="CAUSAL_LM"
    )
    # B is zero, so that the student before its first step is the base: TRL's reference is the adapter switched off.
    torch.manual_seed(5)
    get_peft_model(peer.read(folder), lora).save_pretrained(tool.work / "start")
    for case, settings in preference.CASES.items():
        with report.guarded("judged", case):
            compare(tool, report, case, settings, folder, lora, rated if case == "kto" else pairs)


def make_rows(folder):
    """Ids of prompts and answers of other lengths and values than the goldens'; an answer ends with EOS."""
    eos = [json.loads((folder / "config.json").read_text())["eos_token_id"]]
    drawn = peer.some_ids(600, 2048, seed=42)

    def take(n):
        return [drawn.pop() for _ in range(n)]

    pairs = [
        dict(prompt_ids=take(2 + n % 4), chosen_ids=take(1 + n % 5) + eos, rejected_ids=take(5 - n % 3) + eos)
        for n in range(preference.STEPS * preference.BATCH)
    ]
    rated = [
        dict(prompt_ids=take(2 + n % 3), completion_ids=take(1 + n % 4) + eos, label=n % 3 != 1)
        for n in range(preference.STEPS * preference.BATCH)
    ]
    return pairs, rated


def compare(tool, report, case, settings, folder, lora, rows):
    objective = case.split("_")[0]
    trainer = preference.make(objective, peer.read(folder), lora, settings)
    preference.put(trainer.model, load_file(tool.work / "start" / "adapter_model.safetensors"))
    theirs = preference.steps(trainer, objective, rows)
    ours = command.steps(tool.train(case, recipe(tool, objective, settings, folder)))
    report.same("judged", case, "number of steps", len(ours) == preference.STEPS)
    for key, allowed in (("loss", LOSS), ("grad_norm", NORM)):
        got = torch.tensor([step[key] for step in ours], dtype=torch.float64)
        worst = float(((got - theirs[f"train.{key}"]) / theirs[f"train.{key}"]).abs().max())
        report.add("judged", case, f"{key} of {len(ours)} steps", worst, allowed)
    for key in [f"rewards/{name}" for name in REWARDS] + (["kl"] if objective == "kto" else []):
        compare_rewards(report, case, key, [step[key] for step in ours], theirs[f"train.{key}"])


def compare_rewards(report, case, key, ours, theirs):
    """As a share of the largest; a step without answers of a kind has no reward on either side."""
    got = torch.tensor([float("nan") if value is None else value for value in ours], dtype=torch.float64)
    report.same("judged", case, f"steps with {key}", got.isnan().equal(theirs.isnan()))
    largest = float(theirs.nan_to_num().abs().max())
    worst = float((got - theirs).nan_to_num().abs().max())
    report.add("judged", case, f"{key} of {len(ours)} steps", worst / largest if largest else worst, REWARD)


def recipe(tool, objective, settings, folder):
    """The steps of `preference.steps`: AdamW at a constant rate, no weight decay, clipping at 1."""
    return {
        "model": dict(base_model=folder.name, device=tool.device, max_length=64),
        "data": dict(shuffle=False, val_size=0),
        "data.train": [dict(path="rated.jsonl" if objective == "kto" else "pairs.jsonl")],
        "lora": dict(adapter_path="start"),
        "train": dict(
            objective=objective, max_steps=preference.STEPS, per_device_train_batch_size=preference.BATCH,
            learning_rate=1e-2, lr_scheduler_type="constant", warmup_ratio=0, weight_decay=0.0, max_grad_norm=1.0,
            load_best_model_at_end=False,
        ),
        "preference": settings,
        "eval": dict(compare_base=False),
        "export": dict(merged=False),
    }
