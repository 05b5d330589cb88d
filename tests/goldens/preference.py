"""Preference tuning, as TRL's own trainers compute it: DPO, ORPO, KTO.

The loss functions are those of `DPOTrainer`, `ORPOTrainer` and `KTOTrainer`, called with batches of ids and a model that PEFT
has put an adapter on; the reference is the base, the adapter switched off.
"""

import json
import tempfile

import torch
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models as tokenizer_models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

import adapters
import inputs
import models
from families import SIZE

BATCH = 2
STEPS = 4
# Lengths of prompt, chosen and rejected answer of each pair.
PAIRS = ((3, 4, 2), (5, 1, 3), (2, 3, 3), (4, 2, 5), (1, 3, 1), (3, 2, 2), (2, 5, 4), (4, 1, 2))
# Lengths of prompt and answer, and the judgement, of each answer judged alone.
RATED = ((3, 4, True), (5, 2, False), (2, 3, True), (4, 1, True), (1, 3, False), (3, 2, False), (2, 5, True), (4, 2, False))
# What each objective is run with, besides the defaults of its trainer.
CASES = {
    "dpo": dict(beta=0.3),
    "dpo_robust": dict(beta=0.3, loss_type="robust", label_smoothing=0.2),
    "orpo": dict(beta=0.5),
    "kto": dict(beta=0.3, desirable_weight=1.5, undesirable_weight=0.8),
}


def write(out):
    """preference/: the rows, an adapter to start from, and what TRL makes of both; returns what was measured."""
    disable_progress_bars()
    folder = out / "preference"
    folder.mkdir(parents=True, exist_ok=True)
    pairs, rated = rows()
    for name, kind in (("pairs", pairs), ("rated", rated)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kind))
    trained = load_file(out / "llama/lora/adapter_model.safetensors")
    fresh = {key: torch.zeros_like(value) if "lora_B" in key else value for key, value in trained.items()}
    (folder / "adapter").mkdir(exist_ok=True)
    save_file(fresh, folder / "adapter/adapter_model.safetensors", metadata={"format": "pt"})
    config = (out / "llama/lora/adapter_config.json").read_text()
    (folder / "adapter/adapter_config.json").write_text(config.replace('"../model"', '"../../llama/model"'))
    facts = {}
    for case, settings in CASES.items():
        objective = case.split("_")[0]
        data = rated if objective == "kto" else pairs
        base = models.read(out / "llama/model")
        lora = LoraConfig.from_pretrained(out / "llama/lora")
        trainer = make(objective, base, lora, settings)
        # Away from the base to the other side for KTO, so that its estimate of the divergence is not cut off at 0.
        side = -1 if objective == "kto" else 1
        put(trainer.model, {key: side * value if "lora_B" in key else value for key, value in trained.items()})
        tensors = once(trainer, objective, data[: 2 * BATCH], trained)
        put(trainer.model, fresh)
        tensors.update(steps(trainer, objective, data))
        save_file({key: value.contiguous().clone() for key, value in tensors.items()}, folder / f"{case}.safetensors")
        facts[case] = dict(loss=float(tensors["loss"]), last_loss=float(tensors["train.loss"][-1]))
    return facts


def rows():
    """Ids of prompts and answers; an answer ends with EOS."""
    drawn = inputs.ids(16, 400).tolist()

    def take(n):
        return [drawn.pop(0) for _ in range(n)]

    eos = [SIZE["eos_token_id"]]
    pairs = [
        dict(prompt_ids=take(prompt), chosen_ids=take(chosen) + eos, rejected_ids=take(rejected) + eos)
        for prompt, chosen, rejected in PAIRS
    ]
    rated = [
        dict(prompt_ids=take(prompt), completion_ids=take(answer) + eos, label=label) for prompt, answer, label in RATED
    ]
    return pairs, rated


