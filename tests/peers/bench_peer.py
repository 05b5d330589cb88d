"""One workload in transformers, peft and trl, measured in a process of its own: python bench_peer.py JSON.

The argument says what to do (see bench.py); the answer is one line of JSON on stdout. The model is drawn at random from a
config.json, as `slm-tune bench --random-weights` does.
"""

import json
import resource
import sys
import time
import warnings

import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RANK, ALPHA, LEARNING_RATE, CLIP = 8, 16, 2e-4, 1.0


def main():
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    torch.manual_seed(0)
    measured = dict(train=train, rows=train_rows, generate=generate)[task["kind"]](task)
    measured["matmul_flops"] = matmul_flops()
    measured["peak_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(measured))


def model_of(task):
    config = AutoConfig.from_pretrained(task["base"])
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")


def lora():
    return LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=LINEAR, task_type="CAUSAL_LM")


def train(task):
    """Rows of equal length, every token learned; what a loop around PEFT needs at least."""
    model = get_peft_model(model_of(task), lora())
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.0, fused=True)
    vocabulary, shape = model.config.vocab_size, (task["batch"], task["length"])
    taken = []
    for _ in range(task["warmup"] + task["steps"]):
        ids = torch.randint(vocabulary, shape)
        began = time.perf_counter()
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        taken.append(time.perf_counter() - began)
    return dict(steps=[dict(elapsed_s=took, tokens=task["batch"] * task["length"]) for took in taken[task["warmup"] :]])


def train_rows(task):
    """Rows of mixed length through TRL, prompts not learned."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = [json.loads(line) for line in open(task["rows"], encoding="utf-8")]
    settings = dict(
        padding={},
        grouped=dict(train_sampling_strategy="group_by_length"),
        bfd=dict(packing=True, packing_strategy="bfd", max_length=4 * task["max_length"], per_device_train_batch_size=1),
        wrapped=dict(packing=True, packing_strategy="wrapped"),
    )[task["mode"]]
    fixed = dict(
        output_dir=task["work"], max_steps=task["warmup"] + task["steps"], per_device_train_batch_size=task["batch"],
        max_length=task["max_length"], learning_rate=LEARNING_RATE, max_grad_norm=CLIP, use_cpu=True, bf16=False,
        gradient_checkpointing=False, save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    watch = Watch()
    trainer = SFTTrainer(
        model=model_of(task), args=SFTConfig(**fixed | settings), train_dataset=Dataset.from_list(rows),
        processing_class=transformers.PreTrainedTokenizerFast(
            tokenizer_file=f"{task['base']}/tokenizer.json", eos_token="<|endoftext|>", pad_token="<|endoftext|>"
        ),
        peft_config=lora(), callbacks=[watch.callback()],
    )
    trainer.data_collator = watch.counting(trainer.data_collator)
    trainer.train()
    return dict(steps=watch.steps[task["warmup"] :])


class Watch:
    """When steps begin and end, and how many tokens their batches hold."""

    def __init__(self):
        self.steps, self.began, self.counts = [], 0.0, []

    def counting(self, collate):
        def collated(examples):
            batch = collate(examples)
            tokens = sum(len(example["input_ids"]) for example in examples)
            learned = int((batch["labels"] != -100).sum())
            self.counts.append(dict(tokens=tokens, learned_tokens=learned, places=batch["input_ids"].numel()))
            return batch

        return collated

    def callback(self):
        watch = self

        class Callback(transformers.TrainerCallback):
            def on_step_begin(self, *_, **__):
                watch.began = time.perf_counter()

            def on_step_end(self, *_, **__):
                took = time.perf_counter() - watch.began
                watch.steps.append(dict(elapsed_s=took, **watch.counts[len(watch.steps)]))

        return Callback()


def generate(task):
    """Greedy, from a random prompt; the first token counts as reading the prompt, the others as writing."""
    model = model_of(task).eval()
    ids = torch.randint(model.config.vocab_size, (task["batch"], task["prompt"]))
    mask = torch.ones_like(ids)

    def took(tokens):
        began = time.perf_counter()
        with torch.no_grad():
            model.generate(
                ids, attention_mask=mask, do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens, pad_token_id=0,
                eos_token_id=-1,
            )
        return time.perf_counter() - began

    took(2)
    prefill = sorted(took(1) for _ in range(3))[1]
    whole = sorted(took(task["new_tokens"]) for _ in range(3))[1]
    written = task["batch"] * (task["new_tokens"] - 1)
    return dict(prefill=task["batch"] * task["prompt"] / prefill, decode=written / (whole - prefill))


def matmul_flops(size=2048, repeats=8):
    """The best f32 product of a few, in FLOP/s, as `slm-tune bench` measures it."""
    matrix = torch.randn(size, size)
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


if __name__ == "__main__":
    main()
