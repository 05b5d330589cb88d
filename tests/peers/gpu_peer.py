"""Transformers and peft on a GPU: python gpu_peer.py DEVICE, then a task on each line of stdin, an answer on each of stdout.

One process answers all of them, as its start costs more than a measurement does; models are drawn at random from a
config.json, and freed before the answer, so that the whole card is there for whoever measures next. See gpu.py.
"""

import contextlib
import gc
import json
import os
import random
import signal
import sys
import time
import traceback
import warnings
from statistics import median

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import is_flash_attn_2_available

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LEARNING_RATE, CLIP, IGNORED = 2e-4, 1.0, -100
DTYPES = dict(bf16=torch.bfloat16, f32=torch.float32)


def main():
    # What a library prints is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.filterwarnings("ignore")
    card = Card(sys.argv[1])
    for line in sys.stdin:
        task = json.loads(line)
        # A task that hangs ends this process, and with it the wait for its answer.
        signal.alarm(task["seconds"])
        answer = card.answer(task)
        signal.alarm(0)
        print(json.dumps(answer), file=answers, flush=True)


class Card:
    """The device, with nothing of an earlier task on it."""

    def __init__(self, device):
        self.device = torch.device(device)
        self.cuda = self.device.type == "cuda"
        if self.cuda:
            # Otherwise there are no counts to be reset yet.
            torch.cuda.init()

    def answer(self, task):
        torch.manual_seed(0)
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        try:
            answer = dict(card=about, answers=answers, train=train, rows=train, generate=generate, write=write)[task["kind"]](self, task)
            answer["allocated_bytes"] = torch.cuda.max_memory_allocated() if self.cuda else None
            answer["reserved_bytes"] = torch.cuda.max_memory_reserved() if self.cuda else None
        except Exception:
            answer = dict(error=traceback.format_exc())
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()
        return answer

    def model(self, task, attention):
        """Drawn where it will be used: on the CPU that takes longer than what is measured."""
        config = AutoConfig.from_pretrained(task["base"])
        with self.device:
            return AutoModelForCausalLM.from_config(config, dtype=DTYPES[task["dtype"]], attn_implementation=attention)

    def took(self, work):
        """Seconds, with what the device was doing before and what it is left to do."""
        self.wait()
        began = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - began

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()


def about(card, task):
    """What is measured on, and the rate of a bf16 product of random matrices."""
    size, repeats = task["size"], 10
    matrix = torch.randn(size, size, device=card.device, dtype=torch.bfloat16)
    for _ in range(3):
        matrix @ matrix
    took = card.took(lambda: [matrix @ matrix for _ in range(repeats)])
    return dict(
        card=torch.cuda.get_device_name() if card.cuda else "CPU", matmul_flops=2 * size**3 * repeats / took,
        torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__,
    )


def write(card, task):
    """A folder with random weights."""
    card.model(task, "sdpa").save_pretrained(task["out"])
    return {}


def answers(card, task):
    """How far the logits that slm-tune wrote are from those of f32 on the CPU, and PyTorch's own bf16 on this device."""
    ids = torch.tensor([task["ids"]])

    def logits(dtype, device):
        model = AutoModelForCausalLM.from_pretrained(task["model"], dtype=dtype, attn_implementation="eager")
        with torch.no_grad():
            return model.to(device)(input_ids=ids.to(device)).logits[0].double().cpu()

    def distance(got):
        return float((got - want).norm() / want.norm())

    want = logits(torch.float32, "cpu")
    written = {dtype: load_file(path)["logits"][0].double() for dtype, path in task["written"].items()}
    return dict(
        difference=float((written["f32"] - want).abs().max() / want.abs().max()), bf16=distance(written["bf16"]),
        peer_bf16=distance(logits(torch.bfloat16, card.device)),
    )


