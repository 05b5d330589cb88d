"""What llama.cpp's converters make of the models of tests/goldens: python tests/goldens/gguf/converted.py LLAMA_CPP [OUTDIR]

LLAMA_CPP is a source tree of llama.cpp with `conversion/`; PROVENANCE.md says which. Needs torch, transformers and safetensors. Written is
no file but what is in it: the architecture's keys, and names, shapes and digests of all tensors in F32; of an adapter its alpha.
"""

import hashlib
import json
import runpy
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
sys.path.append(str(HERE.parent))

import digests  # noqa: E402

# Where llama.cpp has no place for what the golden has, and what is put in its place.
CHANGES = {
    "mistral": dict(sliding_window=None),
    "phi3_partial": dict(sliding_window=None),
    "gemma2": dict(query_pre_attn_scalar=16),
    "gemma3": dict(query_pre_attn_scalar=16, layer_types=["sliding_attention"] * 2),
    "smollm3": dict(no_rope_layers=[1, 1], no_rope_layer_interval=4),
}
MODELS = (
    "gemma", "gemma2", "gemma3", "gpt2", "gpt_neox", "granite", "llama", "llama_bias", "llama_linear", "llama_llama3", "llama_yarn",
    "llama_yarn_factor", "mistral", "olmo2", "phi3_longrope", "phi3_partial", "phi4_mini", "qwen2", "qwen3", "smollm3",
)
ADAPTERS = ("llama", "llama_bias", "qwen3", "granite", "smollm3", "gemma2", "phi3_longrope", "olmo2")


def main(llama_cpp, out=HERE / "converted"):
    llama_cpp, out = Path(llama_cpp).absolute(), Path(out)
    sys.path[:0] = [str(llama_cpp), str(llama_cpp / "gguf-py")]
    without_vocabulary()
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        models = {name: model(llama_cpp, name, work) for name in MODELS}
        adapters = {name: adapter(llama_cpp, name, work) for name in ADAPTERS}
    out.mkdir(exist_ok=True)
    lines = [f" {json.dumps(name)}: {json.dumps(found)}" for name, found in models.items()]
    (out / "models.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    lines = [f" {json.dumps(name)}: {json.dumps(found)}" for name, found in adapters.items()]
    (out / "adapters.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    digests.write(out)


def without_vocabulary():
    """The goldens have 80 ids and no tokenizer."""
    import conversion
    from conversion.base import TextModel
    from conversion.gptneox import GPTNeoXModel

    for architecture in ("GemmaForCausalLM", "Phi3ForCausalLM", "LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"):
        conversion.get_model_class(architecture)
    classes = [TextModel]
    for kind in classes:
        classes += kind.__subclasses__()
        kind.set_vocab = lambda self: None
    write = GPTNeoXModel.set_gguf_parameters

    def with_share(self):
        # transformers 5 keeps it in another place than the converter looks in.
        self.hparams["rotary_pct"] = self.rope_parameters["partial_rotary_factor"]
        write(self)

    GPTNeoXModel.set_gguf_parameters = with_share


def model(llama_cpp, name, work):
    folder = base(name, work)
    run(llama_cpp / "convert_hf_to_gguf.py", folder, "--outtype", "f32", "--outfile", work / "model.gguf")
    keys, tensors = contents(work / "model.gguf")
    return dict(changes=CHANGES.get(name, {}), keys=keys, tensors=tensors)


def base(name, work):
    folder = work / name
    if not folder.exists():
        shutil.copytree(DATA / name / "model", folder)
        config = json.loads((folder / "config.json").read_text()) | CHANGES.get(name, {})
        if config["model_type"] == "gpt2":
            config["n_ctx"] = config["n_positions"]
        (folder / "config.json").write_text(json.dumps(config))
        # Gemma 3 counts the rows of the embedding by it.
        vocabulary = dict(model=dict(vocab={str(id): id for id in range(config["vocab_size"])}), added_tokens=[])
        (folder / "tokenizer.json").write_text(json.dumps(vocabulary))
    return folder


def adapter(llama_cpp, name, work):
    out, folder = work / "adapter.gguf", DATA / name / "lora"
    run(llama_cpp / "convert_lora_to_gguf.py", folder, "--base", base(name, work), "--outtype", "f32", "--outfile", out)
    keys, tensors = contents(out)
    return dict(keys=keys, tensors=tensors)


def run(script, *arguments):
    sys.argv = [str(script), *map(str, arguments)]
    runpy.run_path(str(script), run_name="__main__")


def contents(path):
    """The keys that are not about names, and of each tensor its shape and the SHA-256 of its bytes; factors as they are."""
    import gguf

    reader = gguf.GGUFReader(path)
    named = ("GGUF.", "general.name", "general.base", "general.size", "general.tags", "general.file", "general.quant", "general.finetune")
    keys = {key: field.contents() for key, field in reader.fields.items() if not key.startswith(named)}
    tensors = {}
    for tensor in reader.tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        is_factor = tensor.name.startswith("rope_")
        content = tensor.data.tolist() if is_factor else hashlib.sha256(tensor.data.astype("<f4").tobytes()).hexdigest()[:16]
        tensors[tensor.name] = [shape, content]
    path.unlink()
    return keys, tensors


if __name__ == "__main__":
    main(*sys.argv[1:])
