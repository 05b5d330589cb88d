"""The same model gives the same logits: every family, both spellings of its configuration, a text, any model you name."""

import shutil

import peer
import places

LOGITS = 2e-4
LOSS = 1e-5
LENGTHS = (7, 40)
TEXT = "Where is my order? It should have come on Monday."


def run(tool, report, named):
    for name, folder in places.golden_models().items():
        compare_ids(tool, report, name, folder)
        with report.guarded("answers", name):
            old_spelling(tool, report, name, folder)
    for folder in (places.BASE, *named):
        compare_ids(tool, report, folder.name, folder)
        with report.guarded("answers", folder.name):
            compare_text(tool, report, folder)


def compare_ids(tool, report, name, folder):
    """A short sequence, and one longer than any window and any length that a rotary encoding was made for."""
    with report.guarded("answers", name):
        for length in LENGTHS:
            model = peer.read(folder)
            ids = peer.some_ids(length, model.config.vocab_size, seed=length)
            got = tool.logits(folder, ids=ids)
            want = peer.logits(model, ids)
            report.add("answers", name, f"logits of {length} ids", peer.difference(got.values, want), LOGITS)
            loss = peer.mean_loss(want, ids)
            report.add("answers", name, f"printed loss of {length} ids", abs(got.loss - loss) / loss, LOSS)


def old_spelling(tool, report, name, folder):
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
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder)(TEXT).input_ids
    got = tool.logits(folder, text=TEXT).values
    want = peer.logits(peer.read(folder), ids)
    report.add("answers", folder.name, "logits of a text", peer.difference(got, want), LOGITS)
