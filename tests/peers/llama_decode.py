"""Decoding at batch 1 beside llama.cpp: python tests/peers/llama_decode.py DECODE SLM_TUNE [OPTION...]

DECODE is `cargo build --release -p slm-export --example decode`, the Python one with llama-cpp-python, gguf and
numpy. A file with random weights in the shape of a config.json is written and quantized; both sides read it in turn,
each in a process of its own, a prompt and then one token after the other, greedily. Prints tokens/s, peak memory, and the
medians of the ratios of neighbouring runs. It needs a quiet machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHAPES = Path(__file__).parent / "shapes"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("decode")
    options.add_argument("slm_tune")
    options.add_argument("--shape", default=str(SHAPES / "smollm2-135m"), help="folder with a config.json")
    options.add_argument("--types", default="F32,Q8_0,Q4_K_M")
    options.add_argument("--pairs", type=int, default=5)
    options.add_argument("--prompt", type=int, default=128)
    options.add_argument("--new", type=int, default=128)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--keep", help="folder for the files, which are used again")
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(options.keep or folder)
        folder.mkdir(parents=True, exist_ok=True)
        for kind in options.types.split(","):
            compare(options, kind, file_of(options, kind, folder))


def file_of(options, kind, folder):
    source = folder / f"{Path(options.shape).name}-F32.gguf"
    if not source.exists():
        write(json.loads((Path(options.shape) / "config.json").read_text()), source)
    target = folder / f"{Path(options.shape).name}-{kind}.gguf"
    if not target.exists():
        command = [options.slm_tune, "-q", "quantize", source, kind, "--out", target]
        subprocess.run(command, check=True, capture_output=True)
    return target


def compare(options, kind, file):
    sizes = [str(options.prompt), str(options.new)]
    ours = [options.decode, file, *sizes]
    theirs = [sys.executable, __file__, "--peer", file, *sizes, str(options.threads)]
    pairs = []
    for _ in range(options.pairs):
        pairs.append([run(command, options.threads) for command in (ours, theirs)])
    print(f"{Path(options.shape).name} {kind}: {file.stat().st_size / 1e6:.0f} MB, {options.threads} threads")
    for what in ("decode", "prompt"):
        of = [[side[what] for side in pair] for pair in pairs]
        ratios = sorted(a / b for a, b in of)
        a, b = (statistics.median(side) for side in zip(*of))
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(f"  {what}: {a:.1f} tokens/s, llama.cpp {b:.1f}: {statistics.median(ratios):.3f} ({spread})")
    a, b = (statistics.median(side["peak_mb"] for side in sides) for sides in zip(*pairs))
    print(f"  peak memory: {a:.0f} MB, llama.cpp in Python {b:.0f} MB", flush=True)


def run(command, threads):
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(result.stdout.splitlines()[-1])


def peer(file, prompt, new, threads):
    import llama_cpp as llama

    silent = llama.llama_log_callback(lambda *_: None)  # held as long as llama.cpp may call it
    llama.llama_log_set(silent, None)
    llama.llama_backend_init()
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = prompt + new + 8
    parameters.n_batch = parameters.n_ubatch = max(512, prompt)
    parameters.n_threads = parameters.n_threads_batch = threads
    model = llama.llama_model_load_from_file(file.encode(), llama.llama_model_default_params())
    context = llama.llama_init_from_model(model, parameters)
    vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    greedy = llama.llama_sampler_init_greedy()

    def read(ids):
        tokens = (llama.llama_token * len(ids))(*ids)
        if llama.llama_decode(context, llama.llama_batch_get_one(tokens, len(ids))) != 0:
            raise SystemExit("llama_decode failed")
        return llama.llama_sampler_sample(greedy, context, -1)

    began = time.perf_counter()
    ids = [read([(i * 7919 + 11) % vocab for i in range(prompt)])]
    first = time.perf_counter()
    for _ in range(new):
        ids.append(read(ids[-1:]))
    last = time.perf_counter()
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    figures = {"prompt": prompt / (first - began), "decode": new / (last - first), "peak_mb": int(peak.split()[1]) / 1024}
    print(json.dumps(figures | {"ids": ids[:16]}))


def write(config, path):
    """A model of random weights in F32, without a tokenizer."""
    import gguf
    import numpy as np

    drawn = np.random.default_rng(7)
    d, ff, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim") or d // heads
    kv = config["num_key_value_heads"]
    architecture = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}[config["model_type"]]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(d)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(ff)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(head_dim)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")

    def matrix(name, *shape):
        values = drawn.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
        writer.add_tensor(f"{name}.weight", values)

    def vector(name, n, value):
        writer.add_tensor(name, np.full(n, value, dtype=np.float32))

    matrix("token_embd", config["vocab_size"], d)
    for layer in range(config["num_hidden_layers"]):
        at = f"blk.{layer}."
        vector(f"{at}attn_norm.weight", d, 1)
        vector(f"{at}ffn_norm.weight", d, 1)
        for part, n in (("q", heads), ("k", kv), ("v", kv)):
            matrix(f"{at}attn_{part}", n * head_dim, d)
            if architecture == "qwen2":
                vector(f"{at}attn_{part}.bias", n * head_dim, 0)
        if architecture == "qwen3":
            vector(f"{at}attn_q_norm.weight", head_dim, 1)
            vector(f"{at}attn_k_norm.weight", head_dim, 1)
        matrix(f"{at}attn_output", d, heads * head_dim)
        matrix(f"{at}ffn_gate", ff, d)
        matrix(f"{at}ffn_up", ff, d)
        matrix(f"{at}ffn_down", d, ff)
    vector("output_norm.weight", d, 1)
    if not config.get("tie_word_embeddings"):
        matrix("output", config["vocab_size"], d)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], *(int(number) for number in sys.argv[3:]))
    else:
        main()
