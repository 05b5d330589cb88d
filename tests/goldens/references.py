"""What a base model answers: logits, losses, greedy tokens."""

import copy

import torch
from safetensors.torch import save_file

import inputs

NEW_TOKENS = 8
# A greedy choice closer than this could go either way in another implementation's f32.
MARGIN = 5e-3


def run(model, case):
    """One forward pass. On a copy, because dynamic rotary encodings remember the longest sequence they saw."""
    with torch.no_grad():
        return copy.deepcopy(model)(**case, use_cache=False)


def write(family, model, path):
    """base_ref.safetensors; returns what was measured on the way."""
    tensors, facts = {}, {}
    for name, case in inputs.cases(family).items():
        answer = run(model, case)
        tensors.update({f"{name}.{key}": value for key, value in case.items()})
        tensors[f"{name}.logits"] = answer.logits
        tensors[f"{name}.loss"] = answer.loss.reshape(1)
        facts[name] = _facts(model, name, case, answer)
    for name, prompt in prompts(family).items():
        mask = None
        if name == "generate_leftpad":
            mask = torch.ones(2, 5, dtype=torch.int64)
            mask[1, :2] = 0
        prompt, sequence, margin = decided(model, prompt, mask)
        tensors[f"{name}.prompt"], tensors[f"{name}.sequence"] = prompt, sequence
        if mask is not None:
            tensors[f"{name}.attention_mask"] = mask
        facts[name] = dict(smallest_margin=margin)
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    return facts


def prompts(family):
    """Seeds and shapes of the prompts; the long one starts below a longrope's border and ends beyond it."""
    found = dict(generate=(16, 1, 5), generate_leftpad=(17, 2, 5))
    if family.rope and family.rope.get("rope_type") == "longrope":
        found["generate_long"] = (18, 1, 8)
    return found


def decided(model, prompt, mask=None):
    """Greedy tokens of the first prompt, by seed, whose every choice is clear; checked against a run without cache."""
    seed, *shape = prompt
    for attempt in range(50):
        tokens = inputs.ids(seed + 1000 * attempt, *shape)
        if mask is not None:
            tokens = tokens.masked_fill(mask == 0, inputs.PAD)
        sequence, margin = greedy(model, tokens, mask)
        if margin > MARGIN:
            without, _ = greedy(model, tokens, mask, use_cache=False)
            assert torch.equal(sequence, without), "the cache changes what is generated"
            return tokens, sequence, margin
    raise AssertionError("no prompt with clear choices")


def greedy(model, tokens, mask=None, **keys):
    """The prompt with eight more tokens, and the smallest gap between the best and the second-best logit."""
    mask = torch.ones_like(tokens) if mask is None else mask
    with torch.no_grad():
        answer = copy.deepcopy(model).generate(
            input_ids=tokens, attention_mask=mask, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS,
            do_sample=False, num_beams=1, eos_token_id=None, pad_token_id=inputs.PAD, output_logits=True,
            return_dict_in_generate=True, **keys,
        )
    best = torch.stack(answer.logits, 1).topk(2, -1).values
    return answer.sequences, float((best[..., 0] - best[..., 1]).min())


def _facts(model, name, case, answer):
    """How exact the reference is: against f64, and against each document run alone."""
    seen = case.get("attention_mask", torch.ones_like(case["input_ids"])).bool()
    largest = float(answer.logits[seen].abs().max())
    facts = dict(loss=float(answer.loss), largest_logit=largest)
    if name in ("plain", "long"):
        exact = run(copy.deepcopy(model).double(), case).logits
        difference = float((answer.logits.double() - exact).abs().max())
        facts["f32_against_f64"] = difference
    else:
        difference = 0.0
        for row, alone in documents(case):
            logits = run(model, dict(input_ids=alone["input_ids"])).logits[0]
            difference = max(difference, float((logits - answer.logits[row][alone["places"]]).abs().max()))
        facts["against_alone"] = difference
    assert difference < 2e-5 * largest, f"{name}: {difference}"
    return facts


def documents(case):
    """Each document of a padded or packed case: its row, its ids, and where they lie."""
    if "attention_mask" in case:
        for row, mask in enumerate(case["attention_mask"].bool()):
            places = mask.nonzero()[:, 0]
            yield row, dict(input_ids=case["input_ids"][row][places][None], places=places)
        return
    start = 0
    for length in inputs.SEGMENTS:
        places = torch.arange(start, start + length)
        yield 0, dict(input_ids=case["input_ids"][:, places], places=places)
        start += length


def traps(family, folder, model):
    """How far a model that overlooks a key is off, as a share of the largest logit."""
    import models

    found = {}
    for name, overrides in family.traps.items():
        wrong = models.read(folder, **overrides)
        worst = 0.0
        for case in inputs.cases(family).values():
            seen = case.get("attention_mask", torch.ones_like(case["input_ids"])).bool()
            right = run(model, case).logits[seen]
            off = (run(wrong, case).logits[seen] - right).abs().max() / right.abs().max()
            worst = max(worst, float(off))
        assert worst > 5e-3, f"{name} changes the logits by {worst} only"
        found[name] = worst
    return found
