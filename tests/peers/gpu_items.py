"""What else is looked at on a GPU, item by item: for gpu.py, which runs them between its rounds.

An item is a function that takes the comparison and gives `figures`, the first of which is `text`: what is printed. It raises
`Failed` where something is wrong; `ok` says whether a figure is as hoped for. Each can be run by itself, `--only "steps uld"`.
"""

import json
import os
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from statistics import mean, median

from bench import ROOT, parameters

DATA, BASE = ROOT / "tests/goldens/data", ROOT / "datasets/base/slm-base-2m"
RETAIL, JUDGED = ROOT / "datasets/retail/train.jsonl", ROOT / "datasets/preference/train.jsonl"
# Relative, as the tests of the goldens have it: of losses, and of norms of gradients.
LOSS, NORM = 1e-4, 1e-3
# Of what a step takes up, as it is foretold.
FORETOLD = 0.1
TEACHING_SHARE, TOP_K, TAUGHT_ROWS, TAUGHT_LENGTH, TAUGHT_BATCH = 0.45, 32, 384, 1024, 8
LIVELY = dict(hidden_size=96, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=24)

RECIPE = """
name = "item"
[model]
base_model = "{base}"
max_length = 256
[data]
val_size = 0.0
accept_findings = ["unlearned_end"]
[[data.train]]
path = "{rows}"
[train]
max_steps = {steps}
per_device_train_batch_size = 4
learning_rate = 2e-3
logging_steps = 1
[eval]
compare_base = false
[export]
merged = false
"""


class Failed(Exception):
    """A measurement that came to nothing, and why."""


class Place:
    """A folder to train in, on the device of the comparison or on another."""

    def __init__(self, comparison, base=BASE, rows=RETAIL, steps=4):
        self.comparison, self.folder = comparison, Path(tempfile.mkdtemp(dir=comparison.work))
        text = RECIPE.format(base=base, rows=rows, steps=steps)
        (self.folder / "item.toml").write_text(text)

    def train(self, name, device, *overrides):
        """Steps of a run, as metrics.jsonl has them."""
        command = ["train", "item.toml", f"name={name}", f"model.device={device}", "--quiet", *overrides]
        self.comparison.tool(*command, cwd=self.folder)
        return self.steps(name)

    def steps(self, name):
        events = map(json.loads, (self.folder / f"runs/{name}/metrics.jsonl").read_text().splitlines())
        return [event for event in events if event["event"] == "step"]


def doctor(comparison):
    """What it finds: a GPU that is used, with our kernels."""
    found = json.loads(comparison.tool("doctor", "--json"))["gpu"]
    text = "; ".join(
        f"{gpu['name']}, capability {gpu['capability']}, kernels: {gpu['without_kernels'] or 'ours'}" for gpu in found["gpus"]
    )
    if not comparison.arguments.dry and (found["unused"] or any(gpu["without_kernels"] for gpu in found["gpus"])):
        raise Failed(json.dumps(found))
    return dict(text=f"libtorch {found['libtorch']['version']}, CUDA {found['libtorch']['cuda']}; {text or 'no GPU'}", found=found)


def compared(found, wanted, losses=LOSS, norms=NORM):
    """How far steps are from others, relatively, at most."""
    if len(found) != len(wanted):
        raise Failed(f"{len(found)} steps, needed {len(wanted)}")

    def off(key):
        return max(abs(a[key] - b[key]) / max(abs(b[key]), 1e-12) for a, b in zip(found, wanted))

    loss, norm = off("loss"), off("grad_norm")
    figures = dict(text=f"losses within {loss:.1e}, norms of gradients within {norm:.1e}", loss=loss, grad_norm=norm)
    if not (loss <= losses and norm <= norms):
        raise Failed(f"{figures['text']}, of {losses} and {norms}")
    return figures