def train(card, task):
    """LoRA steps: forward, backward, clipping and AdamW; batches lie ready on the device."""
    packing = task.get("rows_as") == "packing"
    # Without flash-attn a packed row needs a mask, as sdpa takes no lengths.
    varlen = packing and card.cuda and is_flash_attn_2_available()
    attention = "flash_attention_2" if varlen else "sdpa"
    model = card.model(task, attention)
    model.config.use_cache = False
    if task["checkpointing"]:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=dict(use_reentrant=False))
    # peft keeps the adapters of a bf16 base in f32.
    lora = LoraConfig(r=task["r"], lora_alpha=task["alpha"], lora_dropout=0.0, target_modules=LINEAR, task_type="CAUSAL_LM")
    model = get_peft_model(model, lora)
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.0, fused=True)
    autocast = dict(device_type=card.device.type, dtype=torch.bfloat16)

    def step(batch):
        # As transformers' Trainer does with bf16=True.
        with torch.autocast(**autocast) if task["mode"] == "autocast" else contextlib.nullcontext():
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    if task["kind"] == "train":
        batches = random_batches(task, model.config.vocab_size)
    else:
        batches = packed(task, varlen) if packing else padded(task)
    steps = []
    for number in range(task["warmup"] + task["steps"]):
        tokens, batch = batches[number % len(batches)]
        batch = {key: value.to(card.device) for key, value in batch.items()}
        steps.append(dict(elapsed_s=card.took(lambda batch=batch: step(batch)), tokens=tokens))
    return dict(steps=steps[task["warmup"] :], attention=attention)


def random_batches(task, vocab_size):
    shape = (task["batch"], task["length"])
    drawn = [torch.randint(vocab_size, shape) for _ in range(task["warmup"] + task["steps"])]
    return [(ids.numel(), dict(input_ids=ids, labels=ids)) for ids in drawn]


def rows_of(task):
    rows = [json.loads(line) for line in open(task["rows"], encoding="utf-8")]
    random.Random(0).shuffle(rows)
    return rows


def padded(task):
    """Rows filled up to the longest of their batch."""
    rows, size = rows_of(task), task["batch"]
    return [padded_batch(rows[start : start + size]) for start in range(0, len(rows) - size + 1, size)]


def padded_batch(rows):
    longest = max(len(row["input_ids"]) for row in rows)

    def filled(key, rest):
        return torch.tensor([row[key] + [rest] * (longest - len(row[key])) for row in rows])

    lengths = torch.tensor([[len(row["input_ids"])] for row in rows])
    mask = (torch.arange(longest) < lengths).long()
    return int(mask.sum()), dict(input_ids=filled("input_ids", 0), labels=filled("labels", IGNORED), attention_mask=mask)


def packed(task, varlen):
    """Rows end to end, the longest first into the first place that has room; attention blocked between them."""
    places = []
    for row in sorted(rows_of(task), key=lambda row: -len(row["input_ids"])):
        length = len(row["input_ids"])
        fits = (place for place in places if sum(len(it["input_ids"]) for it in place) + length <= task["packed"])
        place = next(fits, None)
        if place is None:
            places.append(place := [])
        place.append(row)
    random.Random(0).shuffle(places)
    return [packed_batch(place, varlen) for place in places]


def packed_batch(rows, varlen):
    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    batch = {key: torch.tensor([[id for row in rows for id in row[key]]]) for key in ("input_ids", "labels")}
    batch["position_ids"] = torch.cat([torch.arange(length) for length in lengths])[None]
    if not varlen:
        document = torch.repeat_interleave(torch.arange(len(rows)), lengths)
        batch["attention_mask"] = (document[:, None] == document).tril()[None, None]
    return int(lengths.sum()), batch


def generate(card, task):
    """Greedy, from a random prompt; the first token counts as reading the prompt, the others as writing."""
    model = card.model(task, "sdpa").eval()
    ids = torch.randint(model.config.vocab_size, (task["batch"], task["prompt"]), device=card.device)

    @torch.no_grad()
    def write(tokens):
        model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens,
            pad_token_id=0, eos_token_id=-1,
        )

    def seconds(tokens):
        return median(card.took(lambda: write(tokens)) for _ in range(3))

    write(4)
    prefill, whole = seconds(1), seconds(task["new_tokens"])
    written = task["batch"] * (task["new_tokens"] - 1)
    return dict(prefill=task["batch"] * task["prompt"] / prefill, decode=written / (whole - prefill))


if __name__ == "__main__":
    main()
