"""The same model gives the same logits: every family, both spellings, a text, bf16, any model you name."""

import shutil

import torch
from transformers import AutoTokenizer

import peer
import places

LOGITS, LOSS = 2e-4, 1e-5
# The error of our bf16 as a share of that of PyTorch's; a tenth for the luck of which value is rounded which way.
BF16 = 1.1
BF16_SEQUENCES = 8
LENGTHS = (7, 40)
TEXT = "Where is my order? It should have come on Monday."


def run(tool, report, named):
    for name, folder in places.golden_models().items():
        with report.guarded("answers", name):
            compare_ids(tool, report, name, folder)
            compare_spellings(tool, report, name, folder)
    for folder in (places.BASE, *named):
        with report.guarded("answers", folder.name):
            compare_ids(tool, report, folder.name, folder)
            compare_text(tool, report, folder)


def compare_ids(tool, report, name, folder):
    """A short sequence, and one longer than any window and any length that a rotary encoding was made for."""
    for length in LENGTHS:
        model = peer.read(folder)
        ids = peer.some_ids(length, model.config.vocab_size, seed=length)
        got, want = tool.logits(folder, ids=ids), peer.logits(model, ids)
        report.add("answers", name, f"logits of {length} ids", peer.difference(got.values, want), LOGITS)
        loss = peer.mean_loss(want, ids)
        report.add("answers", name, f"printed loss of {length} ids", abs(got.loss - loss) / loss, LOSS)
        listed = torch.tensor([[entry["id"], entry["logit"]] for entry in got.top])
        report.same("answers", name, "printed tokens", listed[:, 0].long().equal(got.values[-1].topk(10).indices))
        report.add("answers", name, "printed logits", peer.difference(listed[:, 1], want[-1].topk(10).values), LOGITS)
    compare_bf16(tool, report, name, folder)


def compare_bf16(tool, report, name, folder):
    """How far bf16 is from f32 over several sequences, on our side and on PyTorch's."""
    exact, rounded = peer.read(folder), peer.read(folder, torch.bfloat16)
    sequences = [peer.some_ids(LENGTHS[-1], exact.config.vocab_size, seed=seed) for seed in range(BF16_SEQUENCES)]
    want = torch.cat([peer.logits(exact, ids) for ids in sequences])
    theirs = peer.distance(torch.cat([peer.logits(rounded, ids) for ids in sequences]), want)
    got = torch.cat([tool.logits(folder, ids=ids, dtype="bf16").values for ids in sequences])
    report.add("answers", name, f"bf16, beside PyTorch's {theirs:.1e}", peer.distance(got, want), BF16 * theirs)


def compare_spellings(tool, report, name, folder):
    """config.v4.json in place of config.json gives the same model."""
    other = tool.work / f"{name}-v4"
    other.mkdir()
    shutil.copy(folder / "config.v4.json", other / "config.json")
    shutil.copy(folder / "model.safetensors", other)
    ids = peer.some_ids(LENGTHS[-1], 80)
    got, want = (tool.logits(place, ids=ids).values for place in (other, folder))
    report.same("answers", name, "logits of both spellings", got.equal(want))


def compare_text(tool, report, folder):
    """--text goes through the model's own tokenizer."""
    ids = AutoTokenizer.from_pretrained(folder)(TEXT).input_ids
    got = tool.logits(folder, text=TEXT)
    report.same("answers", folder.name, "ids of a text", got.ids == ids)
    want = peer.logits(peer.read(folder), ids)
    report.add("answers", folder.name, "logits of a text", peer.difference(got.values, want), LOGITS)
