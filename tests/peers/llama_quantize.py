"""llama.cpp itself beside slm-gguf: python tests/peers/llama_quantize.py SLM_TUNE [SEED [FILE...]]

The Python is one with llama-cpp-python, gguf, numpy and
safetensors (tests/goldens/gguf/PROVENANCE.md). Random models are written in F32 and quantized by both, to every file
type: metadata, names, types and bytes of all tensors are equal, with and without an importance matrix and rules. So are those of
each FILE, a model in F32.
"""

import random
import subprocess
import sys
import tempfile
from itertools import chain
from pathlib import Path

import gguf
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "goldens" / "gguf"))

import ggml  # noqa: E402
import tiny_files  # noqa: E402

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma2", "phi3", "gpt2")
RULES = [("attn_v", "Q8_0"), (r"blk\.\d*[13]\.", "IQ4_XS"), ("token_embd", "F16"), ("down", "Q2_K"), ("up", "Q3_K")]
MODELS = 24
# llama.cpp leaves what it quantized with to whoever calls it.
UNCOMPARED = ("GGUF.", "quantize.imatrix.")
ROWS = 5


def main(slm_tune, seed=0, *files):
    draw, wrong, compared = random.Random(int(seed)), 0, 0
    slm_tune = Path(slm_tune).absolute()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for source, importance, rules, what in chain(random_cases(draw, folder), ((file, None, [], file) for file in files)):
            differing, tensors = compare(slm_tune, Path(source), importance, rules, folder)
            compared += tensors
            wrong += len(differing)
            print(f"{what}: {', '.join(differing[:4]) or 'equal'}", flush=True)
    print(f"{compared} keys and tensors, {wrong} wrong")
    return 1 if wrong else 0


def random_cases(draw, folder):
    """Files, each with or without an importance matrix and rules."""
    for _ in range(MODELS):
        model, source = random_model(draw), folder / "f32.gguf"
        importance = tiny_files.importances(model) if draw.random() < 0.5 else None
        rules = draw.sample(RULES, draw.choice([0, 0, 2]))
        tiny_files.write(model, source, rows=ROWS, seed=model.layers)
        yield source, importance, rules, f"{model}{', importance' if importance else ''}, rules {rules}"


def random_model(draw):
    kv_heads = draw.choice([1, 2, 4])
    heads = kv_heads * draw.choice([1, 2, 4, 7])
    return tiny_files.Model(
        draw.choice(ARCHITECTURES),
        layers=draw.randint(2, 32),
        heads=heads,
        kv_heads=kv_heads,
        width=draw.choice([32, 48, 64, 172, 256, 288, 512, 576]),
        ffn_width=draw.choice([64, 172, 256, 320, 512, 768]),
        tied=draw.random() < 0.5,
    )


def compare(slm_tune, source, importance, rules, folder):
    """What differs, over all file types, and how many keys and tensors were compared."""
    ours, theirs, matrix = (folder / name for name in ("ours.gguf", "theirs.gguf", "imatrix.gguf"))
    if importance:
        write_matrix(matrix, importance)
    more = ["--imatrix", str(matrix)] if importance else []
    more += [f"--tensor-type={expression}={kind}" for expression, kind in rules]
    differing, compared = [], 0
    for file_type in ggml.FILE_TYPES:
        ggml.quantize_file(source, theirs, file_type, importance, rules)
        subprocess.run([slm_tune, "-q", "quantize", source, file_type, "--out", ours, *more], check=True, capture_output=True)
        found, wanted = tensors(ours), tensors(theirs)
        compared += len(wanted)
        if found.keys() != wanted.keys():
            differing.append(f"names in {file_type}")
        differing += [f"{name} in {file_type}" for name in found.keys() & wanted.keys() if found[name] != wanted[name]]
    return differing, compared


def tensors(path):
    """Types and bytes, and what the file says of itself."""
    reader = gguf.GGUFReader(path)
    said = {key: field.contents() for key, field in reader.fields.items() if not key.startswith(UNCOMPARED)}
    return said | {tensor.name: (tensor.tensor_type, tensor.data.tobytes()) for tensor in reader.tensors}


def write_matrix(path, importance):
    """As llama-imatrix would after one position, so that sums are means."""
    writer = gguf.GGUFWriter(path, None)
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["random"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 1)
    for name, weights in importance.items():
        writer.add_tensor(f"{name}.in_sum2", weights)
        writer.add_tensor(f"{name}.counts", np.ones(1, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