def tokenizer():
    """A word for each id; the trainers want one, although the rows are ids already."""
    vocab = {f"w{token}": token for token in range(SIZE["vocab_size"])}
    words = Tokenizer(tokenizer_models.WordLevel(vocab, unk_token="w3"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {name: f"w{SIZE[f'{name}_id']}" for name in ("bos_token", "eos_token", "pad_token")}
    return PreTrainedTokenizerFast(tokenizer_object=words, **special)


def make(objective, base, lora, settings):
    """The trainer of an objective, with a new adapter on the base.

    It wants rows of text, which it prepares and never reads: only its loss is called, with batches of ids.
    """
    common = dict(
        output_dir=tempfile.mkdtemp(), report_to=[], use_cpu=True, bf16=False, max_length=64,
        gradient_checkpointing=False, per_device_train_batch_size=BATCH, **settings,
    )
    trainers = dict(dpo=(DPOTrainer, DPOConfig), kto=(KTOTrainer, KTOConfig), orpo=(ORPOTrainer, ORPOConfig))
    trainer, config = trainers[objective]
    rows = [dict(prompt="w3 w4", chosen=" w5", rejected=" w6")]
    if objective == "kto":
        rows = [dict(prompt="w3 w4", completion=" w5", label=label) for label in (True, False)]
    lora.inference_mode = False
    return trainer(
        model=base, args=config(**common), train_dataset=Dataset.from_list(rows), processing_class=tokenizer(),
        peft_config=lora,
    )


def put(model, weights):
    """Sets every weight of the adapter."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.copy_(weights[adapters.stored_name(name, weights)])


def batch_of(trainer, objective, rows):
    if objective == "dpo":
        return trainer.data_collator(rows)
    if objective == "kto":
        # Each answer to the prompt after it, that of the last row to the first prompt, as its `map` does.
        shifted = [rows[-1], *rows[:-1]]
        rows = [dict(row, KL_completion_ids=other["completion_ids"]) for row, other in zip(rows, shifted, strict=True)]
        return trainer.data_collator(rows)
    batch = {}
    for kind in ("chosen", "rejected"):
        ids = [row["prompt_ids"] + row[f"{kind}_ids"] for row in rows]
        labels = [[inputs.IGNORED] * len(row["prompt_ids"]) + row[f"{kind}_ids"] for row in rows]
        width = max(map(len, ids))
        batch[f"{kind}_input_ids"] = torch.tensor([row + [inputs.PAD] * (width - len(row)) for row in ids])
        batch[f"{kind}_attention_mask"] = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
        batch[f"{kind}_labels"] = torch.tensor([row + [inputs.IGNORED] * (width - len(row)) for row in labels])
    return batch


def loss_of(trainer, objective, batch):
    """The loss, and the means that are logged."""
    if objective == "orpo":
        loss, metrics = trainer.get_batch_loss_metrics(trainer.model, batch)
        return loss, metrics
    trainer._metrics["train"].clear()
    trainer.model.train()
    loss = trainer._compute_loss(trainer.model, batch, False)
    return loss, {key: values[-1] for key, values in trainer._metrics["train"].items()}


LOGGED = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "kl", "entropy", "nll_loss")


def once(trainer, objective, rows, stored):
    """Loss, rewards and gradients of one batch, with an adapter that has moved; the reference's log-probabilities."""
    batch = batch_of(trainer, objective, rows)
    trainer.model.zero_grad()
    loss, metrics = loss_of(trainer, objective, batch)
    loss.backward()
    tensors = {"loss": loss.detach().double().reshape(1)}
    for key in LOGGED:
        if key in metrics:
            tensors[key] = torch.tensor([metrics[key]], dtype=torch.float64)
    for name, weight in trainer.model.named_parameters():
        if weight.requires_grad:
            tensors[f"grad.{adapters.stored_name(name, stored)}"] = weight.grad.clone()
    if objective == "dpo":
        chosen, rejected = trainer.compute_ref_log_probs(trainer.model, batch)
        tensors.update({"ref.chosen": chosen.double(), "ref.rejected": rejected.double()})
    if objective == "kto":
        answers, mismatched = trainer.compute_ref_log_probs(trainer.model, batch)
        tensors.update({"ref.answers": answers.double(), "ref.mismatched": mismatched.double()})
    return tensors


def steps(trainer, objective, data):
    """Steps over the rows in order: AdamW at a constant rate, clipping at 1."""
    weights = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    told = dict(loss=[], grad_norm=[], **{key: [] for key in LOGGED[:5]})
    for step in range(STEPS):
        batch = batch_of(trainer, objective, data[step * BATCH : (step + 1) * BATCH])
        loss, metrics = loss_of(trainer, objective, batch)
        optimizer.zero_grad()
        loss.backward()
        told["loss"].append(float(loss.detach()))
        told["grad_norm"].append(float(torch.nn.utils.clip_grad_norm_(weights, 1.0)))
        for key in LOGGED[:5]:
            told[key].append(metrics.get(key, float("nan")))
        optimizer.step()
    return {f"train.{key}": torch.tensor(values, dtype=torch.float64) for key, values in told.items()}
