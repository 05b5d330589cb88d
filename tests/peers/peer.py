"""transformers and peft, the other side of each comparison: eager attention, f32, on the CPU."""

import torch
import torch.nn.functional as F
from peft import PeftModel

from places import models

read = models.read


def read_adapted(folder, adapter):
    """A base with an adapter that PEFT loads."""
    return PeftModel.from_pretrained(read(folder), str(adapter)).eval()


def logits(model, ids):
    """[time, vocab] of one sequence."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


def mean_loss(values, ids):
    """Mean cross entropy of all tokens but the first, in nats."""
    return float(F.cross_entropy(values[:-1], torch.tensor(ids[1:])))


def difference(got, want):
    """The largest difference as a share of the largest reference value; infinite when shapes differ."""
    if got.shape != want.shape:
        return float("inf")
    return float((got.double() - want.double()).abs().max() / want.double().abs().max())


def distance(got, want):
    """The norm of the difference as a share of the reference's norm."""
    if got.shape != want.shape:
        return float("inf")
    return float((got.double() - want.double()).norm() / want.double().norm())


def some_ids(length, vocabulary, seed=0):
    """A sequence without the special tokens."""
    drawn = torch.randint(3, vocabulary, (length,), generator=torch.Generator().manual_seed(1000 + seed))
    return drawn.tolist()
