"""Ten steps here and in a loop of torch and peft: the same losses, the same adapter, the same exports."""

import contextlib
import copy
import json
import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

import peer
import places
import qlora
import tool as command

LOSS, NORM, RATE, WEIGHTS, LOGITS, MERGED = 1e-4, 1e-3, 1e-6, 1e-3, 2e-4, 1e-5
STEPS, BATCH, LEARNING_RATE = 10, 2, 2e-3
MAX_LENGTH = 64
# They fill four rows of 24 in one way only.
PACKED_LENGTHS, PACKED_ROW = (7, 9, 10, 11, 13, 14, 15, 17), 24
IGNORED = -100


@dataclass(frozen=True)
class Trial:
    """A family, the settings of its adapter (None: all weights are trained), and keys of [train] and [data].

    `joined` documents share a row of the file, with `position_ids`. With `packing` slm-tune joins them itself, in an
    order of its own, so every step takes all of them. `lengths` are those of the documents where they are not packed.
    `quantization` are keys of [model]: the base is kept in NF4, here and by bitsandbytes.
    """

    family: str
    lora: dict | None = field(default_factory=dict)
    train: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)
    joined: int = 1
    lengths: range = range(6, 16)
    quantization: dict = field(default_factory=dict)

    @property
    def packed(self):
        return self.data.get("packing", False)

    @property
    def documents_a_step(self):
        if self.packed:
            return len(PACKED_LENGTHS)
        rows = self.train.get("per_device_train_batch_size", BATCH)
        return rows * self.train.get("gradient_accumulation_steps", 1) * self.joined


TRIALS = {name: Trial(name) for name, family in places.FAMILIES.items() if "lora" in family.adapters}
# The longest document of a batch decides for all of it whether longrope's factors are short or long: 12 is the border.
TRIALS |= {
    "phi3_longrope": Trial("phi3_longrope", lengths=range(6, 13)),
    "phi3_longrope long": Trial("phi3_longrope", lengths=range(13, 20)),
    "llama rslora": Trial("llama", dict(use_rslora=True)),
    "llama dora": Trial("llama", dict(use_dora=True)),
    "qwen2 dora": Trial("qwen2", dict(use_dora=True)),
    "llama pattern": Trial(
        "llama",
        dict(
            rank_pattern={"q_proj": 1, "layers.1.mlp.down_proj": 4}, alpha_pattern={"up_proj": 1.0},
            exclude_modules=["v_proj"],
        ),
    ),
    "llama layers": Trial("llama", dict(layers_to_transform=[1])),
    "llama accumulated": Trial("llama", train=dict(per_device_train_batch_size=1, gradient_accumulation_steps=4)),
    "llama packed": Trial("llama", train=dict(per_device_train_batch_size=4), data=dict(packing=True, shuffle=True)),
    "llama positions": Trial("llama", joined=2),
    "llama linear schedule": Trial("llama", train=dict(lr_scheduler_type="linear")),
    "llama nf4": Trial("llama", quantization=dict(quantization="nf4", double_quant=False)),
    "llama nf4 double": Trial("llama", quantization=dict(quantization="nf4", double_quant=True)),
    "qwen2 nf4 dora": Trial("qwen2", dict(use_dora=True), quantization=dict(quantization="nf4", double_quant=True)),
    "llama full": Trial("llama", None),
    "gemma2 full": Trial("gemma2", None),
    "gpt2 full": Trial("gpt2", None),
}


def run(tool, report, named):
    for name, trial in TRIALS.items():
        kernels = qlora.without_kernels() if trial.quantization else contextlib.nullcontext()
        with report.guarded("training", name), kernels:
            compare(tool, report, name, trial)


