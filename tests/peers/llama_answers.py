"""llama.cpp beside transformers on our GGUF files: python tests/peers/llama_answers.py FOLDER_TO_GGUF [MODEL...]

FOLDER_TO_GGUF is `cargo build --release -p slm-export --example folder_to_gguf`, the Python one with llama-cpp-python, torch,
transformers and peft (README.md). For every family, and for every MODEL folder: llama.cpp cuts texts into the ids of the
model's own tokenizer, its logits of the F32 file are those of transformers, and with the adapter's GGUF file beside the base's
those of peft. What llama.cpp does not compute is refused.

ggml looks GELU up in a table of 16-bit floats, and takes the form by tanh for both: where a family has it, transformers
computes once more with such a table.
"""

import logging
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers
from llama_cpp import Llama
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer

import peer
import places
from places import FAMILIES
from report import Report

LOGITS = 2e-5
# Against transformers' GELU; and against ggml's, where another last bit may be rounded to another half.
GELU_LOGITS, TABLE_LOGITS = 2e-3, 3e-4
N_IDS = 40
F32 = 0
TEXTS = (
    "Where is my order? It should have come on Monday.",
    "  two  spaces,\ttabs\nand lines\n\n",
    "7 x 1234 = 8638; d\u00e9j\u00e0 vu, \u4f60\u597d, \U0001f680!",
    "don't SHOUT, it's 10:45",
)

# A window, a scale of the scores and a choice of layers that llama.cpp computes too.
CHANGES = {
    "mistral": dict(config=dict(sliding_window=None)),
    "phi3_partial": dict(config=dict(sliding_window=None)),
    "gemma2": dict(config=dict(query_pre_attn_scalar=16)),
    "gemma3": dict(config=dict(query_pre_attn_scalar=16)),
    "smollm3": dict(config=dict(num_hidden_layers=4, no_rope_layer_interval=4, no_rope_layers=[1, 1, 1, 0])),
    "gpt_neox_serial": dict(config=dict(attention_bias=True)),
}
# Rows of llama.cpp have 256 positions or more: below the original context it takes the short factors.
SHORT = dict(
    config=dict(max_position_embeddings=2048, original_max_position_embeddings=512),
    rope={**FAMILIES["phi3_longrope"].rope, "original_max_position_embeddings": 512},
)
# The windows that llama.cpp takes where the file says none; the family itself has others, which the file says.
BUILT_IN = dict(
    config=dict(
        query_pre_attn_scalar=16, num_hidden_layers=7, layer_types=[*["sliding_attention"] * 5, "full_attention", "sliding_attention"]
    ),
    old={**FAMILIES["gemma3"].old, "sliding_window_pattern": 6},
)
SCALINGS = dict(
    linear=dict(rope_type="linear", factor=4.0),
    yarn=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16),
    llama3=FAMILIES["llama_llama3"].rope,
    longrope={key: value for key, value in FAMILIES["phi3_longrope"].rope.items() if key != "partial_rotary_factor"},
)
SCALED = dict(
    linear=("qwen2", "gemma", "gemma2", "smollm3", "granite", "olmo2", "gpt_neox"),
    yarn=("mistral", "qwen2", "qwen3", "gemma2", "smollm3", "granite", "olmo2", "gpt_neox"),
    llama3=("granite", "mistral"),
    longrope=("granite",),
)


def scaled(name, scaling):
    """A family with a scaling that is another's."""
    change = CHANGES.get(name, {})
    return {**change, "rope": {**FAMILIES[name].rope, **SCALINGS[scaling]}}


CASES = {name: (name, CHANGES.get(name, {})) for name in FAMILIES}
CASES |= {f"{name} {scaling}": (name, scaled(name, scaling)) for scaling, names in SCALED.items() for name in names}
CASES |= {"phi3_short": ("phi3_longrope", SHORT), "gemma3_built_in": ("gemma3", BUILT_IN)}
REFUSED = {
    "mistral": "the sliding window",
    "phi3_partial": "the sliding window",
    "qwen2_window": "the sliding window",
    "gemma2": "the scale of the scores",
    "gemma3": "the scale of the scores",
    "smollm3": "the choice of layers",
    "gpt_neox_serial": "the missing biases",
    "llama_dynamic": "`dynamic`",
    "llama_yarn_mscale": "`yarn`",
}