def golden(family, reference, overrides, comparison):
    """The ten steps that transformers and peft took on a processor."""
    from safetensors.numpy import load_file

    place = Place(comparison, base="base", rows="rows.jsonl", steps=0)
    shutil.copytree(DATA / family / "model", place.folder / "base")
    words(80, place.folder / "base", bos="w1", eos="w2", pad="w0")
    batches = load_file(DATA / "train_batches.safetensors")
    keys = ("input_ids", "attention_mask", "labels")
    rows = [{key: batches[f"step{step}.{key}"][row].tolist() for key in keys} for step in range(10) for row in range(2)]
    (place.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    wanted = load_file(DATA / family / reference)
    wanted = [dict(loss=loss, grad_norm=norm) for loss, norm in zip(wanted["train.loss"], wanted["train.grad_norm"])]
    common = ["data.shuffle=false", "train.per_device_train_batch_size=2", "train.num_train_epochs=1", "train.warmup_steps=2"]
    return compared(place.train("golden", comparison.arguments.device, *common, *overrides), wanted)


def adapter(family, name):
    overrides = ["train.learning_rate=1e-2", "train.weight_decay=0.01", f"lora.adapter_path={DATA / family / name}"]
    return partial(golden, family, f"{name}/ref.safetensors", overrides)


def steps(overrides, comparison, rows=RETAIL, teacher=None):
    """Four steps of the small base in f32, here and on the processor."""
    place = Place(comparison, rows=rows)
    if teacher:
        lively(comparison, place.folder / "teacher", foreign=teacher == "foreign")
        overrides = [*overrides, "distill.teacher.path=teacher"]
    wanted, found = (place.train(name, device, *overrides) for name, device in (("there", "cpu"), ("here", comparison.arguments.device)))
    return compared(found, wanted)


def learning(dtype, comparison):
    """Twenty steps of the small base in 16 bits: the loss falls."""
    found = Place(comparison, steps=20).train("here", comparison.arguments.device, f"model.dtype={dtype}")
    first, last = (mean(step["loss"] for step in part) for part in (found[:5], found[-5:]))
    if not last < first:
        raise Failed(f"the loss goes from {first} to {last}")
    return dict(text=f"the loss falls from {first:.3f} to {last:.3f}", first=first, last=last)


def constrained(comparison):
    """Answers that are held to something, here and on the processor."""
    schema = comparison.work / "schema.json"
    properties = dict(order=dict(type="integer"), late=dict(type="boolean"))
    schema.write_text(json.dumps(dict(type="object", properties=properties, required=list(properties), additionalProperties=False)))
    asked = dict(labels=["--labels", "track_order,refund_status"], regex=["--regex", "[A-Z]{2}-[0-9]{3}"], json_schema=["--json-schema", schema])
    answers = {}
    for name, constraint in asked.items():
        said = [
            json.loads(comparison.tool("generate", BASE, "--prompt", "Where is order 7?", *constraint, "--device", device, "--json"))
            for device in (comparison.arguments.device, "cpu")
        ]
        if not said[0]["valid"] or said[0]["answer"] != said[1]["answer"]:
            raise Failed(f"{name}: {said[0]}, and on the processor {said[1]}")
        answers[name] = said[0]["answer"]
    return dict(text=json.dumps(answers), answers=answers)


def ranks(comparison):
    """Two processes that share the device, and one with twice the micro-batches."""
    place, device, port = Place(comparison), comparison.arguments.device, 20_000 + os.getpid() % 20_000
    common = ["train", "item.toml", "--quiet", f"model.device={device}", "train.per_device_train_batch_size=2"]
    wanted = place.train("one", device, "train.per_device_train_batch_size=2", "train.gradient_accumulation_steps=2")
    address = dict(WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    launched = [
        subprocess.Popen(
            [comparison.arguments.binary, "--offline", *common, "name=two"], cwd=place.folder, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, env=os.environ | address | dict(RANK=str(rank), LOCAL_RANK=str(rank)),
        )
        for rank in range(2)
    ]
    try:
        for process in launched:
            said = process.communicate(timeout=comparison.seconds())[1]
            if process.returncode:
                raise Failed(said[-2000:])
    except subprocess.TimeoutExpired:
        raise Failed("two processes took too long") from None
    finally:
        for process in launched:
            process.kill()
    return compared(place.steps("two"), wanted, 1e-5, 1e-5)


def variant(overrides, comparison, batch=None, teacher=None, steps=5):
    """The workload of the 1B shape with something else: speed, and what it takes up."""
    line, more = comparison.workload("1b"), list(overrides)
    if teacher:
        more += [f"distill.teacher.path={comparison.base(comparison.workload(teacher))}", f"distill.teacher.dtype={comparison.dtype}"]
    command = comparison.command(line, steps=steps, warmup=2) + more
    if batch == "auto":
        command = [word for word in command if not word.startswith("--batch=")] + ["train.per_device_train_batch_size=auto"]
    return told(comparison, json.loads(comparison.call(command)))


def uld(comparison):
    """A teacher of the 0.5B shape with tokens of its own, on rows of text."""
    student, teacher = (comparison.base(comparison.workload(name)) for name in ("1b", "0.5b"))
    foreign = comparison.work / "foreign"
    shutil.copytree(teacher, foreign, dirs_exist_ok=True)
    pieces(foreign)
    (comparison.work / "uld.toml").write_text(RECIPE.format(base=student, rows=RETAIL, steps=9))
    device = [f"model.device={comparison.arguments.device}", f"model.dtype={comparison.dtype}", f"distill.teacher.dtype={comparison.dtype}"]
    command = ["bench", comparison.work / "uld.toml", "--random-weights", "--json", "--steps=4", "--warmup=2", "--batch=16"]
    measured = comparison.tool(*command, *device, "distill.loss=uld", f"distill.teacher.path={foreign}")
    return told(comparison, json.loads(measured))


def told(comparison, measured):
    """Of what `bench` measured, with the ratio to the workload as it is where that was measured before."""
    training, peak = measured["training"], (measured.get("device_peak") or {}).get("allocated_bytes")
    if not all(step["loss"] > 0 for step in training["steps"]):
        raise Failed(f"losses are {[step['loss'] for step in training['steps']]}")
    rate = median(step["tokens"] / step["elapsed_s"] for step in training["steps"])
    plain = (comparison.items.get("variant plain") or {}).get("rate")
    foretold = peak and measured["expected_bytes"] / peak - 1
    shape = measured["workload"]
    text = [f"{rate:.0f} tokens/s", f"{shape['batch']} rows × {shape['micro_batches']}"]
    text += [f"{rate / plain:.2f} of it"] if plain else []
    text += [f"{peak / 2**30:.2f} GiB, foretold {foretold:+.1%}"] if peak else []
    return dict(
        text=", ".join(text), ok=None if foretold is None else abs(foretold) <= FORETOLD, rate=rate, ratio=plain and rate / plain,
        allocated_bytes=peak, foretold=foretold, workload=shape, loss=training["steps"][-1]["loss"],
    )


def teach(comparison):
    """The likeliest tokens of a teacher of the 3B shape, of every token, as a share of the card's peak."""
    place, length = Place(comparison, base="teacher", rows="rows.jsonl"), TAUGHT_LENGTH // comparison.shrink
    base, teacher = comparison.base(comparison.workload("3b")), place.folder / "teacher"
    comparison.peer.ask(kind="write", base=str(base), out=str(teacher), dtype=comparison.dtype, seconds=comparison.seconds())
    vocab = json.loads((base / "config.json").read_text())["vocab_size"]
    words(vocab, teacher)
    row = [(7919 * place) % vocab for place in range(length)]
    rows = [dict(input_ids=row[at:] + row[:at], labels=row[at:] + row[:at]) for at in range(TAUGHT_ROWS // comparison.shrink)]
    (place.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = dict(path="teacher", dtype=comparison.dtype, device=comparison.arguments.device)
    overrides = [f"distill.teacher.{key}={value}" for key, value in keys.items()]
    overrides += ["distill.cache_dir=cache", f"distill.top_k={TOP_K}", f"train.per_device_eval_batch_size={TAUGHT_BATCH}"]
    overrides += [f"model.max_length={TAUGHT_LENGTH}", "distill.mass=1.0"]
    found = json.loads(comparison.tool("teach", "item.toml", *overrides, "--json", cwd=place.folder))["taught"]
    rate, peak = found["tokens"] / found["elapsed_s"], comparison.card["matmul_flops"]
    share = peak and 2 * parameters(base) * rate / peak
    shutil.rmtree(place.folder)
    text = f"{rate:.0f} tokens/s" + (f", {share:.1%} of the peak, >= {TEACHING_SHARE:.0%}" if peak else "")
    return dict(text=text, ok=share and share >= TEACHING_SHARE, rate=rate, share=share, taught=found)


def lively(comparison, folder, foreign):
    """A small teacher of random weights, wider and with other layers than the base; with tokens of its own if `foreign`."""
    shape = comparison.work / "lively"
    shape.mkdir(exist_ok=True)
    (shape / "config.json").write_text(json.dumps(json.loads((BASE / "config.json").read_text()) | LIVELY))
    comparison.peer.ask(kind="write", base=str(shape), out=str(folder), dtype="f32", seconds=comparison.seconds())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(BASE / name, folder)
    if foreign:
        pieces(folder)


def pieces(folder):
    """A tokenizer of byte pairs, of other ones than the base's."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train([str(RETAIL)], vocab_size=600, special_tokens=["<s>", "</s>"], show_progress=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    template = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(bos_token="<s>", eos_token="</s>", chat_template=template)))


def words(vocab_size, folder, **special):
    """A tokenizer of a word for each id: rows are ids, and no text is read."""
    vocab = {f"w{i}": i for i in range(vocab_size)}
    tokens = dict(
        version="1.0", added_tokens=[], pre_tokenizer=dict(type="WhitespaceSplit"),
        model=dict(type="WordLevel", vocab=vocab, unk_token="w3"),
    )
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    (folder / "tokenizer_config.json").write_text(json.dumps({f"{name}_token": word for name, word in special.items()}))


FULL = ["train.method=full", "train.learning_rate=1e-3", "train.weight_decay=0"]
ON_POLICY = ["distill.lmbda=1", "distill.generation.temperature=0", "distill.generation.max_new_tokens=8"]
TEACHER = "3b"
ITEMS = {
    "doctor": doctor,
    "golden llama lora": adapter("llama", "lora"),
    "golden llama dora": adapter("llama", "dora"),
    "golden qwen3 lora": adapter("qwen3", "lora"),
    "golden llama full": partial(golden, "llama", "full_ref.safetensors", FULL),
    "steps plain": partial(steps, []),
    "steps dropout": partial(steps, ["lora.lora_dropout=0.1"]),
    "steps packed": partial(steps, ["data.packing=true", "train.per_device_train_batch_size=1"]),
    "steps checkpointed": partial(steps, ["train.gradient_checkpointing=true", "lora.lora_dropout=0.1"]),
    "steps nf4": partial(steps, ["model.quantization=nf4"]),
    "steps int8": partial(steps, ["model.quantization=int8", "model.int8_activations=false"]),
    "steps dpo": partial(steps, ["train.objective=dpo"], rows=JUDGED),
    "steps taught": partial(steps, [], teacher="own"),
    "steps followed": partial(steps, ["distill.hidden.weight=1.0", "distill.hidden.loss=cosine"], teacher="own"),
    "steps on policy": partial(steps, ON_POLICY, teacher="own"),
    "steps uld": partial(steps, ["distill.loss=uld"], teacher="foreign"),
    "learning f16": partial(learning, "f16"),
    "learning bf16": partial(learning, "bf16"),
    "constrained": constrained,
    "ranks": ranks,
    "variant plain": partial(variant, []),
    "variant dropout": partial(variant, ["lora.lora_dropout=0.1"]),
    "variant f16": partial(variant, ["model.dtype=f16"]),
    "variant nf4": partial(variant, ["model.quantization=nf4"]),
    "variant int8": partial(variant, ["model.quantization=int8"]),
    "variant f32": partial(variant, ["model.dtype=f32"], steps=2),
    "variant tf32": partial(variant, ["model.dtype=f32", "model.tf32=true"], steps=2),
    "variant taught": partial(variant, [], teacher=TEACHER),
    "variant followed": partial(variant, ["distill.hidden.weight=1.0", "distill.hidden.loss=cosine"], teacher=TEACHER),
    "variant uld": uld,
    "variant auto": partial(variant, [], batch="auto", steps=3),
    "teach": teach,
}