def compare(tool, report, name, trial):
    slug = name.replace(" ", "-")
    folder = places.with_tokenizer(trial.family, tool.work / f"{slug}-model")
    documents = make_documents(trial)
    (tool.work / f"{slug}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in file_rows(documents, trial)))
    model = start(trial, folder, tool.work / f"{slug}-start")
    ours = tool.train(slug, recipe(tool, trial, slug, folder))
    theirs = loop(model, documents, trial)
    compare_steps(report, name, command.steps(ours), theirs)
    compare_exports(tool, report, name, trial, folder, ours / "export", model)


def make_documents(trial):
    """Ids and labels; the first two or three are not learned."""
    documents = []
    count = STEPS * trial.documents_a_step
    lengths = PACKED_LENGTHS if trial.packed else [trial.lengths[3 * i % len(trial.lengths)] for i in range(count)]
    for index, length in enumerate(lengths):
        ids = peer.some_ids(length, 2048, seed=index)
        hidden = 2 + index % 2
        documents.append(dict(input_ids=ids, labels=[IGNORED] * hidden + ids[hidden:]))
    return documents


def file_rows(documents, trial):
    """The rows of the file: a document each, or several with positions that start over."""
    if trial.joined == 1:
        return documents
    groups = [documents[start : start + trial.joined] for start in range(0, len(documents), trial.joined)]
    return [
        dict(
            input_ids=[token for document in group for token in document["input_ids"]],
            labels=[label for document in group for label in document["labels"]],
            position_ids=[place for document in group for place in range(len(document["input_ids"]))],
        )
        for group in groups
    ]


def start(trial, folder, adapter):
    """The other side's model before the first step; its fresh adapter is stored for ours to begin with."""
    model = qlora.load_base(folder, trial.quantization["double_quant"]) if trial.quantization else peer.read(folder)
    if trial.lora is None:
        for weight in model.parameters():
            weight.requires_grad_(True)
        return model
    family = places.FAMILIES[trial.family]
    settings = dict(
        r=4, lora_alpha=8, lora_dropout=0.0, target_modules=list(family.linear), task_type="CAUSAL_LM",
        fan_in_fan_out=family.model == "GPT2", **trial.lora,
    )
    torch.manual_seed(3)
    model = qlora.computing_in_f32(get_peft_model(model, LoraConfig(**settings)).eval())
    with torch.no_grad():
        for parameter, weight in model.named_parameters():
            if "lora_B" in parameter:
                weight.copy_(0.02 * torch.randn(weight.shape))
    model.save_pretrained(adapter)
    return model


def recipe(tool, trial, slug, folder):
    """What slm-tune is told; nothing that it could choose by itself is left open."""
    made = dict(
        model=dict(
            base_model=folder.name, device=tool.device, max_length=PACKED_ROW if trial.packed else MAX_LENGTH,
            **trial.quantization,
        ),
        data=dict(shuffle=False, val_size=0) | trial.data,
        train=dict(
            method="full" if trial.lora is None else "lora", max_steps=STEPS, per_device_train_batch_size=BATCH,
            learning_rate=LEARNING_RATE, warmup_steps=2, weight_decay=weight_decay(trial), max_grad_norm=1.0,
            logging_steps=1, load_best_model_at_end=False,
        ),
        eval=dict(compare_base=False),
        export=dict(peft_adapter=trial.lora is not None, merged=True, gguf=[]),
    )
    made["train"] |= trial.train
    made["data.train"] = [dict(path=f"{slug}.jsonl")]
    if trial.lora is not None:
        made["lora"] = dict(adapter_path=f"{slug}-start")
    return made


def weight_decay(trial):
    """None in full fine-tuning, where trainers differ in what they exempt from it."""
    return 0.0 if trial.lora is None else 0.01


def loop(model, documents, trial):
    """AdamW, warm-up, schedule and clipping of torch and transformers; the loss is the mean over the step's tokens."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=weight_decay(trial))
    schedule = make_schedule(trial)(optimizer, num_warmup_steps=2, num_training_steps=STEPS)
    per_step = trial.documents_a_step
    taken = []
    for step in range(STEPS):
        first = 0 if trial.packed else step * per_step
        batch = documents[first : first + per_step]
        learned = sum(label != IGNORED for document in batch for label in document["labels"][1:])
        loss = sum(summed_loss(model, document) for document in batch) / learned
        optimizer.zero_grad()
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(weights, 1.0))
        taken.append(dict(loss=float(loss.detach()), grad_norm=norm, lr=schedule.get_last_lr()[0]))
        optimizer.step()
        schedule.step()
    return taken


def make_schedule(trial):
    linear = trial.train.get("lr_scheduler_type") == "linear"
    return get_linear_schedule_with_warmup if linear else get_cosine_schedule_with_warmup


def summed_loss(model, document):
    """The sum over the learned tokens of one document by itself, so that neither padding nor packing can matter."""
    logits = model(input_ids=torch.tensor([document["input_ids"]]), use_cache=False).logits[0, :-1]
    return F.cross_entropy(logits.float(), torch.tensor(document["labels"][1:]), ignore_index=IGNORED, reduction="sum")


def compare_steps(report, name, ours, theirs):
    report.same("training", name, "number of steps", len(ours) == len(theirs))
    for key, allowed in (("loss", LOSS), ("grad_norm", NORM), ("lr", RATE)):
        worst = max(
            (abs(left[key] - right[key]) / (abs(right[key]) or 1.0) for left, right in zip(ours, theirs, strict=False)),
            default=math.inf,
        )
        report.add("training", name, f"{key} of {STEPS} steps", worst, allowed)


def compare_exports(tool, report, name, trial, folder, export, model):
    """What was trained here answers the same in transformers and peft, and as what they trained."""
    ids = peer.some_ids(12, 2048, seed=99)
    merged = peer.logits(peer.read(export / "merged"), ids)
    trained = peer.logits(model, ids)
    report.add("exports", name, "merged, against the loop's model", peer.difference(merged, trained), WEIGHTS)
    here = tool.logits(export / "merged", ids=ids).values
    report.add("exports", name, "merged, here and in transformers", peer.difference(here, merged), LOGITS)
    if trial.lora is None:
        return
    adapted = peer.read_adapted(folder, export / "adapter")
    here = tool.logits(folder, ids=ids, adapter=export / "adapter").values
    report.add("exports", name, "adapter, here and in peft", peer.difference(here, peer.logits(adapted, ids)), LOGITS)
    compare_adapters(report, name, model, export / "adapter", tool.work / f"{name.replace(' ', '-')}-start")
    if not trial.quantization:
        # Ours has what the codes stand for with the adapter; PEFT merged the adapter into the floats.
        compare_merge(report, name, adapted, export / "merged")


def compare_adapters(report, name, model, ours, scratch):
    """The adapter file that PEFT writes of its own model, and ours: the same names, the same values."""
    model.save_pretrained(scratch)
    got, want = (load_file(place / "adapter_model.safetensors") for place in (ours, scratch))
    report.same("exports", name, "names in the adapter file", got.keys() == want.keys())
    worst = max(peer.distance(got[key], want[key]) for key in got.keys() & want.keys())
    report.add("exports", name, f"adapter after {STEPS} steps", worst, WEIGHTS)


def compare_merge(report, name, adapted, merged):
    """Our merged weights are those that PEFT merges from the same adapter."""
    want = copy.deepcopy(adapted).merge_and_unload().state_dict()
    got = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32).state_dict()
    report.same("exports", name, "names in the merged model", got.keys() == want.keys())
    worst = max(peer.difference(got[key], want[key]) for key in got.keys() & want.keys())
    report.add("exports", name, "merged weights, against peft's", worst, MERGED)
