"""The input cases: ids, labels, masks, positions. All int64, all from fixed seeds."""

import torch

from families import SIZE

IGNORED = -100
PAD = SIZE["pad_token_id"]
SEGMENTS = (5, 3, 6)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def ids(seed, *shape):
    """Ids without the three special ones."""
    return torch.randint(3, SIZE["vocab_size"], shape, generator=generator(seed))


def plain():
    """[2, 8], no padding; the first 3 and 4 labels are not learned."""
    tokens = ids(11, 2, 8)
    labels = tokens.clone()
    labels[0, :3] = IGNORED
    labels[1, :4] = IGNORED
    return dict(input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=labels)


def padded(seed, left):
    """[2, 8] with 8 and 5 tokens; the first 2 real labels of each row are not learned."""
    tokens = ids(seed, 2, 8)
    mask = torch.ones_like(tokens)
    if left:
        mask[1, :3] = 0
    else:
        mask[1, 5:] = 0
    tokens = tokens.masked_fill(mask == 0, PAD)
    labels = tokens.masked_fill(mask == 0, IGNORED)
    for row in range(2):
        first = int(mask[row].argmax())
        labels[row, first : first + 2] = IGNORED
    case = dict(input_ids=tokens, attention_mask=mask, labels=labels)
    if left:
        # What `generate` makes of a mask; the position of a pad is never seen.
        case["position_ids"] = (mask.cumsum(-1) - 1).masked_fill(mask == 0, 1)
    return case


def packed():
    """[1, 14]: three documents in one row, positions start over; transformers finds the borders by that."""
    tokens = ids(14, 1, sum(SEGMENTS))
    labels = tokens.clone()
    start = 0
    for length in SEGMENTS:
        labels[0, start : start + 2] = IGNORED
        start += length
    positions = torch.cat([torch.arange(length) for length in SEGMENTS])[None]
    return dict(input_ids=tokens, position_ids=positions, labels=labels)


def long(length):
    """[1, length]: beyond the length that a dynamic rotary encoding was made for."""
    tokens = ids(15, 1, length)
    labels = tokens.clone()
    labels[0, :2] = IGNORED
    return dict(input_ids=tokens, labels=labels)


def cases(family):
    """All cases of a family by name."""
    found = dict(plain=plain(), rightpad=padded(12, False), leftpad=padded(13, True), packed=packed())
    if family.long:
        found["long"] = long(family.long)
    return found


def train_batches():
    """Ten batches [2, 10] with right padding, the first one to three labels of each row not learned."""
    batches = []
    for step in range(10):
        tokens = ids(100 + step, 2, 10)
        mask = torch.ones_like(tokens)
        mask[1, 6 + step % 5 :] = 0
        tokens = tokens.masked_fill(mask == 0, PAD)
        labels = tokens.masked_fill(mask == 0, IGNORED)
        labels[0, : 1 + step % 3] = IGNORED
        labels[1, : 1 + (step + 1) % 3] = IGNORED
        batches.append(dict(input_ids=tokens, attention_mask=mask, labels=labels))
    return batches
