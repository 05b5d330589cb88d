"""How fast `slm-tune teach` reads rows, beside the forward pass of `slm-tune bench` on the same shape.

    venv/bin/python tests/peers/teaching_rate.py target/release/slm-tune --shape smollm2-135m --threads 2

Writes random weights of a shape of `shapes/` with a tokenizer of bytes, and rows of random tokens, one length each. Then, in turn,
measures `bench`'s forward pass and `teach` over the rows, and prints the medians of both and of the ratios of neighbouring runs, so
that a machine that does other things too slows both down alike. Every token is learned, so that `teach` needs the head for all of
them: it is held to the time that `bench` takes for its layers and its head together (the head with the gradient of its states). `teach`
is also run with the cache's least (`top_k` 1): what the choice of tokens and the cache cost.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from safetensors.numpy import save_file

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--shape", default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))


def measure(options, folder):
    prepare(options, folder)
    names = ("layers", "layers and head", "teach", "teach, top_k 1")
    runs = []
    for _ in range(options.pairs):
        runs.append((*forward(options, folder), taught(options, folder, 32), taught(options, folder, 1)))
        print("  ".join(f"{name} {rate:.1f}" for name, rate in zip(names, runs[-1])), "tokens/s", flush=True)
    for name, column in zip(names, zip(*runs)):
        print(f"{name:24} {statistics.median(column):8.1f} tokens/s")
    median = lambda of: statistics.median(of(*rates) for rates in runs)  # noqa: E731
    share = median(lambda layers, both, teach, least: teach / both)
    print(f"{'teach / layers':24} {median(lambda layers, both, teach, least: teach / layers):8.3f}")
    print(f"{'teach / layers and head':24} {share:8.3f}   (least wanted: 0.8)")
    print(f"{'cost of top_k 32':24} {median(lambda layers, both, teach, least: 1 - teach / least):8.3f}   (most wanted: 0.05)")
    if share < 0.8:
        sys.exit(1)


def prepare(options, folder):
    """The model, the rows and the recipe."""
    config = json.loads((HERE / "shapes" / options.shape / "config.json").read_text())
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(config))
    tokenizer(config["vocab_size"], model)
    draw = random.Random(1)
    ids = lambda: [draw.randrange(config["vocab_size"]) for _ in range(options.length)]  # noqa: E731
    rows = [dict(input_ids=row, labels=row) for row in (ids() for _ in range(options.rows))]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    weights(config, model)
    (folder / "recipe.toml").write_text(
        f"""
name = "rate"
[model]
base_model = "model"
device = "{options.device}"
max_length = {options.length}
[data]
val_size = 0.0
accept_findings = ["unlearned_end"]
[[data.train]]
path = "rows.jsonl"
[train]
per_device_train_batch_size = {options.batch}
per_device_eval_batch_size = {options.batch}
gradient_accumulation_steps = 1
[distill]
cache_dir = "cache"
[distill.teacher]
path = "model"
"""
    )


def tokenizer(vocab_size, model):
    """Words `w0`, `w1`, ..: rows are ids, and no text is read."""
    vocab = {f"w{i}": i for i in range(vocab_size)}
    tokens = dict(
        version="1.0", truncation=None, padding=None, added_tokens=[], normalizer=None, post_processor=None,
        pre_tokenizer=dict(type="WhitespaceSplit"), decoder=None, model=dict(type="WordLevel", vocab=vocab, unk_token="w0"),
    )  # fmt: skip
    (model / "tokenizer.json").write_text(json.dumps(tokens))
    (model / "tokenizer_config.json").write_text("{}")


def weights(config, model):
    """Random ones of a Llama shape."""
    draw = numpy.random.default_rng(1)
    d, ff, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    heads = config["num_attention_heads"]
    kv = d // heads * config.get("num_key_value_heads", heads)
    matrix = lambda *shape: (0.02 * draw.standard_normal(shape, dtype=numpy.float32))  # noqa: E731
    norm = lambda: numpy.ones(d, dtype=numpy.float32)  # noqa: E731
    tensors = {"model.embed_tokens.weight": matrix(config["vocab_size"], d), "model.norm.weight": norm()}
    if not config.get("tie_word_embeddings", False):
        tensors["lm_head.weight"] = matrix(config["vocab_size"], d)
    for i in range(layers):
        at = f"model.layers.{i}"
        tensors |= {f"{at}.input_layernorm.weight": norm(), f"{at}.post_attention_layernorm.weight": norm()}
        for name, shape in dict(q=(d, d), k=(kv, d), v=(kv, d), o=(d, d)).items():
            tensors[f"{at}.self_attn.{name}_proj.weight"] = matrix(*shape)
        for name, shape in dict(gate=(ff, d), up=(ff, d), down=(d, ff)).items():
            tensors[f"{at}.mlp.{name}_proj.weight"] = matrix(*shape)
    save_file(tensors, model / "model.safetensors")


def run(options, folder, *arguments):
    command = [str(options.binary.resolve()), *arguments, "--offline", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600, check=False)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def forward(options, folder):
    """Tokens per second of the layers' forward pass in `bench`, and of that and the head, without a teacher."""
    (folder / "bench.toml").write_text((folder / "recipe.toml").read_text().split("[distill]")[0])
    speed = run(options, folder, "bench", "bench.toml", "--steps", "3", "--warmup", "1", "--length", str(options.length))
    parts = speed["training"]["steps_by_part"]
    layers = statistics.median(step["parts"]["forward_s"] for step in parts)
    both = statistics.median(step["parts"]["forward_s"] + step["parts"]["head_s"] for step in parts)
    return parts[0]["tokens"] / layers, parts[0]["tokens"] / both


def taught(options, folder, top_k):
    """Tokens per second of `teach`, from the first batch to the last shard on the disk."""
    shutil.rmtree(folder / "cache", ignore_errors=True)
    found = run(options, folder, "teach", "recipe.toml", f"distill.top_k={top_k}")["taught"]
    return found["tokens"] / found["elapsed_s"]


if __name__ == "__main__":
    main()
