"""NEFTune here and in transformers: noise cannot be equal, but what it does to the loss is distributed alike."""

import json
import math

import torch
from transformers.integrations.neftune import neftune_post_forward_hook

import peer
import places
import tool as command
import training

DRAWS, ALPHA = 400, 5.0
# In standard errors of the difference of two means; the largest of a hundred such differences is below 3.
MEAN = 4.0
# Of the spread: a standard deviation of 400 draws is known to 3.5 %.
SPREAD = 0.2


def run(tool, report, named):
    for alpha in (0.0, ALPHA):
        name = f"alpha {alpha:g}"
        with report.guarded("neftune", name):
            compare(tool, report, name, alpha)


def compare(tool, report, name, alpha):
    folder = tool.work / "model"
    if not folder.exists():
        places.with_tokenizer("llama", folder)
    ids = peer.some_ids(12, 2048, seed=3)
    document = dict(input_ids=ids, labels=ids)
    (tool.work / "rows.jsonl").write_text(json.dumps(document) + "\n")
    ours = tool.train(name.replace(" ", "-"), recipe(tool, alpha))
    ours = torch.tensor([step["loss"] for step in command.steps(ours)], dtype=torch.float64)
    theirs = torch.tensor(losses(folder, document, alpha), dtype=torch.float64)
    if alpha == 0:
        worst = float(((ours - theirs) / theirs).abs().max())
        report.add("neftune", name, f"loss of {len(ours)} steps", worst, training.LOSS)
        return
    error = math.sqrt(float(ours.var() + theirs.var()) / DRAWS)
    report.add("neftune", name, f"mean of {DRAWS} losses, in errors", float((ours.mean() - theirs.mean()).abs()) / error, MEAN)
    report.add("neftune", name, "their spread", abs(float(ours.std() / theirs.std()) - 1), SPREAD)


def recipe(tool, alpha):
    """Steps too small to change anything, over one document."""
    return {
        "model": dict(base_model="model", device=tool.device, max_length=64),
        "data": dict(shuffle=False, val_size=0),
        "data.train": [dict(path="rows.jsonl")],
        "train": dict(
            max_steps=DRAWS, per_device_train_batch_size=1, learning_rate=1e-12, neftune_noise_alpha=alpha,
            load_best_model_at_end=False,
        ),
        "eval": dict(compare_base=False),
        "export": dict(merged=False),
    }


def losses(folder, document, alpha):
    """The hook of transformers' Trainer on the embedding."""
    model = peer.read(folder).train()
    embedding = model.get_input_embeddings()
    embedding.neftune_noise_alpha = alpha
    if alpha > 0:
        embedding.register_forward_hook(neftune_post_forward_hook)
    torch.manual_seed(7)
    with torch.no_grad():
        return [float(training.summed_loss(model, document)) / (len(document["input_ids"]) - 1) for _ in range(DRAWS if alpha else 1)]