def main(program, *folders):
    torch.set_num_threads(2)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    transformers.logging.disable_progress_bar()
    program, report = Path(program).absolute(), Report()
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        for name, expected in REFUSED.items():
            with report.guarded("refusals", name):
                base = places.with_tokenizer(name, work / f"{name}-refused")
                told = written(program, base, work / "refused").stderr
                report.same("refusals", name, expected, "GGUF has no place for" in told and expected in told)
        for case, (name, changes) in CASES.items():
            if changes or name not in REFUSED:
                with report.guarded("llama.cpp", case):
                    base = places.with_tokenizer(name, work / f"{case}-model", **changes)
                    compare(report, program, case, base, work / case, FAMILIES[name].linear)
        for folder in map(Path, folders):
            with report.guarded("llama.cpp", folder.name):
                compare(report, program, folder.name, folder, work / f"{folder.name}-gguf", None)
    print(f"{report.rows} comparisons, {report.failed} wrong")
    return 1 if report.failed else 0


def written(program, base, out, *adapter):
    """Calls the program that writes the files."""
    command = [str(program), str(base), str(out), *map(str, adapter)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def file(program, base, out, *adapter):
    """The F32 file of a base, with its adapter in it."""
    done = written(program, base, out, *adapter)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-400:])
    return out / "model-F32.gguf"


def compare(report, program, name, base, out, targets):
    whole = file(program, base, out / "base")
    model = peer.read(base)
    compare_tokens(report, name, base, whole)
    ids = peer.some_ids(N_IDS, model.config.vocab_size, seed=7)
    compare_logits(report, name, "logits", logits(whole, ids), model, ids)
    if targets is None:
        return
    adapter = adapted(peer.read(base), list(targets), out / "adapter")
    merged = file(program, base, out / "merged", adapter)
    compare_logits(report, name, "logits, merged", logits(merged, ids), peer.read_adapted(base, adapter), ids)
    lora = out / "merged" / "model-lora-F32.gguf"
    if not lora.is_file():
        raise RuntimeError(f"there is no {lora.name}")
    got = logits(whole, ids, lora_path=str(lora))
    compare_logits(report, name, "logits, adapter beside", got, peer.read_adapted(base, adapter), ids)


def compare_logits(report, name, what, got, model, ids):
    want = peer.logits(model, ids)
    has_gelu = look_up_gelu(model)
    report.add("llama.cpp", name, what, peer.difference(got, want), GELU_LOGITS if has_gelu else LOGITS)
    if has_gelu:
        want = peer.logits(model, ids)
        report.add("llama.cpp", name, f"{what}, ggml's gelu", peer.difference(got, want), TABLE_LOGITS)


class TableGelu(torch.nn.Module):
    """ggml_gelu_f32 of the CPU: from and to half precision between -10 and 10."""

    def forward(self, x):
        looked_up = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
        return torch.where(x <= -10, 0.0, torch.where(x >= 10, x, looked_up))


def look_up_gelu(model):
    """Replaces GELU, in both forms, in every module that has it; whether any has."""
    children = [(module, *child) for module in model.modules() for child in module.named_children()]
    gelus = [(module, key) for module, key, part in children if "gelu" in type(part).__name__.lower()]
    for module, key in gelus:
        setattr(module, key, TableGelu())
    return bool(gelus)


def compare_tokens(report, name, base, path):
    ours = AutoTokenizer.from_pretrained(base)
    theirs = Llama(str(path), vocab_only=True, verbose=False)
    for text in TEXTS:
        # What stands before and after a text is the file's to say.
        got = theirs.tokenize(text.encode(), add_bos=True, special=True)
        report.same("llama.cpp", name, f"ids of {text[:12]!r}", got == ours(text).input_ids)


def logits(path, ids, **more):
    """[time, vocab] of one sequence; keys and values in f32."""
    llama = Llama(str(path), n_ctx=256, logits_all=True, verbose=False, type_k=F32, type_v=F32, n_threads=2, **more)
    llama.eval(ids)
    return torch.from_numpy(np.array(llama.scores[: len(ids)]))


def adapted(model, targets, folder):
    """An adapter of peft's with rank 4 that changes much; layers differ in rank and scale."""
    rank = dict(r=4, lora_alpha=6.0, rank_pattern={r"layers\.1\..*|h\.1\..*": 2})
    wrapped = get_peft_model(model, LoraConfig(target_modules=targets, task_type="CAUSAL_LM", **rank))
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for key, weight in wrapped.named_parameters():
            if "lora_" in key:
                weight.copy_(0.2 * torch.randn(weight.shape, generator=noise))
    wrapped.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
