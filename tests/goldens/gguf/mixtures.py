"""What llama.cpp stores each tensor as, for every file type: mixtures.json."""

import itertools
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import ggml
import tiny_files
from tiny_files import Model

RULES = [(r"attn_v\.weight", "Q8_0"), (r"blk\.[02]\.ffn_", "IQ4_XS"), ("token_embd", "BF16"), ("ffn_up", "Q2_K")]
# Model, whether there is an importance matrix, rules.
CASES = [
    (Model(), False, []),
    (Model(layers=3, heads=8, kv_heads=2, tied=False), True, []),
    (Model(layers=16, tied=False), False, []),
    (Model(layers=16, heads=8, kv_heads=2), True, []),
    (Model(layers=30, heads=9, kv_heads=3, width=576, ffn_width=1536), False, []),  # SmolLM2 135M
    (Model(layers=5, heads=8, kv_heads=4, width=64, ffn_width=172), False, []),  # stories260k
    (Model(layers=32, heads=32, kv_heads=8, width=2048), False, []),
    (Model("qwen2", layers=24, heads=14, kv_heads=2, width=896, ffn_width=4864), False, []),  # Qwen2.5 0.5B
    (Model("qwen2", layers=28, heads=12, kv_heads=2, width=100, ffn_width=300, tied=False), True, []),
    (Model("qwen3", layers=28, heads=16, kv_heads=8, width=1024, ffn_width=3072), False, []),
    (Model("gemma2", layers=26, heads=8, kv_heads=4, width=2304, ffn_width=9216), False, []),
    (Model("phi3", layers=32, heads=32, kv_heads=32, width=3072, ffn_width=8192, tied=False), False, []),
    (Model("gpt2", layers=12, heads=12, kv_heads=12, width=768, ffn_width=3072), False, []),
    (Model(layers=80, heads=8, kv_heads=2), False, []),
    (Model(layers=80), False, []),
    (Model("qwen2", layers=80), False, []),
    (Model("qwen3", layers=80, heads=8, kv_heads=2), False, []),
    (Model(layers=9, width=96, ffn_width=288), False, RULES),
    (Model(layers=4, tied=False), True, RULES),
]


def write(out):
    """mixtures.json; returns how many tensors were asked for."""
    cases = [case(*wanted) for wanted in CASES]
    lines = ",\n".join(json.dumps(one) for one in cases)
    (out / "mixtures.json").write_text(f"[\n{lines}\n]\n")
    return sum(len(tiny_files.names(model)) for model, _, _ in CASES) * len(ggml.FILE_TYPES)


def case(model, has_importance, rules):
    importance = tiny_files.importances(model) if has_importance else None
    chosen = {}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "f32.gguf", Path(folder) / "quantized.gguf"
        tiny_files.write(model, source)
        for file_type in ggml.FILE_TYPES:
            ggml.quantize_file(source, target, file_type, importance, rules)
            chosen[file_type] = by_role(tiny_files.types(target))
    rules = [f"{expression}={kind}" for expression, kind in rules]
    return dict(asdict(model), importance=has_importance, rules=rules, widths=widths(model), types=chosen)


def widths(model):
    """Of the tensors outside the layers, and of those of each layer; none for vectors."""
    outside = {name: width for name, width in tiny_files.names(model).items() if not name.startswith("blk.")}
    return dict(outside=outside, layer=tiny_files.of_layer(model))


def by_role(types):
    """Names without the layer by their types: `2*Q5_K 14*Q4_K` are those of sixteen layers. Vectors, always F32, are left out."""
    roles = {}
    for name, kind in types.items():
        layer, role = name.split(".", 2)[1:] if name.startswith("blk.") else (0, name)
        roles.setdefault(role.removesuffix(".weight"), {})[int(layer)] = kind
    runs = {}
    for role, kinds in roles.items():
        groups = itertools.groupby(kinds[layer] for layer in sorted(kinds))
        run = " ".join(f"{len(list(group))}*{kind}" for kind, group in groups)
        if "norm" not in role:
            runs.setdefault(run, []).append(role)
    return {run: " ".join(roles) for run, roles in runs.items()}
