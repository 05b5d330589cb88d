"""slm-tune's speed and memory beside those of transformers, peft and trl, on one machine: python bench.py BINARY [options].

Both sides run the same workload in turn, each in a fresh process, so that what drifts drifts for both; what is printed
is the median of the ratios of neighbours. The peer runs as it is installed, and tuned as a careful user tunes it: with an
allocator that keeps its pages.
"""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHAPES = HERE / "shapes"
MAX_LENGTH, NEW_TOKENS, PROMPT = 512, 64, 512
PACKAGES = ("torch", "transformers", "peft", "trl")


@dataclass(frozen=True)
class Workload:
    """What is measured; `peer` are the modes of the peer, of which the first is its default, `ours` those of slm-tune."""

    shape: str
    kind: str = "train"
    batch: int = 4
    length: int = 256
    peer: dict = field(default_factory=lambda: {"": {}})
    ours: dict = field(default_factory=lambda: {"": []})


ROWS = dict(
    kind="rows",
    peer={mode: dict(mode=mode) for mode in ("padding", "grouped", "bfd", "wrapped")},
    ours={"grouped": ["train.group_by_length=true"], "packing": ["data.packing=true", "train.per_device_train_batch_size=1"]},
)
WORKLOADS = {
    "15m": Workload("15m"),
    "135m": Workload("smollm2-135m"),
    "135m long": Workload("smollm2-135m", batch=1, length=1024),
    "0.5b": Workload("qwen2.5-0.5b"),
    "135m rows": Workload("smollm2-135m", **ROWS),
    "135m decode": Workload("smollm2-135m", kind="generate", batch=1),
    "135m decode 8": Workload("smollm2-135m", kind="generate", batch=8),
}


def parse():
    parser = argparse.ArgumentParser(description="Measure slm-tune beside transformers, peft and trl.")
    parser.add_argument("binary", type=Path)
    parser.add_argument("--device", default="cpu", help="of slm-tune; several with commas between")
    parser.add_argument("--only", default=",".join(WORKLOADS), help=f"some of: {', '.join(WORKLOADS)}")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="measured in each run")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="a key of slm-tune's recipe: model.quantization=int8")
    parser.add_argument("--tcmalloc", help="libtcmalloc_minimal.so, preloaded into the tuned peer; looked for if not given")
    parser.add_argument("--peer", default="tuned,default", help="`tuned`, `default`, or both")
    parser.add_argument("--tokenizer", type=Path, default=ROOT / "../shared/tokenizers/smollm2/tokenizer.json")
    parser.add_argument(
        "--rows", type=Path, default=ROOT / "../shared/data/instruct_llamafactory/alpaca_en_demo.json",
        help="Alpaca rows, for the workloads of mixed length",
    )
    parser.add_argument("--out", type=Path, help="a JSON file for all that was measured")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.only.split(",") if name not in WORKLOADS]
    if unknown:
        parser.error(f"--only {', '.join(unknown)}: there are {', '.join(WORKLOADS)}")
    return arguments


def main():
    arguments = parse()
    results = []
    print(f"the peer: {', '.join(map(installed, PACKAGES))}, {sys.executable}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(arguments, Path(scratch))
        for name in arguments.only.split(","):
            workload = WORKLOADS[name]
            if workload.kind == "rows" and not (arguments.rows.exists() and arguments.tokenizer.exists()):
                print(f"{name}: left out, for there are no rows ({arguments.rows}) or no tokenizer ({arguments.tokenizer})")
                continue
            measured = bench.measure(workload)
            results.append(dict(workload=name, runs=measured))
            show(name, workload, measured)
            if arguments.out:
                arguments.out.write_text(json.dumps(results, indent=1))


class Bench:
    def __init__(self, arguments, work):
        self.arguments, self.work = arguments, work
        self.threads = len(os.sched_getaffinity(0))
        self.tcmalloc = arguments.tcmalloc or found_tcmalloc()
        if not self.tcmalloc and "tuned" in arguments.peer:
            print("there is no libtcmalloc_minimal.so: the peer is measured as it is installed only")

    def measure(self, workload):
        """By contender, the figures of each round."""
        base = self.base(workload)
        runs = {}
        for _ in range(self.arguments.pairs):
            for name, run in self.contenders(workload, base).items():
                runs.setdefault(name, []).append(run())
        return runs

    def contenders(self, workload, base):
        """Peers and ours in turn, so that each of ours has a peer beside it."""
        for_each = {}
        for tuning in self.arguments.peer.split(","):
            if tuning == "tuned" and not self.tcmalloc:
                continue
            for mode, task in workload.peer.items():
                name = " ".join(filter(None, ["peer", tuning, mode]))
                for_each[name] = lambda task=task, tuning=tuning: self.peer(workload, base, task, tuning == "tuned")
        for device in self.arguments.device.split(","):
            for mode, keys in workload.ours.items():
                name = " ".join(filter(None, [device, mode]))
                for_each[name] = lambda keys=keys, device=device: self.ours(workload, base, [f"model.device={device}", *keys])
        return for_each

    def base(self, workload):
        """The folder with the shape; for rows also the tokenizer, and the rows as tokens."""
        shape = SHAPES / workload.shape
        if workload.kind != "rows":
            return shape
        base = self.work / workload.shape
        base.mkdir(exist_ok=True)
        shutil.copy(shape / "config.json", base)
        shutil.copy(self.arguments.tokenizer, base)
        (base / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.tokens()))
        return base

    def tokens(self):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.arguments.tokenizer))
        end = tokenizer.token_to_id("<|endoftext|>")
        for row in json.loads(self.arguments.rows.read_text()):
            question = "\n\n".join(filter(None, [row["instruction"], row.get("input")]))
            prompt, answer = (tokenizer.encode(text).ids for text in (question + "\n\n", row["output"]))
            ids = [*prompt, *answer, end]
            if len(ids) <= MAX_LENGTH:
                yield dict(input_ids=ids, labels=[-100] * len(prompt) + ids[len(prompt) :])

    def peer(self, workload, base, task, tuned):
        arguments = self.arguments
        task = dict(
            kind=workload.kind, base=str(base), batch=workload.batch, length=workload.length, threads=self.threads,
            steps=arguments.steps, warmup=arguments.warmup, rows=str(base / "rows.jsonl"), work=str(self.work / "trl"),
            max_length=MAX_LENGTH, prompt=PROMPT, new_tokens=NEW_TOKENS, **task,
        )
        keep = dict(LD_PRELOAD=self.tcmalloc, TCMALLOC_RELEASE_RATE="0") if tuned else {}
        quiet = dict(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="", PYTHONDONTWRITEBYTECODE="1")
        printed = call([sys.executable, str(HERE / "bench_peer.py"), json.dumps(task)], quiet | keep)
        measured = json.loads(printed.splitlines()[-1])
        if workload.kind == "generate":
            return dict(rate=measured["decode"], prefill=measured["prefill"], peak_bytes=measured["peak_bytes"])
        return figures(workload, base, measured["steps"], measured)

    def ours(self, workload, base, keys):
        arguments = self.arguments
        command = [
            str(arguments.binary.resolve()), "--offline", "bench", str(SHAPES / "lora.toml"), f"model.base_model={base}",
            f"train.per_device_train_batch_size={workload.batch}", "--random-weights", "--json",
        ]
        steps = [f"--steps={arguments.steps}", f"--warmup={arguments.warmup}"]
        command += [
            *dict(
                train=[*steps, f"--length={workload.length}"],
                rows=[*steps, f'data.train=[{{path = "{base}/rows.jsonl"}}]', "data.val_size=0", f"model.max_length={MAX_LENGTH}"],
                generate=["--steps=0", "--warmup=0", "--length=2", f"--generate={NEW_TOKENS}", f"--prompt={PROMPT}", f"--rows={workload.batch}"],
            )[workload.kind],
            *keys, *arguments.set,
        ]
        measured = json.loads(call(command, {}))
        if workload.kind == "generate":
            spoken = measured["generation"][0]
            return dict(
                rate=spoken["decode_tokens_per_s"], prefill=spoken["prefill_tokens_per_s"], peak_bytes=measured["peak_bytes"]
            )
        return figures(workload, base, measured["training"]["steps"], measured)


def figures(workload, base, steps, measured):
    """Rows of one length: the median step. Of mixed length: all tokens over all seconds."""
    if workload.kind == "train":
        rate = workload.batch * workload.length / median(step["elapsed_s"] for step in steps)
    else:
        rate = sum(step["tokens"] for step in steps) / sum(step["elapsed_s"] for step in steps)
    share = 4 * parameters(base) * rate / measured["matmul_flops"]
    return dict(rate=rate, share=share, peak_bytes=measured["peak_bytes"], steps=steps)


def parameters(base):
    """All of them, a tied head once."""
    config = json.loads((base / "config.json").read_text())
    width, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    kv = width // heads * config["num_key_value_heads"]
    biases = width + 2 * kv if config["model_type"] == "qwen2" else 0
    layer = 2 * width * (width + kv) + 3 * width * inner + 2 * width + biases
    return config["vocab_size"] * width + config["num_hidden_layers"] * layer + width


def installed(package):
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def found_tcmalloc():
    places = ["/usr/lib/*/libtcmalloc_minimal.so.4", "/usr/lib*/libtcmalloc_minimal.so.4", "/usr/local/lib/libtcmalloc_minimal.so*"]
    return next((path for place in places for path in sorted(glob.glob(place))), None)


def call(command, environment):
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def show(name, workload, runs):
    """A row for each contender; ratios of ours to each peer, neighbour by neighbour."""
    middle = {who: {key: median(run[key] for run in rounds) for key in figures_of(rounds)} for who, rounds in runs.items()}
    print(f"\n{name}: {workload.shape}, {workload.kind}")
    for who, its in middle.items():
        share = f"{100 * its['share']:5.1f} % of the matmul peak" if "share" in its else f"prefill {its['prefill']:.1f}"
        print(f"  {who:28} {its['rate']:9.1f} tokens/s  {its['peak_bytes'] / 1e9:6.2f} GB  {share}")
    for who in [who for who in runs if not who.startswith("peer")]:
        for peer in [peer for peer in runs if peer.startswith("peer")]:
            ratios = {key: median(a[key] / b[key] for a, b in zip(runs[who], runs[peer])) for key in ("rate", "peak_bytes")}
            print(f"  {who:16} / {peer:24} speed {ratios['rate']:5.2f}, memory {ratios['peak_bytes']:5.2f}")
    sys.stdout.flush()


def figures_of(rounds):
    return [key for key, value in rounds[0].items() if isinstance(value, (int, float))]


if __name__ == "__main__":
    main()
